//! slipring measured beside other ways of moving bytes between two processes on one machine. The
//! measuring is that of the crate `slipring-bench`, which `slipring bench` uses, too.

#[cfg(feature = "cloudtoid")]
mod cloudtoid;
#[cfg(feature = "iceoryx2")]
mod iceoryx2;
#[cfg(feature = "ipc-channel")]
mod ipc_channel;
mod memcpy;
mod peers;
mod plain_ring;
#[cfg(feature = "ringfire")]
mod ringfire;
#[cfg(feature = "rtrb")]
mod rtrb;
#[cfg(feature = "shmipc")]
mod shmipc;
#[cfg(feature = "tachyon")]
mod tachyon;

use std::{
    io,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use clap::{Parser, Subcommand};
use slipring::Spin;
use slipring_bench::{
    case, charts,
    clock::MILLISECOND,
    contender::Contender,
    contenders, date,
    figures::{self, CaseFigures, Run},
    file::Output,
    machine::{self, Machine},
    medians,
    page::Page,
    results::{self, Setup},
    runner::{self, Runner},
    table, worker,
};

/// Compare slipring with other ways of moving bytes between two processes
///
/// Measures round trips, throughput and latency at fixed rates, all contenders in turn, for several
/// rounds. Prints tables, the medians as Markdown, and writes a report. Every contender has to pass
/// a verification of every byte first. Run it on a machine that does nothing else. With --from it
/// measures nothing, and shows what was measured before, on one machine or on several.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    worker: Option<Command>,

    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,

    /// Only check that every byte arrives, of messages of mixed lengths too; measure nothing
    #[arg(long, conflicts_with_all = ["quick", "rounds", "report", "chart", "json", "machine"])]
    verify: bool,

    /// Pin the two halves to cores A and B
    #[arg(long, value_name = "A,B", value_parser = machine::parse_cpus)]
    cpus: Option<(usize, usize)>,

    /// Measure only what has this in its name CASE/CONTENDER; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,

    /// Rounds of each measurement [default: 7, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Where the report goes [default: report.html, with --from nowhere]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Draw slipring beside Unix socket, pipe and TCP, by size, to FILE: one SVG picture
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,

    /// Write all figures there, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What tables call this machine [default: the name of its processor]
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,

    /// Show the figures that --json has written, each file being of one machine
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["quick", "verify", "cpus", "rounds", "json", "machine"]
    )]
    from: Vec<PathBuf>,

    /// Print one table alone, with columns of each machine: slipring, the fastest other library,
    /// the Unix socket and the limit
    #[arg(long, requires = "from")]
    summary: bool,
}

#[derive(Subcommand)]
enum Command {
    #[command(hide = true)]
    BenchWorker { task: String },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.worker {
        Some(Command::BenchWorker { task }) => worker::run(task, |name, _| {
            let found = contenders().into_iter().find(|one| one.name == name);
            found.map(|one| one.work)
        }),
        None if args.from.is_empty() => run(&args),
        None => show(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("comparison: {error}");
        ExitCode::FAILURE
    })
}

fn contenders() -> Vec<Contender> {
    let spins = [Spin::Always, Spin::default(), Spin::Never];
    let mut all = Vec::from(spins.map(|spin| contenders::slipring(spin, None)));
    all.push(contenders::slipring_in_place());
    all.extend(contenders::kernel());
    all.extend(peers::all());
    all.extend(contenders::on_tokio());
    all.extend(contenders::small_reads());
    all.extend(contenders::bare());
    all.extend(contenders::limits());
    all
}

fn run(args: &Args) -> io::Result<ExitCode> {
    for core in args
        .cpus
        .into_iter()
        .flat_map(|(here, there)| [here, there])
    {
        machine::check_core(core)?;
    }
    let setup = Setup {
        commit: commit(),
        date: date::now(),
        command: machine::command_line(),
        machine: Machine::look(args.machine.clone()),
        cpus: args.cpus,
        rounds: args.rounds.unwrap_or(if args.quick { 3 } else { 7 }),
        slice: if args.quick { 50 } else { 200 } * MILLISECOND,
        idle: 0,
        repeats: 3,
    };
    let contenders = contenders();
    let mut cases = case::all();
    // If nothing is pinned, this is what all the others measure.
    cases.retain(|case| case.cores != case::Cores::Any || args.cpus.is_some());
    if args.verify {
        cases.extend(case::mixed());
    }
    let entries = runner::plan(&setup, cases, &contenders, &args.only).map_err(io::Error::other)?;
    let runner = Runner::new(&setup, &|| false, &|_| {});
    if args.verify {
        let found = runner.verify(&entries);
        print!("{found}");
        return Ok(match found.failed[..] {
            [] => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        });
    }
    let report = args.report.as_deref();
    let report = Output::open(report.unwrap_or(Path::new("report.html")), "report")?;
    let chart = open(&args.chart, "chart")?;
    let json = open(&args.json, "figures")?;
    let header = Run::of(&setup, &[], false).conditions("slipring compared");
    println!("{}\n", header.join("\n"));
    let mut results = Vec::new();
    for entry in &entries {
        let result = runner.run(entry);
        println!("{}", table::case(&CaseFigures::of(&setup, &result)));
        results.push(result);
    }
    let runs = [Run::of(&setup, &results, false)];
    println!("{}", medians::tables(&runs));
    report.write(&page(header, &runs)?)?;
    if let Some(file) = chart {
        file.write(&drawn(&runs)?)?;
    }
    if let Some(file) = json {
        file.write(&figures::text(&runs[0].document()))?;
    }
    Ok(match results::any_failed(&results) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Shows what was measured before.
fn show(args: &Args) -> io::Result<ExitCode> {
    let (report, chart) = (open(&args.report, "report")?, open(&args.chart, "chart")?);
    let runs = Run::read_all(&args.from, &args.only)?;
    match args.summary {
        true => print!("{}", medians::summary(&runs)),
        false => print!("{}", medians::tables(&runs)),
    }
    if let Some(file) = report {
        let header = runs.iter().flat_map(|run| run.conditions(run.name()));
        file.write(&page(header.collect(), &runs)?)?;
    }
    if let Some(file) = chart {
        file.write(&drawn(&runs)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Option<PathBuf>, what: &'static str) -> io::Result<Option<Output>> {
    let path = path.as_deref();
    path.map(|path| Output::open(path, what)).transpose()
}

fn page(header: Vec<String>, runs: &[Run]) -> io::Result<String> {
    let page = Page {
        title: "slipring compared",
        summary: None,
        header,
        cut_short: false,
        goals: Vec::new(),
    };
    page.render(runs)
}

fn drawn(runs: &[Run]) -> io::Result<String> {
    let nothing = "too little to draw a chart: it takes round trips, or throughput, of two sizes";
    charts::for_a_document(runs).ok_or_else(|| io::Error::other(nothing))
}

/// The commit of this repository, and whether what is measured has changed since; `None` where git
/// cannot tell.
fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let mut git = process::Command::new("git");
        let git = git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(args);
        let said = git.output().ok().filter(|said| said.status.success())?;
        Some(String::from_utf8_lossy(&said.stdout).trim().to_string())
    };
    let mut commit = git(&["rev-parse", "--short=7", "HEAD"])?;
    let measured = [
        "src",
        "Cargo.toml",
        "Cargo.lock",
        "../slipring",
        "../slipring-bench",
    ];
    let changed = git(&[&["status", "--porcelain", "--"], &measured[..]].concat())?;
    if !changed.is_empty() {
        commit += ", changed";
    }
    Some(commit)
}
