//! The counts and measurements of a panel, sent to the engine every second and at the end.

use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2Serializer},
};

use super::{
    inbound::Tally,
    wire::{HEADER, LARGEST, u64_at},
};
use crate::harness::clock::SECOND;

const COUNTERS: usize = 10;
const LATENCIES: usize = HEADER + 8 * COUNTERS;
/// All panels together report at most so often in a second.
const REPORTS: u64 = 100;
/// Longer latencies count as this long.
const LONGEST: u64 = 600 * SECOND;

#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub tally: Tally,
    /// messages that the panel has sent itself, this report included
    pub sent: u64,
    /// CPU time of the panel's process in nanoseconds
    pub cpu: u64,
    /// Set in the panel's last report: it has read to the end of the engine's direction.
    pub last: bool,
    /// from the engine's stamp to the panel's, in nanoseconds
    pub latency: Histogram<u64>,
}

/// An empty histogram as reports carry it: exact to 1 %. So a report stays below `LARGEST` for any
/// recorded values, and those of hundreds of panels can be added up while the engine publishes.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are valid")
}

/// How long a panel waits between two reports, and how long before its first one, in nanoseconds: a
/// second, or longer where that would be more than `REPORTS` a second; and each panel at a time of
/// its own. All at once they would keep the CPUs from the messages.
pub fn rhythm(panel: u64, panels: u64) -> (u64, u64) {
    let each = SECOND.max(panels * SECOND / REPORTS);
    (each, each * (panel + 1) / panels)
}

impl Report {
    /// The report as a message whose header is still to be sealed. `None` if the histogram cannot
    /// be written, which its bounds exclude.
    pub fn write(&self) -> Option<Vec<u8>> {
        let mut message = vec![0; HEADER];
        for counter in [
            self.tally.messages,
            self.tally.bytes,
            self.tally.lost,
            self.tally.reordered,
            self.tally.corrupt,
            self.sent,
            self.cpu,
            u64::from(self.last),
            self.tally.missed,
            self.tally.skipped,
        ] {
            message.extend_from_slice(&counter.to_le_bytes());
        }
        V2Serializer::new()
            .serialize(&self.latency, &mut message)
            .ok()?;
        (message.len() <= LARGEST).then_some(message)
    }

    /// The latencies that came after the report before.
    pub fn since(&self, before: Option<&Report>) -> Histogram<u64> {
        let mut recent = self.latency.clone();
        if let Some(before) = before
            && recent.subtract(&before.latency).is_err()
        {
            // It counts anew.
            return self.latency.clone();
        }
        recent
    }

    pub fn read(message: &[u8]) -> Option<Report> {
        let mut histogram = message.get(LATENCIES..)?;
        let counter = |index: usize| u64_at(message, HEADER + 8 * index);
        let latency: Histogram<u64> = Deserializer::new().deserialize(&mut histogram).ok()?;
        if latency.high() != LONGEST {
            // Not one of `latencies`: it could not be added to the others.
            return None;
        }
        Some(Report {
            tally: Tally {
                messages: counter(0),
                bytes: counter(1),
                lost: counter(2),
                reordered: counter(3),
                corrupt: counter(4),
                missed: counter(8),
                skipped: counter(9),
            },
            sent: counter(5),
            cpu: counter(6),
            last: counter(7) == 1,
            latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::random::Random;

    fn report(latency: Histogram<u64>) -> Report {
        Report {
            tally: Tally {
                messages: 1,
                bytes: 2,
                lost: 3,
                reordered: 4,
                corrupt: 5,
                missed: 8,
                skipped: 9,
            },
            sent: 6,
            cpu: 7,
            last: true,
            latency,
        }
    }

    #[test]
    fn a_panel_report_is_read_as_it_was_written() {
        let mut latency = latencies();
        latency.saturating_record(1234);
        latency.saturating_record(u64::MAX);
        let report = report(latency);
        let message = report.write().expect("it fits");
        assert_eq!(Report::read(&message), Some(report));
        assert_eq!(Report::read(&message[..message.len() - 1]), None);
        assert_eq!(Report::read(&message[..HEADER]), None);
    }

    #[test]
    fn a_panel_report_tells_apart_what_came_since_the_last() {
        let mut latency = latencies();
        latency.saturating_record_n(5_000_000, 10);
        let before = report(latency.clone());
        latency.saturating_record_n(2_000, 100);
        let recent = report(latency).since(Some(&before));
        assert_eq!(recent.len(), 100);
        assert!(recent.max() < 3_000);
        assert_eq!(before.since(None).len(), 10);
    }

    #[test]
    fn panel_reports_are_read_one_after_the_other() {
        assert_eq!(rhythm(0, 1), (SECOND, SECOND));
        assert_eq!(rhythm(0, 4), (SECOND, SECOND / 4));
        assert_eq!(rhythm(3, 4), (SECOND, SECOND));
        assert_eq!(rhythm(0, 500), (5 * SECOND, SECOND / 100));
        assert_eq!(rhythm(499, 500), (5 * SECOND, 5 * SECOND));
    }

    #[test]
    fn the_fullest_report_fits_a_message() {
        let mut latency = latencies();
        let mut random = Random::new(1);
        for _ in 0..300_000 {
            let magnitude = random.below(50);
            latency.saturating_record_n(random.next() >> 14 >> magnitude, 1 << 20);
        }
        assert!(report(latency).write().is_some());
    }
}
