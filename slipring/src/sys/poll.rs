//! Waiting for one descriptor, without a set of its own (ppoll(2)).

use super::clock::timespec;
use super::errno::{self, Errno};
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Waits until the descriptor is readable, or also writable if `write` says so. `false`: the time
/// is up, or a day has passed. Without a descriptor it waits for the time alone. A signal is
/// `EINTR`.
pub(crate) fn wait(
    fd: Option<BorrowedFd<'_>>,
    write: bool,
    timeout: Option<Duration>,
) -> errno::Result<bool> {
    let mut interest = PollFlags::IN;
    interest.set(PollFlags::OUT, write);
    let mut fds = fd.as_ref().map(|fd| [PollFd::new(fd, interest)]);
    let fds = fds.as_mut().map_or(&mut [][..], |fds| &mut fds[..]);
    Ok(poll(fds, timeout.map(timespec).as_ref())? > 0)
}

/// Waits until one of two descriptors is readable, likewise.
pub(crate) fn wait_for_either(
    one: BorrowedFd<'_>,
    other: BorrowedFd<'_>,
    timeout: Option<Duration>,
) -> errno::Result<bool> {
    let mut fds = [&one, &other].map(|fd| PollFd::new(fd, PollFlags::IN));
    Ok(poll(&mut fds, timeout.map(timespec).as_ref())? > 0)
}

/// Whether a socket that listens was shut down, so that nobody gets through to it (`POLLHUP`).
pub(crate) fn is_shut_down(socket: BorrowedFd<'_>) -> errno::Result<bool> {
    let mut fds = [PollFd::new(&socket, PollFlags::empty())];
    poll(&mut fds, Some(&timespec(Duration::ZERO)))?;
    Ok(fds[0].revents().contains(PollFlags::HUP))
}

/// Whether the other end of a socket is gone: closed, shut down, or its process dead (`POLLRDHUP`).
pub(crate) fn hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&socket, PollFlags::RDHUP)];
    loop {
        match poll(&mut fds, Some(&timespec(Duration::ZERO))) {
            Ok(ready) => return ready > 0,
            // The edge that led here is told once, so a signal must not take it away.
            Err(Errno::INTR) => {}
            // No memory for a moment: the next check will tell.
            Err(_) => return false,
        }
    }
}
