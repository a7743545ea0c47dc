//! Whether to leave a busy peer alone for a moment.
//!
//! A half that has caught up with a peer in full flow meets it at each step. Its polls take away
//! the cache line in which the peer is going to store its next step, and the peer's fence then
//! waits for the line: two sides that are in step move small and middling messages at half the rate
//! of two that are apart. If the half delays its first poll by a few microseconds, the peer goes
//! many steps on, undisturbed, and the half takes all of them at once. Network cards do so with
//! interrupts ("interrupt coalescing", ethtool(8)).
//!
//! A half that waits for an *answer* would lose that time with each, and so would a stream whose
//! source has no more to give. Nothing here can tell one from the other, so the delay is measured:
//! some waits without it, and some with it. If the peer is clearly faster with the delay, it stays
//! on: until a wait outlasts the first polls, or it is time to measure again. If not, the next
//! trial comes four times as many waits later.

use super::pause;
use std::time::{Duration, Instant};

/// How long the first poll is delayed: long beside the way of a line from one core to another, and
/// short beside the time in which a ring of 256 KiB fills (16 µs at 15 GB/s).
const DELAY: Duration = Duration::from_micros(4);

/// Waits that are measured together.
const EPOCH: u32 = 16;

/// Epochs before a trial, at first and at most.
const EVERY: (u32, u32) = (16, 4096);

/// Epochs before a trial that are measured. The better one counts.
const BEFORE: u32 = 2;

/// Epochs of a trial. During the first one the distance between the two sides still changes. Each
/// of the others has to pay, since one can be lucky.
const TRIAL: u32 = 3;

/// Epochs for which a trial that has paid is good.
const GOOD_FOR: u32 = 64;

/// The peer has to be faster by this factor: by an eighth.
const PAYS: f64 = 9.0 / 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is measured.
    Off,
    /// Measured without the delay; so many epochs are left. One may meet a slow moment.
    Before(u32),
    /// Measured with it; so many epochs are left.
    Trial(u32),
    /// The trial has paid.
    On,
}

/// Decides for one half whether its waits begin with a delay.
#[derive(Debug)]
pub(crate) struct Coalescer {
    stage: Stage,
    /// Waits until the end of this stage.
    left: u32,
    /// Epochs before the next trial.
    every: u32,
    /// When this stage began, and how far the peer had come.
    began: Option<(Instant, u64)>,
    /// Bytes per second without the delay.
    rate: f64,
}

impl Coalescer {
    pub(crate) fn new() -> Self {
        Coalescer {
            stage: Stage::Off,
            left: EVERY.0 * EPOCH,
            every: EVERY.0,
            began: None,
            rate: 0.0,
        }
    }

    #[inline(always)]
    fn delays(&self) -> bool {
        matches!(self.stage, Stage::Trial(_) | Stage::On)
    }

    /// Lets the delay pass, if that pays; at the beginning of a wait.
    #[inline(always)]
    pub(crate) fn delay_first_poll(&self) {
        if self.delays() {
            pause::wait_for(DELAY);
        }
    }

    /// A wait has ended within its first polls. `now`: the time, and how far the peer has come.
    #[inline(always)]
    pub(crate) fn short(&mut self, now: impl FnOnce() -> (Instant, u64)) {
        self.left -= 1;
        if self.left == 0 {
            self.next(now());
        }
    }

    /// A wait has outlasted its first polls: the peer is not in full flow, and the measurement so
    /// far means nothing.
    pub(crate) fn long(&mut self) {
        match self.stage {
            // The waits before the next trial are counted regardless of long ones in between:
            // otherwise a stream that is interrupted now and then would never get there.
            Stage::Off => {}
            // A stream that comes in bursts would be tried again and again.
            Stage::Trial(_) => self.put_off(2),
            Stage::Before(_) | Stage::On => self.enter(Stage::Off, self.every),
        }
    }

    #[cold]
    #[inline(never)]
    fn next(&mut self, now: (Instant, u64)) {
        let rate = self.began.map_or(0.0, |began| {
            now.1.wrapping_sub(began.1) as f64 / (now.0 - began.0).as_secs_f64()
        });
        self.began = Some(now);
        match self.stage {
            Stage::Off => {
                self.rate = 0.0;
                self.enter(Stage::Before(BEFORE), 1);
            }
            Stage::Before(left) => {
                self.rate = self.rate.max(rate);
                let next = match left {
                    1 => Stage::Trial(TRIAL),
                    _ => Stage::Before(left - 1),
                };
                self.enter(next, 1);
            }
            Stage::Trial(left) if left < TRIAL && rate <= PAYS * self.rate => self.put_off(4),
            Stage::Trial(left) if left > 1 => self.enter(Stage::Trial(left - 1), 1),
            Stage::Trial(_) => {
                self.every = EVERY.0;
                self.enter(Stage::On, GOOD_FOR);
            }
            // The waits right after it say nothing: two sides that have been apart fall into step
            // again only over hundreds of waits.
            Stage::On => self.enter(Stage::Off, EVERY.0),
        }
    }

    /// Waits so many times longer with the next trial.
    fn put_off(&mut self, times: u32) {
        self.every = (self.every * times).min(EVERY.1);
        self.enter(Stage::Off, self.every);
    }

