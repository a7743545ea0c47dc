//! The order of measuring: case by case, and within a case all contenders in turn, several rounds,
//! so that any other activity of the machine hits all of them alike.

use std::{cell::RefCell, collections::HashMap, io};

use crate::{
    case::{self, Case, Kind, Measure},
    clock::{self, SECOND},
    contender::{Contender, Waits},
    machine,
    order::{Order, Report},
    results::{CaseResult, Row, Setup},
    team::Team,
    text,
    verification::Verification,
};

/// Of a core, for other processes.
const TOLERATED: f64 = 0.1;

/// A case, with all that take part in it.
pub type Entry<'c> = (Case, Vec<&'c Contender>);

/// Every case with those contenders that have this in their name CASE/CONTENDER. The error tells
/// which names there are, in lines of at most 100 characters.
pub fn plan<'c>(
    setup: &Setup,
    cases: Vec<Case>,
    contenders: &'c [Contender],
    only: &[String],
) -> Result<Vec<Entry<'c>>, String> {
    let mut plan = Vec::new();
    for case in &cases {
        let wanted = |one: &&Contender| {
            let name = one.in_case(case);
            (matches!(case.kind, Kind::Mixed(_)) || (one.part)(case))
                && (one.waits != Waits::Spinning || !setup.one_core(case))
                && (only.is_empty() || only.iter().any(|part| name.contains(part)))
        };
        let chosen: Vec<_> = contenders.iter().filter(wanted).collect();
        if !chosen.is_empty() {
            plan.push((case.clone(), chosen));
        }
    }
    if plan.is_empty() {
        let cases: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        let names: Vec<&str> = contenders.iter().map(|one| one.name.as_str()).collect();
        return Err(format!(
            "nothing measured here has {} in its name CASE/TRANSPORT.\n{}\n{}",
            only.join(" or "),
            text::paragraph("cases: ", &cases, 100),
            text::paragraph("transports: ", &names, 100),
        ));
    }
    Ok(plan)
}

/// Measures cases, or only verifies.
pub struct Runner<'a> {
    setup: &'a Setup,
    stop: &'a dyn Fn() -> bool,
    step: &'a dyn Fn(&str),
    /// the contenders whose mixed lengths have been verified, and why some failed
    mixed: RefCell<HashMap<String, Result<(), String>>>,
}

/// A contender's processes, which live as long as the case is measured.
struct Running {
    team: Team,
    /// of a round
    messages: u64,
}

impl<'a> Runner<'a> {
    /// `stop` says whether to end early, with what has been measured; `step` is told what comes
    /// next.
    pub fn new(setup: &'a Setup, stop: &'a dyn Fn() -> bool, step: &'a dyn Fn(&str)) -> Self {
        Runner {
            setup,
            stop,
            step,
            mixed: RefCell::default(),
        }
    }

