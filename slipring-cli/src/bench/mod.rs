//! `slipring bench`: slipring compared with the kernel's streams and with the least that the
//! hardware and the kernel need, between two processes; with `--streams`, a server of many; and
//! with `--subscribers`, a feed. The measuring is that of the crate `slipring-bench`.

mod goals;
mod output;

use std::{io, iter, path::PathBuf, process::ExitCode};

use slipring::Spin;
use slipring_bench::{
    case::{self, Case, Kind},
    charts,
    contender::{Contender, Side, Waits},
    contenders::{self, slipring_name},
    date,
    figures::{CaseFigures, Run},
    file::Output as File,
    machine::{self, Machine},
    medians,
    page::Page,
    results::{self, CaseResult, Setup},
    runner::{self, Entry, Runner},
    table, text,
    worker::{self, Work},
};

use self::output::Output;
use crate::{
    console,
    exit::Status,
    failure::Failure,
    harness::{clock::MILLISECOND, interrupt::Interrupt, limits},
    options::{SpinParser, parse_capacity, parse_spin},
};

const EXAMPLES: &str = "\
Examples:
  slipring bench
  slipring bench --cpus 0,1           one core for each process
  slipring bench --cpus 0,0           both on one core: the price of sleeping alone
  slipring bench --report report.html the same as a page with charts, too
  slipring bench --only rtt-64/       one case, all transports
  slipring bench --only rtt-64/unix --only rtt-64/slipring
  slipring bench --spin 5us,20us      slipring with other spinnings
  slipring bench --spin adaptive --capacity 64K,256K,1M     slipring with other rings
  slipring bench --only mmf- --only slipring-    the ring of C# programs beside the stream
  slipring bench --quick --json | jq .goals
  slipring bench --streams 1,16,128,512     one server with many streams, beside Unix sockets
  slipring bench --subscribers 1,10,100,500    one publisher with many subscribers, likewise
  slipring bench --cpus 0,1 --chart chart.svg    a picture of it, for a document
  slipring bench --from a.json b.json --chart chart.svg    two machines side by side

CPU columns are seconds of CPU time over all rounds; the host sends first, the peer answers or
receives. \"x bare\" compares with the bare exchange (spinning on shared memory) or, for what only
sleeps, with the bare eventfd (the faster of two ways of waiting for it), round by round.

Exit code: 0 measured; 1 something could not be measured; 2 wrong arguments; 130 ended by Ctrl-C,
after printing what was measured, and writing the report of it.";

/// Bytes of each ring of a server unless told otherwise: the default, by number, since the memory
/// is compared with it.
const CAPACITY: usize = 256 << 10;

/// Descriptors that an endpoint takes, with some to spare.
const DESCRIPTORS: u64 = 10;

/// Compare slipring with sockets, pipes and the bare hardware
///
/// Measures round trips and throughput between two processes, all transports in turn within each
/// case, for several rounds; about a minute in all (and about 10 seconds for each number of
/// streams, or of subscribers). Run it on a machine that does nothing else.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Short rounds: about 12 seconds in all, and less exact
    #[arg(long)]
    quick: bool,

    /// Print one JSON document with everything instead of tables
    #[arg(long)]
    json: bool,

    /// Also write everything to FILE: one HTML page with charts, which needs nothing else
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Also draw slipring beside Unix socket, pipe and TCP, by size, to FILE: one SVG picture
    #[arg(long, value_name = "FILE", conflicts_with = "streams")]
    chart: Option<PathBuf>,

    /// Pin the host (or server) to core A and the peer process (or clients) to core B; the same
    /// core twice is allowed
    #[arg(long, value_name = "A,B", value_parser = machine::parse_cpus)]
    cpus: Option<(usize, usize)>,

    /// Measure slipring, and the ring of C# programs, with these spinnings: never, always,
    /// adaptive, or a time such as 20us
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "always,adaptive,never",
        value_parser = SpinParser,
        hide_possible_values = true
    )]
    spin: Vec<Spin>,

    /// Measure slipring with rings of these fixed capacities as well, beside those that grow:
    /// powers of two from one page to 1G; with --streams, with one alone [default: 256K]
    #[arg(long, value_name = "SIZE,SIZE..", value_delimiter = ',', value_parser = parse_capacity)]
    capacity: Vec<usize>,

    /// Rounds of each measurement [default: 5, with --quick 3; of streams 15, with --quick 5]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    rounds: Option<u32>,

    /// Measure only what has this in its name CASE/TRANSPORT; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,

    /// Measure a server with so many streams instead, beside the same over Unix sockets
    #[arg(
        long,
        value_name = "N,N..",
        value_delimiter = ',',
        value_parser = parse_count,
        conflicts_with_all = ["spin", "only"]
    )]
    streams: Vec<usize>,

    /// Measure a publisher with so many subscribers instead, over a feed, a stream each and a Unix
    /// socket each
    #[arg(
        long,
        value_name = "N,N..",
        value_delimiter = ',',
        value_parser = parse_count,
        conflicts_with_all = ["spin", "capacity", "streams", "chart"]
    )]
    subscribers: Vec<usize>,

    /// What tables and charts call this machine [default: the name of its processor]
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,

    /// Measure nothing: print the medians that --json has written, and write --report and --chart
    /// of them; each file is of one machine, and they come side by side
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = [
            "quick", "json", "cpus", "spin", "capacity", "rounds", "streams",
            "subscribers", "machine"
        ]
    )]
    from: Vec<PathBuf>,
}

