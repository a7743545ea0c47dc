//! How long to look before sleeping.
//!
//! Spinning for about as long as a wake-up costs loses at most a factor of two against the best that could have been done
//! (Karlin, Manasse, McGeoch, Owicki: "Competitive randomized algorithms for nonuniform problems", 1990). That
//! bound still burns a core on a stream that is always late, so the adaptive spinner stops once recent waits
//! were longer than it would spin, and tries again now and then, ever more rarely while that does not pay.

use std::time::Duration;

/// How a blocked call looks for news before it sleeps.
///
/// Spinning answers in about a hundred nanoseconds and costs a core while it lasts; sleeping costs nothing and
/// answers after a wake-up by the kernel: 1 to 2 µs on a core that is busy with the peer, 15 to 70 µs on one that idles.
///
/// On a machine (or an affinity mask, or a CPU quota) with a single CPU nobody spins, whatever is chosen, except with
/// [`Spin::Always`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spin {
    /// Sleeps at once. No CPU is spent on waiting.
    Never,
    /// Never sleeps. A core for each blocked call, the lowest latency. It yields the CPU to other threads now and
    /// then when there is only one.
    Always,
    /// Looks for so long, then sleeps.
    UpTo(Duration),
    /// Looks for up to `max`, as long as recent waits on this half have mostly been shorter than that. The default,
    /// with 50 µs.
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

/// The most fruitless waits between two trial spins.
const RAREST_TRIAL: u32 = 256;

/// Decides for one half whether to spin, and learns from how long its waits took.
#[derive(Debug)]
pub(crate) struct Spinner {
    spin: Spin,
    /// The last eight waits, the newest in the lowest bit: 1 = was short enough for spinning to pay.
    history: u8,
    /// Waits to go until the next trial spin.
    until_trial: u32,
    /// How many waits lie between trials now.
    trial_every: u32,
}

impl Spinner {
    /// `cpus`: how many CPUs this process may run on.
    pub(crate) fn new(spin: Spin, cpus: usize) -> Self {
        let spin = match spin {
            Spin::Always => Spin::Always,
            _ if cpus < 2 => Spin::Never,
            other => other,
        };
        Spinner {
            spin,
            history: 0xff,
            until_trial: 0,
            trial_every: 8,
        }
    }

    /// How long the wait that begins now may spin. `None`: for ever.
    pub(crate) fn budget(&mut self) -> Option<Duration> {
        match self.spin {
            Spin::Never => Some(Duration::ZERO),
            Spin::Always => None,
            Spin::UpTo(max) => Some(max),
            Spin::Adaptive { max } => {
                if self.history.count_ones() >= 4 {
                    return Some(max);
                }
                if self.until_trial == 0 {
                    self.until_trial = self.trial_every;
                    self.trial_every = (self.trial_every * 2).min(RAREST_TRIAL);
                    // A trial is five spins in a row: with a peer that sleeps too, the first only wakes that one up.
                    self.history = 0x7f;
                    return Some(max);
                }
                self.until_trial -= 1;
                Some(Duration::ZERO)
            }
        }
    }

    /// Whether a wait has to be timed for [`learn`](Self::learn).
    pub(crate) fn learns(&self) -> bool {
        matches!(self.spin, Spin::Adaptive { .. })
    }

    /// Takes in how long a wait took, however it was waited.
    pub(crate) fn learn(&mut self, waited: Duration) {
        if let Spin::Adaptive { max } = self.spin {
            let short = waited <= max;
            self.history = self.history << 1 | u8::from(short);
            if self.history == 0xff {
                self.trial_every = 8;
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
    fn stops_spinning_when_waits_are_long() {
        let mut spinner = adaptive();
        let spins = (0..10_000)
            .filter(|_| {
                let spun = spinner.budget() != Some(Duration::ZERO);
                spinner.learn(LONG);
                spun
            })
            .count();
        // The first five, and trials of a few waits each, ever more rarely.
        assert!((5..400).contains(&spins), "{spins}");
    }

    #[test]
    fn spins_again_when_waits_are_short() {
        let mut spinner = adaptive();
        for _ in 0..100 {
            spinner.budget();
            spinner.learn(LONG);
        }
        for _ in 0..8 {
            spinner.learn(SHORT);
        }
        assert_eq!(spinner.budget(), Some(MAX));
    }

    #[test]
    fn a_trial_spins_even_after_long_waits() {
        let mut spinner = adaptive();
        for _ in 0..20 {
            spinner.budget();
            spinner.learn(LONG);
        }
        let again = (0..2 * RAREST_TRIAL).any(|_| {
            let spun = spinner.budget() == Some(MAX);
            spinner.learn(LONG);
            spun
        });
        assert!(again);
    }

    #[test]
    fn one_cpu_never_spins_unless_told_to() {
        for spin in [Spin::UpTo(MAX), Spin::default(), Spin::Never] {
            assert_eq!(Spinner::new(spin, 1).budget(), Some(Duration::ZERO));
        }
        assert_eq!(Spinner::new(Spin::Always, 1).budget(), None);
    }
}