    /// Measures a case.
    pub fn run<'c>(&self, (case, contenders): &Entry<'c>) -> CaseResult<'c> {
        let mut result = CaseResult {
            case: case.clone(),
            rows: Vec::new(),
            repeated: 0,
            disturbed: false,
        };
        let mut running = Vec::new();
        for contender in contenders {
            if (self.stop)() {
                break;
            }
            (self.step)(&format!("{}: connecting", contender.in_case(case)));
            let mut row = Row::new(contender);
            let started = self.start(case, &mut row);
            running.push(note(&mut row, started));
            result.rows.push(row);
        }
        for number in 0..self.setup.rounds {
            self.round(number, &mut running, &mut result);
        }
        if let Kind::Served { .. } = case.kind
            && !(self.stop)()
        {
            (self.step)(&format!("{}: idle", case.name));
            self.idle(&mut running, &mut result.rows);
        }
        if case.kind.measure() == Measure::Messages {
            for (one, row) in running.iter().zip(&mut result.rows) {
                let end = one.as_ref().map(|one| one.team.memory());
                let both = row.memory.zip(end.and_then(io::Result::ok));
                row.memory = both.map(|([begin, _], end)| [begin, end]);
            }
        }
        result
    }

    /// Only checks that every byte arrives.
    pub fn verify(&self, entries: &[Entry]) -> Verification {
        let mut all = Verification::default();
        for (case, contenders) in entries {
            for contender in contenders {
                let name = contender.in_case(case);
                if let Some(why) = contender.exempt(case) {
                    all.exempt.entry(why).or_default().push(name);
                    continue;
                }
                (self.step)(&name);
                match self
                    .team(case, contender)
                    .and_then(|team| team.verify(case))
                {
                    Ok(()) => all.passed.push(name),
                    Err(error) => all.failed.push((name, error.to_string())),
                }
            }
        }
        all
    }

    /// Verifies messages of mixed lengths once, whatever the cases that a contender takes part in.
    fn verify_mixed(&self, contender: &Contender) -> Result<(), String> {
        let mut known = self.mixed.borrow_mut();
        let verified = known.entry(contender.name.clone()).or_insert_with(|| {
            let mut cases = case::mixed().into_iter();
            cases.try_for_each(|case| {
                if contender.exempt(&case).is_some() {
                    return Ok(());
                }
                let verified = self.team(&case, contender);
                let verified = verified.and_then(|team| team.verify(&case));
                verified.map_err(|error| format!("{}: {error}", case.title))
            })
        });
        verified.clone()
    }

    fn team(&self, case: &Case, contender: &Contender) -> io::Result<Team> {
        Team::start(contender, case, self.setup.cpus(case, contender))
    }

    fn start(&self, case: &Case, row: &mut Row) -> io::Result<Running> {
        if !matches!(case.kind, Kind::Served { .. } | Kind::Subscribed(_)) {
            self.verify_mixed(row.contender).map_err(io::Error::other)?;
        }
        let team = self.team(case, row.contender)?;
        if case.kind.measure() == Measure::Messages {
            row.memory = Some([team.memory()?; 2]);
        }
        team.verify(case)?;
        let messages = team.calibrate(case, self.setup.slice)?;
        if let Kind::Served { .. } = case.kind {
            row.memory = Some([team.memory()?; 2]);
            row.descriptors = team.descriptors()?;
        }
        Ok(Running { team, messages })
    }

    /// All of them once, and once more if other processes take too large a share of the machine.
    fn round(&self, number: u32, running: &mut [Option<Running>], result: &mut CaseResult) {
        for repeat in 0..=self.setup.repeats {
            let last = repeat == self.setup.repeats;
            let (reports, quiet) = self.measure(number, running, result);
            if !quiet && !last {
                result.repeated += 1;
                continue;
            }
            result.disturbed |= !quiet && self.setup.repeats > 0;
            for (index, messages, reports) in reports {
                let row = &mut result.rows[index];
                match note(row, reports) {
                    Some(reports) => row.add(&result.case, messages, &reports),
                    None => running[index] = None,
                }
            }
            break;
        }
    }

    /// The results of each, and whether other processes left the machine alone meanwhile.
    #[allow(
        clippy::type_complexity,
        reason = "it is taken apart where it is called"
    )]
    fn measure(
        &self,
        number: u32,
        running: &[Option<Running>],
        result: &CaseResult,
    ) -> (Vec<(usize, u64, io::Result<[Report; 2]>)>, bool) {
        let (start, busy, mut own) = (clock::now(), machine::busy(), clock::cpu());
        let mut reports = Vec::new();
        for turn in 0..running.len() {
            // Another one begins in every round, so that nobody always follows the same.
            let index = (turn + number as usize) % running.len();
            let Some(one) = running[index].as_ref().filter(|_| !(self.stop)()) else {
                continue;
            };
            let name = result.rows[index].contender.in_case(&result.case);
            let rounds = self.setup.rounds;
            (self.step)(&format!("{name}: round {} of {rounds}", number + 1));
            reports.push((index, one.messages, one.round(number, &result.case)));
        }
        let succeeded = reports
            .iter()
            .filter_map(|(_, _, report)| report.as_ref().ok());
        let halves = succeeded.flatten().map(|report| report.cpu).sum::<u64>();
        own = halves + clock::cpu() - own;
        let others = busy.zip(machine::busy()).map(|(before, after)| {
            let others = (after - before).saturating_sub(own);
            others as f64 / (clock::now() - start).max(SECOND / 10) as f64
        });
        (reports, others.is_none_or(|share| share <= TOLERATED))
    }

    /// Nothing is sent for a while, from when all processes sleep.
    fn idle(&self, running: &mut [Option<Running>], rows: &mut [Row]) {
        let mut before = Vec::new();
        for (one, row) in running.iter_mut().zip(rows.iter_mut()) {
            let rested = one.as_ref().map(|one| one.team.come_to_rest());
            before.push(rested.and_then(|rested| note(row, rested)));
        }
        clock::sleep_until(clock::now() + self.setup.idle);
        for ((one, row), before) in running.iter().zip(rows).zip(before) {
            let now = one.as_ref().and_then(|one| one.team.activity().ok());
            row.idle = now.zip(before).map(|(now, before)| now.since(before));
        }
    }
}

impl Running {
    fn round(&self, number: u32, case: &Case) -> io::Result<[Report; 2]> {
        let order = Order {
            messages: self.messages,
            round: number,
            verify: false,
        };
        let Kind::Served { .. } = case.kind else {
            return self.team.carry_out(order);
        };
        // Clients report nothing, so they are observed from outside.
        let before = self.team.activity()?;
        let [here, mut there] = self.team.carry_out(order)?;
        let all = self.team.activity()?.since(before);
        there.cpu = all.cpu.saturating_sub(here.cpu);
        Ok([here, there])
    }
}

/// A failure is written down.
fn note<T>(row: &mut Row, outcome: io::Result<T>) -> Option<T> {
    outcome
        .map_err(|error| row.failure = Some(error.to_string()))
        .ok()
}
