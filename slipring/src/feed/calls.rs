//! How a publisher that has one reader or hundreds of them wakes those that sleep, for the price of
//! one system call if they are many, and of one for each if they are few.
//!
//! The publisher's header has one word, `calls`, which its process alone writes: nobody sleeps,
//! somebody may, the waker is called. Each subscriber has a word `wake` in its own page, and a
//! socket on which it sleeps. The waker is a thread of the publisher's process. A publisher that
//! has few subscribers does the waker's round itself, in place of calling it; a lock sees to it
//! that there is one round at a time.
//!
//! ```text
//! subscriber                        publisher                     waker, called or announced to
//! ----------                        ---------                     -----------------------------
//! S1  wake.store(seen + 1)          P1  tail.store(new)           K1  calls.store(NOBODY)
//! S2  fence(SeqCst)                 P2  fence(SeqCst)             K2  fence(SeqCst)
//! S3  calls.load() == NOBODY?       P3  calls.load() == SOMEBODY? K3  tail.load()
//!     announces, over its socket        exchanged for CALLED,     K4  each wake.load(): rings what
//! S4  polls tail                        calls the waker               is due, each value once
//! S5  sleeps on its socket                                        K5  if any is armed, or was rung
//!                                                                     just now:
//!                                                                     calls.store(SOMEBODY),
//!                                                                     fence(SeqCst), tail.load();
//!                                                                     news: from K1 on
//! ```
//!
//! # Why no wake-up is lost
//!
//! Let a subscriber sleep, and P1 be the first store that makes its wake word due. S4 has not seen
//! it, so S2 comes before P2, and whatever scans after P2 sees S1.
//!
//! * *P3 sees `SOMEBODY`* and calls. The scan that follows the call rings.
//! * *P3 sees `CALLED`*. The waker has not done K1 yet, or P3 would have seen that: so P2 comes
//!   before K2, and the scan that follows sees both P1 and S1.
//! * *P3 sees `NOBODY`*. Take the K1 that it sees. If its K2 comes after P2, its scan sees both. If
//!   not, ask what S3 saw. `NOBODY`: the subscriber announced, and the round that this brings about
//!   comes after S2. It rings, or it finds the subscriber armed and goes on to K5. Another value:
//!   the subscriber saw an older one than the K1 in question, and then S2 comes before that K2 and
//!   the scan found it armed; or a later one, which a K5 of that round or a later one stored. In
//!   each case there is a K5 whose fence stands behind the `NOBODY` that P3 saw, and after P2; it
//!   sees P1, and the round begins again.
//!
//! *`CALLED` spares system calls*: the publisher does not call a waker that is called already, and
//! a subscriber that finds it need not announce. `models` shows that each fence is needed, and the
//! announcement and the second look of K5.
//!
//! # Without a fence
//!
//! As long as every subscriber says that it never sleeps, `sleepers` is 0, and P2 and P3 are left
//! out. When the waker lets in one that may, it stores another value, and runs a round at once; and
//! one more after [a moment](crate::wait::a_moment). A publication that has seen 0 may be under way
//! during the first round, and is visible before the second one, as
//! [`wake_word`](crate::wait::wake_word) has it. A later publication sees the new value.
//!
//! # What a subscriber costs
//!
//! *Each value once.* A subscriber that is rung polls before it sleeps again, and its next wake
//! word is a larger one. So a subscriber that is stopped is not rung again and again. One that was
//! rung is going to sleep again, as it seems, so K5 spares it the announcement.

use super::layout::{Header, Page};
use crate::ring::{Atomics, Word};
use std::sync::atomic::Ordering;

/// Nobody sleeps: a subscriber that is about to announces it.
pub(crate) const NOBODY: u32 = 0;
/// Somebody may sleep: the publisher calls the waker.
pub(crate) const SOMEBODY: u32 = 1;
/// The waker is called, and has not begun.
pub(crate) const CALLED: u32 = 2;

/// The wake word of a subscriber that is awake.
pub(crate) const AWAKE: u64 = 0;

/// After a publication: whether the waker has to be called. `sleepers`: how many subscribers may
/// ever sleep.
#[inline]
pub(crate) fn must_call<A: Atomics>(header: &Header<A>, sleepers: &A::U32) -> bool {
    // The load below stays behind the store of `tail`.
    A::index_stored();
    // Relaxed: the waker looks again a moment after it has stored another value than 0.
    if sleepers.load(Ordering::Relaxed) == 0 {
        return false;
    }
    A::fence(Ordering::SeqCst);
    let calls = &header.calls.0;
    // Relaxed, both: the fence orders the load, and the call itself orders the waker.
    calls.load(Ordering::Relaxed) == SOMEBODY && calls.replace(SOMEBODY, CALLED, Ordering::Relaxed)
}

/// Says that this subscriber sleeps until `tail` reaches `at`. Returns whether it has to announce
/// that. It polls again before it sleeps.
pub(crate) fn arm<A: Atomics>(page: &Page<A>, header: &Header<A>, at: u64) -> bool {
    // Relaxed: the fence orders it, and no other memory goes with it.
    page.wake.0.store(at, Ordering::Relaxed);
    A::fence(Ordering::SeqCst);
    // Relaxed: the fence orders it.
    header.calls.0.load(Ordering::Relaxed) == NOBODY
}

/// Takes that back.
pub(crate) fn disarm<A: Atomics>(page: &Page<A>) {
    // Relaxed: a waker that sees the old value wakes once in vain.
    page.wake.0.store(AWAKE, Ordering::Relaxed);
}

/// Wakes everybody who is due. `scan` does so for a `tail`, and returns whether any subscriber is
/// armed or was rung just now.
pub(crate) fn round<A: Atomics>(header: &Header<A>, mut scan: impl FnMut(u64) -> bool) {
    let (calls, tail) = (&header.calls.0, &header.published.0.tail);
    loop {
        // Relaxed: the fences order these, and the waker reads none of the records.
        calls.store(NOBODY, Ordering::Relaxed);
        A::fence(Ordering::SeqCst);
        let seen = tail.load(Ordering::Relaxed);
        if !scan(seen) {
            return;
        }
        calls.store(SOMEBODY, Ordering::Relaxed);
        A::fence(Ordering::SeqCst);
        if tail.load(Ordering::Relaxed) == seen {
            return;
        }
    }
}

/// What the waker knows of one subscriber's sleep.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    /// The wake word for which it was rung last.
    rung: u64,
}

/// The state of one subscriber in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    Awake,
    /// It sleeps, or was rung for this and has not looked yet.
    Armed,
    /// It is to be rung now.
    Due,
}

impl Sleeper {
    /// Looks at the wake word; `Due` once for each value.
    pub(crate) fn look<A: Atomics>(&mut self, page: &Page<A>, tail: u64) -> Sleep {
        // Relaxed: the fence of the round orders it.
        let wake = page.wake.0.load(Ordering::Relaxed);
        if wake == AWAKE {
            return Sleep::Awake;
        }
        if wake > tail {
            return Sleep::Armed;
        }
        if wake == self.rung {
            return Sleep::Awake;
        }
        self.rung = wake;
        Sleep::Due
    }
}
