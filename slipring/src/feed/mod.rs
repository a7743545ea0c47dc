//! One writer, many readers: numbered records, of which the newest are kept.
//!
//! A [`Publisher`] publishes records of any size up to a quarter of its ring. Each
//! [`Subscriber`] reads all of them at its own pace, out of the publisher's memory, which it has
//! mapped read-only. So publishing costs the same with one subscriber and with hundreds, and no
//! subscriber holds up the publisher or another one. One that is too slow for the ring loses the
//! oldest records and is told how many: [`Event::Lagged`].
//!
//! ```
//! use slipring::feed::{Event, Publisher, Subscriber};
//! # let name = format!("doc-feed-{}", std::process::id());
//!
//! // In one process:
//! let mut publisher = Publisher::bind(&name)?;
//! # let other = std::thread::spawn({ let name = name.clone(); move || -> std::io::Result<()> {
//!
//! // In any number of others:
//! let mut subscriber = Subscriber::connect(&name)?;
//! # loop {
//! match subscriber.recv()? {
//!     Event::Record(record) => println!("{}: {:?}", record.sequence, record.payload),
//!     Event::Lagged(lagged) => eprintln!("{} records are gone", lagged.missed),
//!     Event::Restarted(restarted) => eprintln!("a new publisher: {:x}", restarted.epoch),
//!     Event::Ended(end) => {
//!         eprintln!("{end}");
//! #       break Ok(());
//!     }
//! }
//! # }}});
//! # while !publisher.subscribers().iter().any(|one| one.begun) { std::thread::yield_now() }
//!
//! // And in the first again:
//! publisher.publish(b"price of X is 17")?;
//! # publisher.finish();
//! # other.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! * A record arrives as it was published, or not at all: never torn, never in part.
//! * Nothing is lost in silence. Records have numbers, and a gap is [`Event::Lagged`].
//! * A subscriber that sleeps is woken by the next record, and one that is
//!   [never woken](Wake::Never) costs the publisher nothing.
//! * A subscriber that is stopped, killed or hostile neither delays nor disturbs the publisher or
//!   another subscriber. A [lossless](SubscriberOptions::lossless) one delays the publisher, within
//!   the [`Budget`] that the publisher sets.
//! * A publisher that is killed leaves what it published.
//!
//! # What it does not
//!
//! Records are kept in memory alone, and those that the ring has no room for are gone. One thread
//! publishes. A subscriber answers over a [stream](crate::Stream), if it has to.
//!
//! # Cost
//!
//! A publisher needs one descriptor for each subscriber, and eight besides; a subscriber needs one.
//! Each subscriber maps the publisher's ring, and has a page of its own.
//!
//! # Trust
//!
//! Subscribers write nothing but their own page, and none of what they write there decides over
//! anything but their own wake-ups and, for lossless ones, the time within the budget. A publisher
//! that lies about its numbers ends the feed with [`EndReason::Corrupt`], or its records are
//! whatever it says they are.

pub(crate) mod calls;
mod error;
mod event;
mod farewell;
mod interrupt;
pub(crate) mod layout;
pub(crate) mod lossless;
mod memory;
mod options;
mod park;
#[cfg(feature = "zerocopy")]
mod pod;
mod publisher;
pub(crate) mod reader;
mod reconnect;
mod service;
pub(crate) mod sides;
mod state;
mod subscriber;
pub(crate) mod words;
pub(crate) mod writer;

pub use error::PublishError;
pub use event::{End, EndReason, Event, Record, Restarted};
pub use interrupt::Interrupter;
pub use lossless::Budget;
pub use options::{PublisherOptions, SubscriberOptions, Wake};
pub use publisher::{Batch, Publisher};
pub use reader::{Lagged, Start};
pub use service::{Departed, Departure, SubscriberInfo};
pub(crate) use subscriber::Found;
pub use subscriber::{Iter, Subscriber};

/// The number of a record: 0 for the first one of a publisher.
pub type Sequence = u64;
