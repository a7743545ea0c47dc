//! The results as text: their conditions, and a table for every case.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    case::{Kind, Measure},
    contenders::REGION,
    results::{CaseResult, Row, Setup},
    stats::Spread,
    text::{bytes, count, many, plural, significant, time},
};

/// In place of a ratio that says nothing.
const UNSTEADY: &str = "?";

/// A column's title and the cell in it.
pub type Cell = (&'static str, String);

/// Where, when and how it was measured, in lines.
pub fn header(setup: &Setup, program: &str, how: &str) -> Vec<String> {
    let machine = &setup.machine;
    let (cores, s) = (machine.cores, plural(machine.cores));
    let mut lines = vec![
        format!(
            "{program} on {}, {cores} core{s}, {}",
            machine.cpu, machine.kernel
        ),
        format!("measured on {}", setup.date),
        format!("command: {}", setup.command),
        format!(
            "{how}; {} round{} of {} each in turn",
            setup.rounds,
            plural(setup.rounds as usize),
            time(setup.slice)
        ),
        match setup.cpus {
            Some((host, peer)) => format!("pinned: host to core {host}, peer to core {peer}"),
            None => "not pinned: the kernel places the processes (see --cpus)".into(),
        },
    ];
    if let Some(load) = machine.load.filter(|&load| load >= 0.5) {
        lines.push(format!(
            "other work on this machine: load {load:.1} when started"
        ));
    }
    lines
}

/// One case: its title, how to read it, its table, and its failures.
pub fn case(setup: &Setup, result: &CaseResult) -> String {
    let (columns, rows) = cells(setup, result);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let caption = caption(result.case.kind);
    let mut text = format!("{}  ({caption})\n{}\n", result.case.title, table.trim_fmt());
    for note in result.notes() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// How to read its figures.
pub fn caption(kind: Kind) -> &'static str {
    match (kind.measure(), kind) {
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
pub fn cells(setup: &Setup, result: &CaseResult) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut columns = vec![""];
    let mut rows = Vec::new();
    for row in &result.rows {
        let figures = figures(setup, result, row);
        if columns.len() == 1 {
            columns.extend(figures.iter().map(|(column, _)| column));
        }
        let mut cells = vec![row.contender.title.clone()];
        cells.extend(figures.into_iter().map(|(_, cell)| cell));
        rows.push(cells);
    }
    (columns, rows)
}

fn figures(setup: &Setup, result: &CaseResult, row: &Row) -> Vec<Cell> {
    let Some(value) = row.value() else {
        return Vec::new();
    };
    let kind = result.case.kind;
    let mut cells = match kind.measure() {
        Measure::Latency => latency(value, row),
        Measure::Bytes => throughput(value, row),
        Measure::Messages => messages(value, row),
    };
    cells.push(("x Unix", ratio(row.over(result.unix()))));
    match kind {
        Kind::RoundTrip => {
            cells.push((
                "x bare",
                ratio(row.over(result.limit(setup, row.contender))),
            ));
        }
        Kind::FixedRate(_) => {
            let sending = row.sum(|round| round.sending_seconds);
            let share = 100.0 * sending / row.sum(|round| round.seconds);
            cells.push(("sending", format!("{} %", significant(share))));
        }
        Kind::Served { .. } => {
            cells.extend(resources(row));
            return cells;
        }
        Kind::Streams(_) => cells.push(("memory", memory(row, |memory| memory[0]))),
        _ if result.lowest(&[REGION]).is_some() => {
            cells.push(("x region", ratio(row.over(result.lowest(&[REGION])))));
        }
        _ => {}
    }
    for (column, half) in [("CPU host", 0), ("CPU peer", 1)] {
        let seconds = row.sum(|round| round.cpu_seconds[half]);
        cells.push((column, format!("{seconds:.2} s")));
    }
    cells
}

fn latency(value: Spread, row: &Row) -> Vec<Cell> {
    let time = |value: f64| time(value as u64);
    let quantile = |quantile| time(row.latency.value_at_quantile(quantile) as f64);
    vec![
        ("median round", time(value.median)),
        ("min..max", range(value, time)),
        ("p99", quantile(0.99)),
        ("p99.9", quantile(0.999)),
        ("max", time(row.latency.max() as f64)),
    ]
}

fn throughput(value: Spread, row: &Row) -> Vec<Cell> {
    let bytes = |value: f64| bytes(value as u64);
    let messages = row.spread(|round| round.messages as f64 / round.seconds);
    vec![
        ("per second", bytes(value.median)),
        ("min..max", range(value, bytes)),
        (
            "messages/s",
            many(messages.map_or(0.0, |spread| spread.median)),
        ),
    ]
}

fn messages(value: Spread, row: &Row) -> Vec<Cell> {
    let count = |value: f64| count(value as u64);
    let p99 = row.spread(|round| round.p99 as f64);
    vec![
        ("messages/s", count(value.median)),
        ("min..max", range(value, count)),
        (
            "p50",
            median(row.spread(|round| round.p50.unwrap_or_default())),
        ),
        ("p99", median(p99)),
        ("max", time(row.latency.max())),
    ]
}

fn resources(row: &Row) -> Vec<Cell> {
    let idle = |text: fn(u64, u64) -> String| {
        row.idle
            .map_or_else(|| "-".into(), |idle| text(idle.cpu, idle.wakes))
    };
    vec![
        ("CPU/message", median(row.cpu_of_message())),
        ("idle CPU", idle(|cpu, _| time(cpu))),
        ("wake-ups", idle(|_, wakes| wakes.to_string())),
        ("descriptors", significant(row.descriptors)),
        ("memory", memory(row, |memory| memory[1])),
        ("grown", memory(row, |memory| memory[1] - memory[0])),
    ]
}

fn memory(row: &Row, of: fn([f64; 2]) -> f64) -> String {
    row.memory.map(of).map_or_else(
        || "-".into(),
        |number| {
            let sign = if number < 0.0 { "-" } else { "" };
            format!("{sign}{}", bytes(number.abs() as u64))
        },
    )
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".into(), |spread| time(spread.median as u64))
}

fn range(spread: Spread, text: impl Fn(f64) -> String) -> String {
    format!("{}..{}", text(spread.min), text(spread.max))
}

/// `-` without the other, and [`UNSTEADY`] where the rounds say different things.
fn ratio(ratios: Option<Spread>) -> String {
    let text = |ratios: Spread| ratios.steady().map_or_else(|| UNSTEADY.into(), significant);
    ratios.map_or_else(|| "-".into(), text)
}
