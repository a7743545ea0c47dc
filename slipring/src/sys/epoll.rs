//! A set of many descriptors, level-triggered, that several threads wait on (epoll(7)).

use super::clock::timespec;
use super::errno;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Events that are taken at once.
const BATCH: usize = 16;

/// The set. Each descriptor in it has a token, a number of the caller's choice.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// An empty set (epoll_create1(2)).
    pub(crate) fn new() -> errno::Result<Epoll> {
        epoll::create(CreateFlags::CLOEXEC).map(|fd| Epoll { fd })
    }

    /// Adds a descriptor, to wait until it is readable (`EPOLL_CTL_ADD`).
    pub(crate) fn add(&self, fd: impl AsFd, token: u64) -> errno::Result<()> {
        epoll::add(&self.fd, fd, EventData::new_u64(token), EventFlags::IN)
    }

    /// From now on waits until it is readable, or also writable if `write` says so
    /// (`EPOLL_CTL_MOD`).
    pub(crate) fn modify(&self, fd: impl AsFd, token: u64, write: bool) -> errno::Result<()> {
        let mut interest = EventFlags::IN;
        interest.set(EventFlags::OUT, write);
        epoll::modify(&self.fd, fd, EventData::new_u64(token), interest)
    }

    /// From now on waits until the other end of a socket is gone, and for nothing else
    /// (`EPOLL_CTL_MOD`).
    pub(crate) fn watch_hang_up(&self, fd: impl AsFd, token: u64) -> errno::Result<()> {
        epoll::modify(&self.fd, fd, EventData::new_u64(token), EventFlags::RDHUP)
    }

    /// Takes a descriptor out (`EPOLL_CTL_DEL`). Closing it would not, while a forked child has a
    /// copy.
    pub(crate) fn delete(&self, fd: impl AsFd) -> errno::Result<()> {
        epoll::delete(&self.fd, fd)
    }

    /// The tokens of some that are ready, within the time; none if it is up, or a day has passed
    /// (epoll_pwait(2)). A signal is `EINTR`.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> errno::Result<Vec<u64>> {
        let mut events = [MaybeUninit::uninit(); BATCH];
        let (events, _) = epoll::wait(&self.fd, &mut events, timeout.map(timespec).as_ref())?;
        Ok(events.iter().map(|event| event.data.u64()).collect())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
