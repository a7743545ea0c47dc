//! The results as text: a header, and a table for every number of streams.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::{
    Measured,
    contender::{Contender, SLEEPING},
    entry::Entry,
    message::SIZE,
    order::Role,
};
use crate::{
    bench::{machine::Machine, report::ratio, stats::Spread},
    trial::text::{bytes, count, significant, size, time},
};

/// What the results depend on. Times are in nanoseconds.
pub struct Setup {
    pub date: String,
    pub command: String,
    pub machine: Machine,
    /// of each ring, in bytes
    pub capacity: usize,
    /// that the server is pinned to, and the clients
    pub cpus: Option<(usize, usize)>,
    /// any two cores that this process may run on
    pub two_cores: Option<(usize, usize)>,
    pub rounds: u32,
    pub slice: u64,
    /// how long nothing is sent
    pub idle: u64,
}

impl Setup {
    /// On how many cores the processes run.
    pub fn cores(&self) -> usize {
        match self.cpus {
            Some((server, clients)) if server == clients => 1,
            _ => self.machine.cores,
        }
    }

    /// The core of a process; `None`: wherever the kernel places it.
    pub fn cpu(&self, contender: Contender, role: Role) -> Option<usize> {
        let (server, clients) = self
            .cpus
            .or(self.two_cores.filter(|_| contender.needs_cores()))?;
        Some(match role {
            Role::Server => server,
            Role::Client => clients,
        })
    }

    pub fn idle_percent(&self, cpu: u64) -> f64 {
        100.0 * cpu as f64 / self.idle as f64
    }
}

pub fn header(setup: &Setup) -> String {
    let machine = &setup.machine;
    let mut text = format!(
        "slipring {} on {}, {} core{}, {}\nmeasured on {}\ncommand: {}\n",
        env!("CARGO_PKG_VERSION"),
        machine.cpu,
        machine.cores,
        if machine.cores == 1 { "" } else { "s" },
        machine.kernel,
        setup.date,
        setup.command,
    );
    text += &format!(
        "a server and up to {} client processes on tokio, one thread each, rings of {}; {} round{} of {} each in \
         turn, then {} of nothing\n",
        super::CLIENTS,
        size(setup.capacity),
        setup.rounds,
        if setup.rounds == 1 { "" } else { "s" },
        time(setup.slice),
        time(setup.idle),
    );
    match setup.cpus {
        Some((server, clients)) => {
            text += &format!("pinned: server to core {server}, clients to core {clients}\n")
        }
        None => {
            text += "not pinned, but for what spins, which gets a core for each side (see --cpus)\n"
        }
    }
    if let Some(load) = machine.load.filter(|&load| load >= 0.5) {
        text += &format!("other work on this machine: load {load:.1} when started\n");
    }
    text += &format!(
        "at each tick {SIZE} B to every client, and back, which together count as one message\n\
         medians of the rounds, but for max; CPU of all processes; descriptors of the server and memory of both ends, a \
         stream each; every page counted once (where top shows a ring twice at each end), the kernel's own not; \
         ?: rounds that differ by more than 2 x\n"
    );
    text
}

/// What most people want to know: of the most streams that both were measured with.
pub fn summary(all: &[Measured]) -> Option<String> {
    let most = all.iter().max_by_key(|measured| measured.streams)?;
    let (ours, unix) = most.entry(SLEEPING)?.rate().zip(most.unix()?.rate())?;
    let mut text = format!(
        "{}: {} messages a second, {} over Unix sockets",
        title(most),
        count(ours.median as u64),
        count(unix.median as u64)
    );
    if ours.over(unix).is_none() {
        text += "; the rounds differ by more than a factor of two, so this says little";
    }
    Some(text + ".")
}

pub const COLUMNS: [&str; 13] = [
    "",
    "messages/s",
    "min..max",
    "x Unix",
    "p50",
    "p99",
    "max",
    "CPU/message",
    "idle CPU",
    "wake-ups",
    "descriptors",
    "memory",
    "grown",
];

pub fn table(measured: &Measured) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(COLUMNS);
    for entry in &measured.entries {
        table.add_row(cells(measured, entry));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n{}\n", title(measured), table.trim_fmt());
    for failure in failures(measured) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {failure}");
    }
    text
}

pub fn title(measured: &Measured) -> String {
    match measured.streams {
        1 => "1 stream".into(),
        n => format!("{n} streams"),
    }
}

pub fn failures(measured: &Measured) -> Vec<String> {
    let failed = |entry: &Entry| {
        Some(format!(
            "{} failed: {}",
            entry.contender.title(),
            entry.failure.as_ref()?
        ))
    };
    measured.entries.iter().filter_map(failed).collect()
}

/// The title, and the figures if there are any.
pub fn cells(measured: &Measured, entry: &Entry) -> Vec<String> {
    let mut cells = vec![entry.contender.title().to_string()];
    let Some(rate) = entry.rate() else {
        return cells;
    };
    let unix = measured.unix().and_then(Entry::rate);
    let median = |spread: Option<Spread>| {
        spread.map_or_else(|| "-".into(), |spread| time(spread.median as u64))
    };
    cells.extend([
        count(rate.median as u64),
        format!("{}..{}", count(rate.min as u64), count(rate.max as u64)),
        ratio(rate, unix),
        median(entry.p50()),
        median(entry.p99()),
        entry.max().map_or_else(|| "-".into(), time),
        median(entry.cpu()),
    ]);
    match entry.idle {
        Some(idle) => cells.extend([time(idle.cpu), idle.wakes.to_string()]),
        None => cells.extend(["-".to_string(), "-".to_string()]),
    }
    cells.push(significant(entry.descriptors));
    match entry.memory {
        Some([warm, end]) => {
            let streams = measured.streams as i64;
            cells.push(signed(end / streams));
            cells.push(signed((end - warm) / streams));
        }
        None => cells.extend(["-".to_string(), "-".to_string()]),
    }
    cells
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", bytes(number.unsigned_abs()))
}
