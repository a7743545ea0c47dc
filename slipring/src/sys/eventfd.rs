//! A descriptor that one thread makes readable for all others (eventfd(2)).

use super::errno;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The descriptor. A forked child has it, too.
#[derive(Debug)]
pub(crate) struct Eventfd {
    fd: OwnedFd,
}

impl Eventfd {
    /// One that is not readable.
    pub(crate) fn new() -> errno::Result<Eventfd> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(|fd| Eventfd { fd })
    }

    /// Makes it readable (write(2)).
    pub(crate) fn raise(&self) {
        // It can only fail once it has been raised 2^64 - 1 times.
        let _ = write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Makes it unreadable (read(2)).
    pub(crate) fn clear(&self) {
        let _ = read(&self.fd, &mut [0; 8]);
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
