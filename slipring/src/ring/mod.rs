//! The lock-free core: one ring each way, and how the two sides act on each other through their
//! headers.
//!
//! Nothing in here knows an operating system. [`Producer`] and [`Consumer`] move indexes and answer
//! two questions: "how many bytes may I touch, and where" and "does the peer have to be woken".
//! `endpoint` copies the bytes and wakes the peer; `wait` decides how to spin and sleep.
//!
//! ```text
//!            base                 head              tail           base + k·capacity
//!   position  │                    │                 │                     │
//!             ▼                    ▼                 ▼                     ▼
//!   ring      ┌────────────────────┬─────────────────┬─────────────────────┐┌───────────
//!             │  consumed: free    │    readable     │        free         ││ same pages
//!             └────────────────────┴─────────────────┴─────────────────────┘└───────────
//! ```
//!
//! `tail` and `head` count bytes for ever; a position lies at `(position - base) mod capacity`, and
//! the ring is mapped twice in a row, so that any span of up to `capacity` bytes is contiguous.

mod consumer;
mod end;
mod header;
mod producer;

#[cfg(test)]
mod against_vecdeque;
#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod stress;

pub(crate) use crate::wait::{Atomics, Std, Word};
pub(crate) use consumer::Consumer;
pub(crate) use end::end;
pub(crate) use header::{Header, LAYOUT_VERSION, Line, MAGIC, count, ended, load_peer};
pub(crate) use producer::Producer;

/// The two headers as one endpoint sees them.
#[derive(Debug)]
pub(crate) struct Headers<'a, A: Atomics> {
    /// The header of this side's region: this side alone writes it.
    pub(crate) own: &'a Header<A>,
    /// The header of the peer's region: input, to be checked.
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
    /// It will never be there: the other half ended, with this word ([`ended`]).
    Ended(u32),
    /// It will never be there: the peer died.
    PeerDied,
}
