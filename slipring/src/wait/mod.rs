//! Waiting: try, spin, sleep; and why no wake-up is lost and nobody deadlocks.
//!
//! A half that cannot go on first *tries* (it looks at the peer's header), then *spins* for about
//! as long as a wake-up costs if that has paid lately ([`Spinner`]) and not too many others do
//! ([`Permits`]), then *sleeps* ([`sleep`]). In full flow it looks away for a moment before it
//! spins, where that has been measured to pay ([`Coalescer`]).
//!
//! # The protocol
//!
//! As the reader; the writer is the mirror image, with `head` for `tail`.
//!
//! ```text
//! reader                                    writer
//! ------                                    ------
//! R1  wake_at_tail.store(wanted)            W1  tail.store(new, Release)
//! R2  fence(SeqCst)                         W2  fence(SeqCst)
//! R3  look: hang-up, fin, tail              W3  w = wake_at_tail.load()
//!     there? wake_at_tail.store(0), go on   W4  if old < w && w <= new { wake }
//! R4  sleep on doorbell and link
//! ```
//!
//! # Why no wake-up is lost
//!
//! *A publication.* Let W1 be the store that makes `tail >= wanted` for the first time, so `old <
//! wanted <= new`. The two fences are ordered, one before the other. If R2 comes first, W3 sees R1,
//! and W4 rings. If W2 comes first, R3 sees W1, and the reader does not sleep. Should W4 ring while
//! the reader is between R3 and R4, the doorbell keeps it: an eventfd has no "nobody was waiting",
//! and an edge that arrives before `epoll_wait` is reported by it. Without either fence both W3 and
//! R3 may miss the other's store; the prototype of this hung in every run, and `ring::models` finds
//! it in milliseconds.
//!
//! *An end.* `fin` and `stop` move no index, so the formula of W4 does not apply: whoever stores
//! one of them does so in place of W1 and wakes in W4 if the wake word is not 0. R3 looks at them
//! too.
//!
//! *A death.* The kernel hangs up the link, which every sleeper watches, each with an epoll set of
//! its own, so that each gets the edge. An edge is told once; so whoever sees it writes it down
//! (`Endpoint::gone`) for both halves and for ever. A set that is made after the hang-up still
//! reports it: adding a descriptor to a set checks its state. Whoever leaves in order stores its
//! end before it hangs up; so a hang-up is looked for before an end, and a half that finds one
//! later, as a writer does that takes its reader to starve, looks for the end once more.
//!
//! *A doorbell is never drained.* Sleepers watch it edge-triggered: every ring is a new edge,
//! reading it would cost a system call a wake-up and could take away a ring meant for the next
//! sleep. What is left over from a ring that raced with a withdrawal ends the next sleep early. So
//! a wake-up is a hint, and [`sleep`] looks and loops. What the waker had stored is visible to whom
//! it woke: the kernel's lock on the doorbell orders a ring before the end of the sleep that it
//! ends.
//!
//! # Without the fence
//!
//! In full flow W2 is half of what a small message costs, and it is there for a reader that is
//! about to sleep. A reader that spins for ever never is: it excuses the writer from the fence
//! ([`Excuse`]), by a wake word that says [`UNFENCED`](crate::ring::wake). The writer looks for
//! that before W2, if its peer has said in the handshake that its halves never sleep:
//!
//! ```text
//! reader                                    writer
//! ------                                    ------
//! R0' wake_at_tail.store(UNFENCED)          W1  tail.store(new, Release)
//! R3' look, again and again                 W2' wake_at_tail.load() == UNFENCED? done
//! ```
//!
//! The reader need not be woken, so it does not matter what the writer sees when it does not fence.
//! A store becomes visible by itself, and R3' finds it. While such a reader has to be seen to wait
//! (below) it announces what for, as R1 and R2, and goes on looking.
//!
//! An excuse is never taken back, and a half that has given one never sleeps, in nobody's event
//! loop either: why, is argued in `wait/excuse.rs`.
//!
//! What else leans on W2 has its own: a reader that renews its lease fences always (`lease`), and
//! whoever arms releases what it has given back before.
//!
//! # Why nobody deadlocks
//!
//! A blocked `write` asks for more room than one byte, so that it is not woken for each; a reader
//! may ask for "at least n". Let the ring hold some bytes, fewer than the reader wants, and have
//! some room, less than the writer wants: both sleep, and neither moves an index. Hence the rule of
//! the *starving reader*:
//!
//! * After arming (store, fence) a writer that has *some* room looks at the reader's wake word. If
//!   it is beyond `tail`, the reader waits for bytes that nobody has published: the writer
//!   withdraws and publishes what fits. A `reserve` or a `wait_consumed`, which cannot make do with
//!   less, ends in a typed error.
//! * After arming a reader looks at the writer's wake word. If it is beyond `head`, the writer
//!   waits for room that this reader is not going to make: the reader wakes it once.
//!
//! Of two that arm at the same time, one sees the other, by the argument of the fences above; the
//! second rule wakes a writer that slept before the reader came. Both are needed; the models show
//! the deadlock with either one missing.
//!
//! A reader that has everything it asks for does not sleep; a ring is never both full and empty;
//! and a half that waits on *another* stream or in user code is the user's cycle, as with sockets.
//!
//! Both rules speak of all that the reader has read: it gives back each byte as it consumes it, and
//! before it arms. One that kept some back would have to give them back whenever *this side's
//! writer* waits, too, for the peer's writer may wait for just these.
//!
//! A reader that does not wait but asks again and again (non-blocking, or with a timeout shorter
//! than its spinning) leaves its wake word set when it gives up with something, but too little, in
//! the ring; else neither rule would apply to it.
//!
//! A writer that sees the wake word of a waiting reader looks at `head` once more before it takes
//! that reader to starve: the head it had may be older than the word.
//!
//! Spinning changes nothing in this, nor does looking away meanwhile (`Coalescer`, `Approach`): a
//! spinner that does not sleep is not armed and need not be woken. One that spins for ever
//! (`Spin::Always`) announces that it waits after the first millisecond all the same, so that the
//! rule of the starving reader can see it.
//!
//! # In somebody else's event loop
//!
//! A loop that polls many descriptors cannot sleep in here. It is given the half's epoll set, which
//! is readable as long as an edge lies in it that nobody has taken out, and R4 is split
//! ([`prepare`]):
//!
//! ```text
//! R0  drain: take all edges out of the set, without sleeping; was one the link's, look at the link
//! R1  wake_at_tail.store(wanted)
//! R2  fence(SeqCst)
//! R3  look; there? wake_at_tail.store(0), go on. nudge
//! ...    back in the loop
//! R4  poll until the set is readable; then the operation is tried again, from the start
//! ```
//!
//! *Why to drain.* Nobody else takes out an edge. It would make the set readable at each poll, for
//! ever, and the loop a busy one.
//!
//! *Why before arming.* Every ring falls before R0 or after it. One before it is taken out; but
//! whatever its waker had stored it had stored before the ring, and R3 comes after R0, so that R3
//! sees it (the lock of the doorbell and that of the set order them). One after R0 stays in the
//! set, and R4 returns at once. A publication that wakes nobody because it saw no wake word was
//! before R1 in the order of the fences, and R3 sees it as ever. Drained between R1 and R4, after
//! the look, a ring meant for just this wait would be taken out with nobody left to look: the model
//! of it deadlocks.
//!
//! *The link's edge* is told once, and R0 may be what takes it out; so R0 looks at the link, and R3
//! finds the hang-up written down. Each half has a set of its own, so neither takes the other's.
//!
//! *A set inside of a set.* Poll(2) and level-triggered sets look into the half's set at each call.
//! An edge-triggered one is told at every edge that comes into the half's set, also while another
//! still lies there; so a loop of either kind sees every ring that comes after R0.
//!
//! *Spurious wake-ups* are those of a sleeper: rings that raced with a withdrawal. The wake word
//! stays set between R3 and the next operation that moves an index, which withdraws it, and each
//! ring needs a publication that crosses it. So there are no more wake-ups than publications, and
//! none for a stream on which nothing happens.
//!
//! # What remains
//!
//! A peer that saturates the counter of a doorbell (2^64 - 2 rings) loses edges: its own loss. A
//! peer that is stopped (SIGSTOP, a debugger) is awake or armed as it was; nothing times out, and
//! it is woken as ever. A process killed while a forked child of it still holds the link is not
//! seen as dead until the child goes.

