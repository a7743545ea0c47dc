//! The due times of messages. Messages are numbered over all panels, evenly spaced in time, and
//! dealt out to the panels in rounds. Each round begins with another panel; otherwise the rounds
//! would keep step with the ticks of the kernel, and work that runs at a tick would meet the same
//! panels' messages each time. Those of a feed all go to every panel.

use crate::harness::clock::SECOND;

#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// messages sent per second
    pub rate: u64,
    pub seconds: u64,
    pub panels: usize,
    /// Each message goes to all panels, over one feed.
    pub shared: bool,
}

impl Schedule {
    /// All messages of the run.
    pub fn total(&self) -> u64 {
        self.rate * self.seconds
    }

    /// How many panels get each message.
    pub fn copies(&self) -> u64 {
        if self.shared { self.panels as u64 } else { 1 }
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

    /// How the first `due` messages are dealt out.
    pub fn deal(&self, due: u64) -> Deal {
        let panels = if self.shared { 1 } else { self.panels as u64 };
        let rounds = due / panels;
        // By the golden section, so that a panel's places in successive rounds lie far apart.
        let step = (panels * 618 / 1000) | 1;
        Deal {
            panels,
            rounds,
            rest: due % panels,
            moved: rounds % panels * step % panels,
        }
    }
}

/// Some messages dealt out: to each panel one in each whole round, and to some one more.
#[derive(Clone, Copy, Debug)]
pub struct Deal {
    panels: u64,
    rounds: u64,
    /// Messages of the round that is not whole.
    rest: u64,
    /// By how many places the panels have moved on in it.
    moved: u64,
}

impl Deal {
    /// How many of them go to this panel.
    pub fn share(&self, panel: usize) -> u64 {
        let place = panel as u64 + self.moved;
        let place = if place < self.panels {
            place
        } else {
            place - self.panels
        };
        self.rounds + u64::from(place < self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNEVEN: Schedule = Schedule {
        rate: 7001,
        seconds: 3,
        panels: 5,
        shared: false,
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
    fn shares_of_the_panels_add_up_to_what_is_due() {
        let mut before = vec![0; 5];
        for due in 0..100 {
            let shares: Vec<_> = (0..5).map(|panel| UNEVEN.deal(due).share(panel)).collect();
            assert_eq!(shares.iter().sum::<u64>(), due);
            let (least, most) = (shares.iter().min(), shares.iter().max());
            assert!(
                least
                    .zip(most)
                    .is_some_and(|(least, most)| most - least <= 1)
            );
            // No message is taken away again.
            assert!(
                shares
                    .iter()
                    .zip(&before)
                    .all(|(now, before)| now >= before)
            );
            before = shares;
        }
    }

    #[test]
    fn messages_of_a_feed_go_to_every_panel() {
        let shared = Schedule {
            shared: true,
            ..UNEVEN
        };
        assert!((0..5).all(|panel| shared.deal(17).share(panel) == 17));
        assert_eq!((shared.copies(), UNEVEN.copies()), (5, 1));
    }

    #[test]
    fn every_panel_comes_at_every_place() {
        for panels in [1, 2, 8, 200, 500] {
            let schedule = Schedule { panels, ..UNEVEN };
            let firsts = (0..panels as u64).map(|round| {
                let deal = schedule.deal(round * panels as u64 + 1);
                (0..panels).find(|&panel| deal.share(panel) > round)
            });
            let mut firsts: Vec<_> = firsts.collect();
            firsts.sort_unstable();
            assert!(
                firsts.into_iter().eq((0..panels).map(Some)),
                "{panels} panels"
            );
        }
    }
}
