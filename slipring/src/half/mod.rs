//! The two halves of an endpoint without any blocking: what they may touch now, and how they wait.
//!
//! `Reader` and `Writer` block on them; another event loop would poll them.

mod bounce;
mod messages;
mod read;
mod write;

pub(crate) use messages::Begun;
pub(crate) use read::{ReadHalf, ReadWait, Readable};
pub(crate) use write::{PART, Room, WriteHalf, WriteWait};

use crate::wait::{Approach, pause};
use std::io;

/// A half that waits for something: what every way of waiting needs to know of it.
pub(crate) trait Waiting {
    /// What the wait is for.
    type News;

    /// Looks; `None`: not yet.
    fn look(&mut self) -> Option<io::Result<Self::News>>;

    /// Asks the peer to ring when it is time to look again. Whoever looks again then may sleep.
    fn arm(&mut self);

    /// Lets the peer see what this half waits for, for whoever goes on looking.
    fn announce(&mut self);

    /// Takes either back.
    fn disarm(&mut self);

    /// Rings the peer if it cannot go on because of this wait.
    fn nudge(&mut self);

    /// Looks whether the peer is still there, as nobody else does for a half that does not sleep.
    fn look_at_link(&mut self);

    /// The same, but no more than once in a tick of the coarse clock: for a half that is asked
    /// again and again without ever sleeping.
    fn look_around(&mut self);

    /// To be called when the wait is given up. A half that will ask again, without ever sleeping,
    /// has to be seen to wait by a peer that waits for it.
    fn give_up(&mut self) {}

    /// Leaves the half armed, for somebody who sleeps elsewhere. The next operation that moves an
    /// index disarms it.
    fn stay_armed(&mut self);

    /// What this side has done so far that its peer may have waited for: what it has published, and
    /// woken the peer's writer for. A number that changes with each.
    fn done(&self) -> u64;

    /// How far the peer is known to have come: the end of what is there to be read, or free to be
    /// written.
    fn reach(&self) -> u64;

    /// How many bytes are missing to what is waited for.
    fn missing(&self) -> u64;

    /// Counts a sleep in the header.
    fn count_sleep(&self);

    /// Counts a wait that ended while spinning.
    fn count_spin(&self);
}

/// A microsecond of looks or so, close together: the first of a wait.
#[inline(always)]
pub(crate) fn look_at_first<W: Waiting>(half: &mut W) -> Option<io::Result<W::News>> {
    look_again_and_again(half, pause::SHORT_LOOKS, pause::short)
}

/// A microsecond of looks or so, further apart: between two readings of the clock. At a peer that
/// is on its way one look, after a while.
#[inline(always)]
pub(crate) fn look_for_a_while<W: Waiting>(
    half: &mut W,
    approach: &Approach,
) -> Option<io::Result<W::News>> {
    match approach.away() {
        None => look_again_and_again(half, pause::LONG_LOOKS, pause::long),
        Some(away) => {
            pause::away(away);
            half.look()
        }
    }
}

/// With the look itself one piece of code: the way from the byte that arrives to the caller is the
/// round trip's (docs/performance.md).
#[inline(always)]
fn look_again_and_again<W: Waiting>(
    half: &mut W,
    looks: u32,
    pause: impl Fn(),
) -> Option<io::Result<W::News>> {
    for _ in 0..looks {
        if let Some(outcome) = half.look() {
            return Some(outcome);
        }
        pause();
    }
    None
}

/// The stream belongs to the process that made it.
#[cold]
pub(crate) fn forked() -> io::Error {
    io::Error::other(
        "this stream belongs to the process that forked this one; a child needs a stream of its \
            own (`Options::upgrade` over an inherited socket)",
    )
}
