//! The medians side by side, as Markdown: a table for each axis.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::{count, memory, rate, size, time};
use crate::{
    case::{Case, Cores, Fill, Kind},
    results::{CaseResult, Figures},
};

type Measured<'r> = (&'r CaseResult<'r>, Vec<Figures>);

pub fn medians(results: &[CaseResult]) -> String {
    let measured: Vec<Measured> = results
        .iter()
        .map(|result| (result, result.figures()))
        .collect();
    // Writing to a String cannot fail.
    let mut text = String::from("## All medians\n");
    for cases in measured.chunk_by(|one, other| axis(one.0.case) == axis(other.0.case)) {
        let _ = writeln!(text, "\n{}:\n\n{}", axis(cases[0].0.case), table(cases));
    }
    text
}

fn axis(case: &Case) -> &'static str {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) => "Round trip",
        (Kind::RoundTrip, Cores::One | Cores::Any) => "Round trip, elsewhere",
        (Kind::Throughput, _) => "Throughput",
        (Kind::Filled(_), _) => "Every byte written and read",
        (Kind::Batched { .. }, _) => "Messages that are published together",
        (Kind::FixedRate { .. }, _) => {
            "At a fixed rate: p50 / p99 one-way, and the CPU time of the receiving process"
        }
        (Kind::SmallReads(_), _) => "Small reads",
        (Kind::Streams { .. }, _) => {
            "Streams, all at the same time: round trips, and the memory of a stream"
        }
    }
}

fn label(case: &Case) -> String {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) | (Kind::Throughput | Kind::Filled(Fill::Same), _) => {
            size(case.size)
        }
        (Kind::Filled(Fill::Numbers), _) => format!("{}, numbers", size(case.size)),
        (Kind::Streams { streams }, _) => streams.to_string(),
        _ => case.title.into(),
    }
}

fn table(cases: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let labels = cases.iter().map(|one| label(one.0.case));
    table.set_header([String::new()].into_iter().chain(labels));
    let mut titles: Vec<&str> = Vec::new();
    for row in cases.iter().flat_map(|one| &one.1) {
        if !titles.contains(&row.title) {
            titles.push(row.title);
        }
    }
    for title in titles {
        let of_title = |(result, rows): &Measured| {
            let row = rows.iter().find(|row| row.title == title)?;
            cell(result.case, row)
        };
        let cells = cases.iter().map(|one| of_title(one).unwrap_or_default());
        table.add_row([title.to_string()].into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cell(case: &Case, row: &Figures) -> Option<String> {
    let value = row.value?.median;
    Some(match case.kind {
        Kind::RoundTrip => time(value),
        Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } | Kind::SmallReads(_) => {
            rate(value)
        }
        Kind::FixedRate { .. } => {
            let [_, p99, ..] = row.latency?;
            let share = 100.0 * row.cpu_seconds[1] / row.seconds;
            format!("{} / {}, {share:.0} %", time(value), time(p99 as f64))
        }
        Kind::Streams { .. } => format!("{}/s, {}", count(value), memory(row.memory?)),
    })
}
