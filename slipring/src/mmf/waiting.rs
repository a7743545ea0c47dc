//! An end waits for its peer, which cannot wake it: it spins, yields, then sleeps and polls, again
//! and again.
//!
//! A sleep is a quarter of the time waited so far, up to a bound. So waiting makes nothing later by
//! more than a quarter of the time that it took anyway, or by the bound, whichever is less; and an
//! idle end wakes once in that bound, for a few microseconds.

use super::ring::Ring;
use crate::sys::process::{self, ForkGuard};
use crate::wait::{self, Limit, Park, Parked, PollHalf, Spin, SpinPolicy};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How often the CPU is offered to others before the first sleep.
const YIELDS: u32 = 8;

/// The shortest sleep. The kernel makes it about 50 µs longer (prctl(2), `PR_SET_TIMERSLACK`).
const SHORTEST: Duration = Duration::from_micros(10);

/// The part of the time waited so far that a sleep takes.
const QUARTER: u32 = 4;

/// The longest sleep, unless told otherwise. To wake up, to poll and to sleep again costs a few
/// microseconds, or 50 on a virtual machine: less than 1 % of a core either way.
const LONGEST: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Waiting {
    fork_guard: ForkGuard,
    policy: SpinPolicy,
    longest_sleep: Duration,
    timeout: Option<Duration>,
    /// When the first of the waits began that have all timed out since: the next one goes on with
    /// them, or an end that waits with a short timeout would begin anew, with spinning and short
    /// sleeps, each time.
    since: Option<Instant>,
    nonblocking: bool,
}

fn policy(fork_guard: ForkGuard, spin: Spin) -> SpinPolicy {
    // Nothing tells which process the peer is. A fair guess is that it may run wherever the first
    // process of this machine, or container, may.
    let cpus = process::cpus(Some(1));
    SpinPolicy::new(spin, cpus.own, cpus.both, fork_guard.shared())
}

impl Waiting {
    /// For an end that was opened by the process of this fork_guard.
    pub(super) fn new(fork_guard: ForkGuard) -> Waiting {
        Waiting {
            fork_guard,
            policy: policy(fork_guard, Spin::default()),
            longest_sleep: LONGEST,
            timeout: None,
            since: None,
            nonblocking: false,
        }
    }

    pub(super) fn set_spin(&mut self, spin: Spin) {
        self.policy = policy(self.fork_guard, spin);
    }

    pub(super) fn set_longest_sleep(&mut self, longest: Duration) {
        self.longest_sleep = longest.max(SHORTEST);
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

    /// Waits until `ring` is as wished, or the timeout.
    #[inline]
    pub(super) fn wait(&mut self, ring: &mut Ring, wish: impl Fn(&Ring) -> bool) -> io::Result<()> {
        ring.check_if_due()?;
        if !wish(ring) {
            ring.refresh()?;
            if !wish(ring) {
                return self.wait_longer(ring, wish);
            }
        }
        self.since = None;
        Ok(())
    }

    #[cold]
    fn wait_longer(&mut self, ring: &mut Ring, wish: impl Fn(&Ring) -> bool) -> io::Result<()> {
        if self.nonblocking {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let wish = &mut Wish { ring, wish };
        let now = Instant::now();
        let limit = Limit {
            deadline: None,
            timeout: self.timeout,
        };
        let mut asleep = Asleep {
            start: self.since.unwrap_or(now),
            deadline: limit.end(|| now),
            longest: self.longest_sleep,
            yields: 0,
        };
        let outcome = if self.since.is_some() && !self.policy.is_endless() {
            wait::sleep(wish, &mut asleep)
        } else {
            wait::wait(wish, &mut self.policy, limit, |_| asleep)
        };
        let outcome = outcome.expect("this end sleeps here");
        self.since = match &outcome {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Some(self.since.unwrap_or(now)),
            _ => None,
        };
        outcome
    }
}

/// A ring that is to become as wished.
struct Wish<'a, W> {
    ring: &'a mut Ring,
    wish: W,
}

impl<W: Fn(&Ring) -> bool> PollHalf for Wish<'_, W> {
    type News = ();

    #[inline]
    fn poll(&mut self) -> Option<io::Result<()>> {
        match self.ring.refresh() {
            Ok(()) => (self.wish)(self.ring).then_some(Ok(())),
            Err(e) => Some(Err(e.into())),
        }
    }

    fn progress(&self) -> u64 {
        self.ring.progress()
    }

    fn check_peer(&mut self) -> io::Result<()> {
        Ok(self.ring.check_file()?)
    }
}

/// Yields, then sleeps for longer and longer.
struct Asleep {
    start: Instant,
    deadline: Option<Instant>,
    longest: Duration,
    yields: u32,
}

impl Park for Asleep {
    fn park(&mut self, _: bool) -> io::Result<Parked> {
        if self.yields < YIELDS {
            self.yields += 1;
            thread::yield_now();
            return Ok(Parked::Woken);
        }
        let now = Instant::now();
        let mut pause = pause(now - self.start, self.longest);
        if let Some(deadline) = self.deadline {
            if now >= deadline {
                return Ok(Parked::TimedOut);
            }
            pause = pause.min(deadline - now);
        }
        thread::sleep(pause);
        // The file is checked before the memory is touched. If it shrank meanwhile, this check
        // finds it out, and no signal comes.
        Ok(Parked::Link)
    }
}

/// How long to sleep after having waited for so long.
fn pause(waited: Duration, longest: Duration) -> Duration {
    (waited / QUARTER).clamp(SHORTEST, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_at_a_plain_ring_add_a_quarter_at_most_and_are_bounded() {
        let (mut waited, mut sleeps) = (Duration::ZERO, 0);
        while pause(waited, LONGEST) < LONGEST {
            let pause = pause(waited, LONGEST);
            assert!(pause == SHORTEST || pause <= waited / QUARTER);
            waited += pause;
            sleeps += 1;
        }
        // Only a wait of four times that has become as slow as it gets.
        assert!(
            waited >= QUARTER * LONGEST && sleeps < 50,
            "{sleeps} sleeps in {waited:?}"
        );
        assert_eq!(pause(Duration::from_secs(3600), LONGEST), LONGEST);
    }
}
