//! Getting connected: names in the file system, and the handshake over the socket.
//!
//! ```text
//! connecting side                                     accepting side
//! ---------------                                     --------------
//! Hello  + outbox, two bells, credentials   ───────▶  checks everything, then makes its own
//! checks everything                         ◀───────  Hello + outbox, two bells, credentials
//! Verdict: accepted                         ───────▶  `accept` returns the stream
//! `connect` returns the stream              ◀───────  Verdict: accepted
//! ```
//!
//! A side that refuses sends a `Verdict` with its reason instead. Both ends of an `upgrade` speak first; the messages
//! are the same. Afterwards nothing is ever read from the socket again: it stays open so that the kernel can say when
//! the other process is gone.

mod acceptor;
mod binding;
mod dial;
mod directory;
mod handshake;
mod listing;
mod lock;
mod message;
mod rendezvous;
mod spot;
#[cfg(test)]
mod strangers;
mod verify;
mod watch;

pub(crate) use acceptor::Acceptor;
pub use acceptor::Stopper;
pub(crate) use binding::Binding;
pub(crate) use dial::{Dialed, Queue, dial, dial_waiting};
#[cfg(feature = "tokio")]
pub(crate) use handshake::Progress;
pub(crate) use handshake::{First, Handshake, Waits, drive, drive_pair};
pub use listing::{BoundName, NameState, names};
pub(crate) use rendezvous::rendezvous;
pub(crate) use verify::check_options;
