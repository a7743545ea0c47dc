//! Sleeping and being woken, independent of what a half waits for and what it sleeps on.

use crate::ring::{Atomics, Word, ended, wake};
use std::io;
use std::sync::atomic::Ordering;

/// Announces that this half sleeps until the peer's index reaches `at`. The caller looks again
/// before it sleeps.
#[inline]
pub(crate) fn arm<A: Atomics>(wake: &A::U64, at: u64) {
    debug_assert!(at != wake::AWAKE && at != wake::UNFENCED);
    // Release: whoever sees this half wait sees all that it has given back before. For the rest the
    // fence orders it.
    wake.store(at, Ordering::Release);
    // SeqCst: between my wake word and my look at the peer's indexes; pairs with the fence in
    // `publish` and `consume`, and with that of the peer's own arming.
    A::fence(Ordering::SeqCst);
}

/// Takes the announcement back: says that the half is `awake`.
#[inline]
pub(crate) fn disarm<A: Atomics>(wake: &A::U64, awake: u64) {
    // Relaxed: a peer that still sees the old value rings once too often, which is allowed.
    wake.store(awake, Ordering::Relaxed);
}

/// Whether the half that owns this word sleeps, or is about to: asked after an end was stored.
#[inline]
pub(crate) fn armed<A: Atomics>(wake: &A::U64) -> bool {
    // SeqCst: between the `fin` or `stop` stored before and the load of the wake word, as W2 above.
    A::fence(Ordering::SeqCst);
    wake::is_beyond(wake.load(Ordering::Relaxed), wake::AWAKE)
}

/// Stores how a direction ended, unless it has. Says whether this was the first end, and whether
/// the half that owns `wake` has to be rung.
#[inline]
pub(crate) fn end<A: Atomics>(word: &A::U32, how: u32, wake: &A::U64) -> (bool, bool) {
    // Release: an abort's code is visible to whoever sees the end, as is everything published
    // before it.
    let first = word.replace(ended::OPEN, how, Ordering::Release);
    (first, first && armed::<A>(wake))
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Something happened, perhaps.
    Woken,
    /// The time was up.
    TimedOut,
}

/// A half that can sleep until what it waits for is there.
pub(crate) trait Sleeper {
    /// What it waits for, or how the waiting failed.
    type Outcome;

    /// Calls [`arm`] on its own wake word.
    fn arm(&mut self);

    /// Calls [`disarm`].
    fn disarm(&mut self);

    /// Looks, now that it is armed; `None`: not yet.
    fn look(&mut self) -> Option<Self::Outcome>;

    /// Rings the peer if that one cannot go on because of what this half waits for.
    fn nudge(&mut self);

    /// Blocks until rung, hung up on, or late.
    fn block(&mut self) -> Result<Slept, Self::Outcome>;

    /// Takes out what would end the next [`block`](Self::block) at once, without blocking: the
    /// rings so far, and news of the link.
    fn drain(&mut self) -> io::Result<()>;

    /// What to return when the time is up.
    fn timed_out(&mut self) -> Self::Outcome;
}

/// Arms, looks, nudges, and blocks until a look succeeds.
pub(crate) fn sleep<S: Sleeper>(half: &mut S) -> S::Outcome {
    half.arm();
    let mut nudged = false;
    let outcome = loop {
        if let Some(outcome) = half.look() {
            break outcome;
        }
        if !nudged {
            // Once is enough: a peer that arms later looks at my wake word itself.
            half.nudge();
            nudged = true;
        }
        match half.block() {
            Ok(Slept::Woken) => {}
            Ok(Slept::TimedOut) => {
                // What came between the last look and the end of the time is not left lying.
                break match half.look() {
                    Some(outcome) => outcome,
                    None => half.timed_out(),
                };
            }
            Err(failed) => break failed,
        }
    };
    half.disarm();
    outcome
}

/// Prepares for blocking elsewhere, until whatever this half sleeps on is ready: drains, arms,
/// looks, nudges. `None`: leaves it armed, and it is time to block.
pub(crate) fn prepare<S: Sleeper>(half: &mut S) -> io::Result<Option<S::Outcome>> {
    // What is there needs neither a system call nor a fence.
    if let Some(outcome) = half.look() {
        return Ok(Some(outcome));
    }
    // Before arming: a ring that is taken out here is followed by the look below; one that comes
    // later stays.
    half.drain()?;
    half.arm();
    if let Some(outcome) = half.look() {
        half.disarm();
        return Ok(Some(outcome));
    }
    half.nudge();
    Ok(None)
}
