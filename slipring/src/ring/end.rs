//! How a direction ends.

use super::ended;
use crate::wait::{Atomics, Word, wake_word};
use std::sync::atomic::Ordering;

/// Stores how a direction ended, unless it has ended already. Returns whether this was the first
/// end, and whether the half that owns the wake word `sleeper` has to be woken.
#[inline]
pub(crate) fn end<A: Atomics>(word: &A::U32, how: u32, sleeper: &A::U64) -> (bool, bool) {
    // Release: a peer that sees the end also sees the code of an abort, and everything published
    // before the end.
    let first = word.replace(ended::OPEN, how, Ordering::Release);
    (first, first && wake_word::is_armed::<A>(sleeper))
}
