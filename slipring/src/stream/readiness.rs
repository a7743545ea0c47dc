//! Waiting in an event loop of another make.

/// What [`Reader::arm`](crate::Reader::arm) and [`Writer::arm`](crate::Writer::arm) found: whether
/// to go on at once, or to poll.
///
/// An event loop that knows nothing of this crate waits for a half in two steps:
///
/// 1. `arm` asks the peer to ring, and looks once more. `Ready`: do not poll, but read (or write)
///    again.
/// 2. `Pending`: poll the half's descriptor ([`AsFd`](std::os::fd::AsFd)) for *readability*, of a
///    writer as of a reader, level-triggered or edge-triggered, alone or among others. When it is
///    readable, read (or write) again; on `WouldBlock` begin anew with `arm`.
///
/// The first `arm` after a flow of blocking calls (many waits without a sleep, or many writes in a
/// row) blocks for a millisecond.
///
/// Arm each time before polling. A descriptor that is polled without is readable for ever once it
/// has been, or never. A wake-up is a hint: it may come without news.
///
/// The half has to be in non-blocking mode, or used by methods that do not block (`try_read`,
/// `try_write`). A stream with [`Spin::Always`](crate::Spin::Always) is never woken, so `arm` fails
/// there.
///
/// # Examples
///
/// A loop around `poll(2)`; `examples/poll.rs` has one with two streams.
///
/// ```
/// use rustix::event::{PollFd, PollFlags, poll};
/// use slipring::{Readiness, Stream};
/// use std::io::{ErrorKind, Write};
///
/// let (mut left, mut right) = Stream::pair()?;
/// let writing = std::thread::spawn(move || left.write_all(b"tick"));
///
/// let mut word = [0; 4];
/// let reader = right.reader();
/// let n = loop {
///     match reader.try_read(&mut word) {
///         Err(e) if e.kind() == ErrorKind::WouldBlock => {}
///         done => break done?,
///     }
///     if reader.arm(1)? == Readiness::Pending {
///         poll(&mut [PollFd::new(reader, PollFlags::IN)], None)?;
///     }
/// };
/// assert_eq!(&word[..n], b"tick");
/// writing.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// The traits of `futures_io` on a reactor, here that of `async-io`: this crate has no reactor of
/// its own and so no such type, but it is a few lines. A writer is the same with `try_write` and an
/// `arm` for room.
///
/// ```
/// use async_io::Async;
/// use futures_lite::{AsyncRead, AsyncReadExt, ready};
/// use slipring::{Reader, Readiness, Stream};
/// use std::io::{self, ErrorKind, Write};
/// use std::os::fd::{AsFd, OwnedFd};
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
///
/// struct AsyncReader {
///     reader: Reader,
///     polled: Async<OwnedFd>,
/// }
///
/// impl AsyncReader {
///     fn new(reader: Reader) -> io::Result<AsyncReader> {
///         let polled = Async::new_nonblocking(reader.as_fd().try_clone_to_owned()?)?;
///         Ok(AsyncReader { reader, polled })
///     }
/// }
///
/// impl AsyncRead for AsyncReader {
///     fn poll_read(
///         mut self: Pin<&mut Self>,
///         cx: &mut Context<'_>,
///         buf: &mut [u8],
///     ) -> Poll<io::Result<usize>> {
///         loop {
///             match self.reader.try_read(buf) {
///                 Err(e) if e.kind() == ErrorKind::WouldBlock => {}
///                 done => return Poll::Ready(done),
///             }
///             if self.reader.arm(1)? == Readiness::Pending {
///                 ready!(self.polled.poll_readable(cx))?;
///             }
///         }
///     }
/// }
///
/// let (mut left, right) = Stream::pair()?;
/// let (reader, _writer) = right.into_split();
/// let mut reader = AsyncReader::new(reader)?;
/// let writing = std::thread::spawn(move || left.write_all(b"tick, tock"));
/// let mut text = String::new();
/// async_io::block_on(reader.read_to_string(&mut text))?;
/// assert_eq!(text, "tick, tock");
/// writing.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "`Pending` is when to poll, and `Ready` when not to"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Do not poll: what was asked for is there, or an end. Read or write again.
    Ready,
    /// Armed. Poll the descriptor for readability, then read or write again.
    Pending,
}