    fn enter(&mut self, stage: Stage, epochs: u32) {
        self.stage = stage;
        self.left = epochs * EPOCH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `waits` were delayed. The arguments: the nanoseconds that one wait takes and the
    /// bytes that it brings, without the delay and with it.
    fn delayed(
        coalescer: &mut Coalescer,
        waits: u32,
        without: (u64, u64),
        with: (u64, u64),
    ) -> u32 {
        let (mut now, mut position) = (Instant::now(), 0);
        let mut count = 0;
        for _ in 0..waits {
            let delays = coalescer.delays();
            let (nanos, bytes) = if delays { with } else { without };
            now += Duration::from_nanos(nanos);
            position += bytes;
            count += u32::from(delays);
            coalescer.short(|| (now, position));
        }
        count
    }

    #[test]
    fn stays_on_where_it_pays() {
        let mut coalescer = Coalescer::new();
        let count = delayed(&mut coalescer, 100_000, (60, 64), (1100, 40 * 64));
        // Compared by time, which is what counts: a wait without the delay is the shorter one.
        let (with, without) = (count * 1100, (100_000 - count) * 60);
        assert!(with > 50 * without, "{count}");
    }

    #[test]
    fn a_half_that_waits_for_answers_is_hardly_delayed() {
        let mut coalescer = Coalescer::new();
        delayed(&mut coalescer, 100_000, (130, 64), (1100, 64));
        let count = delayed(&mut coalescer, 1_000_000, (130, 64), (1100, 64));
        assert!((1..=1_000_000 / 2000).contains(&count), "{count}");
    }

    #[test]
    fn a_source_that_has_no_more_to_give_is_hardly_delayed() {
        let mut coalescer = Coalescer::new();
        delayed(&mut coalescer, 100_000, (200, 64), (1000, 5 * 64));
        let count = delayed(&mut coalescer, 1_000_000, (200, 64), (1000, 5 * 64));
        assert!((1..=16 * 34).contains(&count), "{count}");
    }

    /// The gain outlasts the delays: the two sides fall into step again only after so many waits.
    #[test]
    fn two_that_are_still_apart_are_not_measured_as_in_step() {
        for lasting in [0, 5, 20, 100, 200] {
            let mut coalescer = Coalescer::new();
            let (mut now, mut position) = (Instant::now(), 0);
            let (mut since, mut count) = (u32::MAX, 0);
            for _ in 0..200_000 {
                let delays = coalescer.delays();
                since = if delays { 0 } else { since.saturating_add(1) };
                let (nanos, bytes) = match (delays, since <= lasting) {
                    (true, _) => (1100, 40 * 64),
                    (false, true) => (60, 2 * 64),
                    (false, false) => (60, 64),
                };
                now += Duration::from_nanos(nanos);
                position += bytes;
                count += u32::from(delays);
                coalescer.short(|| (now, position));
            }
            let (with, without) = (count * 1100, (200_000 - count) * 60);
            assert!(with > 50 * without, "{count} after {lasting}");
        }
    }

    #[test]
    fn bursts_are_not_tried_again_and_again() {
        for burst in [5, 20, 40, 60, 90, 130] {
            let mut coalescer = Coalescer::new();
            let mut bursts = |waits: u32| -> u32 {
                let once = |_| {
                    let count = delayed(&mut coalescer, burst, (60, 64), (1100, 4 * 64));
                    coalescer.long();
                    count
                };
                (0..waits / burst).map(once).sum()
            };
            bursts(100_000);
            let count = bursts(1_000_000);
            assert!(count <= 1_000_000 / 1000, "{count} in bursts of {burst}");
        }
    }

    #[test]
    fn a_lucky_trial_does_not_last_for_ever() {
        // The rates vary from wait to wait, and the delay changes nothing.
        let mut coalescer = Coalescer::new();
        let (mut now, mut position, mut random) = (Instant::now(), 0, 1_u64);
        let mut count = 0;
        for _ in 0..10_000_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let luck = (random >> 33) % 8;
            let delays = coalescer.delays();
            count += u32::from(delays);
            now += Duration::from_nanos(if delays { 1100 } else { 200 });
            position += if delays { 5 * 64 } else { 64 } * if luck == 0 { 8 } else { 1 };
            coalescer.short(|| (now, position));
        }
        assert!(count < 10_000_000 / 300, "{count}");
    }

    #[test]
    fn long_waits_in_between_do_not_keep_it_from_being_tried() {
        let mut coalescer = Coalescer::new();
        delayed(&mut coalescer, 100_000, (130, 64), (1100, 64));
        let on = (0..1000).any(|_| {
            delayed(&mut coalescer, 1000, (60, 64), (1100, 40 * 64));
            let on = coalescer.stage == Stage::On;
            coalescer.long();
            on
        });
        assert!(on);
    }

    #[test]
    fn a_long_wait_ends_it_and_a_change_of_the_peer_does_so_soon() {
        let pays = |coalescer: &mut Coalescer| {
            let on = (0..5).any(|_| {
                delayed(coalescer, 1000, (60, 64), (1100, 40 * 64));
                coalescer.stage == Stage::On
            });
            assert!(on);
        };
        let mut coalescer = Coalescer::new();
        pays(&mut coalescer);
        coalescer.long();
        assert!(!coalescer.delays());

        for _ in 0..100 {
            delayed(&mut coalescer, 1000, (60, 64), (1100, 40 * 64));
        }
        pays(&mut coalescer);
        let count = delayed(&mut coalescer, 10_000, (130, 64), (1100, 64));
        assert!(count < 1500, "{count}");
        assert!(!coalescer.delays());
    }
}
