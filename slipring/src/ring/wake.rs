//! Wake words: what a half asks its peer for, and how the peer finds out whether it has to ring.

use super::{Atomics, Word};
use std::sync::atomic::Ordering;

/// The half is awake.
pub(crate) const AWAKE: u64 = 0;

/// The half is awake and never sleeps: nobody has to ring it, or to fence before a look at this
/// word ([`wait`](crate::wait), "Without the fence").
pub(crate) const UNFENCED: u64 = u64::MAX;

/// Whether the half that owns `wake` has to be rung, now that the index which it waits for has been
/// stored, and has gone from `old` to `new`. `excusable`: that half may excuse this one from the
/// fence.
#[inline(always)]
pub(crate) fn is_due<A: Atomics>(wake: &A::U64, old: u64, new: u64, excusable: bool) -> bool {
    // Relaxed: a half that ever says this never sleeps, so nobody waits for what this load may
    // miss.
    if excusable && wake.load(Ordering::Relaxed) == UNFENCED {
        return false;
    }
    is_due_fenced::<A>(wake, old, new)
}

#[inline(always)]
fn is_due_fenced<A: Atomics>(wake: &A::U64, old: u64, new: u64) -> bool {
    // SeqCst: between my index and the load of the peer's wake word, as the peer has it between its
    // wake word and its load of my index. Without it both loads may miss both stores, and the peer
    // sleeps on.
    A::fence(Ordering::SeqCst);
    // Relaxed: ordered by the fence. `UNFENCED` is more than any index.
    let wake = wake.load(Ordering::Relaxed);
    old < wake && wake <= new
}

/// Whether `wake` says that its owner waits for an index beyond `index`.
#[inline(always)]
pub(crate) fn is_beyond(wake: u64, index: u64) -> bool {
    index < wake && wake != UNFENCED
}
