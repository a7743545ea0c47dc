//! The set that a blocking half sleeps on: an epoll set (epoll(7)) with its doorbell and the link,
//! both edge-triggered.

use super::clock::timespec;
use super::doorbell::{Doorbell, Doorbells};
use super::errno::Errno;
use super::failure::Failure;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

const BELL: u64 = 0;
const LINK: u64 = 1;

/// The event that ended a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The doorbell woke it, now or since the last sleep.
    Woken,
    /// Something happened on the link: to be checked by [`hung_up`](super::poll::hung_up).
    Link,
    /// The time was up.
    TimedOut,
}

/// An epoll set of one half. Made before the peer is accepted, so that neither a `read` nor a
/// stream that the peer believes in can fail for want of a descriptor.
#[derive(Debug)]
pub(crate) struct Watch {
    set: OwnedFd,
}

/// The epoll sets of both halves of an endpoint.
#[derive(Debug)]
pub(crate) struct Watches {
    pub(crate) reader: Watch,
    pub(crate) writer: Watch,
}

impl Watches {
    pub(crate) fn new(doorbells: &Doorbells, link: BorrowedFd<'_>) -> Result<Watches, Failure> {
        Ok(Watches {
            reader: Watch::new(&doorbells.reader, link)?,
            writer: Watch::new(&doorbells.writer, link)?,
        })
    }
}

impl Watch {
    pub(crate) fn new(doorbell: &Doorbell, link: BorrowedFd<'_>) -> Result<Watch, Failure> {
        let fail = |e: Errno| Failure::of("watching a doorbell (epoll)")(e);
        let set = epoll::create(CreateFlags::CLOEXEC).map_err(fail)?;
        epoll::add(
            &set,
            doorbell,
            EventData::new_u64(BELL),
            doorbell.interest() | EventFlags::ET,
        )
        .map_err(fail)?;
        // Not EPOLLIN: nothing is read from the link, so that a peer that sends on it wakes nobody.
        epoll::add(
            &set,
            link,
            EventData::new_u64(LINK),
            EventFlags::RDHUP | EventFlags::ET,
        )
        .map_err(fail)?;
        Ok(Watch { set })
    }

    /// Sleeps until the doorbell wakes it or the link hangs up. `None`: for as long as it takes.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> std::io::Result<Event> {
        loop {
            let timeout = deadline.map(|d| timespec(d.saturating_duration_since(Instant::now())));
            let mut events = [MaybeUninit::uninit(); 2];
            match epoll::wait(&self.set, &mut events, timeout.as_ref()) {
                // Timeouts are in whole milliseconds, rounded up, and never early.
                Ok(([], _)) => return Ok(Event::TimedOut),
                Ok((events, _)) => {
                    let link = events.iter().any(|e| e.data.u64() == LINK);
                    return Ok(if link { Event::Link } else { Event::Woken });
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Takes out the events that have come so far, without sleeping. One call takes all: the set
    /// has two members, and is asked for two.
    pub(crate) fn drain(&self) -> std::io::Result<Event> {
        self.wait(Some(Instant::now()))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
