//! How long to spin before sleeping.
//!
//! Spinning for about as long as a wake-up costs loses at most a factor of two against the best
//! that could have been done (Karlin, Manasse, McGeoch, Owicki: "Competitive randomized algorithms
//! for nonuniform problems", 1990). That bound still burns a core on a stream that is always late,
//! so the adaptive spinner stops once recent waits were longer than it would spin, and tries again
//! now and then, ever more rarely while that does not pay.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::time::Duration;

/// How a blocked call waits before it sleeps.
///
/// Spinning answers in about a hundred nanoseconds and costs a core while it lasts. Sleeping costs
/// nothing and answers after a wake-up by the kernel: 1 to 2 µs on a core that is busy with the
/// peer, 15 to 70 µs on one that idles.
///
/// Polling disturbs a peer that is at work. In a stream that is written as fast as it can be, a
/// half that spins delays its first poll by four microseconds if it has measured that bytes go
/// faster so. A half that waits for an answer, or for a source that has no more to give, is as
/// quick as ever.
///
/// Where both processes together have a single CPU (a machine, an affinity mask, a quota) no half
/// spins, except with [`Spin::Always`].
///
/// The number of spinning halves of a process is bounded, however many streams it has: by the CPUs
/// that it may use, less one (but one half always may). So hundreds of busy streams leave a CPU to
/// those that they wait for. A half that finds that many spinning polls for about a microsecond,
/// and then sleeps at once. Only [`Spin::Always`] spins all the same, and counts for the others.
/// Each process has its own bound. While most of a process's spins have been in vain, its adaptive
/// halves spin in one wait of sixteen alone.
///
/// # Examples
///
/// ```
/// use slipring::{Options, Spin};
///
/// // A stream that speaks now and then spends nothing on waiting.
/// let options = Options::new().spin(Spin::Never);
/// let (left, right) = options.pair()?;
/// # drop((left, right));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spin {
    /// Sleeps at once. No CPU is spent on waiting.
    Never,
    /// Never sleeps. Uses a core for each blocked call, for the lowest latency, regardless of other
    /// work in the process. It yields the CPU to other threads now and then when there is only one.
    ///
    /// Since it need not be woken, the other side is spared a fence for each publication: small
    /// messages come at up to twice the rate. So it cannot be polled by an event loop either:
    /// [`Reader::arm`](crate::Reader::arm), [`Writer::arm`](crate::Writer::arm) and a change to
    /// tokio's types fail with [`Error::NeverSleeps`](crate::Error::NeverSleeps). tokio's own
    /// streams sleep, whatever policy they are made with.
    Always,
    /// Spins for up to this long, then sleeps. Sleeps at once while too many others of this process
    /// spin.
    UpTo(Duration),
    /// Spins for up to `max`, as long as recent waits on this half have mostly been shorter than
    /// that, and not too many others of this process spin. The default, with 50 µs.
    Adaptive {
        /// The longest spin: about what a wake-up costs.
        max: Duration,
    },
}

impl Default for Spin {
    fn default() -> Self {
        Spin::Adaptive {
            max: Duration::from_micros(50),
        }
    }
}

/// Waits in a row that a trial spins for.
const TRIAL: u32 = 16;

/// The fewest and the most waits between two trials, up to doubled by chance; the distance doubles
/// while they do not pay.
const TRIAL_EVERY: (u32, u32) = (16, 256);

/// How many times longer than usual a trial spins. The kernel has to wake a peer that sleeps before
/// it can answer; a peer answers at once only when both sides spin.
const TRIAL_PATIENCE: u32 = 4;

/// Decides for one half whether to spin, and learns from how long its waits took.
#[derive(Debug)]
pub(crate) struct Spinner {
    spin: Spin,
    /// The last eight waits, the newest in the lowest bit: 1 = was short enough for spinning to
    /// pay.
    history: u8,
    /// The last wait ended within the first polls, and has not been learnt from yet.
    was_short: bool,
    /// Waits to go until the next trial.
    until_trial: u32,
    /// How many waits lie between trials now.
    trial_every: u32,
    /// Waits left of the trial that is going on.
    trial_left: u32,
    /// The state of the pseudo-random sequence that keeps the trials of two halves from missing
    /// each other for ever.
    random: u64,
}

