//! How a half blocks: try, spin, sleep on its own epoll set.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fail_points::{Point, point};
use crate::half::{Waiting, look_at_first, look_for_a_while};
use crate::readiness::Readiness;
use crate::sys::process::{self, Cpus};
use crate::sys::watch::{Event, Watch};
use crate::wait::{self, Approach, Coalescer, Permits, Sleeper, Slept, Spin, Spinner};
use rustix::fd::{AsFd, BorrowedFd};
use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

/// How often a spinner looks whether its peer is still there, and after how long one that never
/// sleeps arms.
const LINK_EVERY: Duration = Duration::from_millis(1);

/// The longest sleep at a time. The system counts one in milliseconds, and refuses those that an
/// `int` cannot hold.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a blocking half has besides the half itself.
#[derive(Debug)]
pub(crate) struct Blocking {
    watch: Watch,
    spinner: Spinner,
    coalescer: Coalescer,
    /// What this side had done ([`Waiting::done`]) when the spinner learnt last.
    done: u64,
    permits: Permits,
    /// `Spin::Always` on a single CPU: the peer needs it too.
    yields: bool,
    timeout: Option<Duration>,
    nonblocking: bool,
}

impl Blocking {
    /// For a half of `endpoint` that sleeps on `watch`.
    pub(crate) fn new(endpoint: &Endpoint, watch: Watch, spin: Spin) -> Blocking {
        let Cpus { own, both } = process::cpus(endpoint.peer.pid);
        Blocking {
            watch,
            spinner: Spinner::new(spin, both),
            coalescer: Coalescer::new(),
            done: 0,
            permits: Permits::new(endpoint.birth.spinning(), own, both),
            yields: both < 2,
            timeout: None,
            nonblocking: false,
        }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero; use `None` for no timeout, or the non-blocking mode",
            ));
        }
        self.timeout = timeout;
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn set_nonblocking(&mut self, yes: bool) {
        self.nonblocking = yes;
    }

    /// Whether calls fail rather than block.
    #[inline]
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking
    }

    /// When the timeout of a call ends that begins now. `None`: never; a time that no clock reaches
    /// is none.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timeout
            .and_then(|timeout| Instant::now().checked_add(timeout))
    }

    /// Waits until `half` has news, or the timeout.
    #[inline(always)]
    pub(crate) fn wait<W: Waiting>(&mut self, half: &mut W) -> io::Result<W::News> {
        self.wait_until(half, None)
    }

    /// Waits until `half` has news, or until `deadline`, which is that of a call that waits several
    /// times; `None`: for the timeout.
    ///
    /// One piece of code with the looks and with the caller: what lies between the byte that
    /// arrives and whoever asked for it is the round trip's.
    #[inline(always)]
    pub(crate) fn wait_until<W: Waiting>(
        &mut self,
        half: &mut W,
        deadline: Option<Instant>,
    ) -> io::Result<W::News> {
        if let Some(outcome) = half.look() {
            return outcome;
        }
        if self.nonblocking {
            return Self::give_up_at_once(half);
        }
        let budget = self.spinner.budget();
        if budget == Some(Duration::ZERO) {
            return self.sleep_at_once(half, deadline);
        }
        self.coalescer.look_away();
        // The first looks come without reading the clock, which would cost as much as several of
        // them.
        if let Some(outcome) = look_at_first(half) {
            self.spinner.learn_later();
            self.coalescer.short(|| (Instant::now(), half.reach()));
            half.count_spin();
            return outcome;
        }
        self.spin_or_sleep(half, budget, deadline)
    }

    /// Fails for a half that never sleeps: its peer has been told so, and rings nobody.
    pub(crate) fn may_sleep(&self) -> Result<(), Error> {
        if self.spinner.is_endless() {
            return Err(Error::NeverSleeps);
        }
        Ok(())
    }

    /// Prepares `half` for somebody who polls its set.
    pub(crate) fn arm<W: Waiting>(&self, half: &mut W) -> io::Result<Readiness> {
        self.may_sleep()?;
        let mut asleep = Asleep {
            half,
            watch: &self.watch,
            deadline: None,
        };
        // What was found, an end or another error included, is the next operation's to tell.
        if wait::prepare(&mut asleep)?.is_some() {
            return Ok(Readiness::Ready);
        }
        half.count_sleep();
        half.stay_armed();
        Ok(Readiness::Pending)
    }

    #[cold]
    fn give_up_at_once<W: Waiting>(half: &mut W) -> io::Result<W::News> {
        half.look_around();
        half.look().unwrap_or_else(|| {
            half.give_up();
            Err(io::ErrorKind::WouldBlock.into())
        })
    }

    #[inline(never)]
    fn sleep_at_once<W: Waiting>(
        &self,
        half: &mut W,
        deadline: Option<Instant>,
    ) -> io::Result<W::News> {
        let deadline = deadline.or_else(|| self.deadline());
        // A sleeper has been seen to wait while it slept.
        self.sleep(half, deadline)
    }

    /// Spins for as long as `budget` says, if there is a permit for it; then sleeps. Apart from the
    /// first looks, so that they stay one small piece of code.
    #[cold]
    #[inline(never)]
    fn spin_or_sleep<W: Waiting>(
        &mut self,
        half: &mut W,
        budget: Option<Duration>,
        deadline: Option<Instant>,
    ) -> io::Result<W::News> {
        self.coalescer.long();
        let start = Instant::now();
        let deadline =
            deadline.or_else(|| self.timeout.and_then(|timeout| start.checked_add(timeout)));
        let permit = match budget {
            Some(_) => self.permits.take(),
            // A core for each blocked call was asked for by name.
            None => Some(self.permits.insist()),
        };
        let Some(permit) = permit else {
            return self.sleep(half, deadline);
        };
        let spun = self.spin(half, start, budget, deadline);
        drop(permit);
        let outcome = match spun {
            Some(outcome) => {
                half.count_spin();
                outcome
            }
            None => self.sleep(half, deadline),
        };
        if self.spinner.learns() {
            let before = mem::replace(&mut self.done, half.done());
            self.spinner.learn(start.elapsed(), self.done != before);
        }
        if matches!(&outcome, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
            half.give_up();
        }
        outcome
    }

    /// Looks again and again, for as long as `budget` says; `None`: no news, time to sleep.
    fn spin<W: Waiting>(
        &mut self,
        half: &mut W,
        start: Instant,
        budget: Option<Duration>,
        deadline: Option<Instant>,
    ) -> Option<io::Result<W::News>> {
        let mut link_looked = start;
        let mut armed = false;
        let end = budget.and_then(|budget| start.checked_add(budget));
        let end = [end, deadline].into_iter().flatten().min();
        let mut approach = Approach::new(start, end, half.reach());
        let outcome = loop {
            if let Some(outcome) = look_for_a_while(half, &approach) {
                break Some(outcome);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                break Some(Err(io::ErrorKind::WouldBlock.into()));
            }
            if budget.is_some_and(|budget| now - start >= budget) {
                break None;
            }
            if now - link_looked >= LINK_EVERY {
                link_looked = now;
                half.look_at_link();
                if !armed {
                    // A peer that waits for what this half will not give has to see that this half
                    // waits too.
                    half.announce();
                    half.nudge();
                    armed = true;
                }
            }
            if self.yields {
                thread::yield_now();
            } else {
                approach.see(now, half.reach(), half.missing());
            }
        };
        if armed {
            half.disarm();
        }
        outcome
    }

    fn sleep<W: Waiting>(&self, half: &mut W, deadline: Option<Instant>) -> io::Result<W::News> {
        wait::sleep(&mut Asleep {
            half,
            watch: &self.watch,
            deadline,
        })
    }
}

