//! The results as text: a header, a table for every case, and the goals.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use slipring::Spin;

use super::{
    Setup,
    case::Kind,
    contender::{Contender, UNIX, slipring_name},
    goals::{Goal, Verdict},
    results::{CaseResult, Results, Row},
    stats::{self, Spread},
};
use crate::trial::text::{bytes, significant, time};

/// In place of a ratio.
const UNSTEADY: &str = "?";

/// What most people want to know, if it was measured.
pub fn summary(results: &Results) -> Option<String> {
    let case = results.case("rtt-64")?;
    let own = |row: &&Row| row.contender.name.starts_with("slipring-");
    let usual = slipring_name(Spin::default());
    let mut rows = case.rows.iter().filter(own);
    let row = rows
        .clone()
        .find(|row| row.contender.name == usual)
        .or_else(|| rows.next())?;
    let (ours, unix) = row.spread().zip(case.spread(UNIX))?;
    let mut text = format!(
        "64 B: {} there and back over {}, {} over a Unix socket",
        time(ours.median as u64),
        row.contender.title,
        time(unix.median as u64)
    );
    if ours.over(unix).is_none() {
        text += "; the rounds differ by more than a factor of two, so this says little";
    }
    Some(text + ".")
}

pub fn header(setup: &Setup) -> String {
    let machine = &setup.machine;
    let mut text = format!(
        "slipring {} on {}, {} core{}, {}\n",
        env!("CARGO_PKG_VERSION"),
        machine.cpu,
        machine.cores,
        if machine.cores == 1 { "" } else { "s" },
        machine.kernel
    );
    let mut line = |entry: String| {
        text.push_str(&entry);
        text.push('\n');
    };
    line(format!("measured on {}", setup.date));
    line(format!("command: {}", setup.command));
    line(format!(
        "two processes, all transports with their default buffers; {} round{} of {} each in turn",
        setup.rounds,
        if setup.rounds == 1 { "" } else { "s" },
        time(setup.slice)
    ));
    match setup.cpus {
        Some((here, there)) => line(format!(
            "pinned: parent to core {here}, peer to core {there}"
        )),
        None => line("not pinned: the kernel places the processes (see --cpus)".into()),
    }
    if let Some(load) = machine.load.filter(|&load| load >= 0.5) {
        line(format!(
            "other work on this machine: load {load:.1} when started"
        ));
    }
    if !setup.left_out.is_empty() {
        line(format!(
            "left out on one core, where spinning only keeps the other side from running: {}",
            setup.left_out.join(", ")
        ));
    }
    text
}

/// One case's table.
pub fn case(setup: &Setup, result: &CaseResult) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns(result.case.kind));
    for row in &result.rows {
        table.add_row(cells(setup, result, row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let caption = caption(result.case.kind);
    let mut text = format!("{}  ({caption})\n{}\n", result.case.title, table.trim_fmt());
    for failure in failures(result) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {failure}");
    }
    text
}

pub fn caption(kind: Kind) -> &'static str {
    match kind {
        Kind::RoundTrip => {
            "median round: p50 of the middle one; p99 and beyond: of all rounds; x: lower is better; ?: rounds differ by \
             more than 2 x"
        }
        Kind::Throughput => {
            "median of the rounds; x: higher is better; ?: rounds differ by more than 2 x"
        }
    }
}

pub fn columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::RoundTrip => &[
            "",
            "median round",
            "min..max",
            "p99",
            "p99.9",
            "max",
            "x Unix",
            "x bare",
            "CPU here",
            "CPU peer",
        ],
        Kind::Throughput => &[
            "",
            "per second",
            "min..max",
            "messages/s",
            "x Unix",
            "CPU here",
            "CPU peer",
        ],
    }
}

/// The title, and the figures if there are any.
pub fn cells(setup: &Setup, result: &CaseResult, row: &Row) -> Vec<String> {
    let mut cells = vec![row.contender.title.clone()];
    cells.extend(match result.case.kind {
        Kind::RoundTrip => round_trip_cells(setup, result, row),
        Kind::Throughput => throughput_cells(result, row),
    });
    cells
}

pub fn failures(result: &CaseResult) -> Vec<String> {
    let failed = |row: &Row| {
        Some(format!(
            "{} failed: {}",
            row.contender.title,
            row.failure.as_ref()?
        ))
    };
    result.rows.iter().filter_map(failed).collect()
}

fn round_trip_cells(setup: &Setup, result: &CaseResult, row: &Row) -> Vec<String> {
    let Some(p50) = stats::p50(&row.rounds) else {
        return Vec::new();
    };
    let all = stats::latency(&row.rounds);
    let mut cells = vec![
        time(p50.median as u64),
        range(p50, |value| time(value as u64)),
    ];
    cells.extend([0.99, 0.999].map(|quantile| time(all.value_at_quantile(quantile))));
    cells.push(time(all.max()));
    cells.push(ratio(p50, result.spread(UNIX)));
    cells.push(ratio(p50, bound(setup, result, row.contender)));
    cells.extend(cpu(row));
    cells
}

fn throughput_cells(result: &CaseResult, row: &Row) -> Vec<String> {
    let Some(throughput) = stats::throughput(&row.rounds) else {
        return Vec::new();
    };
    let mut cells = vec![
        bytes(throughput.median as u64),
        range(throughput, |value| bytes(value as u64)),
        per_second(throughput.median / result.case.size as f64),
        ratio(throughput, result.spread(UNIX)),
    ];
    cells.extend(cpu(row));
    cells
}

/// The p50 of the bare transport that waits in the same way.
fn bound(setup: &Setup, result: &CaseResult, contender: &Contender) -> Option<Spread> {
    result
        .lowest(contender.bounds(setup.cores))
        .map(|(spread, _)| spread)
}

/// CPU seconds in the parent and in the peer.
fn cpu(row: &Row) -> [String; 2] {
    let [_, here, there] = stats::seconds(&row.rounds);
    [here, there].map(|seconds| format!("{seconds:.2} s"))
}

fn range(spread: Spread, text: impl Fn(f64) -> String) -> String {
    format!("{}..{}", text(spread.min), text(spread.max))
}

/// `-` without the other, and [`UNSTEADY`] where the rounds of either say different things.
pub fn ratio(ours: Spread, theirs: Option<Spread>) -> String {
    let ratio = |theirs| {
        ours.over(theirs)
            .map_or_else(|| UNSTEADY.into(), significant)
    };
    theirs.map_or_else(|| "-".into(), ratio)
}

fn per_second(messages: f64) -> String {
    match messages {
        m if m >= 1e6 => format!("{} million", significant(m / 1e6)),
        m if m >= 1e3 => format!("{} thousand", significant(m / 1e3)),
        m => significant(m),
    }
}

pub fn goals(goals: &[Goal]) -> String {
    let mut text = String::from("goals\n");
    for one in goals {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}", goal(one));
    }
    text
}

pub fn goal(goal: &Goal) -> String {
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
