//! When which message is due: messages are numbered over all panels, evenly spaced in time, and
//! dealt out to the panels in turn.

use crate::trial::clock::SECOND;

#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// messages per second, all panels together
    pub rate: u64,
    pub seconds: u64,
    pub panels: usize,
}

impl Schedule {
    /// All messages of the run.
    pub fn total(&self) -> u64 {
        self.rate * self.seconds
    }

    /// How many messages are due this many nanoseconds after the start; the first one at once.
    pub fn due(&self, elapsed: u64) -> u64 {
        let whole = u128::from(elapsed) * u128::from(self.rate) / u128::from(SECOND);
        u64::try_from(whole + 1).map_or(self.total(), |due| due.min(self.total()))
    }

    /// When the message with this number is due, in nanoseconds after the start.
    pub fn time_of(&self, number: u64) -> u64 {
        (u128::from(number) * u128::from(SECOND)).div_ceil(u128::from(self.rate)) as u64
    }

    /// How many of the first `due` messages go to this panel.
    pub fn share(&self, due: u64, panel: usize) -> u64 {
        (due + (self.panels - 1 - panel) as u64) / self.panels as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNEVEN: Schedule = Schedule {
        rate: 7001,
        seconds: 3,
        panels: 5,
    };

    #[test]
    fn a_message_is_due_exactly_from_its_time_on() {
        for number in 1..UNEVEN.total() {
            let time = UNEVEN.time_of(number);
            assert_eq!(UNEVEN.due(time), number + 1);
            assert_eq!(UNEVEN.due(time - 1), number);
        }
        assert_eq!(UNEVEN.due(0), 1);
        assert_eq!(UNEVEN.due(u64::MAX), UNEVEN.total());
    }

    #[test]
    fn shares_add_up() {
        for due in 0..100 {
            let shares: Vec<_> = (0..5).map(|panel| UNEVEN.share(due, panel)).collect();
            assert_eq!(shares.iter().sum::<u64>(), due);
            assert!(
                shares
                    .iter()
                    .max()
                    .zip(shares.iter().min())
                    .is_some_and(|(a, b)| a - b <= 1)
            );
        }
    }
}
