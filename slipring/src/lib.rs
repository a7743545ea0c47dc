//! slipring

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("slipring needs 64-bit little-endian Linux");

mod blocking;
mod closer;
mod end;
mod endpoint;
mod error;
mod grant;
mod half;
mod link;
mod listener;
mod name;
mod options;
mod reader;
mod ring;
mod stream;
mod sys;
mod wait;
mod writer;

pub use closer::Closer;
pub use end::{End, EndReason};
pub use error::{Error, Result};
pub use grant::{Batch, Grant};
pub use link::{BoundName, NameState, Stopper, names};
pub use listener::{Incoming, Listener};
pub use name::{Name, Scope};
pub use options::{Options, Peer, Peers};
pub use reader::Reader;
pub use stream::{ReuniteError, Stream};
pub use wait::Spin;
pub use writer::Writer;
