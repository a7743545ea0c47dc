//! The results as Markdown.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::{count, memory, rate, ratio, significant, time};
use crate::{
    Setup,
    case::{Case, Kind},
    clock::MILLISECOND,
    contender,
    results::{CaseResult, Figures},
};

pub fn header(setup: &Setup) -> String {
    let machine = &setup.machine;
    let place = match setup.cpus {
        Some((here, there)) => format!("on cores {here} and {there}"),
        None => "not pinned".into(),
    };
    format!(
        "{}, {} cores, {}; {place}; {} rounds of {} ms each in turn; `cargo run --release{} -- \
            {}`\n",
        machine.cpu,
        machine.cores,
        machine.kernel,
        setup.rounds,
        setup.slice / MILLISECOND,
        features(),
        setup.command
    )
}

/// What this was built with beyond the default, as arguments.
fn features() -> String {
    let built = [
        ("iceoryx2", cfg!(feature = "iceoryx2")),
        ("shmipc", cfg!(feature = "shmipc")),
        ("tachyon", cfg!(feature = "tachyon")),
    ];
    let built: Vec<_> = built.iter().filter(|one| one.1).map(|one| one.0).collect();
    if built.is_empty() {
        String::new()
    } else {
        format!(" --features {}", built.join(","))
    }
}

pub fn case(result: &CaseResult) -> String {
    // Writing to a String cannot fail.
    let mut text = format!("### {}\n\n{}\n", result.case.title, table(result));
    for row in &result.rows {
        if let Some(failure) = &row.failure {
            let _ = writeln!(text, "\n{} failed: {failure}", row.contender.title);
        }
    }
    if let Some(note) = disturbance(result) {
        let _ = writeln!(text, "\n{note}");
    }
    text
}

/// What else the machine did.
pub fn disturbance(result: &CaseResult) -> Option<String> {
    if result.repeated == 0 {
        return None;
    }
    let still = if result.disturbed {
        "; some of these to no avail"
    } else {
        ""
    };
    Some(format!(
        "{} rounds were repeated, since other processes took more than 10 % of a core{still}.",
        result.repeated
    ))
}

pub fn columns(case: &Case) -> Vec<String> {
    let limit = contender::limit(case).map(|limit| format!("to {limit}"));
    let latency = ["p50", "min..max", "p99", "p99.9", "max"].as_slice();
    let (value, cost) = match case.kind {
        Kind::RoundTrip => (latency, ["CPU s"].as_slice()),
        Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } => (
            ["a second", "min..max", "messages/s"].as_slice(),
            ["CPU s"].as_slice(),
        ),
        Kind::SmallReads(_) => (["a second", "min..max"].as_slice(), ["CPU s"].as_slice()),
        Kind::FixedRate { .. } => (latency, ["receiver's CPU", "sending"].as_slice()),
        Kind::Streams { .. } => (
            ["round trips/s", "min..max", "p50", "p99"].as_slice(),
            ["memory a stream", "CPU s"].as_slice(),
        ),
    };
    let owned = |columns: &[&str]| columns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ratios = limit.into_iter().chain(["to Unix".to_string()]);
    let all = owned(&[""]).into_iter().chain(owned(value)).chain(ratios);
    all.chain(owned(cost)).chain(owned(&["caveat"])).collect()
}

/// The cells of a row, the first one its title.
pub fn cells(result: &CaseResult, row: &Figures) -> Vec<String> {
    let mut cells = vec![row.title.to_string()];
    let Some(value) = row.value else {
        return cells;
    };
    let [here, there] = row.cpu_seconds;
    let cpu = format!("{here:.2} + {there:.2}");
    let percent = |seconds: f64| format!("{} %", significant(100.0 * seconds / row.seconds));
    let latency = || {
        let [_, rest @ ..] = row.latency.unwrap_or_default();
        let spread = [
            time(value.median),
            format!("{}..{}", time(value.min), time(value.max)),
        ];
        spread
            .into_iter()
            .chain(rest.map(|nanoseconds| time(nanoseconds as f64)))
            .collect()
    };
    let (of_value, cost): (Vec<String>, Vec<String>) = match result.case.kind {
        Kind::RoundTrip => (latency(), vec![cpu]),
        Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } => {
            let spread = format!("{}..{}", rate(value.min), rate(value.max));
            let messages = count(value.median / result.case.size as f64);
            (vec![rate(value.median), spread, messages], vec![cpu])
        }
        Kind::SmallReads(_) => {
            let spread = format!("{}..{}", rate(value.min), rate(value.max));
            (vec![rate(value.median), spread], vec![cpu])
        }
        Kind::FixedRate { .. } => (
            latency(),
            vec![percent(there), percent(row.sending_seconds)],
        ),
        Kind::Streams { .. } => {
            let spread = format!("{}..{}", count(value.min), count(value.max));
            let [p50, p99, ..] = row
                .latency
                .unwrap_or_default()
                .map(|nanoseconds| time(nanoseconds as f64));
            let memory = row.memory.map(memory).unwrap_or_default();
            (
                vec![count(value.median), spread, p50, p99],
                vec![memory, cpu],
            )
        }
    };
    cells.extend(of_value);
    if contender::limit(result.case).is_some() {
        cells.push(ratio(row.to_limit));
    }
    cells.push(ratio(row.to_unix));
    cells.extend(cost);
    cells.push(row.caveat.into());
    cells
}

fn table(result: &CaseResult) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let columns = columns(result.case);
    let last = columns.len() - 1;
    table.set_header(columns);
    for row in result.figures() {
        table.add_row(cells(result, &row));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if index != 0 && index != last {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
