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

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use slipring::Spin;
use slipring_bench::{
    case,
    clock::MILLISECOND,
    contender::Contender,
    contenders, date,
    file::Output,
    json,
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
/// a verification of every byte first. Run it on a machine that does nothing else.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    worker: Option<Command>,

    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,

    /// Only check that every byte arrives, of messages of mixed lengths too; measure nothing
    #[arg(long, conflicts_with_all = ["quick", "rounds", "report", "json"])]
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

    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    report: PathBuf,

    /// Write all figures there, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
        None => run(&args),
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
        date: date::now(),
        command: machine::command_line(),
        machine: Machine::look(),
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
    let report = Output::open(&args.report, "report")?;
    let json = args.json.as_deref();
    let json = json.map(|path| Output::open(path, "figures")).transpose()?;
    let header = table::header(&setup, "slipring compared", "two processes");
    println!("{}\n", header.join("\n"));
    let mut results = Vec::new();
    for entry in &entries {
        let result = runner.run(entry);
        println!("{}", table::case(&setup, &result));
        results.push(result);
    }
    println!("{}", medians::tables(&results));
    let page = Page {
        title: "slipring compared",
        summary: None,
        header,
        cut_short: false,
        goals: Vec::new(),
    };
    report.write(&page.render(&setup, &results)?)?;
    if let Some(file) = json {
        file.write(&format!("{:#}\n", json::document(&setup, &results, false)))?;
    }
    Ok(match results::any_failed(&results) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
