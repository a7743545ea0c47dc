//! `slipring bench`: slipring compared with the kernel's streams and with the least that the
//! hardware and the kernel need, between two processes; and in `streams`, a server of many.

mod case;
mod channel;
mod contender;
mod goals;
mod gone;
mod json;
mod machine;
mod measurement;
mod output;
mod page;
mod peer;
mod report;
mod results;
mod round_trip;
mod runner;
mod stats;
mod streams;
mod throughput;
mod transport;

pub use self::streams::{WorkerArgs, run_worker};

use std::{path::PathBuf, process::ExitCode};

use slipring::Spin;

use self::{
    case::{CASES, Case},
    contender::Contender,
    goals::Cores,
    machine::Machine,
    output::Output,
    page::ReportFile,
    results::Results,
    runner::Rounds,
};
use crate::{
    failure::Failure,
    options::{SpinParser, parse_capacity},
    trial::{child, clock::MILLISECOND, date, interrupt::Interrupt, text},
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

CPU columns are seconds of CPU time over all rounds. \"x bare\" compares with the bare exchange
(spinning on shared memory) or, for what only sleeps, with the bare eventfd (the faster of two ways
of waiting for it).

Exit code: 0 measured; 1 something could not be measured; 2 wrong arguments; 130 ended by Ctrl-C,
after printing what was measured, and writing the report of it.";

/// Compare slipring with sockets, pipes and the bare hardware
///
/// Measures round trips and throughput between two processes, all transports in turn within each
/// case, for several rounds; about a minute in all (and about 10 seconds for each number of
/// streams). Run it on a machine that does nothing else.
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

    /// Pin the parent (or server) to core A and the peer process (or clients) to core B; the same
    /// core twice is allowed
    #[arg(long, value_name = "A,B", value_parser = parse_cpus)]
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

    /// Measure slipring with rings of these capacities: powers of two from one page to 1G; with
    /// --streams, one [default: 256K]
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
        value_parser = streams::parse_count,
        conflicts_with_all = ["spin", "only"]
    )]
    streams: Vec<usize>,
}

/// The hidden subcommand that the benchmark starts its peer processes with.
#[derive(Clone, Debug, clap::Args)]
pub struct PeerArgs {
    /// Process id of the parent
    #[arg(long)]
    parent: u32,

    /// Name of the transport
    #[arg(long)]
    contender: String,

    /// Name of the case
    #[arg(long)]
    case: String,

    /// Core to run on
    #[arg(long)]
    cpu: Option<usize>,
}

/// What the results depend on.
pub struct Setup {
    date: String,
    command: String,
    machine: Machine,
    cpus: Option<(usize, usize)>,
    cores: Cores,
    rounds: u32,
    /// nanoseconds
    slice: u64,
    /// titles of the transports that make no sense here
    left_out: Vec<String>,
}

