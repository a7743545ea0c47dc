//! When to look again at a peer that is on its way.
//!
//! Who waits for much, such as the writer of a large block whose reader takes it line by line, sees
//! the peer come nearer in small steps; and each look in between takes away the line that the peer
//! stores its next step in. So it sees how fast the peer comes, looks away for half of the time
//! that the rest should take, and measures again. What is lost if the peer becomes faster meanwhile
//! is less than what was waited before.

use std::mem;
use std::time::{Duration, Instant};

/// The longest time to look away: other things have to be seen to, too, a timeout for one.
const LONGEST: Duration = Duration::from_micros(50);

/// Less is not worth it: it is about to be there, and is looked for without a pause.
const SHORTEST: Duration = Duration::from_micros(1);

/// Follows a peer through one wait.
#[derive(Debug)]
pub(crate) struct Approach {
    start: Instant,
    /// The end of the wait, if it has one.
    end: Option<Instant>,
    /// When it was looked at last, and how far it had come.
    seen: (Instant, u64),
    /// It had come nearer then. One that sets off only now has been measured for too short a time.
    moving: bool,
    away: Option<Duration>,
}

impl Approach {
    /// A wait begins, for a peer that has come as far as `reach`, and lasts no longer than until
    /// `end`.
    pub(crate) fn new(now: Instant, end: Option<Instant>, reach: u64) -> Approach {
        Approach {
            start: now,
            end,
            seen: (now, reach),
            moving: false,
            away: None,
        }
    }

    /// How long to look away, and then look once, instead of looking for a while.
    #[inline]
    pub(crate) fn away(&self) -> Option<Duration> {
        self.away
    }

    /// It has come as far as `reach` now, and `missing` bytes are still to come.
    pub(crate) fn see(&mut self, now: Instant, reach: u64, missing: u64) {
        let (then, before) = mem::replace(&mut self.seen, (now, reach));
        let came = reach.wrapping_sub(before);
        let was_moving = mem::replace(&mut self.moving, came > 0);
        self.away = if was_moving && came > 0 {
            let half = (now - then).as_secs_f64() * (missing as f64 / came as f64 / 2.0);
            // Bounded as a number: a duration has an end.
            let left = self
                .end
                .map_or(LONGEST, |end| end.saturating_duration_since(now));
            let longest = (now - self.start).min(LONGEST).min(left);
            Some(Duration::from_secs_f64(half.min(longest.as_secs_f64())))
                .filter(|away| *away >= SHORTEST)
        } else {
            None
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    /// Looks at a peer that has come `reach(t)` bytes after `t` nanoseconds. How often, once or for
    /// a microsecond, and when it was seen to have come `want` bytes.
    fn looks(want: u64, reach: impl Fn(u64) -> u64) -> (u32, u64) {
        let start = Instant::now();
        let mut approach = Approach::new(start, None, reach(0));
        let mut now = start;
        for count in 1..100_000 {
            now += approach.away().unwrap_or(MICRO);
            let nanos = (now - start).as_nanos() as u64;
            let came = reach(nanos);
            if came >= want {
                return (count, nanos);
            }
            approach.see(now, came, want - came);
        }
        panic!("it never came");
    }

    #[test]
    fn a_steady_peer_is_looked_at_a_few_times() {
        for (want, per_micro) in [
            (65_536, 1500),
            (65_536, 40_000),
            (1 << 20, 10_000),
            (5000, 1),
        ] {
            let due = want * 1000 / per_micro;
            let (count, nanos) = looks(want, |t| t * per_micro / 1000);
            assert!(
                nanos < due + 2 * 1000 + due / 50,
                "{want}: {nanos} instead of {due}"
            );
            let without = due / 1000 + 1;
            assert!(
                u64::from(count) <= 12 + without / 40,
                "{want}: {count} looks instead of {without}"
            );
        }
    }

    #[test]
    fn a_peer_that_does_not_move_is_not_looked_away_from() {
        assert_eq!(
            looks(100, |t| if t < 50_000 { 0 } else { 100 }),
            (50, 50_000)
        );
    }

    #[test]
    fn a_peer_that_becomes_faster_costs_no_more_than_the_wait_before() {
        for sets_off in [500, 1500, 10_000, 100_000] {
            let (_, nanos) = looks(65_536, |t| if t < sets_off { t / 100 } else { 65_536 });
            assert!(nanos <= 2 * sets_off + 3000, "{nanos} after {sets_off}");
        }
        // One that has only just set off, at the end of what was measured.
        let (_, nanos) = looks(65_536, |t| t.saturating_sub(9990) * 40);
        assert!(nanos <= 9990 + 1640 + 2000, "{nanos}");
    }

    #[test]
    fn no_time_of_an_approach_is_too_long_to_be_counted() {
        let start = Instant::now();
        let mut approach = Approach::new(start, None, 0);
        approach.see(start + MICRO, 1, u64::MAX);
        assert_eq!(approach.away(), None);
        let day = Duration::from_secs(86_400);
        approach.see(start + day, 2, u64::MAX);
        assert_eq!(approach.away(), Some(LONGEST));
        approach.see(start + day, u64::MAX, 0);
        assert_eq!(approach.away(), None);
    }

    #[test]
    fn an_approach_ends_at_its_deadline() {
        let start = Instant::now();
        let mut approach = Approach::new(start, Some(start + 12 * MICRO), 0);
        for now in 1..=10 {
            approach.see(start + now * MICRO, now.into(), 1000);
        }
        assert_eq!(approach.away(), Some(2 * MICRO));
        approach.see(start + 13 * MICRO, 13, 1000);
        assert_eq!(approach.away(), None);
    }
}