/// The hidden subcommand that the benchmark starts its processes with.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkerArgs {
    task: String,
}

pub fn run_worker(args: &WorkerArgs) -> Result<ExitCode, Failure> {
    Ok(worker::run(&args.task, work)?)
}

fn work(name: &str, case: &Case) -> Option<Box<dyn Work>> {
    if let Kind::Served { .. } = case.kind {
        return find(contenders::served(), name);
    }
    if let Kind::Subscribed(_) = case.kind {
        return find(contenders::subscribed(), name);
    }
    if let Some(how) = name.strip_prefix("slipring-") {
        let (spin, capacity) = match how.split_once('@') {
            Some((spin, capacity)) => (spin, Some(parse_capacity(capacity).ok()?)),
            None => (how, None),
        };
        return Some(contenders::slipring(parse_spin(spin).ok()?, capacity).work);
    }
    if let Some(spin) = name.strip_prefix("mmf-") {
        return Some(contenders::csharp(parse_spin(spin).ok()?).work);
    }
    let others = contenders::kernel().into_iter().chain(contenders::bare());
    find(others, name)
}

fn find(contenders: impl IntoIterator<Item = Contender>, name: &str) -> Option<Box<dyn Work>> {
    let found = contenders.into_iter().find(|one| one.name == name);
    found.map(|one| one.work)
}

/// The cases that are measured, and the texts about them.
struct Plan {
    cases: Vec<Case>,
    contenders: Vec<Contender>,
    /// rounds, and milliseconds of a round
    rounds: [u32; 2],
    title: &'static str,
    how: String,
    /// how to read it
    notes: Vec<String>,
}

impl Plan {
    fn of(args: &Args) -> Result<Plan, Failure> {
        if let Some(&most) = args.subscribers.iter().max() {
            limits::make_room_for(most, "subscriber", DESCRIPTORS)?;
            return Ok(Plan::subscribed(args));
        }
        let Some(&most) = args.streams.iter().max() else {
            return Ok(Plan::between_two(args));
        };
        let capacity = match args.capacity[..] {
            [] => CAPACITY,
            [bytes] => bytes,
            _ => {
                let why = "--streams is measured with one --capacity at a time";
                return Err(Failure::new(Status::Usage, why));
            }
        };
        limits::make_room_for(most, "stream", DESCRIPTORS)?;
        let served = |&streams| case::served(streams, capacity);
        Ok(Plan {
            cases: args.streams.iter().map(served).collect(),
            contenders: contenders::served().into(),
            // Short rounds in quick succession, so that any other activity of the machine hits all
            // alike.
            rounds: if args.quick { [5, 50] } else { [15, 130] },
            title: "slipring bench --streams",
            how: format!(
                "a server and up to two client processes on tokio, one thread each, rings of {}",
                text::size(capacity)
            ),
            notes: vec![
                "what spins gets a core for each side; at each tick 256 B to every client, and \
                 back, which together count as one message"
                    .into(),
            ],
        })
    }

