//! The same types for [tokio](https://docs.rs/tokio) (feature `tokio`).
//!
//! A stream waits on the runtime's own reactor: no helper thread, no timer, no future in a box. It
//! costs three registrations: a doorbell a half, and the link. It works on current-thread and
//! multi-thread runtimes (with I/O and time enabled), and its halves can be awaited by different
//! tasks.
//!
//! ```
//! use slipring::tokio::{Listener, Stream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let name = format!("doc-tokio-{}", std::process::id());
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//!
//! let listener = Listener::bind(&name)?;
//! let server = tokio::spawn(async move {
//!     let mut stream = listener.accept().await?;
//!     let mut text = String::new();
//!     stream.read_to_string(&mut text).await?;
//!     stream.write_all(text.to_uppercase().as_bytes()).await
//! });
//!
//! let mut stream = Stream::connect(&name).await?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!(text, "HELLO");
//! # server.await.unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Everything must be called within a runtime, as with tokio's own sockets.
//! [`Stream::from_blocking`] and [`Stream::into_blocking`] change between this and the blocking
//! types without losing a byte.
//!
//! What takes a connection of tokio takes a [`Stream`]: hyper, rustls, WebSocket, the clients of
//! databases. A server of [tonic](https://docs.rs/tonic) wants one thing more, its trait
//! `Connected`, and the feature `tonic` has it. [axum](https://docs.rs/axum) wants its trait
//! `Listener`, and the feature `axum` has it. Programs and tests with all of these are in the
//! folder `interop` of the repository.

#[cfg(feature = "axum")]
mod axum;
mod batch;
pub mod board;
pub mod feed;
mod finding;
mod handshake;
mod listener;
mod reader;
mod reconnect;
mod registered;
mod stream;
#[cfg(feature = "tonic")]
mod tonic;
mod writer;

pub use batch::Batch;
pub use listener::Listener;
pub use reader::Reader;
pub use reconnect::Reconnect;
pub use stream::{ReuniteError, Stream};
pub use writer::Writer;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use std::io;
use std::os::fd::AsRawFd;

/// Registers a descriptor with the reactor of the runtime that this is called in.
///
/// # Safety
///
/// `io` keeps its descriptor open, and returns the same one each time, for as long as it is
/// registered. (epoll forgets a descriptor that is closed, and the number would become another
/// file's.)
#[allow(
    deprecated,
    reason = "the successor, `AsyncFd::register_with_interest`, is not in tokio 1.47, which has \
              long-term support; what it asks for is asked for here"
)]
unsafe fn register<T: AsRawFd>(io: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(io, interest)
}
