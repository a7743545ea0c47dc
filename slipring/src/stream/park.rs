//! How a blocking half waits: it spins, then sleeps on its own epoll set.

use super::Readiness;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fail_points::{Point, point};
use crate::sys::watch::{Event, Watch};
use crate::wait::{self, Limit, Park, Parked, PollHalf, Spin, SpinPolicy};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The longest sleep at a time. The system counts one in milliseconds, and refuses those that an
/// `int` cannot hold.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a blocking half has besides the half itself.
#[derive(Debug)]
pub(super) struct Blocking {
    watch: Watch,
    policy: SpinPolicy,
    timeout: Option<Duration>,
    nonblocking: bool,
}

impl Blocking {
    /// For a half of `endpoint` that sleeps on `watch`.
    pub(super) fn new(endpoint: &Endpoint, watch: Watch, spin: Spin) -> Blocking {
        Blocking {
            watch,
            policy: endpoint.spin_policy(spin),
            timeout: None,
            nonblocking: false,
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeout = wait::check_timeout(timeout)?;
        Ok(())
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn set_nonblocking(&mut self, yes: bool) {
        self.nonblocking = yes;
    }

    /// Whether calls fail rather than block.
    #[inline]
    pub(super) fn is_nonblocking(&self) -> bool {
        self.nonblocking
    }

    /// When the timeout of a call ends that begins now. `None`: never.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.limit(None).end(Instant::now)
    }

    fn limit(&self, deadline: Option<Instant>) -> Limit {
        Limit {
            deadline,
            timeout: self.timeout,
        }
    }

    /// Waits until `half` has news, or until `deadline`, which is that of a call that waits several
    /// times; `None`: for the timeout.
    #[inline(always)]
    pub(super) fn wait<H: PollHalf>(
        &mut self,
        half: &mut H,
        deadline: Option<Instant>,
    ) -> io::Result<H::News> {
        self.wait_resting(half, deadline, || None)
    }

    /// The same, and `rest` is called before the half sleeps, and again after the time that it
    /// says.
    #[inline(always)]
    pub(super) fn wait_resting<H: PollHalf>(
        &mut self,
        half: &mut H,
        deadline: Option<Instant>,
        rest: impl FnMut() -> Option<Duration>,
    ) -> io::Result<H::News> {
        if let Some(outcome) = half.poll() {
            return outcome;
        }
        if self.nonblocking {
            return give_up_at_once(half);
        }
        let limit = self.limit(deadline);
        let watch = &self.watch;
        let park = |began: Option<Instant>| OnWatch {
            watch,
            deadline: limit.end(|| began.unwrap_or_else(Instant::now)),
            rest,
        };
        wait::wait(half, &mut self.policy, limit, park).expect("a watch sleeps here")
    }

    /// Whether the half ever spins.
    pub(super) fn ever_spins(&self) -> bool {
        self.policy.ever_spins()
    }

    /// Fails for a half that never sleeps: its peer has been told so, and wakes nobody.
    pub(super) fn may_sleep(&self) -> Result<(), Error> {
        if self.policy.is_endless() {
            return Err(Error::NeverSleeps);
        }
        Ok(())
    }

    /// Prepares `half` for somebody who polls its set.
    pub(super) fn arm<H: PollHalf>(&self, half: &mut H) -> io::Result<Readiness> {
        self.may_sleep()?;
        let mut watch = OnWatch {
            watch: &self.watch,
            deadline: None,
            rest: || None,
        };
        // What was found, an end or another error included, is the next operation's to tell.
        Ok(match wait::prepare(half, &mut watch)? {
            Some(_) => Readiness::Ready,
            None => Readiness::Pending,
        })
    }
}

#[cold]
fn give_up_at_once<H: PollHalf>(half: &mut H) -> io::Result<H::News> {
    half.check_peer_if_due();
    half.poll().unwrap_or_else(|| {
        half.give_up();
        Err(io::ErrorKind::WouldBlock.into())
    })
}

impl AsFd for Blocking {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// Sleeps on an epoll set.
struct OnWatch<'a, R> {
    watch: &'a Watch,
    deadline: Option<Instant>,
    rest: R,
}

impl<R: FnMut() -> Option<Duration>> OnWatch<'_, R> {
    /// Sleeps until `until`.
    fn sleep(&mut self, until: Option<Instant>) -> io::Result<Event> {
        loop {
            let Some(after) = (self.rest)() else {
                return self.watch.wait(until);
            };
            let rested = Instant::now() + after.max(Duration::from_millis(1));
            let next = until.map_or(rested, |until| until.min(rested));
            let event = self.watch.wait(Some(next))?;
            if event != Event::TimedOut || until == Some(next) {
                return Ok(event);
            }
        }
    }
}

impl<R: FnMut() -> Option<Duration>> Park for OnWatch<'_, R> {
    fn park(&mut self, briefly: bool) -> io::Result<Parked> {
        point(Point::Sleeping);
        let until = if briefly {
            let moment = Instant::now() + wait::a_moment();
            Some(
                self.deadline
                    .map_or(moment, |deadline| deadline.min(moment)),
            )
        } else {
            self.deadline
                .map(|deadline| deadline.min(Instant::now() + LONGEST))
        };
        let event = self.sleep(until)?;
        point(Point::Woken);
        if event == Event::Link {
            return Ok(Parked::Link);
        }
        // By the clock, and not by whether something happened: a peer that wakes this half again
        // and again is not to take the time's place.
        Ok(match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Parked::TimedOut,
            _ if briefly && event == Event::TimedOut => Parked::Briefly,
            _ => Parked::Woken,
        })
    }

    fn drain(&mut self) -> io::Result<bool> {
        Ok(self.watch.drain()? == Event::Link)
    }
}

#[cfg(test)]
mod tests;
