//! The figures as text: a table for every case.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    case::{Case, Kind, Measure},
    figures::{CaseFigures, Figures},
    stats::Spread,
    text::{bytes, count, many, significant, time, time_of},
};

/// In place of a ratio that says nothing.
const UNSTEADY: &str = "?";

/// A column's title and the cell in it.
pub type Cell = (&'static str, String);

/// One case: its title, how to read it, its table, and its failures.
pub fn case(figures: &CaseFigures) -> String {
    let (columns, rows) = cells(figures);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let caption = caption(figures.case().kind);
    let mut text = format!("{}  ({caption})\n{}\n", figures.title, table.trim_fmt());
    for note in figures.notes() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// How to read its figures.
pub fn caption(kind: Kind) -> &'static str {
    match (kind.measure(), kind) {
        (_, Kind::Subscribed(_)) => {
            "median round: p50 of the middle one, one-way: from before the call that publishes to \
             the subscriber that has it; p99 and beyond: of all rounds; CPU of one publication: of \
             the thread that publishes, of the one that wakes, and of all subscribers; x: lower is \
             better; ?: rounds differ by more than 2 x"
        }
        (Measure::Latency, _) => {
            "median round: p50 of the middle one; p99 and beyond: of all rounds; x: lower is \
             better; ?: rounds differ by more than 2 x"
        }
        (Measure::Bytes, _) => {
            "median of the rounds; x: higher is better; ?: rounds differ by more than 2 x"
        }
        (_, Kind::Served { .. }) => {
            "medians of the rounds, but for max; CPU of all processes; descriptors of the server \
             and memory of both ends, a stream each; x: higher is better; ?: rounds differ by more \
             than 2 x"
        }
        _ => {
            "round trips of all streams together, median of the rounds; latency of all rounds; \
             memory of both ends of a stream; x: higher is better; ?: rounds differ by more than \
             2 x"
        }
    }
}

/// The titles of the columns, and the cells of each row: a contender's title, and its figures if
/// there are any.
pub fn cells(case: &CaseFigures) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut columns = vec![""];
    let mut rows = Vec::new();
    for row in &case.transports {
        let figures = figures(case, row);
        if columns.len() == 1 {
            columns.extend(figures.iter().map(|(column, _)| column));
        }
        let mut cells = vec![row.title.clone()];
        cells.extend(figures.into_iter().map(|(_, cell)| cell));
        rows.push(cells);
    }
    (columns, rows)
}

fn figures(case: &CaseFigures, row: &Figures) -> Vec<Cell> {
    let Some(value) = row.value() else {
        return Vec::new();
    };
    let Case { kind, size, .. } = case.case();
    let mut cells = match kind.measure() {
        Measure::Latency => latency(value, row),
        Measure::Bytes => throughput(value, size),
        Measure::Messages => messages(value, row),
    };
    cells.push(("x Unix", ratio(row.ratio_to_unix, case.unix())));
    let limit = row.bare.as_ref().and_then(|name| case.row(name));
    match kind {
        Kind::RoundTrip => cells.push(("x bare", ratio(row.ratio_to_bare, limit))),
        Kind::FixedRate(_) => {
            let share = 100.0 * row.sending_seconds.unwrap_or_default() / row.seconds;
            cells.push(("sending", format!("{} %", significant(share))));
        }
        Kind::Served { .. } => {
            cells.extend(resources(row));
            return cells;
        }
        Kind::Subscribed(_) => {
            cells.extend(publications(row));
            return cells;
        }
        Kind::Streams(_) => {
            cells.push(("memory", memory(row.memory_bytes_per_stream_at_start)));
        }
        _ if case.region().is_some() => {
            cells.push(("x region", ratio(row.ratio_to_bare, limit)));
        }
        _ => {}
    }
    let seconds = |seconds: f64| format!("{seconds:.2} s");
    cells.push(("CPU host", seconds(row.cpu_seconds_parent)));
    cells.push(("CPU peer", seconds(row.cpu_seconds_peer)));
    cells
}

fn latency(value: Spread, row: &Figures) -> Vec<Cell> {
    let of_all = |value: Option<u64>| known(value.map(time));
    vec![
        ("median round", time_of(value.median)),
        ("min..max", range(value, time_of)),
        ("p99", known(row.p99_ns.map(|p99| time_of(p99.value())))),
        ("p99.9", of_all(row.p999_ns)),
        ("max", of_all(row.max_ns)),
    ]
}

fn throughput(value: Spread, size: usize) -> Vec<Cell> {
    let bytes = |value: f64| bytes(value as u64);
    vec![
        ("per second", bytes(value.median)),
        ("min..max", range(value, bytes)),
        ("messages/s", many(value.median / size as f64)),
    ]
}

fn messages(value: Spread, row: &Figures) -> Vec<Cell> {
    let count = |value: f64| count(value as u64);
    vec![
        ("messages/s", count(value.median)),
        ("min..max", range(value, count)),
        ("p50", median(row.p50_ns)),
        ("p99", known(row.p99_ns.map(|p99| time_of(p99.value())))),
        ("max", known(row.max_ns.map(time))),
    ]
}

fn resources(row: &Figures) -> Vec<Cell> {
    let idle = row.idle_cpu_percent.map(|share| format!("{share:.2} %"));
    let end = row.memory_bytes_per_stream.map(|bytes| bytes as f64);
    let grown = row.memory_bytes_grown_per_stream.map(|bytes| bytes as f64);
    vec![
        ("CPU/message", median(row.cpu_ns_per_message)),
        ("idle CPU", known(idle)),
        (
            "wake-ups",
            known(row.idle_wake_ups.map(|wakes| wakes.to_string())),
        ),
        (
            "descriptors",
            known(row.server_descriptors_per_stream.map(significant)),
        ),
        ("memory", memory(end)),
        ("grown", memory(grown)),
    ]
}

fn publications(row: &Figures) -> Vec<Cell> {
    let Some(all) = row.publications else {
        return Vec::new();
    };
    let each = |seconds: f64| time_of(seconds * 1e9 / all.count.max(1) as f64);
    vec![
        ("call p50", time(all.p50_ns)),
        ("call p99", time(all.p99_ns)),
        ("CPU publisher", each(row.cpu_seconds_parent)),
        ("CPU waking", each(all.waking_cpu_seconds)),
        ("CPU subscribers", each(row.cpu_seconds_peer)),
    ]
}

fn memory(number: Option<f64>) -> String {
    known(number.map(|number| {
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}{}", bytes(number.abs() as u64))
    }))
}

fn median(spread: Option<Spread>) -> String {
    known(spread.map(|spread| time_of(spread.median)))
}

fn known(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

fn range(spread: Spread, text: impl Fn(f64) -> String) -> String {
    format!("{}..{}", text(spread.min), text(spread.max))
}

/// `-` without the other, and [`UNSTEADY`] where the rounds say different things.
fn ratio(ratio: Option<f64>, other: Option<&Figures>) -> String {
    let text = ratio.map_or_else(|| UNSTEADY.into(), significant);
    known(other.map(|_| text))
}
