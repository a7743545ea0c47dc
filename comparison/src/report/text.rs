//! The results as Markdown.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::{rate, ratio, significant, time};
use crate::{
    Setup,
    case::Kind,
    clock::MILLISECOND,
    results::{CaseResult, Figures},
};

pub fn header(setup: &Setup) -> String {
    let machine = &setup.machine;
    let place = match setup.cpus {
        Some((here, there)) => format!("on cores {here} and {there}"),
        None => "not pinned".into(),
    };
    format!(
        "{}, {} cores, {}; {place}; {} rounds of {} ms each in turn; `cargo run --release -- {}`\n",
        machine.cpu,
        machine.cores,
        machine.kernel,
        setup.rounds,
        setup.slice / MILLISECOND,
        setup.command
    )
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

/// All cases side by side: p50, throughput, or p50, p99 and the receiver's CPU.
pub fn summary(results: &[CaseResult]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let titles = results.iter().map(|result| result.case.title.to_string());
    table.set_header([String::new()].into_iter().chain(titles));
    let figures: Vec<_> = results.iter().map(|result| (result, result.figures())).collect();
    let mut names: Vec<(&str, &str)> = Vec::new();
    for row in figures.iter().flat_map(|one| &one.1) {
        if !names.contains(&(row.name, row.title)) {
            names.push((row.name, row.title));
        }
    }
    for (name, title) in names {
        let cell = |(result, rows): &(&CaseResult, Vec<Figures>)| {
            let row = rows.iter().find(|row| row.name == name)?;
            let value = row.value?.median;
            Some(match result.case.kind {
                Kind::RoundTrip => time(value),
                Kind::Throughput => rate(value),
                Kind::FixedRate { .. } => {
                    let [_, p99, ..] = row.latency?;
                    let share = 100.0 * row.cpu_seconds[1] / row.seconds;
                    format!("{} / {}, {share:.0} %", time(value), time(p99 as f64))
                }
            })
        };
        let cells = figures.iter().map(|one| cell(one).unwrap_or_default());
        table.add_row([title.to_string()].into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("### All medians (at a fixed rate: p50 / p99, and the receiver's CPU)\n\n{table}\n")
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

pub fn columns(kind: Kind) -> Vec<&'static str> {
    let mut columns = vec![""];
    columns.extend(match kind {
        Kind::RoundTrip => [
            "p50", "min..max", "p99", "p99.9", "max", "to bare", "to Unix", "CPU s", "caveat",
        ]
        .as_slice(),
        Kind::Throughput => &["a second", "min..max", "messages/s", "to Unix", "CPU s", "caveat"],
        Kind::FixedRate { .. } => &[
            "p50",
            "min..max",
            "p99",
            "p99.9",
            "max",
            "to Unix",
            "receiver's CPU",
            "sending",
            "caveat",
        ],
    });
    columns
}

/// The cells of a row, the first one its title.
pub fn cells(result: &CaseResult, row: &Figures) -> Vec<String> {
    let mut cells = vec![row.title.to_string()];
    let Some(value) = row.value else {
        return cells;
    };
    let [here, there] = row.cpu_seconds;
    let cpu = format!("{here:.2} + {there:.2}");
    let latency = |cells: &mut Vec<String>| {
        cells.push(time(value.median));
        cells.push(format!("{}..{}", time(value.min), time(value.max)));
        let [_, rest @ ..] = row.latency.unwrap_or_default();
        cells.extend(rest.map(|nanoseconds| time(nanoseconds as f64)));
    };
    let percent = |seconds: f64| format!("{} %", significant(100.0 * seconds / row.seconds));
    match result.case.kind {
        Kind::RoundTrip => {
            latency(&mut cells);
            cells.extend([ratio(row.to_bare), ratio(row.to_unix), cpu]);
        }
        Kind::Throughput => {
            cells.push(rate(value.median));
            cells.push(format!("{}..{}", rate(value.min), rate(value.max)));
            let messages = value.median / result.case.size as f64;
            cells.push(if messages < 1e6 {
                format!("{} k", significant(messages / 1e3))
            } else {
                format!("{} M", significant(messages / 1e6))
            });
            cells.extend([ratio(row.to_unix), cpu]);
        }
        Kind::FixedRate { .. } => {
            latency(&mut cells);
            cells.extend([ratio(row.to_unix), percent(there), percent(row.sending_seconds)]);
        }
    }
    cells.push(row.caveat.into());
    cells
}

fn table(result: &CaseResult) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let columns = columns(result.case.kind);
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
