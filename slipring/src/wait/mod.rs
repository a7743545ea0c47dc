//! Waiting: poll, spin, arm, poll again, sleep; and why no wake-up is lost and nobody deadlocks.
//!
//! [`wait`] is the one function that waits, for the blocking halves, tokio and `mmf`. A half that
//! cannot go on *polls* (it loads the peer's header), then *spins* as its [`SpinPolicy`] says, then
//! *sleeps* in its [`Park`]. The policy spins for about as long as a wake-up costs if that has paid
//! lately ([`spinner`]) and not too many other halves do ([`permits`]); in full flow it delays the
//! first poll for a moment, where that has been measured to pay ([`coalescer`]).
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
//! R3  poll: hang-up, fin, tail              W3  w = wake_at_tail.load()
//!     there? wake_at_tail.store(0), go on   W4  if old < w && w <= new { wake the reader }
//! R4  sleep on doorbell and link
//! ```
//!
//! # Why no wake-up is lost
//!
//! *A publication.* Let W1 be the store that makes `tail >= wanted` for the first time, so `old <
//! wanted <= new`. The two fences are ordered, one before the other. If R2 comes first, W3 sees R1,
//! and W4 wakes the reader. If W2 comes first, R3 sees W1, and the reader does not sleep. If W4
//! comes while the reader is between R3 and R4, the doorbell keeps the wake-up: an eventfd
//! remembers it, and `epoll_wait` reports an edge that arrived before the call. Without either
//! fence both W3 and R3 may miss the other's store; `models` finds that hang in milliseconds.
//!
//! *An end.* `fin` and `stop` move no index, so the formula of W4 does not apply. The half that
//! stores one of them does so in place of W1, and wakes the peer in W4 if the wake word is not 0.
//! R3 loads them too.
//!
//! *A death.* The kernel hangs up the link, which every sleeper watches. Each sleeper has an epoll
//! set of its own, so that each gets the edge. An edge is told once; so the half that sees it
//! writes it down (`Endpoint::is_gone`), for both halves and for ever. A set that is made after the
//! hang-up still reports it: adding a descriptor to a set checks its state. A process that leaves
//! in order stores its end before it hangs up. So a half checks for a hang-up before an end. A half
//! that finds a hang-up later loads the end once more: a writer does so that takes its reader to
//! starve.
//!
//! *A doorbell is never drained.* Sleepers watch it edge-triggered: every wake-up is a new edge.
//! Draining it would cost a system call a wake-up, and could take away a wake-up meant for the next
//! sleep. A wake-up that raced with a withdrawal ends the next sleep early. So a wake-up is a hint,
//! and [`sleep`] polls and loops. A woken half sees all that its waker had stored before: the
//! kernel's lock on the doorbell orders a wake-up before the end of the sleep that it ends.
//!
//! # Without the fence
//!
//! In full flow W2 is half the cost of a small message, and it is there for a reader that is about
//! to sleep. A reader that finds its news by polling, again and again, lets its peer leave it out:
//! its wake word says [`UNFENCED`](wake_word::UNFENCED), which the writer loads before W2.
//!
//! ```text
//! reader                                    writer
//! ------                                    ------
//! R0' wake_at_tail.store(UNFENCED)          W1  tail.store(new, Release)
//! R3' poll, again and again                 W2' wake_at_tail.load() == UNFENCED? done
//! ```
//!
//! The reader need not be woken, so the value that the writer loads without a fence does not
//! matter. A store becomes visible by itself, and R3' finds it. While such a reader has to be seen
//! to wait (below) it advertises its wish, as R1 and R2, and goes on polling. [`wake_word`] says
//! when a half may say so, and what it has to do before it sleeps.
//!
//! # Why nobody deadlocks
//!
//! A blocked `write` asks for more room than one byte, so that it is not woken for each; a reader
//! may ask for "at least n". Let the ring hold some bytes, fewer than the reader wants, and have
//! some room, less than the writer wants: both sleep, and neither moves an index. Hence the rule of
//! the *starving reader*:
//!
//! * After arming (store, fence) a writer that has *some* room loads the reader's wake word. If it
//!   is beyond `tail`, the reader waits for bytes that are not published: the writer withdraws and
//!   publishes the bytes that fit. A `reserve` or a `wait_consumed` cannot make do with less; it
//!   ends in a typed error.
//! * After arming a reader loads the writer's wake word. If it is beyond `head`, the writer waits
//!   for room that this reader is not going to make: the reader wakes it once.
//!
//! If two sides arm at the same time, one sees the other, by the argument of the fences above. The
//! second rule wakes a writer that slept before the reader came. Both are needed; the models show
//! the deadlock with either one missing.
//!
//! A reader that has everything it asks for does not sleep; a ring is never both full and empty. If
//! a half waits on *another* stream or in user code, that is the user's cycle, as with sockets.
//!
//! Both rules rely on this: the reader gives back each byte as it consumes it, and before it arms.
//! A reader that held some bytes back would also have to give them back whenever *this side's
//! writer* waits, for the peer's writer may wait for just these.
//!
//! A reader that comes again and again (non-blocking, or with a timeout) leaves its wake word set
//! when it gives up with some bytes in the ring, but too few. Otherwise neither rule would apply to
//! it in between.
//!
//! A writer that sees the wake word of a waiting reader loads `head` once more before it takes that
//! reader to starve: the head it had may be older than the word.
//!
//! Spinning changes nothing in this, nor does a delayed poll: a spinner that does not sleep is not
//! armed and need not be woken. After the first millisecond a half that spins for ever
//! (`Spin::Always`) advertises all the same that it waits, so that the rule of the starving reader
//! can see it.
//!
//! # In an external event loop
//!
//! A loop that polls many descriptors cannot sleep in here. It is given the half's epoll set, which
//! is readable as long as an edge lies in it that nobody has taken out, and R4 is split
//! ([`prepare`]):
//!
//! ```text
//! R0  drain: take all edges out of the set, without sleeping; was one the link's, check the peer
//! R1  wake_at_tail.store(wanted)
//! R2  fence(SeqCst)
//! R3  poll; there? wake_at_tail.store(0), go on. Wake a starved peer
//! ...    back in the loop
//! R4  poll the set until it is readable; then the operation is tried again, from the start
//! ```
//!
//! *Why to drain.* Nothing else takes out an edge. A stale edge would make the set readable at each
//! poll, for ever, and the loop a busy one.
//!
//! *Why before arming.* Every wake-up falls before R0 or after it. One before R0 is taken out; but
//! its waker had stored its news before it, and R3 comes after R0, so that R3 sees the news (the
//! lock of the doorbell and that of the set order them). One after R0 stays in the set, and R4
//! returns at once. A publication that wakes nobody because it saw no wake word was before R1 in
//! the order of the fences, and R3 sees it as ever. If the set were drained between R1 and R4,
//! after the poll, a wake-up meant for just this wait would be taken out, and no poll would follow:
//! the model of it deadlocks.
//!
//! *The link's edge* is told once, and R0 may take it out; so R0 checks the peer, and R3 finds the
//! hang-up written down. Each half has a set of its own, so neither takes the other's edges.
//!
//! *A set inside of a set.* Poll(2) and level-triggered sets check the half's set at each call. An
//! edge-triggered set is told of every edge that comes into the half's set, also while another
//! still lies there; so a loop of either kind sees every wake-up that comes after R0.
//!
//! *Spurious wake-ups* are those of a sleeper: wake-ups that raced with a withdrawal. The wake word
//! stays set between R3 and the next operation that moves an index, which withdraws it, and each
//! wake-up needs a publication that crosses it. So there are no more wake-ups than publications,
//! and none for a stream on which nothing happens.
//!
//! # What remains
//!
//! A peer that saturates the counter of a doorbell (2^64 - 2 wake-ups) loses edges: its own loss. A
//! peer that is stopped (SIGSTOP, a debugger) is awake or armed as it was; nothing times out, and
//! it is woken as ever. A process killed while a forked child of it still holds the link is not
//! seen as dead until the child goes.

