//! `slipring bench --streams`: one server process with many streams, beside the same program over
//! Unix sockets.
//!
//! For each number of streams and each transport there are a server process and its clients, all on
//! tokio runtimes of one thread. At each tick the server sends a message to every client and waits
//! for all answers. The transports take turns, round by round; at the end all of them idle for a
//! while, side by side.

mod client;
mod contender;
mod entry;
mod goals;
mod json;
mod message;
mod order;
mod page;
mod report;
mod server;
mod transport;
mod usage;
mod worker;

use std::{path::Path, process::ExitCode};

use self::{contender::Contender, entry::Entry, order::Role, report::Setup};
use super::{
    channel::Channel,
    contender::UNIX,
    machine::{self, Machine},
    output::Output,
    page::ReportFile,
};
use crate::{
    exit::Status,
    failure::Failure,
    trial::{
        child,
        clock::{self, MILLISECOND},
        interrupt::Interrupt,
        limits,
    },
};

/// Bytes of each ring unless told otherwise: the default, by number, since the memory is compared
/// with it.
pub const CAPACITY: usize = 256 << 10;

/// Client processes, if there are as many streams.
const CLIENTS: usize = 2;

/// Descriptors that an endpoint takes, with some to spare.
const DESCRIPTORS: u64 = 10;

/// What has been measured with one number of streams.
pub struct Measured {
    pub streams: usize,
    pub entries: Vec<Entry>,
}

impl Measured {
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.contender.name() == name)
    }

    pub fn unix(&self) -> Option<&Entry> {
        self.entry(UNIX)
    }
}

/// The hidden subcommand that servers and clients are started with.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerArgs {
    /// Process id of the parent
    #[arg(long)]
    parent: u32,

    /// Which side
    #[arg(long)]
    role: Role,

    /// Name of the transport
    #[arg(long)]
    contender: String,

    /// Bytes of each ring
    #[arg(long)]
    capacity: usize,

    /// Core to run on
    #[arg(long)]
    cpu: Option<usize>,
}

pub fn run_worker(args: &WorkerArgs) -> Result<ExitCode, Failure> {
    child::belong_to(args.parent)?;
    if let Some(cpu) = args.cpu {
        machine::pin_to(cpu)?;
    }
    let Some(contender) = Contender::by_name(&args.contender) else {
        return Err(Failure::new(Status::Usage, "no such transport"));
    };
    contender.work(args.role, args.capacity, &Channel::from_stdin()?)?;
    Ok(ExitCode::SUCCESS)
}

/// How many streams `--streams` may ask for.
pub fn parse_count(argument: &str) -> Result<usize, String> {
    let count = argument
        .parse()
        .ok()
        .filter(|count| (1..=4096).contains(count));
    count.ok_or_else(|| "expected a number of streams from 1 to 4096".into())
}

/// What `--streams` and its companions ask for.
pub struct Plan<'a> {
    pub counts: &'a [usize],
    /// of each ring, in bytes
    pub capacity: usize,
    pub quick: bool,
    pub rounds: Option<u32>,
    pub json: bool,
    /// where to
    pub report: Option<&'a Path>,
    /// of the server, and of the clients
    pub cpus: Option<(usize, usize)>,
}

pub fn run(plan: &Plan) -> Result<ExitCode, Failure> {
    let largest = plan.counts.iter().copied().max().unwrap_or_default();
    limits::make_room_for(largest, "stream", DESCRIPTORS)?;
    let interrupt = Interrupt::install()?;
    let setup = Setup {
        date: crate::trial::date::now(),
        command: machine::command_line(),
        machine: Machine::look(),
        capacity: plan.capacity,
        cpus: plan.cpus,
        two_cores: machine::two_cores(),
        rounds: plan.rounds.unwrap_or(if plan.quick { 5 } else { 15 }),
        // Short ones in quick succession: whatever else the machine does hits all transports alike.
        slice: if plan.quick { 50 } else { 130 } * MILLISECOND,
        idle: if plan.quick { 300 } else { 2000 } * MILLISECOND,
    };

    if let Some((server, clients)) = plan.cpus {
        // The processes pin themselves; whether they can is found out here, before any is started.
        machine::pin_to(server)?;
        machine::pin_to(clients)?;
    }
    let file = plan.report.map(ReportFile::open).transpose()?;

    let mut output = Output::new(plan.json);
    let mut all = Vec::new();
    let mut printed = measure_all(&setup, plan.counts, &interrupt, &mut output, &mut all);
    let interrupted = interrupt.requested();
    let goals = goals::goals(&setup, &all);
    if printed.is_ok() {
        printed = output.end(&goals, interrupted, || {
            json::document(&setup, &all, &goals, interrupted)
        });
    }
    // Whether or not standard output has taken everything: what was measured is not lost.
    if let Some(file) = file {
        let cut_short = interrupted || all.len() < plan.counts.len();
        file.write(&page::page(&setup, &all, &goals, cut_short))?;
    }
    printed?;
    let failed = all
        .iter()
        .flat_map(|one| &one.entries)
        .any(|one| one.failure.is_some());
    Ok(match interrupt.exit_code() {
        Some(code) => ExitCode::from(code),
        None if failed => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// One number of streams after the other, until it is interrupted, or nobody takes the results.
fn measure_all(
    setup: &Setup,
    counts: &[usize],
    interrupt: &Interrupt,
    output: &mut Output,
    all: &mut Vec<Measured>,
) -> Result<(), Failure> {
    output.print(&report::header(setup))?;
    for &streams in counts {
        if interrupt.requested() {
            break;
        }
        let measured = measure(setup, streams, interrupt, |step| output.step(step));
        let table = report::table(&measured);
        all.push(measured);
        output.print(&format!("\n{table}"))?;
    }
    Ok(())
}

/// Everything about one number of streams.
fn measure(
    setup: &Setup,
    streams: usize,
    interrupt: &Interrupt,
    mut step: impl FnMut(&str),
) -> Measured {
    let mut entries = Vec::new();
    for contender in contender::all(streams, setup.cores()) {
        if interrupt.requested() {
            break;
        }
        step(&format!(
            "{streams} streams, {}: connecting",
            contender.name()
        ));
        entries.push(Entry::open(setup, contender, streams));
    }
    let turns = entries.len();
    for round in 0..setup.rounds as usize {
        for index in 0..turns {
            if interrupt.requested() {
                break;
            }
            // Another one begins in every round, so that nobody always follows the same.
            let entry: &mut Entry = &mut entries[(index + round) % turns];
            let name = entry.contender.name();
            step(&format!(
                "{streams} streams, {name}: round {} of {}",
                round + 1,
                setup.rounds
            ));
            entry.measure(setup.slice);
        }
    }
    if !interrupt.requested() {
        step(&format!("{streams} streams: idle"));
        entries.iter_mut().for_each(Entry::begin_idling);
        clock::sleep_until(clock::now() + setup.idle);
        entries.iter_mut().for_each(Entry::end_idling);
    }
    entries.iter_mut().for_each(Entry::close);
    Measured { streams, entries }
}
