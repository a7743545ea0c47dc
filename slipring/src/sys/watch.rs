//! What a blocking half sleeps on: an epoll set (epoll(7)) with its doorbell and the link, both
//! edge-triggered.

use super::doorbell::{Doorbell, Doorbells};
use crate::error::{Error, Result};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

const BELL: u64 = 0;
const LINK: u64 = 1;

/// What ended a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The doorbell rang, now or since the last sleep.
    Woken,
    /// Something happened on the link: worth a look with [`hung_up`].
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
    pub(crate) fn new(doorbells: &Doorbells, link: BorrowedFd<'_>) -> Result<Watches> {
        Ok(Watches {
            reader: Watch::new(&doorbells.reader, link)?,
            writer: Watch::new(&doorbells.writer, link)?,
        })
    }
}

impl Watch {
    pub(crate) fn new(doorbell: &Doorbell, link: BorrowedFd<'_>) -> Result<Watch> {
        let fail = |e: Errno| Error::os("watching a doorbell (epoll)")(e);
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

    /// Sleeps until the doorbell rings or the link hangs up. `None`: for as long as it takes.
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

    /// Takes out what has happened so far, without sleeping. One call takes all: the set has two
    /// members, and is asked for two.
    pub(crate) fn drain(&self) -> std::io::Result<Event> {
        self.wait(Some(Instant::now()))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

/// Whether the other end of the link is gone: closed, shut down, or its process dead.
pub(crate) fn hung_up(link: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&link, PollFlags::RDHUP)];
    loop {
        match poll(&mut fds, Some(&timespec(Duration::ZERO))) {
            Ok(ready) => return ready > 0,
            // The edge that led here is told once, so a signal must not take it away.
            Err(Errno::INTR) => {}
            // No memory for a moment: the next look will tell.
            Err(_) => return false,
        }
    }
}

/// A time to wait, of a day at most: the calls that take it know no longer ones than their
/// milliseconds can count, and whoever waits looks at the clock afterwards.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(Duration::from_secs(24 * 3600));
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
