//! How a half waits on a tokio runtime: its doorbell and the link are registered with the reactor,
//! and nothing else.
//!
//! The reactor (epoll, edge-triggered) keeps for each registration one waker of readers and one of
//! writers. A half has its doorbell for itself; the link is one registration of the whole endpoint,
//! with the reader's waker in one slot and the writer's in the other, so that two tasks can wait at
//! the same time. Two in one slot would hang: the second would take the place of the first.
//!
//! Waiting is [`crate::wait`]'s. If the reactor says that something happened, its readiness is
//! cleared and the half polls again; `Pending` is returned only after doorbell and link have both
//! said that nothing has, and have taken the waker.

use super::register;
use crate::endpoint::Endpoint;
use crate::sys::doorbell::{Doorbell, Kind};
use crate::wait::{self, Limit, Park, Parked, PollHalf, Spin, SpinPolicy};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;

/// Which half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// The doorbell that one half of an endpoint sleeps on.
#[derive(Debug)]
struct OwnDoorbell {
    endpoint: Arc<Endpoint>,
    side: Side,
}

impl OwnDoorbell {
    fn doorbell(&self) -> &Doorbell {
        match self.side {
            Side::Reader => &self.endpoint.own_doorbells.reader,
            Side::Writer => &self.endpoint.own_doorbells.writer,
        }
    }
}

impl AsRawFd for OwnDoorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.doorbell().as_fd().as_raw_fd()
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
pub(super) struct LinkFd(Arc<AsyncFd<OwnLink>>);

impl LinkFd {
    /// Registers with the reactor of the runtime that this is called in.
    pub(super) fn register(endpoint: &Arc<Endpoint>) -> io::Result<LinkFd> {
        let link = OwnLink(Arc::clone(endpoint));
        // SAFETY: `OwnLink` keeps the endpoint, and so the descriptor, open for as long as it is
        // registered, and always returns the same.
        let link = unsafe { register(link, Interest::READABLE | Interest::WRITABLE) }?;
        Ok(LinkFd(Arc::new(link)))
    }
}

/// What one half waits on.
#[derive(Debug)]
pub(super) struct Registered {
    doorbell: AsyncFd<OwnDoorbell>,
    link: LinkFd,
    side: Side,
    policy: SpinPolicy,
}

impl Registered {
    pub(super) fn register(
        endpoint: &Arc<Endpoint>,
        link: LinkFd,
        side: Side,
    ) -> io::Result<Registered> {
        let doorbell = OwnDoorbell {
            endpoint: Arc::clone(endpoint),
            side,
        };
        let interest = match doorbell.doorbell().kind() {
            Kind::Plain => Interest::READABLE,
            Kind::Inverted => Interest::WRITABLE,
        };
        // SAFETY: as for the link.
        let doorbell = unsafe { register(doorbell, interest) }?;
        Ok(Registered {
            doorbell,
            link,
            side,
            policy: endpoint.spin_policy(Spin::UpTo(endpoint.options.poll_spin)),
        })
    }

    pub(super) fn set_poll_spin(&mut self, time: Duration) {
        let endpoint = &self.doorbell.get_ref().endpoint;
        self.policy = endpoint.spin_policy(Spin::UpTo(time));
    }

    /// Waits until `half` has news. Takes part in the cooperative budget: a stream that is always
    /// ready lets others run too.
    pub(super) fn poll<H: PollHalf>(
        &mut self,
        cx: &mut Context<'_>,
        half: &mut H,
    ) -> Poll<io::Result<H::News>> {
        let budget = ready!(coop::poll_proceed(cx));
        let outcome = ready!(self.poll_within(cx, half));
        budget.made_progress();
        Poll::Ready(outcome)
    }

    /// As [`poll`](Self::poll), in a call that has its part of the budget.
    pub(super) fn poll_within<H: PollHalf>(
        &mut self,
        cx: &mut Context<'_>,
        half: &mut H,
    ) -> Poll<io::Result<H::News>> {
        let outcome = match half.poll() {
            Some(outcome) => outcome,
            None => ready!(self.wait(cx, half)),
        };
        half.disarm_stale();
        Poll::Ready(outcome)
    }

    /// Waits for `half`, which has just been polled in vain.
    pub(super) fn wait<H: PollHalf>(
        &mut self,
        cx: &mut Context<'_>,
        half: &mut H,
    ) -> Poll<io::Result<H::News>> {
        let reactor = OnReactor {
            doorbell: &self.doorbell,
            link: &self.link,
            side: self.side,
            cx,
        };
        match wait::wait(half, &mut self.policy, Limit::default(), |_| reactor) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}

/// Sleeps in the runtime.
struct OnReactor<'a, 'c> {
    doorbell: &'a AsyncFd<OwnDoorbell>,
    link: &'a LinkFd,
    side: Side,
    cx: &'a mut Context<'c>,
}

impl Park for OnReactor<'_, '_> {
    fn park(&mut self, briefly: bool) -> io::Result<Parked> {
        debug_assert!(!briefly, "nothing would end the sleep");
        if self.poll_doorbell()?.is_ready() {
            return Ok(Parked::Woken);
        }
        // After the hang-up is known the link would be ready for ever; but then the poll before has
        // ended the wait.
        if self.poll_link()?.is_ready() {
            return Ok(Parked::Link);
        }
        Ok(Parked::Elsewhere)
    }
}

impl OnReactor<'_, '_> {
    fn poll_doorbell(&mut self) -> Poll<io::Result<()>> {
        let mut ready = match self.doorbell.get_ref().doorbell().kind() {
            Kind::Plain => ready!(self.doorbell.poll_read_ready(self.cx))?,
            Kind::Inverted => ready!(self.doorbell.poll_write_ready(self.cx))?,
        };
        ready.clear_ready();
        Poll::Ready(Ok(()))
    }

    fn poll_link(&mut self) -> Poll<io::Result<()>> {
        let mut ready = match self.side {
            Side::Reader => ready!(self.link.0.poll_read_ready(self.cx))?,
            Side::Writer => ready!(self.link.0.poll_write_ready(self.cx))?,
        };
        ready.clear_ready();
        Poll::Ready(Ok(()))
    }
}

/// Waits until a half has news; withdraws when it is dropped before.
pub(super) struct Until<'a, H: PollHalf> {
    pub(super) registered: &'a mut Registered,
    pub(super) half: H,
}

// Nothing in it is pinned.
impl<H: PollHalf> Unpin for Until<'_, H> {}

impl<H: PollHalf> Future for Until<'_, H> {
    type Output = io::Result<H::News>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.registered.poll(cx, &mut this.half)
    }
}

impl<H: PollHalf> Drop for Until<'_, H> {
    fn drop(&mut self) {
        self.half.disarm_stale();
    }
}
