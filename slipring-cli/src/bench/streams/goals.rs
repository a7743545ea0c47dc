//! What slipring sets out to reach with many streams, compared with what was measured.

use super::{
    Measured,
    contender::{SLEEPING, SPINNING},
    entry::Entry,
    report::{self, Setup},
};
use crate::bench::{
    goals::{self, Goal, Verdict},
    stats::Spread,
};

/// Two that are equally good differ by as much from run to run.
const NOISE: f64 = 0.05;

/// What an endpoint may take beside the rings, in bytes.
const ENDPOINT: f64 = 32.0 * 1024.0;

/// What the program itself takes, most of it for the histogram of its latencies, in bytes.
const HEAP: f64 = 256.0 * 1024.0;

pub fn goals(setup: &Setup, all: &[Measured]) -> Vec<Goal> {
    let mut goals: Vec<Goal> = all
        .iter()
        .flat_map(|measured| of_count(setup, measured))
        .collect();
    if let Some(most) = all.iter().max_by_key(|measured| measured.streams) {
        goals.push(idle(setup, most));
    }
    goals
}

fn of_count(setup: &Setup, measured: &Measured) -> Vec<Goal> {
    let n = measured.streams;
    let named = report::title(measured);
    let mut goals = Vec::new();
    let mut rate = |text: String, name: &str, limit: f64| {
        let compared = measured
            .entry(name)
            .and_then(Entry::rate)
            .zip(measured.unix().and_then(Entry::rate));
        goals.push(goal(text, compared, |ratio| ratio >= limit));
    };
    match n {
        1 => {
            rate(
                format!(
                    "{named}, sleeping: messages per second no worse than over the Unix socket"
                ),
                SLEEPING,
                1.0 - NOISE,
            );
            rate(
                format!(
                    "{named}, spinning: at least 5 x the messages per second of the Unix socket"
                ),
                SPINNING,
                5.0,
            );
        }
        16.. => rate(
            format!("{named}: at least 1.5 x the messages per second of Unix sockets"),
            SLEEPING,
            1.5,
        ),
        _ => {}
    }
    let sleeping = measured.entry(SLEEPING);
    let p99 = sleeping
        .and_then(Entry::p99)
        .zip(measured.unix().and_then(Entry::p99));
    goals.push(goal(
        format!("{named}: p99 no worse than over Unix sockets"),
        p99,
        |ratio| ratio <= 1.0 + NOISE,
    ));
    goals.extend(memory(setup, measured, &named));
    goals
}

fn goal(goal: String, compared: Option<(Spread, Spread)>, met: impl Fn(f64) -> bool) -> Goal {
    let (verdict, ratio) = goals::judge(compared, met);
    Goal {
        goal,
        verdict,
        ratio,
        compared_with: None,
    }
}

fn memory(setup: &Setup, measured: &Measured, named: &str) -> [Goal; 2] {
    let streams = measured.streams as f64;
    let memory = measured.entry(SLEEPING).and_then(|entry| entry.memory);
    let limit = streams * 2.0 * (setup.capacity as f64 + ENDPOINT) + HEAP;
    let [warm, end] = [0, 1].map(|index| memory.map(|memory| memory[index] as f64));
    let ratio = end.map(|end| end / limit);
    let grown = warm.zip(end).map(|(warm, end)| end - warm);
    [
        Goal {
            goal: format!(
                "{named}: memory of a stream at most its two capacities and 32 KiB an endpoint"
            ),
            verdict: verdict(ratio.map(|ratio| ratio <= 1.0)),
            ratio,
            compared_with: None,
        },
        Goal {
            goal: format!("{named}: memory not growing"),
            // A page for every second endpoint, beside what comes and goes.
            verdict: verdict(grown.map(|grown| grown <= HEAP / 4.0 + streams * 4096.0)),
            ratio: None,
            compared_with: None,
        },
    ]
}

/// 0 % is what rounds to it: the processes are looked at from outside, which takes them no time.
fn idle(setup: &Setup, most: &Measured) -> Goal {
    let idle = most.entry(SLEEPING).and_then(|entry| entry.idle);
    Goal {
        goal: format!("{} streams, idle: 0 % CPU and no wake-ups", most.streams),
        verdict: verdict(idle.map(|idle| idle.wakes == 0 && setup.idle_percent(idle.cpu) < 0.005)),
        ratio: None,
        compared_with: None,
    }
}

fn verdict(met: Option<bool>) -> Verdict {
    match met {
        Some(true) => Verdict::Met,
        Some(false) => Verdict::NotMet,
        None => Verdict::NotMeasured,
    }
}
