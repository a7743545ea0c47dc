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

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use slipring::Spin;

use self::{
    case::{CASES, Case},
    contender::Contender,
    goals::Cores,
    machine::Machine,
    results::Results,
    runner::Rounds,
};
use crate::{
    console,
    failure::Failure,
    options::{parse_capacity, parse_spin},
    trial::{child, clock::MILLISECOND, interrupt::Interrupt},
};

const EXAMPLES: &str = "\
Examples:
  slipring bench
  slipring bench --cpus 0,1           one core for each process
  slipring bench --cpus 0,0           both on one core: the price of sleeping alone
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
after printing what was measured.";

/// Compare slipring with sockets, pipes and the bare hardware
///
/// Measures round trips and throughput between two processes, all transports in turn within each
/// case, for several rounds; about a minute in all (and about 10 seconds for each number of streams). Run it on a
/// machine that does nothing else.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Short rounds: about 12 seconds in all, and less exact
    #[arg(long)]
    quick: bool,

    /// Print one JSON document with everything instead of tables
    #[arg(long)]
    json: bool,

    /// Pin the parent (or server) to core A and the peer process (or clients) to core B; the same
    /// core twice is allowed
    #[arg(long, value_name = "A,B", value_parser = parse_cpus)]
    cpus: Option<(usize, usize)>,

    /// Measure slipring, and the ring of C# programs, with these spinnings: never, always, adaptive, or a time such as 20us
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "always,adaptive,never",
        value_parser = parse_spin
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
        return Err(Failure::new(crate::exit::Status::Usage, "no such transport or case"));
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
        command: std::env::args().collect::<Vec<_>>().join(" "),
        machine,
        cpus: args.cpus,
        cores,
        rounds: args.rounds.unwrap_or(if args.quick { 3 } else { 5 }),
        slice: if args.quick { 25 } else { 100 } * MILLISECOND,
        left_out: left_out.iter().map(|contender| contender.title.clone()).collect(),
    };

    let mut output = Output::new(args.json);
    output.print(&report::header(&setup))?;
    let rounds = Rounds {
        rounds: setup.rounds,
        slice: setup.slice,
        peer_cpu: args.cpus.map(|(_, there)| there),
        interrupt: &interrupt,
    };
    let mut results = Results::default();
    for (case, contenders) in plan {
        if interrupt.requested() {
            break;
        }
        let result = rounds.run(case, &contenders, |step| output.step(step));
        output.print(&format!("\n{}", report::case(&setup, &result)))?;
        results.cases.push(result);
    }
    if interrupt.requested() {
        output.print("\ninterrupted: this is what was measured until then\n")?;
    }
    let goals = goals::goals(&results, cores);
    output.print(&format!("\n{}", report::goals(&goals)))?;
    output.document(|| json::document(&setup, &results, &goals, interrupt.requested()))?;
    Ok(exit_code(&results, &interrupt))
}

/// What to measure: every case with the transports that take part in it.
fn plan<'c>(
    contenders: &[&'c Contender],
    only: &[String],
) -> Result<Vec<(&'static Case, Vec<&'c Contender>)>, Failure> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    let mut plan = Vec::new();
    let mut names = Vec::new();
    for case in &CASES {
        let mut chosen = Vec::new();
        for contender in contenders.iter().filter(|one| one.takes_part_in(case)) {
            let name = contender.in_case(case);
            if wanted(&name) {
                chosen.push(*contender);
            }
            names.push(name);
        }
        if !chosen.is_empty() {
            plan.push((case, chosen));
        }
    }
    if plan.is_empty() {
        return Err(Failure::new(
            crate::exit::Status::Usage,
            format!("nothing has that in its name; there are: {}", names.join(" ")),
        ));
    }
    Ok(plan)
}

fn exit_code(results: &Results, interrupt: &Interrupt) -> ExitCode {
    let mut rows = results.cases.iter().flat_map(|case| &case.rows);
    match interrupt.exit_code() {
        Some(code) => ExitCode::from(code),
        None if rows.any(|row| row.failure.is_some()) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

/// Where the results go: tables as they come or one document at the end, and on a terminal what
/// is being measured.
struct Output {
    json: bool,
    progress: ProgressBar,
}

impl Output {
    fn new(json: bool) -> Self {
        let progress = if io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
        Output {
            json,
            progress: progress.with_style(style),
        }
    }

    fn step(&self, step: &str) {
        self.progress.set_message(step.to_string());
        self.progress.tick();
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.progress.suspend(|| console::print(text))
    }

    fn document(&mut self, document: impl FnOnce() -> serde_json::Value) -> Result<(), Failure> {
        self.progress.finish_and_clear();
        if self.json {
            console::print(format!("{:#}\n", document()))?;
        }
        Ok(())
    }
}

fn parse_cpus(argument: &str) -> Result<(usize, usize), String> {
    let expected = || "expected the numbers of two cores, such as 0,1".to_string();
    let (here, there) = argument.split_once(',').ok_or_else(expected)?;
    let number = |text: &str| text.parse().map_err(|_| expected());
    Ok((number(here)?, number(there)?))
}
