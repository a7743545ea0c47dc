//! What a subscriber receives.

use super::Sequence;
use super::reader::Lagged;
use std::fmt;
use std::time::SystemTime;

/// The next thing that a subscriber has to know.
///
/// `B` holds a record's bytes: `&[u8]` where they are lent, `Vec<u8>` where they are owned. The
/// variants are all there will be, so that a `match` has an arm for each.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Event, Publisher, Subscriber};
/// # let name = format!("doc-feed-event-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut subscriber = Subscriber::connect(&name)?;
/// publisher.publish(b"tick")?;
/// match subscriber.recv()? {
///     Event::Record(record) => assert_eq!(record.payload, b"tick"),
///     Event::Lagged(lagged) => eprintln!("{} records are gone", lagged.missed),
///     Event::Restarted(restarted) => eprintln!("a new publisher: {:x}", restarted.epoch),
///     Event::Ended(end) => eprintln!("{end}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lag and an end are events, too"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<B> {
    /// A record.
    Record(Record<B>),
    /// Records were overwritten before they were read. The next event goes on behind them.
    Lagged(Lagged),
    /// The publisher was gone, and another one has taken its name, to which this subscriber is
    /// connected now. Its records have numbers from 0 on. Only with
    /// [`reconnect`](super::SubscriberOptions::reconnect).
    Restarted(Restarted),
    /// Nothing more comes. Each later call says the same.
    Ended(End),
}

impl Event<&[u8]> {
    /// The same, with bytes of its own.
    pub fn into_owned(self) -> Event<Vec<u8>> {
        match self {
            Event::Record(record) => Event::Record(Record {
                sequence: record.sequence,
                time: record.time,
                skipped: record.skipped,
                payload: record.payload.to_vec(),
            }),
            Event::Lagged(lagged) => Event::Lagged(lagged),
            Event::Restarted(restarted) => Event::Restarted(restarted),
            Event::Ended(end) => Event::Ended(end),
        }
    }
}

/// A record, whole as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<B> {
    /// Its number. The first one of a publisher is 0.
    pub sequence: Sequence,
    /// When it was published, if the publisher says so
    /// ([`timestamps`](super::PublisherOptions::timestamps)).
    pub time: Option<SystemTime>,
    /// Records before it that this subscriber asked to pass over
    /// ([`latest`](super::Subscriber::latest)), overwritten ones among them.
    pub skipped: u64,
    /// Its bytes.
    pub payload: B,
}

/// Another publisher has taken the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarted {
    /// A number that this publisher alone has.
    pub epoch: u64,
    /// How the feed of the publisher before it ended, and at which number.
    pub before: End,
}

/// How and where a feed ended for this subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// The number of the record that would have come next.
    pub next: Sequence,
}

/// Why a feed ended for a subscriber.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// In order: the publisher finished, or was dropped.
    Finished,
    /// The publisher aborted the feed, with this code.
    Aborted {
        /// Its meaning is the application's.
        code: u32,
    },
    /// The publisher's process died, or left without dropping the publisher.
    PublisherDied,
    /// The publisher's memory made no sense.
    Corrupt,
    /// The publisher has put this subscriber out.
    Disconnected {
        /// Its meaning is the application's.
        reason: u32,
    },
    /// This subscriber is lossless, and was further behind than the publisher's
    /// [`Budget`](super::Budget) allows.
    TooSlow,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            EndReason::Finished => write!(f, "the publisher finished"),
            EndReason::Aborted { code } => write!(f, "the publisher aborted with code {code}"),
            EndReason::PublisherDied => write!(f, "the publisher died"),
            EndReason::Corrupt => write!(f, "the publisher's memory is corrupt"),
            EndReason::Disconnected { reason } => {
                write!(
                    f,
                    "the publisher disconnected this subscriber for reason {reason}"
                )
            }
            EndReason::TooSlow => write!(f, "this lossless subscriber was too slow"),
        }?;
        write!(f, "; the next record would have been {}", self.next)
    }
}