mod atomics;
mod coalescer;
mod half;
mod moment;
mod pause;
mod permits;
mod policy;
mod sleep;
mod spinner;
pub(crate) mod wake_word;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use atomics::model;
pub(crate) use atomics::{Atomics, Std, Word};
pub(crate) use half::{Limit, Park, Parked, PollHalf};
pub(crate) use moment::a_moment;
pub(crate) use policy::SpinPolicy;
pub(crate) use sleep::{prepare, sleep};
pub use spinner::Spin;
pub(crate) use wake_word::WakeWord;

use std::io;
use std::time::{Duration, Instant};

/// Spins, then sleeps, until `half` has news. To be called after a poll that found none. `None`:
/// the caller sleeps elsewhere. `park` gets the time when the spinning began, if there was any: the
/// limit counts from there.
#[inline(always)]
pub(crate) fn wait<H: PollHalf, P: Park>(
    half: &mut H,
    policy: &mut SpinPolicy,
    limit: Limit,
    park: impl FnOnce(Option<Instant>) -> P,
) -> Option<io::Result<H::News>> {
    match policy.spin(half, limit) {
        Some(outcome) => Some(outcome),
        None => sleep_now(half, policy, &mut park(policy.spun_since())),
    }
}

#[cold]
#[inline(never)]
fn sleep_now<H: PollHalf>(
    half: &mut H,
    policy: &mut SpinPolicy,
    park: &mut impl Park,
) -> Option<io::Result<H::News>> {
    policy.sleeps();
    let outcome = sleep(half, park);
    policy.learn(half);
    outcome
}

/// A timeout of zero would say the same as the non-blocking mode, but less clearly.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero; use `None` for no timeout, or the non-blocking mode",
        ));
    }
    Ok(timeout)
}
