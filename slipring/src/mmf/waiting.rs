//! How an end waits for the other one, which cannot wake it: look, spin, yield, then sleep and
//! look, again and again.
//!
//! A sleep is a quarter of what has been waited so far, up to a bound. So waiting makes nothing
//! later by more than a quarter of the time that it took anyway, or by the bound, whichever is
//! less; and an idle end wakes once in that bound, for a few microseconds.

use super::ring::Ring;
use crate::sys::process::{self, Birth, Cpus};
use crate::wait::{Permits, Spin, Spinner};
use std::hint;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// Looks between two readings of the clock while spinning.
const LOOKS: u32 = 32;

/// How often a spinner looks at the size of the file: once in so many readings of the clock.
const FILE_EVERY: u32 = 256;

/// How often the CPU is offered to others before the first sleep.
const YIELDS: u32 = 8;

/// The shortest sleep. The kernel makes it about 50 µs longer (prctl(2), `PR_SET_TIMERSLACK`).
const SHORTEST: Duration = Duration::from_micros(10);

/// What a sleep is of the time waited so far.
const QUARTER: u32 = 4;

/// The longest sleep, unless told otherwise. To wake up, to look and to sleep again costs a few
/// microseconds, or 50 on a virtual machine: less than 1 % of a core either way.
const LONGEST: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Waiting {
    spinner: Spinner,
    permits: Permits,
    /// How many CPUs there are for both sides.
    cpus: usize,
    /// `Spin::Always` on a single CPU: the other side needs it too.
    yields: bool,
    longest_sleep: Duration,
    timeout: Option<Duration>,
    /// When the first of the waits began that have all timed out since: the next one goes on with
    /// them, or an end that waits with a short timeout would begin anew, with spinning and short
    /// sleeps, each time.
    since: Option<Instant>,
    nonblocking: bool,
}

impl Waiting {
    /// For an end that was opened by the process of this birth.
    pub(super) fn new(birth: Birth) -> Waiting {
        // Who the other one is nobody says; a fair guess is that it may run wherever the first
        // process of this machine, or container, may.
        let Cpus { own, both } = process::cpus(Some(1));
        Waiting {
            spinner: Spinner::new(Spin::default(), both),
            permits: Permits::new(birth.spinning(), own, both),
            cpus: both,
            yields: both < 2,
            longest_sleep: LONGEST,
            since: None,
            timeout: None,
            nonblocking: false,
        }
    }

    pub(super) fn set_spin(&mut self, spin: Spin) {
        self.spinner = Spinner::new(spin, self.cpus);
    }

    pub(super) fn set_longest_sleep(&mut self, longest: Duration) {
        self.longest_sleep = longest.max(SHORTEST);
    }

    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero; use `None` for no timeout, or the non-blocking mode",
            ));
        }
        self.timeout = timeout;
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
        ring.glance()?;
        if wish(ring) || look(ring, &wish)? {
            self.since = None;
            Ok(())
        } else if self.nonblocking {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            self.wait_longer(ring, wish)
        }
    }

    fn wait_longer(&mut self, ring: &mut Ring, wish: impl Fn(&Ring) -> bool) -> io::Result<()> {
        let now = Instant::now();
        let deadline = self.timeout.and_then(|timeout| now.checked_add(timeout));
        let outcome = match self.since {
            Some(since) if !self.spinner.is_endless() => self.sleep(ring, &wish, since, deadline),
            _ => self.spin_and_sleep(ring, &wish, now, deadline),
        };
        self.since = match &outcome {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Some(self.since.unwrap_or(now)),
            _ => None,
        };
        outcome
    }

    fn spin_and_sleep(
        &mut self,
        ring: &mut Ring,
        wish: &impl Fn(&Ring) -> bool,
        start: Instant,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let permit = match self.spinner.budget() {
            Some(Duration::ZERO) => None,
            Some(budget) => self.permits.take().map(|permit| (permit, Some(budget))),
            // A core for each blocked call was asked for by name.
            None => Some((self.permits.insist(), None)),
        };
        let Some((permit, budget)) = permit else {
            return self.sleep(ring, wish, start, deadline);
        };
        let spun = self.spin(ring, wish, start, budget, deadline);
        drop(permit);
        let outcome = match spun {
            Ok(None) => self.sleep(ring, wish, start, deadline),
            Ok(Some(())) => Ok(()),
            Err(e) => Err(e),
        };
        if self.spinner.learns() {
            // Nothing tells here whether the other side waits.
            self.spinner.learn(start.elapsed(), true);
        }
        outcome
    }

    /// Looks again and again, for as long as `budget` says; `None`: it is time to sleep.
    fn spin(
        &self,
        ring: &mut Ring,
        wish: &impl Fn(&Ring) -> bool,
        start: Instant,
        budget: Option<Duration>,
        deadline: Option<Instant>,
    ) -> io::Result<Option<()>> {
        let mut round = 0_u32;
        loop {
            for _ in 0..LOOKS {
                if look(ring, wish)? {
                    return Ok(Some(()));
                }
                hint::spin_loop();
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if budget.is_some_and(|budget| now - start >= budget) {
                return Ok(None);
            }
            round = round.wrapping_add(1);
            if round.is_multiple_of(FILE_EVERY) {
                ring.look_at_file()?;
            }
            if self.yields {
                thread::yield_now();
            }
        }
    }

    fn sleep(
        &self,
        ring: &mut Ring,
        wish: &impl Fn(&Ring) -> bool,
        start: Instant,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        for _ in 0..YIELDS {
            thread::yield_now();
            if look(ring, wish)? {
                return Ok(());
            }
        }
        loop {
            let now = Instant::now();
            let mut pause = pause(now - start, self.longest_sleep);
            if let Some(deadline) = deadline {
                if now >= deadline {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                pause = pause.min(deadline - now);
            }
            thread::sleep(pause);
            // Before the memory is touched: what shrank while this slept is found out here, and not
            // by a signal.
            ring.look_at_file()?;
            if look(ring, wish)? {
                return Ok(());
            }
        }
    }
}

/// How long to sleep after having waited for so long.
fn pause(waited: Duration, longest: Duration) -> Duration {
    (waited / QUARTER).clamp(SHORTEST, longest)
}

#[inline]
fn look(ring: &mut Ring, wish: &impl Fn(&Ring) -> bool) -> io::Result<bool> {
    ring.refresh()?;
    Ok(wish(ring))
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