impl Spinner {
    /// `cpus`: how many CPUs this process and its peer may run on between them.
    pub(crate) fn new(spin: Spin, cpus: usize) -> Self {
        let spin = match spin {
            Spin::Always => Spin::Always,
            _ if cpus < 2 => Spin::Never,
            other => other,
        };
        Spinner {
            spin,
            history: 0xff,
            was_short: false,
            until_trial: TRIAL_EVERY.0,
            trial_every: TRIAL_EVERY.0,
            trial_left: 0,
            random: RandomState::new().hash_one(()) | 1,
        }
    }

    /// How long the wait that begins now may spin. `None`: for ever.
    #[inline]
    pub(crate) fn budget(&mut self) -> Option<Duration> {
        if mem::take(&mut self.was_short) {
            self.learn(Duration::ZERO, true);
        }
        match self.spin {
            Spin::Never => Some(Duration::ZERO),
            Spin::Always => None,
            Spin::UpTo(max) => Some(max),
            Spin::Adaptive { max } => {
                if self.history.count_ones() >= 4 {
                    return Some(max);
                }
                self.trial(max)
            }
        }
    }

    /// After long waits: no spinning, except for a trial now and then.
    #[inline(never)]
    fn trial(&mut self, max: Duration) -> Option<Duration> {
        if self.trial_left == 0 && self.until_trial == 0 {
            self.trial_left = TRIAL;
            self.trial_every = (self.trial_every * 2).min(TRIAL_EVERY.1);
            // xorshift64 (Marsaglia, "Xorshift RNGs", 2003): between one and two times that
            // distance.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.until_trial = self.trial_every + self.random as u32 % self.trial_every;
        }
        if self.trial_left > 0 {
            return Some(max.saturating_mul(TRIAL_PATIENCE));
        }
        self.until_trial -= 1;
        Some(Duration::ZERO)
    }

    /// Whether any wait spins.
    pub(crate) fn ever_spins(&self) -> bool {
        !matches!(self.spin, Spin::Never | Spin::UpTo(Duration::ZERO))
    }

    /// Whether nothing ends the spinning but news.
    pub(crate) fn is_endless(&self) -> bool {
        self.spin == Spin::Always
    }

    /// Whether a wait has to be timed for [`learn`](Self::learn).
    pub(crate) fn learns(&self) -> bool {
        matches!(self.spin, Spin::Adaptive { .. })
    }

    /// [`learn`](Self::learn) of a wait that took almost no time, postponed until the next wait
    /// begins: at this moment the caller waits for the bytes that have just come.
    #[inline]
    pub(crate) fn learn_later(&mut self) {
        self.was_short = true;
    }

