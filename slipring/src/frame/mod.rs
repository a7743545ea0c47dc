//! Messages over a stream: each arrives in one piece or not at all.
//!
//! A [`Sender`] has one direction for itself, and a [`Receiver`] the other end of it. A message of
//! any length, none included, is sent with [`send`](Sender::send) or written straight into the ring
//! with [`send_with`](Sender::send_with); it is lent by [`recv`](Receiver::recv) as one contiguous
//! slice out of the ring, and its room is free again when it is dropped. Nothing is copied that
//! need not be, and a message of up to half the ring costs one publication.
//!
//! ```
//! use slipring::{Stream, frame};
//!
//! let (left, right) = Stream::pair()?;
//! let (mut requests, mut answers) = frame::split(left)?;
//! let server = std::thread::spawn(move || -> std::io::Result<()> {
//!     let (mut answers, mut requests) = frame::split(right)?;
//!     while let Some(request) = requests.recv()? {
//!         answers.send_with(request.len(), |answer| {
//!             answer.copy_from_slice(&request);
//!             answer.make_ascii_uppercase();
//!         })?;
//!     }
//!     Ok(())
//! });
//!
//! requests.send(b"hello")?;
//! assert_eq!(*answers.recv()?.expect("an answer"), *b"HELLO");
//! drop(requests);
//! assert!(answers.recv()?.is_none());
//! server.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | a message larger than the ring | goes in parts, and is put together up to the maximum that the receiver sets |
//! | many small ones | [`Sender::batch`] publishes them at once |
//! | only the newest counts | [`Receiver::latest`] lets go of the others |
//! | to be kept | [`Receiver::recv_into`]; with the feature `bytes` `recv_owned`, from a pool |
//! | a struct | with the feature `zerocopy` `send_pod` and `recv_pod`; every message begins at a multiple of 8 |
//! | other than a stream | [`plain`]: the same messages over any `Read` and `Write` |
//! | tokio | `frame::tokio`, feature `tokio`; with `bytes` a `futures_core::Stream` as well |
//!
//! # The format
//!
//! Before each part stands a header of 8 bytes: the length of its payload, then flags, both `u32`
//! and little-endian. Flag 1: more parts follow. Flag 2: the message that is under way will not be
//! completed (its sender was interrupted by a timeout or cancelled); what has come of it is
//! forgotten. Zeros pad the payload to a multiple of 8. `docs/layout.md` has the rules. Other
//! formats work on the plain stream, `tokio_util::codec` among them.
//!
//! # Between messages and bytes
//!
//! `into_inner` gives back the half that messages went over, and another sender or receiver may be
//! made of it: on tokio, for instance, where the first one blocked. A message that is under way
//! then belongs to the direction. A sender gives it up as it goes. A receiver loses the parts that
//! had come, and the next one passes over the others. So no message is ever put together out of
//! two. The receivers of [`plain`] know nothing of that, and are made between messages only.
//!
//! # Trust
//!
//! What a peer writes is input. A header is loaded once and checked before anything is waited for;
//! nothing is allocated for what it claims; nonsense ends the direction with an [`Error`]. Bytes
//! lent out of the ring are as trustworthy as with [`fill_buf`](std::io::BufRead::fill_buf): see
//! "Trust" in the [crate documentation](crate).

mod buffer;
mod decode;
mod encode;
mod error;
mod header;
mod limit;
mod message;
pub mod plain;
#[cfg(feature = "zerocopy")]
mod pod;
#[cfg(feature = "bytes")]
mod pool;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use error::Error;
pub use message::{Latest, Message};
#[cfg(feature = "zerocopy")]
pub use pod::Pod;
pub use receiver::Receiver;
pub use sender::{Batch, Sender, split};

/// The most that a message may have, unless [`Receiver::with_max`] says otherwise: 16 MiB.
pub const DEFAULT_MAX: usize = 16 << 20;