impl AsFd for Blocking {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// A half that sleeps on an epoll set.
struct Asleep<'a, W> {
    half: &'a mut W,
    watch: &'a Watch,
    deadline: Option<Instant>,
}

impl<W: Waiting> Sleeper for Asleep<'_, W> {
    type Outcome = io::Result<W::News>;

    fn arm(&mut self) {
        self.half.arm();
    }

    fn disarm(&mut self) {
        self.half.disarm();
    }

    fn look(&mut self) -> Option<Self::Outcome> {
        self.half.look()
    }

    fn nudge(&mut self) {
        self.half.nudge();
    }

    fn block(&mut self) -> Result<Slept, Self::Outcome> {
        self.half.count_sleep();
        point(Point::Sleeping);
        let until = self
            .deadline
            .map(|deadline| deadline.min(Instant::now() + LONGEST));
        let event = self.watch.wait(until);
        point(Point::Woken);
        match event {
            Ok(Event::Rung | Event::TimedOut) => {}
            Ok(Event::Link) => self.half.look_at_link(),
            Err(e) => return Err(Err(e)),
        }
        // By the clock, and not by whether something happened: a peer that rings again and again is
        // not to take the time's place.
        Ok(match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Slept::TimedOut,
            _ => Slept::Woken,
        })
    }

    fn drain(&mut self) -> io::Result<()> {
        if self.watch.drain()? == Event::Link {
            self.half.look_at_link();
        }
        Ok(())
    }

    fn timed_out(&mut self) -> Self::Outcome {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests;
