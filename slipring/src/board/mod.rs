//! One writer, many readers: keys, each with its newest value.
//!
//! A [`Publisher`] gives keys values. Each [`Subscriber`] reads them out of the publisher's memory,
//! which it has mapped read-only, and is told which keys have changed since it asked last: each of
//! them once, with its newest value. So a panel that is slow is told less often, and never too
//! late; and publishing costs the same with one subscriber and with hundreds.
//!
//! ```
//! use slipring::board::{Change, Event, Publisher, Subscriber};
//! # let name = format!("doc-board-{}", std::process::id());
//!
//! // In one process:
//! let mut publisher = Publisher::bind(&name)?;
//! # let other = std::thread::spawn({ let name = name.clone(); move || -> std::io::Result<()> {
//!
//! // In any number of others:
//! let mut panel = Subscriber::connect(&name)?;
//! # loop {
//! match panel.changed()? {
//!     Event::Changes(changes) => for change in changes {
//!         match change {
//!             Change::Set { key, value, .. } => println!("{key:?} is {value:?}"),
//!             Change::Removed { key } => println!("{key:?} is gone"),
//!         }
//!     }
//!     Event::Restarted(restarted) => eprintln!("a new publisher: {:x}", restarted.epoch),
//!     Event::Ended(end) => {
//!         eprintln!("{end}");
//! #       break Ok(());
//!     }
//! }
//! # }}});
//! # while publisher.subscribers().is_empty() { std::thread::yield_now() }
//!
//! // And in the first again:
//! publisher.set(b"EUR/USD", b"1.17")?;
//! # publisher.finish();
//! # other.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A board has a feed
//!
//! Each change is also a record of a [`feed`](crate::feed), and has a number; the number of the
//! change that brought a value is the value's version. [`Subscriber::snapshot`] gives the whole
//! board at one number, and [`Subscriber::events`] every change from there on.
//!
//! # What it promises
//!
//! * A value arrives as it was set, or not at all: never torn.
//! * [`changed`](Subscriber::changed) loses no key, however slow the subscriber is.
//! * [`get`](Subscriber::get) ends in bounded time, also if the publisher is stopped, or has died
//!   half-way.
//! * Otherwise it promises what a feed does.
//!
//! # What it does not
//!
//! Keys that are told at once are told in no order. A board is kept in memory alone. One thread
//! publishes.
//!
//! # Cost
//!
//! A publisher costs what a feed's does, one descriptor more, and about `2 * max_value + 192` bytes
//! for each of [`max_keys`](PublisherOptions::max_keys). Each subscriber maps them, and keeps a
//! list of the keys.
//!
//! # Trust
//!
//! As with a feed. A publisher that lies ends the board with
//! [`EndReason::Corrupt`](crate::feed::EndReason::Corrupt), or its keys and values are whatever it
//! says they are.

mod error;
mod event;
pub(crate) mod layout;
mod memory;
mod options;
#[cfg(feature = "zerocopy")]
mod pod;
mod publisher;
pub(crate) mod record;
pub(crate) mod slot;
mod subscriber;
mod table;
pub(crate) mod view;

pub use error::{ReadError, SetError};
pub use event::{Change, Changes, Event, Snapshot, Update, Value};
pub use options::{PublisherOptions, SubscriberOptions};
pub use publisher::{Batch, Publisher};
pub use subscriber::{Events, Subscriber};
