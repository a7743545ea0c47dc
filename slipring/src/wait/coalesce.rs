//! Whether to leave a busy peer alone for a moment.
//!
//! A half that has caught up with a peer in full flow meets it at each step. Its looks take away
//! the line that the peer is going to store its next step in, and the peer's fence then waits for
//! the line: two that are in step move small and middling messages at half the rate of two that are
//! apart. If the half looks away for a microsecond before it looks, the peer has gone several steps
//! on, undisturbed, and all of them are taken at once. Network cards do so with interrupts
//! ("interrupt coalescing", ethtool(8)).
//!
//! But whoever waits for an *answer* would lose that microsecond each time, and so would a stream
//! whose source has no more to give. Nothing that can be seen here tells one from the other, so it
//! is measured: some waits without, twice, and some with. Only if the peer came forward clearly
//! faster with it, it stays on: until a wait outlasts the first looks, or it is time to measure
//! again. If not, the next trial comes four times as many waits later; and twice as many if it was
//! cut short by such a wait, since a stream that comes in bursts would be tried again and again.
//!
//! The waits after it say nothing: two that have been parted fall into step again only over
//! hundreds of them.
//!
//! Two waits are enough to see that an answer is all that there is: they bring no more than two
//! others. So whoever waits for answers loses two microseconds in 65,536 waits, in the end; a
//! source that has no more to give is tried for longer, 34 waits.

use super::pause;
use std::time::{Duration, Instant};

/// How long to look away. Half as long gains less, longer gains little more (docs/performance.md).
const AWAY: Duration = Duration::from_micros(1);

/// Waits that are measured together.
const EPOCH: u32 = 16;

/// Waits at the beginning of a trial that have to bring more each, and how many times more.
const GLANCE: u32 = 2;
const MORE: f64 = 2.0;

/// Epochs before a trial, at first and at most.
const EVERY: (u32, u32) = (16, 4096);

/// Epochs for which a trial that has paid is good: the first, and one that has confirmed many
/// others. Trials can be lucky.
const GOOD_FOR: (u32, u32) = (16, 64);

/// Epochs after which two are in step again, if they are going to be.
const REJOINED: u32 = 16;

/// How much faster the peer has to come forward: by an eighth.
const PAYS: f64 = 9.0 / 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is measured.
    Plain,
    /// The waits after `Coalescing`.
    Rejoining,
    Before,
    /// As `Before`: one of the two may have met a slow moment.
    Again,
    /// The first two waits of the trial: is there more to be had at all?
    Glance,
    /// The next ones: how far the two are apart has still to change.
    Parting,
    Trial,
    /// The trial has paid.
    Coalescing,
}

/// Decides for one half whether its waits begin by looking away.
#[derive(Debug)]
pub(crate) struct Coalescer {
    stage: Stage,
    away: bool,
    /// Waits until the end of this stage.
    left: u32,
    /// Epochs before the next trial.
    every: u32,
    /// Epochs for which it is good if it pays.
    good_for: u32,
    /// When this stage began, and how far the peer had come.
    began: Option<(Instant, u64)>,
    /// Bytes that a wait brought in `Before` or `Again`.
    each: f64,
    /// Bytes per second there, in the better one.
    rate: f64,
}

impl Coalescer {
    pub(crate) fn new() -> Self {
        Coalescer {
            stage: Stage::Plain,
            away: false,
            left: EVERY.0 * EPOCH,
            every: EVERY.0,
            good_for: GOOD_FOR.0,
            began: None,
            each: 0.0,
            rate: 0.0,
        }
    }

    /// Looks away for a microsecond, if that pays; at the beginning of a wait.
    #[inline(always)]
    pub(crate) fn look_away(&self) {
        if self.away {
            pause::away(AWAY);
        }
    }

    /// A wait has ended within its first looks. `now`: the time, and how far the peer has come.
    #[inline(always)]
    pub(crate) fn short(&mut self, now: impl FnOnce() -> (Instant, u64)) {
        self.left -= 1;
        if self.left == 0 {
            self.next(now());
        }
    }

