//! Measures a case: all contenders in turn, for several rounds.

use std::io;

use crate::{
    case::Case,
    clock::{Cpu, SECOND, now},
    contender::Contender,
    machine,
    order::{Order, Report},
    pair::Pair,
    results::{CaseResult, Row},
};

/// A round is repeated at most so often.
const REPEATS: u32 = 3;
/// Of a core, for other processes.
const TOLERATED: f64 = 0.1;

pub struct Runner {
    pub rounds: u32,
    /// nanoseconds
    pub slice: u64,
    pub cpus: Option<(usize, usize)>,
}

struct Running<'c> {
    pair: Pair,
    messages: u64,
    row: Row<'c>,
}

impl Runner {
    pub fn run<'c>(&self, case: &'static Case, contenders: &[&'c Contender]) -> CaseResult<'c> {
        let mut running = Vec::new();
        let mut failed = Vec::new();
        for contender in contenders {
            let mut row = Row::new(contender);
            match self.prepare(contender, case) {
                Ok((pair, messages)) => running.push(Running {
                    pair,
                    messages,
                    row,
                }),
                Err(error) => {
                    row.failure = Some(error.to_string());
                    failed.push(row);
                }
            }
        }
        let mut repeated = 0;
        let mut disturbed = false;
        for number in 0..self.rounds {
            for repeat in 0..=REPEATS {
                let (reports, others) = round(number, &mut running);
                let quiet = others.is_none_or(|share| share <= TOLERATED);
                if !quiet && repeat < REPEATS {
                    repeated += 1;
                    continue;
                }
                disturbed |= !quiet;
                for (one, reports) in running.iter_mut().zip(reports) {
                    match reports {
                        Ok(reports) => one.row.add(case, one.messages, &reports),
                        Err(error) => one.row.failure = Some(error.to_string()),
                    }
                }
                break;
            }
            let (working, broken): (Vec<_>, Vec<_>) = running
                .into_iter()
                .partition(|one| one.row.failure.is_none());
            running = working;
            failed.extend(broken.into_iter().map(|one| one.row));
        }
        let mut rows: Vec<_> = running
            .into_iter()
            .map(|one| one.row)
            .chain(failed)
            .collect();
        let place = |row: &Row| {
            contenders
                .iter()
                .position(|one| one.name == row.contender.name)
        };
        rows.sort_by_key(place);
        CaseResult {
            case,
            rows,
            repeated,
            disturbed,
        }
    }

    fn prepare(&self, contender: &Contender, case: &Case) -> io::Result<(Pair, u64)> {
        let mut pair = Pair::start(contender, case, self.cpus)?;
        pair.verify(case)?;
        let messages = pair.calibrate(case, self.slice)?;
        Ok((pair, messages))
    }
}

/// Every contender once; and how much of a core other processes took meanwhile.
fn round(number: u32, running: &mut [Running]) -> (Vec<io::Result<[Report; 2]>>, Option<f64>) {
    let start = now();
    let busy = machine::busy();
    let own = Cpu::Process.spent();
    let reports: Vec<_> = running
        .iter_mut()
        .map(|one| {
            one.pair.carry_out(Order {
                messages: one.messages,
                round: number,
                verify: false,
            })
        })
        .collect();
    let halves = reports
        .iter()
        .flatten()
        .flatten()
        .map(|report| report.cpu)
        .sum::<u64>();
    let own = halves + Cpu::Process.spent() - own;
    let others = busy.zip(machine::busy()).map(|(before, after)| {
        let others = (after - before).saturating_sub(own);
        others as f64 / (now() - start).max(SECOND / 10) as f64
    });
    (reports, others)
}
