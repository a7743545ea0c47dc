//! The lock-free core: one ring each way, and how the two sides act on each other through their
//! headers.
//!
//! Nothing in here knows an operating system. [`Producer`] and [`Consumer`] move indexes and answer
//! two questions: "how many bytes may I touch, and where" and "does the peer have to be woken".
//! `endpoint` copies the bytes and wakes the peer; `wait` decides how to spin and sleep.
//!
//! ```text
//!             k·capacity           head              tail          (k + 1)·capacity
//!   position  │                    │                 │                     │
//!             ▼                    ▼                 ▼                     ▼
//!   ring      ┌────────────────────┬─────────────────┬─────────────────────┐┌───────────
//!             │  consumed: free    │    readable     │        free         ││ same pages
//!             └────────────────────┴─────────────────┴─────────────────────┘└───────────
//! ```
//!
//! `tail` and `head` count bytes for ever; a position lies at `position mod capacity`, and the ring
//! is mapped twice in a row, so that any span of up to `capacity` bytes is contiguous.
//!
//! # One ring follows another
//!
//! A writer can exchange its ring for a larger or a smaller one. It copies the bytes from `head`,
//! as last seen, to `tail` into the new ring, passes that one's descriptor over the link, and then
//! announces it: it stores the word `ring` ([`RingId`]), and after that the next `tail`.
//!
//! *No byte is missed.* A reader that sees a `tail` which the writer stored after `ring` sees that
//! `ring` as well, by the release and acquire of `tail`, and goes over before it takes the `tail`
//! in. A reader that does not see the new `ring` yet has a `tail` from before, and all bytes up to
//! there lie in the old ring, which nobody writes any more. A reader that sees the new `ring` with
//! an old `tail` finds its bytes there too: the writer's `head` is never ahead of the reader's.
//!
//! *A reader that sleeps* while nothing more is published is woken by the announcement, as by an
//! end: the writer stores `ring`, fences, and loads the wake word; the reader arms, fences, and
//! polls `ring`.
//!
//! *Few exchanges at a time.* The reader's `taken` says which ring it has, and a writer announces
//! no more than [`MOST_UNTAKEN`] beyond that one. So there are few descriptors in the link each
//! way. A reader that is behind by several takes all of them out, and maps the last. It stores
//! `taken`, and wakes a writer that sleeps, for that one may wait for just this.

mod consumer;
mod end;
mod header;
mod producer;
mod ring_id;

#[cfg(test)]
mod against_vecdeque;
#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod stress;

pub(crate) use crate::wait::{Atomics, Std, Word};
pub(crate) use consumer::{Consumer, MOST_UNTAKEN, Turn};
pub(crate) use end::end;
pub(crate) use header::{Header, LAYOUT_VERSION, Line, MAGIC, count, ended, load_peer};
pub(crate) use producer::Producer;
pub(crate) use ring_id::RingId;

/// The two headers as one endpoint sees them.
#[derive(Debug)]
pub(crate) struct Headers<'a, A: Atomics> {
    /// The header of this side: this side alone writes it.
    pub(crate) own: &'a Header<A>,
    /// The header of the peer: input, to be checked.
    pub(crate) peer: &'a Header<A>,
}

impl<A: Atomics> Clone for Headers<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Atomics> Copy for Headers<'_, A> {}

/// An index of the peer's that no honest peer can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The outcome of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The bytes, or the room, are there.
    Ready,
    /// Not yet.
    Pending,
    /// A writer only: there is some room, less than asked for, and the peer's reader waits for
    /// bytes that are not published yet. Waiting on would leave both asleep.
    Starving,
    /// A writer only: the peer's reader waits for this position, which is further from its `head`
    /// than the ring holds. Only a larger ring helps.
    Cramped(u64),
    /// It will never be there: the other half ended, with this word ([`ended`]).
    Ended(u32),
    /// It will never be there: the peer died.
    PeerDied,
}
