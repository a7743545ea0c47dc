//! How a half waits on a tokio runtime: its bell and the link are registered with the reactor, and
//! nothing else.
//!
//! The reactor (epoll, edge-triggered) keeps for each registration one waker of readers and one of
//! writers. A half has its bell for itself; the link is one registration of the whole endpoint,
//! with the reader's waker in one slot and the writer's in the other, so that two tasks can wait at
//! the same time. Two in one slot would hang: the second would take the place of the first.
//!
//! Waiting is the protocol of [`crate::wait`]: arm, look, nudge; then poll. If a poll says that
//! something happened, its readiness is cleared and the half looks again; `Pending` is returned
//! only after bell and link have both said that nothing has, and have taken the waker.

use super::register;
use crate::endpoint::Endpoint;
use crate::half::{Waiting, look_at_first, look_for_a_while};
use crate::sys::bell::{Bell, Kind};
use crate::sys::process::{self, Cpus};
use crate::wait::{Approach, Coalescer, Permits};
use rustix::fd::{AsFd, AsRawFd};
use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;

/// Which half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// The bell that one half of an endpoint sleeps on.
#[derive(Debug)]
struct OwnBell {
    endpoint: Arc<Endpoint>,
    side: Side,
}

impl OwnBell {
    fn bell(&self) -> &Bell {
        match self.side {
            Side::Reader => &self.endpoint.own_bells.reader,
            Side::Writer => &self.endpoint.own_bells.writer,
        }
    }
}

impl AsRawFd for OwnBell {
    fn as_raw_fd(&self) -> RawFd {
        self.bell().as_fd().as_raw_fd()
    }
}

/// The link of an endpoint.
#[derive(Debug)]
struct OwnLink(Arc<Endpoint>);

impl AsRawFd for OwnLink {
    fn as_raw_fd(&self) -> RawFd {
        self.0.link.as_fd().as_raw_fd()
    }
}

/// The link, registered once for both halves.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<AsyncFd<OwnLink>>);

impl Link {
    /// Registers with the reactor of the runtime that this is called in.
    pub(super) fn register(endpoint: &Arc<Endpoint>) -> io::Result<Link> {
        let link = OwnLink(Arc::clone(endpoint));
        // SAFETY: `OwnLink` keeps the endpoint, and so the descriptor, open for as long as it is
        // registered, and always returns the same.
        let link = unsafe { register(link, Interest::READABLE | Interest::WRITABLE) }?;
        Ok(Link(Arc::new(link)))
    }
}

/// Looking for news before `Pending`.
#[derive(Debug)]
struct Spin {
    longest: Duration,
    permits: Permits,
    coalescer: Coalescer,
}

impl Spin {
    /// `None` if that would be for no time at all, or in vain: on a single CPU the peer cannot work
    /// meanwhile.
    fn new(longest: Duration, endpoint: &Endpoint) -> Option<Spin> {
        if longest.is_zero() {
            return None;
        }
        let Cpus { own, both } = process::cpus(endpoint.peer.pid);
        (both > 1).then(|| Spin {
            longest,
            permits: Permits::new(endpoint.birth.spinning(), own, both),
            coalescer: Coalescer::new(),
        })
    }

    fn look<W: Waiting>(&mut self, half: &mut W) -> Option<io::Result<W::News>> {
        self.coalescer.look_away();
        if let Some(outcome) = look_at_first(half) {
            self.coalescer.short(|| (Instant::now(), half.reach()));
            return Some(outcome);
        }
        self.coalescer.long();
        let _permit = self.permits.take()?;
        let start = Instant::now();
        let mut now = start;
        let mut approach = Approach::new(start, start.checked_add(self.longest), half.reach());
        while now - start < self.longest {
            if let Some(outcome) = look_for_a_while(half, &approach) {
                return Some(outcome);
            }
            now = Instant::now();
            approach.see(now, half.reach(), half.missing());
        }
        None
    }
}

/// What one half waits on.
#[derive(Debug)]
pub(super) struct Readiness {
    bell: AsyncFd<OwnBell>,
    link: Link,
    side: Side,
    spin: Option<Spin>,
    /// The wake word is set, from a poll that was pending.
    armed: bool,
}