pub fn run_peer(args: PeerArgs) -> Result<ExitCode, Failure> {
    child::belong_to(args.parent)?;
    if let Some(cpu) = args.cpu {
        machine::pin_to(cpu)?;
    }
    let contender = contender::by_name(&args.contender);
    let case = case::by_name(&args.case);
    let Some((contender, case)) = contender.zip(case) else {
        return Err(Failure::new(
            crate::exit::Status::Usage,
            "no such transport or case",
        ));
    };
    contender.serve(case)?;
    Ok(ExitCode::SUCCESS)
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if !args.streams.is_empty() {
        let capacity = match args.capacity[..] {
            [] => streams::CAPACITY,
            [bytes] => bytes,
            _ => {
                let why = "--streams is measured with one --capacity at a time";
                return Err(Failure::new(crate::exit::Status::Usage, why));
            }
        };
        return streams::run(&streams::Plan {
            counts: &args.streams,
            capacity,
            quick: args.quick,
            rounds: args.rounds,
            json: args.json,
            report: args.report.as_deref(),
            cpus: args.cpus,
        });
    }
    let interrupt = Interrupt::install()?;
    let machine = Machine::look();
    let cores = match args.cpus {
        Some((here, there)) if here == there => Cores::One,
        None if machine.cores == 1 => Cores::One,
        _ => Cores::Several,
    };
    if let Some((here, there)) = args.cpus {
        // The peers pin themselves; whether they can is found out here, before any is started.
        machine::pin_to(there)?;
        machine::pin_to(here)?;
    }
    let contenders = contender::all(&args.spin, &args.capacity);
    let (possible, left_out): (Vec<_>, Vec<_>) = contenders
        .iter()
        .partition(|contender| cores == Cores::Several || !contender.spins);
    let plan = plan(&possible, &args.only)?;
    let setup = Setup {
        date: date::now(),
        command: machine::command_line(),
        machine,
        cpus: args.cpus,
        cores,
        rounds: args.rounds.unwrap_or(if args.quick { 3 } else { 5 }),
        slice: if args.quick { 25 } else { 100 } * MILLISECOND,
        left_out: left_out
            .iter()
            .map(|contender| contender.title.clone())
            .collect(),
    };

    let file = args.report.as_deref().map(ReportFile::open).transpose()?;

    let mut output = Output::new(args.json);
    let rounds = Rounds {
        rounds: setup.rounds,
        slice: setup.slice,
        peer_cpu: args.cpus.map(|(_, there)| there),
        interrupt: &interrupt,
    };
    let planned = plan.len();
    let mut results = Results::default();
    let mut printed = measure(&setup, &rounds, plan, &mut output, &mut results);
    let interrupted = interrupt.requested();
    let goals = goals::goals(&results, cores);
    if printed.is_ok() {
        printed = output.end(&goals, interrupted, || {
            json::document(&setup, &results, &goals, interrupted)
        });
    }
    // Whether or not standard output has taken everything: what was measured is not lost.
    if let Some(file) = file {
        let cut_short = interrupted || results.cases.len() < planned;
        file.write(&page::cases::page(&setup, &results, &goals, cut_short))?;
    }
    printed?;
    Ok(exit_code(&results, &interrupt))
}

/// Case by case, until it is interrupted, or nobody takes the results.
fn measure<'c>(
    setup: &Setup,
    rounds: &Rounds,
    plan: Vec<(&'static Case, Vec<&'c Contender>)>,
    output: &mut Output,
    results: &mut Results<'c>,
) -> Result<(), Failure> {
    output.print(&report::header(setup))?;
    for (case, contenders) in plan {
        if rounds.interrupt.requested() {
            break;
        }
        let result = rounds.run(case, &contenders, |step| output.step(step));
        let table = report::case(setup, &result);
        results.cases.push(result);
        output.print(&format!("\n{table}"))?;
    }
    Ok(())
}

/// What to measure: every case with the transports that take part in it.
fn plan<'c>(
    contenders: &[&'c Contender],
    only: &[String],
) -> Result<Vec<(&'static Case, Vec<&'c Contender>)>, Failure> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    let mut plan = Vec::new();
    for case in &CASES {
        let mut chosen = Vec::new();
        for contender in contenders.iter().filter(|one| one.takes_part_in(case)) {
            if wanted(&contender.in_case(case)) {
                chosen.push(*contender);
            }
        }
        if !chosen.is_empty() {
            plan.push((case, chosen));
        }
    }
    if plan.is_empty() {
        return Err(Failure::new(
            crate::exit::Status::Usage,
            nothing_named(contenders, only),
        ));
    }
    Ok(plan)
}

/// Cases and transports apart: each with each, they would fill a screen.
fn nothing_named(contenders: &[&Contender], only: &[String]) -> String {
    let cases: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    let transports: Vec<&str> = contenders
        .iter()
        .map(|contender| contender.name.as_str())
        .collect();
    format!(
        "nothing measured here has {} in its name CASE/TRANSPORT.\n{}\n{}",
        only.join(" or "),
        text::paragraph("cases: ", &cases, 100),
        text::paragraph("transports: ", &transports, 100),
    )
}

fn exit_code(results: &Results, interrupt: &Interrupt) -> ExitCode {
    let mut rows = results.cases.iter().flat_map(|case| &case.rows);
    match interrupt.exit_code() {
        Some(code) => ExitCode::from(code),
        None if rows.any(|row| row.failure.is_some()) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

fn parse_cpus(argument: &str) -> Result<(usize, usize), String> {
    let expected = || "expected the numbers of two cores, such as 0,1".to_string();
    let (here, there) = argument.split_once(',').ok_or_else(expected)?;
    let number = |text: &str| text.parse().map_err(|_| expected());
    Ok((number(here)?, number(there)?))
}
