//! What a subscriber of a board is told.

use super::table::Pending;
use crate::feed::{End, Lagged, Restarted, Sequence};
use std::collections::BTreeMap;
use std::slice;

/// What happened to one key.
///
/// The variants are all there will be, so that a `match` has an arm for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// It has this value.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
        /// The number of the change that brought this value. A later value has a larger one.
        version: Sequence,
    },
    /// It was removed.
    Removed {
        /// The key.
        key: &'a [u8],
    },
}

impl Change<'_> {
    /// The key.
    pub fn key(&self) -> &[u8] {
        match self {
            Change::Set { key, .. } | Change::Removed { key } => key,
        }
    }
}

/// The next thing that a subscriber has to know, key by key
/// ([`changed`](super::Subscriber::changed)).
///
/// # Examples
///
/// ```
/// use slipring::board::{Change, Event, Publisher, Subscriber};
/// # let name = format!("doc-board-event-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut panel = Subscriber::connect(&name)?;
/// publisher.set(b"EUR/USD", b"1.17")?;
/// match panel.changed()? {
///     Event::Changes(changes) => for change in changes {
///         match change {
///             Change::Set { key, value, .. } => println!("{key:?} is {value:?}"),
///             Change::Removed { key } => println!("{key:?} is gone"),
///         }
///     }
///     Event::Restarted(restarted) => println!("a new publisher: {:x}", restarted.epoch),
///     Event::Ended(end) => println!("{end}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a restart and an end are events, too"]
#[derive(Debug)]
pub enum Event<'a> {
    /// These keys have changed, each of them once. They count as told.
    Changes(Changes<'a>),
    /// The publisher was gone, and another one has taken its name. Its board is a new one: no key
    /// of the old one is left. Only with [`reconnect`](super::SubscriberOptions::reconnect).
    Restarted(Restarted),
    /// Nothing more comes. Each later call says the same.
    Ended(End),
}

/// Keys that have changed, each of them once, in no order that means anything.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    pending: slice::Iter<'a, Pending>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(pending: &'a [Pending]) -> Changes<'a> {
        Changes {
            pending: pending.iter(),
        }
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        self.pending.next().map(|pending| {
            if pending.is_removed {
                Change::Removed { key: &pending.key }
            } else {
                Change::Set {
                    key: &pending.key,
                    value: &pending.value,
                    version: pending.number,
                }
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pending.size_hint()
    }
}

impl ExactSizeIterator for Changes<'_> {}

/// The next thing that a subscriber has to know, change by change ([`Events`](super::Events)).
#[must_use = "a lag and an end are updates, too"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update<'a> {
    /// A change.
    Change {
        /// Its number: 0 for the first one of a publisher.
        sequence: Sequence,
        /// What changed.
        change: Change<'a>,
    },
    /// Changes were overwritten before they were read. The next update goes on behind them;
    /// [`snapshot`](super::Subscriber::snapshot) and [`changed`](super::Subscriber::changed) know
    /// what came of them.
    Lagged(Lagged),
    /// As [`Event::Restarted`].
    Restarted(Restarted),
    /// As [`Event::Ended`].
    Ended(End),
}

/// The value of a key, lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its bytes.
    pub value: &'a [u8],
    /// The number of the change that brought it.
    pub version: Sequence,
}

/// All of a board, as it was just before the change of one number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the first change that is not in it.
    pub next: Sequence,
    /// The value of each key, and its version: the number of the change that brought it.
    pub entries: BTreeMap<Vec<u8>, (Sequence, Vec<u8>)>,
}