    /// Learns from the length of a wait that began by spinning. A wait that slept at once says
    /// nothing: it ends soon on a core that both sides share, where spinning would only keep the
    /// other side from working.
    ///
    /// `answered`: whether this side has done something that the peer may have waited for, since it
    /// learnt last.
    pub(crate) fn learn(&mut self, waited: Duration, answered: bool) {
        if let Spin::Adaptive { max } = self.spin {
            self.history = self.history << 1 | u8::from(waited <= max);
            // If a wait was longer than even a trial's patience, the trial ends: the stream is
            // slow, not out of step. If a wait was long and the peer had nothing to answer here,
            // the trial is shortened: the news of most such waits do not depend on this side, and
            // some answer on another stream.
            self.trial_left = match waited {
                _ if waited > max.saturating_mul(TRIAL_PATIENCE) => 0,
                _ if waited > max && !answered => self.trial_left.saturating_sub(TRIAL / 4),
                _ => self.trial_left.saturating_sub(1),
            };
            if self.history == 0xff {
                self.trial_every = TRIAL_EVERY.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(50);
    const LONG: Duration = Duration::from_millis(1);
    const SHORT: Duration = Duration::from_micros(1);

    fn adaptive() -> Spinner {
        Spinner::new(Spin::Adaptive { max: MAX }, 2)
    }

    #[test]
    fn spinning_stops_when_waits_are_long() {
        let mut spinner = adaptive();
        let spins = (0..10_000)
            .filter(|_| {
                let spun = spinner.budget() != Some(Duration::ZERO);
                if spun {
                    spinner.learn(LONG, true);
                }
                spun
            })
            .count();
        // The first five, and a single wait of each trial.
        assert!((5..100).contains(&spins), "{spins}");
    }

    #[test]
    fn a_peer_that_waits_for_nothing_is_tried_for_less_long() {
        let spins = |answered| {
            let mut spinner = adaptive();
            let spins = |spinner: &mut Spinner| spinner.budget() != Some(Duration::ZERO);
            (0..10_000)
                .filter(|_| {
                    let spun = spins(&mut spinner);
                    if spun {
                        spinner.learn(2 * MAX, answered);
                    }
                    spun
                })
                .count()
        };
        // A whole trial each time, or a quarter of it.
        let (answered, unanswered) = (spins(true), spins(false));
        assert!(
            answered > 300 && unanswered < 200,
            "{answered} {unanswered}"
        );
    }

    #[test]
    fn spinning_starts_again_when_waits_are_short() {
        let mut spinner = adaptive();
        for _ in 0..5 {
            spinner.learn(LONG, true);
        }
        for _ in 0..8 {
            spinner.learn(SHORT, true);
        }
        assert_eq!(spinner.budget(), Some(MAX));
    }

    #[test]
    fn two_that_sleep_out_of_step_come_to_spin() {
        out_of_step(true);
    }

    #[test]
    fn two_that_sleep_out_of_step_and_answer_on_another_stream_come_to_spin() {
        out_of_step(false);
    }

    fn out_of_step(answered: bool) {
        // A round trip takes 100 µs while one of the two sleeps: more than they would spin usually.
        let (mut left, mut right) = (adaptive(), adaptive());
        let spins = |spinner: &mut Spinner| spinner.budget() != Some(Duration::ZERO);
        for _ in 0..5 {
            left.learn(LONG, true);
        }
        for _ in 0..77 {
            if spins(&mut left) {
                left.learn(LONG, true);
            }
        }
        for _ in 0..5 {
            right.learn(LONG, true);
        }
        let came_together = (0..1_000_000).any(|_| {
            let spin = (spins(&mut left), spins(&mut right));
            let round_trip = if spin == (true, true) { SHORT } else { 2 * MAX };
            if spin.0 {
                left.learn(round_trip, answered);
            }
            if spin.1 {
                right.learn(round_trip, answered);
            }
            left.history == 0xff && right.history == 0xff
        });
        assert!(came_together);
    }

    #[test]
    fn no_time_is_too_long_to_be_spun() {
        let mut spinner = Spinner::new(Spin::Adaptive { max: Duration::MAX }, 2);
        for _ in 0..20 {
            assert_eq!(spinner.budget(), Some(Duration::MAX));
            spinner.learn(LONG, true);
        }
        // After waits that were long in an earlier phase a trial is as patient as can be.
        spinner.history = 0;
        let trials: Vec<_> = (0..1000).filter_map(|_| spinner.budget()).collect();
        assert!(trials.contains(&Duration::MAX));
    }

    #[test]
    fn one_cpu_never_spins_unless_told_to() {
        for spin in [Spin::UpTo(MAX), Spin::default(), Spin::Never] {
            assert_eq!(Spinner::new(spin, 1).budget(), Some(Duration::ZERO));
        }
        assert_eq!(Spinner::new(Spin::Always, 1).budget(), None);
    }
}
