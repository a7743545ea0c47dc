//! Getting connected: names in the file system, and the handshake over the socket.
//!
//! ```text
//! connecting side                                     accepting side
//! ---------------                                     --------------
//! Hello                                     ───────▶  waits in the queue until it is accepted
//!                                                     checks version, protocol, user, capacity
//! checks the same                           ◀───────  Hello
//! makes its own
//! Memory + region, two doorbells            ───────▶  checks and maps it, makes its own
//! checks and maps it                        ◀───────  Memory + region, two doorbells
//! `connect` returns the stream                        `accept` returns the stream
//! ```
//!
//! A side that refuses sends a `Refused` with its reason instead. Every message carries the
//! sender's credentials. Until the accepting side has all that it needs, it has made nothing and
//! holds one descriptor. If the connecting side cannot use what it gets in the end, it says so in
//! its own header, and the accepted stream ends with that reason.
//!
//! Both ends of an `upgrade` speak first; the messages are the same. Afterwards nothing is ever
//! read from the socket again: it stays open so that the kernel can say when the other process is
//! gone.

mod acceptor;
mod backoff;
mod binding;
mod dial;
mod directory;
mod file_watch;
mod handshake;
mod leftovers;
mod listener_fd;
mod listing;
mod lock;
mod message;
mod paths;
mod rendezvous;
mod side;
mod start;
#[cfg(test)]
mod strangers;
mod stream_side;
mod verify;

pub use acceptor::Stopper;
pub(crate) use acceptor::{Accepted, Acceptor};
pub(crate) use backoff::{Backoff, may_pass};
pub use binding::Condition;
#[cfg(feature = "tokio")]
pub(crate) use dial::{Dial, Dialed};
pub(crate) use dial::{Step, WhenFull};
pub(crate) use handshake::{Handshake, Progress, drive};
pub use leftovers::{Leftover, remove_leftovers};
pub use listener_fd::{ListenerFd, inherited_fd, pass_fd};
pub use listing::{BoundName, NameState, names, passed_over};
pub(crate) use message::{Kind, Memory, Refusal};
pub(crate) use rendezvous::Rendezvous;
#[cfg(feature = "tokio")]
pub(crate) use rendezvous::{BETWEEN_STEPS, Claim, met};
pub(crate) use side::{Parts, Side};
pub(crate) use stream_side::Waits;
pub(crate) use verify::{
    Fault, Introduced, Refused, check_options, check_protocol, other_preamble,
};
