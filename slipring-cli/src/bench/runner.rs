//! The order of measuring: case by case, and within a case all transports in turn, several rounds,
//! so that whatever else the machine does hits all of them alike.

use super::{
    case::Case,
    contender::Contender,
    measurement::Measurement,
    results::{CaseResult, Row},
};
use crate::trial::interrupt::Interrupt;

pub struct Rounds<'a> {
    pub rounds: u32,
    /// nanoseconds
    pub slice: u64,
    pub peer_cpu: Option<usize>,
    pub interrupt: &'a Interrupt,
}

impl Rounds<'_> {
    /// Measures these transports in one case. `step` is told what comes next. Ends early when
    /// interrupted, with what has been measured.
    pub fn run<'c>(
        &self,
        case: &'static Case,
        contenders: &[&'c Contender],
        mut step: impl FnMut(&str),
    ) -> CaseResult<'c> {
        let mut entries = Vec::with_capacity(contenders.len());
        for &contender in contenders {
            if self.interrupt.requested() {
                break;
            }
            step(&format!("{}: connecting", contender.in_case(case)));
            entries.push(self.enter(case, contender));
        }
        for round in 0..self.rounds {
            for index in 0..entries.len() {
                if self.interrupt.requested() {
                    break;
                }
                // Another one begins in every round, so that nobody always follows the same.
                let entry = (index + round as usize) % entries.len();
                let entry: &mut Entry = &mut entries[entry];
                let name = entry.row.contender.in_case(case);
                step(&format!("{name}: round {} of {}", round + 1, self.rounds));
                entry.measure(self.slice);
            }
        }
        CaseResult {
            case,
            rows: entries.into_iter().map(|entry| entry.row).collect(),
        }
    }

    fn enter<'c>(&self, case: &Case, contender: &'c Contender) -> Entry<'c> {
        let opened = contender
            .open(case, self.peer_cpu)
            .and_then(|mut measurement| {
                measurement.prepare(self.slice)?;
                Ok(measurement)
            });
        let (measurement, failure) = match opened {
            Ok(measurement) => (Some(measurement), None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        Entry {
            measurement,
            row: Row {
                contender,
                rounds: Vec::new(),
                failure,
            },
        }
    }
}

/// A transport with its peer process, which lives as long as the case is measured.
struct Entry<'c> {
    /// `None` after a failure.
    measurement: Option<Box<dyn Measurement>>,
    row: Row<'c>,
}

impl Entry<'_> {
    fn measure(&mut self, slice: u64) {
        let Some(measurement) = &mut self.measurement else {
            return;
        };
        match measurement.measure(slice) {
            Ok(slice) => self.row.rounds.push(slice),
            Err(failure) => {
                self.row.failure = Some(failure.to_string());
                self.measurement = None;
            }
        }
    }
}