    /// A wait has outlasted its first looks: the peer is not in full flow, and what was being
    /// measured means nothing.
    pub(crate) fn long(&mut self) {
        // What lies before the next trial is counted in short waits, whatever comes in between: a
        // stream that is interrupted now and then would never get there.
        if self.stage != Stage::Plain {
            if self.away && self.stage != Stage::Coalescing {
                self.every = (self.every * 2).min(EVERY.1);
            }
            self.good_for = GOOD_FOR.0;
            self.enter(Stage::Plain, self.every);
        }
    }

    #[cold]
    #[inline(never)]
    fn next(&mut self, now: (Instant, u64)) {
        let (bytes, rate) = self.began.map_or((0.0, 0.0), |began| {
            let bytes = now.1.wrapping_sub(began.1) as f64;
            (bytes, bytes / (now.0 - began.0).as_secs_f64())
        });
        self.began = Some(now);
        match self.stage {
            Stage::Coalescing => self.enter(Stage::Rejoining, REJOINED),
            Stage::Plain | Stage::Rejoining => {
                (self.each, self.rate) = (0.0, 0.0);
                self.enter(Stage::Before, 1);
            }
            Stage::Before | Stage::Again => {
                self.each = self.each.max(bytes / f64::from(EPOCH));
                self.rate = self.rate.max(rate);
                if self.stage == Stage::Before {
                    self.enter(Stage::Again, 1);
                } else {
                    self.enter(Stage::Glance, 1);
                    self.left = GLANCE;
                }
            }
            Stage::Glance if bytes < MORE * self.each * f64::from(GLANCE) => self.fail(),
            Stage::Glance => self.enter(Stage::Parting, 1),
            Stage::Parting => self.enter(Stage::Trial, 1),
            Stage::Trial if rate > PAYS * self.rate => {
                self.every = (self.every / 4).max(EVERY.0);
                self.enter(Stage::Coalescing, self.good_for);
                self.good_for = (self.good_for * 2).min(GOOD_FOR.1);
            }
            Stage::Trial => self.fail(),
        }
    }

    fn fail(&mut self) {
        self.good_for = GOOD_FOR.0;
        self.every = (self.every * 4).min(EVERY.1);
        self.enter(Stage::Plain, self.every);
    }