mod atomics;
mod coalescer;
mod half;
mod pause;
mod permits;
mod policy;
mod sleep;
mod spinner;
pub(crate) mod wake_word;

#[cfg(test)]
pub(crate) use atomics::model;
pub(crate) use atomics::{Atomics, Std, Word};
pub(crate) use half::{Limit, Park, Parked, PollHalf};
pub(crate) use policy::SpinPolicy;
pub(crate) use sleep::{prepare, sleep};
pub use spinner::Spin;
pub(crate) use wake_word::WakeWord;

use std::io;
use std::time::Duration;

/// Spins, then sleeps, until `half` has news. To be called after a poll that found none. `None`:
/// the half sleeps elsewhere.
#[inline(always)]
pub(crate) fn wait<H: PollHalf, P: Park>(
    half: &mut H,
    policy: &mut SpinPolicy,
    limit: Limit,
    park: impl FnOnce() -> P,
) -> Option<io::Result<H::News>> {
    match policy.spin(half, limit) {
        Some(outcome) => Some(outcome),
        None => sleep_now(half, policy, &mut park()),
    }
}

#[cold]
#[inline(never)]
fn sleep_now<H: PollHalf>(
    half: &mut H,
    policy: &mut SpinPolicy,
    park: &mut impl Park,
) -> Option<io::Result<H::News>> {
    let outcome = sleep(half, park);
    policy.learn(half);
    outcome
}

/// A timeout of zero would say the same as the non-blocking mode, and mean it less clearly.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero; use `None` for no timeout, or the non-blocking mode",
        ));
    }
    Ok(timeout)
}
