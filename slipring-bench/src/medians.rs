//! The medians side by side, as Markdown: a table for each group of cases; and the differences of
//! each contender.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    case::{Case, Cores, Fill, Kind, Measure},
    contender::Contender,
    results::{CaseResult, Row},
    text::{bytes, many, size, time},
};

/// All tables.
pub fn tables(results: &[CaseResult]) -> String {
    // Writing to a String cannot fail.
    let mut text = String::from("## All medians\n");
    let same = |one: &CaseResult, other: &CaseResult| group(&one.case) == group(&other.case);
    for results in results.chunk_by(same) {
        let _ = writeln!(text, "\n{}:\n\n{}", group(&results[0].case), table(results));
    }
    let _ = writeln!(text, "\n## What each does differently\n");
    for contender in contenders(results) {
        let _ = writeln!(text, "* {}: {}", contender.title, contender.caveat);
    }
    text
}

/// All that took part, once each.
pub(crate) fn contenders<'c>(results: &[CaseResult<'c>]) -> Vec<&'c Contender> {
    let mut all: Vec<&Contender> = Vec::new();
    for row in results.iter().flat_map(|result| &result.rows) {
        if all.iter().all(|known| known.name != row.contender.name) {
            all.push(row.contender);
        }
    }
    all
}

/// The features that a case has in common with others.
pub(crate) fn group(case: &Case) -> &'static str {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) => "Round trip by size",
        (Kind::RoundTrip, Cores::One | Cores::Any) => "Round trip, elsewhere",
        (Kind::Throughput, _) => "Throughput by size of the writes",
        (Kind::Filled(_), _) => "Every byte written and read, by size",
        (Kind::Batched(_), _) => "Messages that are published together",
        (Kind::FixedRate(_), _) => {
            "At a fixed rate: p50 / p99 one-way, and the CPU time of the receiving process"
        }
        (Kind::SmallReads(_), _) => "Small reads",
        (Kind::Streams(_), _) => {
            "Streams, all at the same time: round trips, and the memory of a stream"
        }
        (Kind::Served { .. }, _) => "Messages a second by streams",
        (Kind::Mixed(_), _) => "Mixed lengths",
    }
}

fn label(case: &Case) -> String {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) | (Kind::Throughput | Kind::Filled(Fill::Same), _) => {
            size(case.size)
        }
        (Kind::Filled(Fill::Numbers), _) => format!("{}, numbers", size(case.size)),
        (Kind::Streams(streams) | Kind::Served { streams, .. }, _) => streams.to_string(),
        _ => case.title.clone(),
    }
}

fn table(results: &[CaseResult]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let labels = results.iter().map(|result| label(&result.case));
    table.set_header([String::new()].into_iter().chain(labels));
    for contender in contenders(results) {
        let mut cells = vec![contender.title.clone()];
        for result in results {
            let mut rows = result.rows.iter();
            let row = rows.find(|row| row.contender.name == contender.name);
            cells.push(
                row.and_then(|row| cell(&result.case, row))
                    .unwrap_or_default(),
            );
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cell(case: &Case, row: &Row) -> Option<String> {
    let value = row.value()?.median;
    Some(match (case.kind.measure(), case.kind) {
        (Measure::Latency, Kind::FixedRate(_)) => {
            let cpu = row.sum(|round| round.cpu_seconds[1]);
            let share = 100.0 * cpu / row.sum(|round| round.seconds);
            let p99 = row.latency.value_at_quantile(0.99);
            format!("{} / {}, {share:.0} %", time(value as u64), time(p99))
        }
        (Measure::Latency, _) => time(value as u64),
        (Measure::Bytes, _) => format!("{}/s", bytes(value as u64)),
        (Measure::Messages, _) => {
            let memory = row.memory.map_or(0.0, |memory| memory[0].max(0.0));
            format!("{}/s, {}", many(value), bytes(memory as u64))
        }
    })
}
