//! The goals of slipring, compared with the results.

use serde::Serialize;
use slipring::Spin;
use slipring_bench::{
    case::Kind,
    contenders::{BARE_EVENTFD, BARE_EXCHANGE, UNIX, slipring_name},
    results::{CaseResult, Row, Setup},
    stats::Spread,
    text::significant,
};

/// Two that are equally good differ by this share from run to run.
const NOISE: f64 = 0.05;
/// The memory that an endpoint may take beside the rings, in bytes.
const ENDPOINT: f64 = 32.0 * 1024.0;
/// The memory that the program itself takes, most of it for the histogram of its latencies, in
/// bytes.
const HEAP: f64 = 256.0 * 1024.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Met,
    NotMet,
    NotMeasured,
    /// Something else kept the machine busy, or the scheduler changed its mind: the rounds differ
    /// too widely for a verdict.
    Unsteady,
}

#[derive(Serialize)]
pub struct Goal {
    goal: String,
    verdict: Verdict,
    /// slipring's values divided by the other's, where there is a verdict
    ratio: Option<f64>,
    /// its rival in the comparison, if there was a choice
    compared_with: Option<String>,
}

impl Goal {
    fn new(goal: impl Into<String>, met: Option<bool>, ratio: Option<f64>) -> Goal {
        Goal {
            goal: goal.into(),
            verdict: match met {
                Some(true) => Verdict::Met,
                Some(false) => Verdict::NotMet,
                None => Verdict::NotMeasured,
            },
            ratio,
            compared_with: None,
        }
    }

    fn compared(
        goal: impl Into<String>,
        ratios: Option<Spread>,
        met: impl Fn(f64) -> bool,
    ) -> Goal {
        let ratio = ratios.and_then(Spread::steady);
        let goal = Goal::new(goal, ratio.map(met), ratio);
        match (ratios, ratio) {
            (Some(_), None) => Goal {
                verdict: Verdict::Unsteady,
                ..goal
            },
            _ => goal,
        }
    }
}

/// None of subscribers, whose figures are for comparison alone.
pub fn goals(setup: &Setup, results: &[CaseResult]) -> Vec<Goal> {
    let subscribed = |result: &CaseResult| matches!(result.case.kind, Kind::Subscribed(_));
    if results.iter().any(subscribed) {
        return Vec::new();
    }
    let served = |result: &&CaseResult| matches!(result.case.kind, Kind::Served { .. });
    let served: Vec<&CaseResult> = results.iter().filter(served).collect();
    let Some(most) = served.iter().max_by_key(|one| one.case.kind.streams()) else {
        return between_two(setup, results);
    };
    let mut goals: Vec<Goal> = served.iter().flat_map(|one| of_server(one)).collect();
    let idle = sleeping(most).and_then(|row| row.idle);
    // 0 % is everything that rounds to it: the processes are observed from outside, which takes
    // them no time.
    let met = idle.map(|idle| idle.wakes == 0 && idle.cpu * 20_000 < setup.idle);
    let goal = format!("{}, idle: 0 % CPU and no wake-ups", most.case.title);
    goals.push(Goal::new(goal, met, None));
    goals
}

