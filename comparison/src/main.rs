//! slipring measured beside other ways of moving bytes between two processes on one machine.

mod case;
mod clock;
mod contender;
mod crowd;
mod half;
mod machine;
mod order;
mod pair;
mod pattern;
mod report;
mod results;
mod runner;
mod scratch;
mod stats;
mod transport;
mod worker;

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{
    case::{CASES, Case, Cores},
    clock::MILLISECOND,
    contender::Contender,
    machine::Machine,
    pair::Pair,
    runner::Runner,
};

/// Compare slipring with other ways of moving bytes between two processes
///
/// Measures round trips, throughput and latency at fixed rates, all contenders in turn, for several
/// rounds. Prints Markdown tables and writes a report. Every contender has to pass a verification
/// of every byte first. Run it on a machine that does nothing else.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    worker: Option<Command>,

    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,

    /// Only check that every byte arrives, measure nothing
    #[arg(long, conflicts_with_all = ["quick", "rounds", "report", "json"])]
    verify: bool,

    /// Pin the two halves to cores A and B
    #[arg(long, value_name = "A,B", value_parser = parse_cpus)]
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
    Worker(worker::Args),
}

/// What the results depend on.
pub struct Setup {
    command: String,
    machine: Machine,
    cpus: Option<(usize, usize)>,
    rounds: u32,
    /// nanoseconds
    slice: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::Worker(worker)) = &args.worker {
        return worker::run(worker);
    }
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("comparison: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<ExitCode> {
    let contenders = contender::all();
    let plan = plan(&contenders, &args.only, args.cpus.is_some())?;
    if args.verify {
        return verify(&plan, args.cpus);
    }
    let setup = Setup {
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        machine: Machine::look(),
        cpus: args.cpus,
        rounds: args.rounds.unwrap_or(if args.quick { 3 } else { 7 }),
        slice: if args.quick { 50 } else { 200 } * MILLISECOND,
    };
    let runner = Runner {
        rounds: setup.rounds,
        slice: setup.slice,
        cpus: args.cpus,
    };
    println!("{}", report::text::header(&setup));
    let mut results = Vec::new();
    for (case, contenders) in &plan {
        let result = runner.run(case, contenders);
        println!("{}", report::text::case(&result));
        results.push(result);
    }
    println!("{}", report::summary::medians(&results));
    fs::write(&args.report, report::html::page(&setup, &results))?;
    if let Some(file) = &args.json {
        fs::write(file, report::json(&setup, &results)?)?;
    }
    let failed = results
        .iter()
        .flat_map(|result| &result.rows)
        .any(|row| row.failure.is_some());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Every case with the contenders that take part in it.
fn plan<'c>(
    contenders: &'c [Contender],
    only: &[String],
    pinned: bool,
) -> io::Result<Vec<(&'static Case, Vec<&'c Contender>)>> {
    let wanted = |case: &Case, contender: &Contender| {
        let name = format!("{}/{}", case.name, contender.name);
        (contender.part)(case) && (only.is_empty() || only.iter().any(|part| name.contains(part)))
    };
    let plan: Vec<_> = CASES
        .iter()
        // If nothing is pinned, this is what all the others measure.
        .filter(|case| case.cores != Cores::Any || pinned)
        .map(|case| {
            (
                case,
                contenders
                    .iter()
                    .filter(|one| wanted(case, one))
                    .collect::<Vec<_>>(),
            )
        })
        .filter(|(_, contenders)| !contenders.is_empty())
        .collect();
    if plan.is_empty() {
        let names = |names: Vec<&str>| names.join(" ");
        return Err(io::Error::other(format!(
            "nothing has that in its name; cases: {}; contenders: {}",
            names(CASES.iter().map(|case| case.name).collect()),
            names(contenders.iter().map(|one| one.name).collect())
        )));
    }
    Ok(plan)
}

fn verify(
    plan: &[(&'static Case, Vec<&Contender>)],
    cpus: Option<(usize, usize)>,
) -> io::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    for (case, contenders) in plan {
        for contender in contenders {
            let verified =
                Pair::start(contender, case, cpus).and_then(|mut pair| pair.verify(case));
            match verified {
                Ok(()) => passed += 1,
                Err(error) => {
                    failed += 1;
                    eprintln!("{}/{}: {error}", case.name, contender.name);
                }
            }
        }
    }
    println!("every byte checked: {passed} measurements passed, {failed} failed");
    Ok(if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn parse_cpus(argument: &str) -> Result<(usize, usize), String> {
    let expected = || "expected the numbers of two cores, such as 0,1".to_string();
    let (here, there) = argument.split_once(',').ok_or_else(expected)?;
    let number = |text: &str| text.parse().map_err(|_| expected());
    Ok((number(here)?, number(there)?))
}