impl Readiness {
    pub(super) fn register(
        endpoint: &Arc<Endpoint>,
        link: Link,
        side: Side,
        spin: Duration,
    ) -> io::Result<Readiness> {
        let bell = OwnBell {
            endpoint: Arc::clone(endpoint),
            side,
        };
        let interest = match bell.bell().kind() {
            Kind::Plain => Interest::READABLE,
            Kind::Inverted => Interest::WRITABLE,
        };
        // SAFETY: as for the link.
        let bell = unsafe { register(bell, interest) }?;
        Ok(Readiness {
            bell,
            link,
            side,
            spin: Spin::new(spin, endpoint),
            armed: false,
        })
    }

    pub(super) fn set_spin(&mut self, spin: Duration) {
        self.spin = Spin::new(spin, &self.bell.get_ref().endpoint);
    }

    /// Waits until `half` has news. Takes part in the cooperative budget: a stream that is always
    /// ready lets others run too.
    pub(super) fn poll<W: Waiting>(
        &mut self,
        cx: &mut Context<'_>,
        half: &mut W,
    ) -> Poll<io::Result<W::News>> {
        let budget = ready!(coop::poll_proceed(cx));
        let outcome = match half.look() {
            Some(outcome) => outcome,
            None => match self.spin(half) {
                Some(outcome) => outcome,
                None => ready!(self.wait(cx, half)),
            },
        };
        self.withdraw(half);
        budget.made_progress();
        Poll::Ready(outcome)
    }

    /// Takes back what a pending poll has announced.
    pub(super) fn withdraw<W: Waiting>(&mut self, half: &mut W) {
        // What the header of a forked child's copy says is the parent's.
        if self.armed && self.bell.get_ref().endpoint.birth.is_here() {
            half.disarm();
            self.armed = false;
        }
    }

    fn spin<W: Waiting>(&mut self, half: &mut W) -> Option<io::Result<W::News>> {
        let outcome = self.spin.as_mut()?.look(half)?;
        half.count_spin();
        Some(outcome)
    }

    fn wait<W: Waiting>(
        &mut self,
        cx: &mut Context<'_>,
        half: &mut W,
    ) -> Poll<io::Result<W::News>> {
        half.arm();
        self.armed = true;
        let mut nudged = false;
        loop {
            if let Some(outcome) = half.look() {
                return Poll::Ready(outcome);
            }
            if !nudged {
                half.nudge();
                nudged = true;
            }
            if self.poll_bell(cx)?.is_ready() {
                continue;
            }
            // After the hang-up is known the link would be ready for ever; but then the look above
            // has ended the wait.
            if self.poll_link(cx)?.is_ready() {
                half.look_at_link();
                continue;
            }
            half.count_sleep();
            return Poll::Pending;
        }
    }

    fn poll_bell(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ready = match self.bell.get_ref().bell().kind() {
            Kind::Plain => ready!(self.bell.poll_read_ready(cx))?,
            Kind::Inverted => ready!(self.bell.poll_write_ready(cx))?,
        };
        ready.clear_ready();
        Poll::Ready(Ok(()))
    }

    fn poll_link(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ready = match self.side {
            Side::Reader => ready!(self.link.0.poll_read_ready(cx))?,
            Side::Writer => ready!(self.link.0.poll_write_ready(cx))?,
        };
        ready.clear_ready();
        Poll::Ready(Ok(()))
    }
}

/// Waits until a half has news; withdraws when it is dropped before.
pub(super) struct Until<'a, W: Waiting> {
    pub(super) readiness: &'a mut Readiness,
    pub(super) half: W,
}

// Nothing in it is pinned.
impl<W: Waiting> Unpin for Until<'_, W> {}

impl<W: Waiting> Future for Until<'_, W> {
    type Output = io::Result<W::News>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.readiness.poll(cx, &mut this.half)
    }
}

impl<W: Waiting> Drop for Until<'_, W> {
    fn drop(&mut self) {
        self.readiness.withdraw(&mut self.half);
    }
}