    fn enter(&mut self, stage: Stage, epochs: u32) {
        self.stage = stage;
        self.away = matches!(
            stage,
            Stage::Glance | Stage::Parting | Stage::Trial | Stage::Coalescing
        );
        self.left = epochs * EPOCH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `waits` looked away, if one takes so many nanoseconds and brings so many bytes,
    /// without and with.
    fn away(coalescer: &mut Coalescer, waits: u32, without: (u64, u64), with: (u64, u64)) -> u32 {
        let (mut now, mut position) = (Instant::now(), 0);
        let mut count = 0;
        for _ in 0..waits {
            let away = coalescer.away;
            let (nanos, bytes) = if away { with } else { without };
            now += Duration::from_nanos(nanos);
            position += bytes;
            count += u32::from(away);
            coalescer.short(|| (now, position));
        }
        count
    }

    #[test]
    fn looking_away_stays_on_where_it_pays() {
        let mut coalescer = Coalescer::new();
        let count = away(&mut coalescer, 100_000, (60, 64), (1100, 40 * 64));
        // Of the time, which is what counts: a wait without is the shorter one.
        let (with, without) = (count * 1100, (100_000 - count) * 60);
        assert!(with > 50 * without, "{count}");
    }

    #[test]
    fn a_half_that_waits_for_an_answer_hardly_looks_away() {
        let mut coalescer = Coalescer::new();
        away(&mut coalescer, 100_000, (130, 64), (1100, 64));
        let count = away(&mut coalescer, 1_000_000, (130, 64), (1100, 64));
        assert!((1..=1_000_000 / 30_000).contains(&count), "{count}");
    }

    #[test]
    fn a_half_that_gains_nothing_hardly_looks_away() {
        let mut coalescer = Coalescer::new();
        away(&mut coalescer, 100_000, (200, 64), (1000, 5 * 64));
        let count = away(&mut coalescer, 1_000_000, (200, 64), (1000, 5 * 64));
        assert!((1..=16 * 34).contains(&count), "{count}");
    }

    #[test]
    fn one_slow_moment_does_not_start_looking_away() {
        // Time was taken away from the waits before the trial, not by the peer's being in step.
        let mut coalescer = Coalescer::new();
        let mut now = Instant::now();
        let mut position = 0;
        while coalescer.stage != Stage::Coalescing && position < 64 * 100_000 {
            let slow = if coalescer.stage == Stage::Before {
                10
            } else {
                1
            };
            now += Duration::from_nanos(if coalescer.away { 1000 } else { 200 * slow });
            position += if coalescer.away { 5 * 64 } else { 64 };
            coalescer.short(|| (now, position));
        }
        assert_ne!(coalescer.stage, Stage::Coalescing);
    }

    /// What is gained lasts beyond the looking away: the two fall into step again only after so
    /// many waits.
    #[test]
    fn two_that_are_still_apart_are_not_measured_as_in_step() {
        for lasting in [0, 5, 20, 100, 200] {
            let mut coalescer = Coalescer::new();
            let (mut now, mut position) = (Instant::now(), 0);
            let (mut since, mut count) = (u32::MAX, 0);
            for _ in 0..200_000 {
                let away = coalescer.away;
                since = if away { 0 } else { since.saturating_add(1) };
                let (nanos, bytes) = match (away, since <= lasting) {
                    (true, _) => (1100, 40 * 64),
                    (false, true) => (60, 2 * 64),
                    (false, false) => (60, 64),
                };
                now += Duration::from_nanos(nanos);
                position += bytes;
                count += u32::from(away);
                coalescer.short(|| (now, position));
            }
            let (with, without) = (count * 1100, (200_000 - count) * 60);
            assert!(with > 50 * without, "{count} after {lasting}");
        }
    }

    #[test]
    fn looking_away_is_not_tried_again_in_every_burst() {
        for burst in [5, 20, 40, 60, 90, 130] {
            let mut coalescer = Coalescer::new();
            let mut bursts = |waits: u32| -> u32 {
                let once = |_| {
                    let count = away(&mut coalescer, burst, (60, 64), (1100, 4 * 64));
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
    fn looking_away_does_not_last_by_luck() {
        // The rates vary from wait to wait, and looking away changes nothing.
        let mut coalescer = Coalescer::new();
        let (mut now, mut position, mut random) = (Instant::now(), 0, 1_u64);
        let mut count = 0;
        for _ in 0..10_000_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let luck = (random >> 33) % 8;
            let away = coalescer.away;
            count += u32::from(away);
            now += Duration::from_nanos(if away { 1100 } else { 200 });
            position += if away { 5 * 64 } else { 64 } * if luck == 0 { 8 } else { 1 };
            coalescer.short(|| (now, position));
        }
        assert!(count < 10_000_000 / 600, "{count}");
    }

    #[test]
    fn long_waits_do_not_keep_looking_away_from_being_tried() {
        let mut coalescer = Coalescer::new();
        away(&mut coalescer, 100_000, (130, 64), (1100, 64));
        let on = (0..1000).any(|_| {
            away(&mut coalescer, 1000, (60, 64), (1100, 40 * 64));
            let on = coalescer.stage == Stage::Coalescing;
            coalescer.long();
            on
        });
        assert!(on);
    }

    #[test]
    fn a_long_wait_or_a_change_of_the_peer_ends_looking_away() {
        let pays = |coalescer: &mut Coalescer| {
            away(coalescer, 1000, (60, 64), (1100, 40 * 64));
            assert!(coalescer.away);
        };
        let mut coalescer = Coalescer::new();
        pays(&mut coalescer);
        coalescer.long();
        assert!(!coalescer.away);

        for _ in 0..100 {
            away(&mut coalescer, 1000, (60, 64), (1100, 40 * 64));
        }
        pays(&mut coalescer);
        let count = away(&mut coalescer, 10_000, (130, 64), (1100, 64));
        assert!(count < 1500, "{count}");
        assert!(!coalescer.away);
    }
}
