//! Waiting in an event loop of another make.

/// What [`Reader::arm`](crate::Reader::arm) and [`Writer::arm`](crate::Writer::arm) found: whether to go on at once, or
/// to poll.
///
/// An event loop that knows nothing of this crate waits for a half in two steps:
///
/// 1. `arm` asks the peer to ring, and looks once more. `Ready`: do not poll, but read (or write) again.
/// 2. `Pending`: poll the half's descriptor ([`AsFd`](std::os::fd::AsFd)) for *readability*, of a writer as of a
///    reader, level-triggered or edge-triggered, alone or among others. When it is readable, read (or write) again; on
///    `WouldBlock` begin anew with `arm`.
///
/// Arm each time before polling. A descriptor that is polled without is readable for ever once it has been, or never. A
/// wake-up is a hint: it may come without news.
///
/// The half has to be in non-blocking mode, or used by methods that do not block (`try_read`, `try_write`).
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
#[must_use = "`Pending` is when to poll, and `Ready` when not to"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Do not poll: what was asked for is there, or an end. Read or write again.
    Ready,
    /// Armed. Poll the descriptor for readability, then read or write again.
    Pending,
}