fn between_two(setup: &Setup, results: &[CaseResult]) -> Vec<Goal> {
    let goal = |text: &str, name: &str, spin, others: &[&str], met: fn(f64) -> bool| {
        let case = results.iter().find(|result| result.case.name == name);
        let wrong_cores = |case: &CaseResult| {
            text.contains("on one core") && !setup.one_core(&case.case)
                || text.contains("on two cores") && setup.one_core(&case.case)
        };
        let case = case.filter(|case| !wrong_cores(case));
        let other = case.and_then(|case| case.lowest(others));
        let ratios = case.and_then(|case| case.lowest(&[&slipring_name(spin)])?.over(other));
        let name = other.filter(|_| ratios.is_some() && others.len() > 1);
        Goal {
            compared_with: name.map(|other| other.contender.name.clone()),
            ..Goal::compared(text, ratios, met)
        }
    };
    let default = Spin::default();
    vec![
        goal(
            "round trip of 64 B, spinning, on two cores: at most 1.2 x the bare exchange",
            "rtt-64",
            Spin::Always,
            &[BARE_EXCHANGE],
            |ratio| ratio <= 1.2,
        ),
        goal(
            "round trip of 64 B, sleeping, on one core: at most 0.7 x the Unix socket",
            "rtt-64",
            Spin::Never,
            &[UNIX],
            |ratio| ratio <= 0.7,
        ),
        goal(
            "round trip of 64 B, sleeping, on one core: at most 1.25 x the bare eventfd",
            "rtt-64",
            Spin::Never,
            &BARE_EVENTFD,
            |ratio| ratio <= 1.25,
        ),
        goal(
            "throughput with writes of 64 KiB, adaptive: at least 3 x the Unix socket",
            "stream-64k",
            default,
            &[UNIX],
            |ratio| ratio >= 3.0,
        ),
        goal(
            "throughput with plain writes of 64 B, adaptive: at least 15 x the Unix socket",
            "stream-64",
            default,
            &[UNIX],
            |ratio| ratio >= 15.0,
        ),
    ]
}

fn sleeping<'r>(result: &'r CaseResult) -> Option<&'r Row<'r>> {
    result.lowest(&[&slipring_name(Spin::Never)])
}

fn of_server(result: &CaseResult) -> Vec<Goal> {
    let Kind::Served { streams, capacity } = result.case.kind else {
        return Vec::new();
    };
    let (named, ours, unix) = (&result.case.title, sleeping(result), result.unix());
    let over = |row: Option<&Row>| row.and_then(|row| row.over(unix));
    let mut goals = Vec::new();
    match streams {
        1 => {
            let text = format!(
                "{named}, sleeping: messages per second no worse than over the Unix socket"
            );
            goals.push(Goal::compared(text, over(ours), |ratio| {
                ratio >= 1.0 - NOISE
            }));
            let text = format!(
                "{named}, spinning: at least 5 x the messages per second of the Unix socket"
            );
            let spinning = result.lowest(&["slipring-50us"]);
            goals.push(Goal::compared(text, over(spinning), |ratio| ratio >= 5.0));
        }
        16.. => {
            let text = format!("{named}: at least 1.5 x the messages per second of Unix sockets");
            goals.push(Goal::compared(text, over(ours), |ratio| ratio >= 1.5));
        }
        _ => {}
    }
    let p99 = |row: &Row| {
        row.rounds
            .iter()
            .map(|round| round.p99 as f64)
            .collect::<Vec<_>>()
    };
    let p99 = ours
        .zip(unix)
        .and_then(|(ours, unix)| Spread::of_ratios(p99(ours), p99(unix)));
    let text = format!("{named}: p99 no worse than over Unix sockets");
    goals.push(Goal::compared(text, p99, |ratio| ratio <= 1.0 + NOISE));

    let memory = ours.and_then(|row| row.memory);
    let spare = HEAP / streams as f64;
    let limit = 2.0 * (capacity as f64 + ENDPOINT) + spare;
    let ratio = memory.map(|[_, end]| end / limit);
    let text =
        format!("{named}: memory of a stream at most its two capacities and 32 KiB an endpoint");
    goals.push(Goal::new(text, ratio.map(|ratio| ratio <= 1.0), ratio));
    // A page for every second endpoint, beside the memory that comes and goes.
    let met = memory.map(|[begin, end]| end - begin <= spare / 4.0 + 4096.0);
    goals.push(Goal::new(format!("{named}: memory not growing"), met, None));
    goals
}

/// A goal as a line.
pub fn text(goal: &Goal) -> String {
    let verdict = match goal.verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "not met",
        Verdict::NotMeasured => "not measured in this run",
        Verdict::Unsteady => "no verdict, the rounds differ by more than a factor of two",
    };
    let mut line = format!("{}: {verdict}", goal.goal);
    if let Some(ratio) = goal.ratio {
        line += &format!(" ({} x", significant(ratio));
        if let Some(name) = &goal.compared_with {
            line += &format!(" {name}, the faster one");
        }
        line.push(')');
    }
    line
}