    fn subscribed(args: &Args) -> Plan {
        let subscribers = args.subscribers.iter().copied();
        Plan {
            cases: subscribers.map(case::subscribed).collect(),
            contenders: contenders::subscribed().into(),
            rounds: if args.quick { [3, 50] } else { [5, 250] },
            title: "slipring bench --subscribers",
            how: "a process that publishes, and one with a thread for each subscriber".into(),
            notes: vec![
                "what spins is measured where there is a core for each, and one for the publisher"
                    .into(),
            ],
        }
    }

    fn between_two(args: &Args) -> Plan {
        let fixed = args.capacity.iter().copied().map(Some);
        let capacities: Vec<Option<usize>> = iter::once(None).chain(fixed).collect();
        let mut contenders = Vec::new();
        for &spin in &args.spin {
            let slipring = |&capacity| contenders::slipring(spin, capacity);
            contenders.extend(capacities.iter().map(slipring));
        }
        contenders.extend(args.spin.iter().copied().map(contenders::csharp));
        contenders.extend(contenders::kernel());
        contenders.extend(contenders::bare());
        Plan {
            cases: case::by_size(),
            contenders,
            rounds: if args.quick { [3, 25] } else { [5, 100] },
            title: "slipring bench",
            how: "two processes, all transports with their default buffers".into(),
            notes: Vec::new(),
        }
    }
}

pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !args.from.is_empty() {
        return show(args);
    }
    let mut plan = Plan::of(args)?;
    let interrupt = Interrupt::install()?;
    for core in args
        .cpus
        .into_iter()
        .flat_map(|(here, there)| [there, here])
    {
        // The processes pin themselves; whether they can is found out here, before any is started.
        machine::check_core(core)
            .map_err(|error| Failure::new(Status::Usage, error.to_string()))?;
    }
    let setup = Setup {
        commit: None,
        date: date::now(),
        command: machine::command_line(),
        machine: Machine::look(args.machine.clone()),
        cpus: args.cpus,
        rounds: args.rounds.unwrap_or(plan.rounds[0]),
        slice: u64::from(plan.rounds[1]) * MILLISECOND,
        idle: if args.quick { 300 } else { 2000 } * MILLISECOND,
        repeats: 0,
    };
    let cases = std::mem::take(&mut plan.cases);
    let entries = runner::plan(&setup, cases, &plan.contenders, &args.only)
        .map_err(|why| Failure::new(Status::Usage, why))?;
    let left_out = left_out(&setup, &entries, &plan.contenders);
    if !left_out.is_empty() {
        plan.notes.push(format!(
            "left out on one core, where spinning only keeps the other side from running: {}",
            left_out.join(", ")
        ));
    }
    if args.chart.is_some() && !charts::can_draw(entries.iter().map(|(case, _)| case)) {
        let why = "--chart draws by size: measure round trips, or throughput, of two sizes or more";
        return Err(Failure::new(Status::Usage, why));
    }
    let (report, chart) = (open(&args.report, "report")?, open(&args.chart, "chart")?);

    let mut header = Run::of(&setup, &[], false).conditions(plan.title);
    header.push(plan.how);
    header.append(&mut plan.notes);
    let mut output = Output::new(args.json);
    let mut results = Vec::new();
    let stop = || interrupt.requested();
    let mut printed = measure(&setup, &header, &stop, &entries, &output, &mut results);
    let interrupted = interrupt.requested();
    let goals = goals::goals(&setup, &results);
    let runs = [Run::of(&setup, &results, interrupted)];
    if printed.is_ok() {
        let document = || {
            let mut document = runs[0].document();
            document["left_out"] = left_out.into();
            document["goals"] = serde_json::json!(goals);
            if let Some((Kind::Served { capacity, .. }, case)) =
                entries.first().map(|(case, _)| (case.kind, case))
            {
                document["capacity_bytes"] = capacity.into();
                document["message_bytes"] = case.size.into();
            }
            document
        };
        printed = output.end(&goals, interrupted, document);
    }
    // The results are not lost, even if standard output has not taken everything.
    if let Some(file) = report {
        let page = Page {
            title: plan.title,
            summary: summary(&results),
            header,
            cut_short: interrupted || results.len() < entries.len(),
            goals: goals.iter().map(goals::text).collect(),
        };
        file.write(&page.render(&runs)?)?;
    }
    if let Some(file) = chart {
        draw(file, &runs)?;
    }
    printed?;
    Ok(match interrupt.exit_code() {
        Some(code) => ExitCode::from(code),
        None if results::any_failed(&results) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// Shows what was measured before, on one machine or on several.
fn show(args: &Args) -> Result<ExitCode, Failure> {
    let (report, chart) = (open(&args.report, "report")?, open(&args.chart, "chart")?);
    let runs = Run::read_all(&args.from, &args.only)?;
    let printed = console::print(medians::tables(&runs));
    if let Some(file) = report {
        let header = runs.iter().flat_map(|run| run.conditions(run.name()));
        let page = Page {
            title: "slipring bench",
            summary: None,
            header: header.collect(),
            cut_short: runs.iter().any(|run| run.interrupted),
            goals: Vec::new(),
        };
        file.write(&page.render(&runs)?)?;
    }
    if let Some(file) = chart {
        draw(file, &runs)?;
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Option<PathBuf>, what: &'static str) -> io::Result<Option<File>> {
    let path = path.as_deref();
    path.map(|path| File::open(path, what)).transpose()
}

fn draw(file: File, runs: &[Run]) -> io::Result<()> {
    let nothing = "too little to draw a chart: it takes round trips, or throughput, of two sizes";
    let drawn = charts::for_a_document(runs).ok_or_else(|| io::Error::other(nothing))?;
    file.write(&drawn)
}

/// Case by case, until it is interrupted, or nobody takes the results.
fn measure<'c>(
    setup: &Setup,
    header: &[String],
    stop: &dyn Fn() -> bool,
    entries: &[Entry<'c>],
    output: &Output,
    results: &mut Vec<CaseResult<'c>>,
) -> Result<(), Failure> {
    output.print(&(header.join("\n") + "\n"))?;
    let step = |step: &str| output.step(step);
    let runner = Runner::new(setup, stop, &step);
    for entry in entries {
        if stop() {
            break;
        }
        let result = runner.run(entry);
        let table = table::case(&CaseFigures::of(setup, &result));
        results.push(result);
        output.print(&format!("\n{table}"))?;
    }
    Ok(())
}

/// The titles of the contenders that make no sense where both halves share a core.
fn left_out(setup: &Setup, entries: &[Entry], contenders: &[Contender]) -> Vec<String> {
    let spinning = |one: &&Contender| {
        let alone = |(case, _): &Entry| setup.one_core(case);
        one.waits == Waits::Spinning && entries.iter().all(alone)
    };
    let left_out = contenders.iter().filter(spinning);
    left_out.map(|one| one.title.clone()).collect()
}

/// The figure that most people want to know, if it was measured: the round trip of 64 B, or the
/// most streams.
fn summary(results: &[CaseResult]) -> Option<String> {
    let round_trip = results.iter().find(|result| result.case.name == "rtt-64");
    let served = || {
        results
            .iter()
            .max_by_key(|result| result.case.kind.streams())
    };
    let case = round_trip.or_else(served)?;
    let names = [Spin::default(), Spin::Never].map(slipring_name);
    let usual = names.iter().find_map(|name| case.lowest(&[name.as_str()]));
    let ours = |row: &&results::Row| row.contender.side == Side::Slipring;
    let row = usual.or_else(|| case.rows.iter().find(ours))?;
    let unix = case.unix()?;
    let [this, other] = [row.value()?, unix.value()?].map(|value| value.median as u64);
    let mut text = match case.case.kind {
        Kind::RoundTrip => format!(
            "64 B: {} there and back over {}, {} over a Unix socket",
            text::time(this),
            row.contender.title,
            text::time(other)
        ),
        Kind::Served { .. } => format!(
            "{}: {} messages a second, {} over Unix sockets",
            case.case.title,
            text::count(this),
            text::count(other)
        ),
        _ => return None,
    };
    if row.over(Some(unix))?.steady().is_none() {
        text += "; the rounds differ by more than a factor of two, so this says little";
    }
    Some(text + ".")
}

/// How many streams or subscribers there may be.
fn parse_count(argument: &str) -> Result<usize, String> {
    let count = argument.parse().ok();
    count
        .filter(|count| (1..=4096).contains(count))
        .ok_or_else(|| "expected a number from 1 to 4096".into())
}
