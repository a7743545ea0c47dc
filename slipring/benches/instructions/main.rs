//! Counts the instructions of each way of moving bytes, and compares them with those that are
//! written down: a step too many shows at once, under any load of the machine.
//!
//! ```text
//! cargo bench -p slipring --features mmf,tokio --bench instructions
//! cargo bench -p slipring --features mmf,tokio --bench instructions -- --accept
//! ```
//!
//! The first compares and needs valgrind; the second writes its counts down.
//!
//! The program counts itself: it runs each path of `paths` under valgrind, `INSTRUCTIONS --run PATH
//! OPERATIONS`.

mod baseline;
mod counting;
mod paths;

use baseline::Baseline;
use paths::PATHS;
use std::env;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `cargo bench` adds a word of its own.
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        [] => compare(),
        ["--accept"] => accept(),
        ["--run", name, operations] => run(name, operations),
        _ => Err(format!(
            "unknown arguments {args:?}; known are --accept, and --run PATH OPERATIONS"
        )
        .into()),
    };
    done.unwrap_or_else(|e| {
        eprintln!("instructions: {e}");
        ExitCode::from(2)
    })
}

/// Fails if a path takes clearly more, or fewer, instructions than is written down.
fn compare() -> Result<ExitCode, Box<dyn Error>> {
    let accepted = Baseline::read()?;
    let counted = count()?;
    let differences = counted.against(&accepted);
    if differences.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "\ninstructions: not as {} says:",
        Baseline::path().display()
    );
    for difference in differences {
        eprintln!("  {difference}");
    }
    eprintln!(
        "A rise that the change is worth, or a fall, is accepted by writing it down; the commit \
         message says why:\n  \
         cargo bench -p slipring --features mmf,tokio --bench instructions -- --accept"
    );
    Ok(ExitCode::FAILURE)
}

fn accept() -> Result<ExitCode, Box<dyn Error>> {
    count()?.write()?;
    println!("written to {}", Baseline::path().display());
    Ok(ExitCode::SUCCESS)
}

/// Counts all paths.
fn count() -> Result<Baseline, Box<dyn Error>> {
    if cfg!(feature = "fail-points") {
        return Err(
            "built with the feature fail-points, which adds to each path: leave --all-features out"
                .into(),
        );
    }
    let mut counts = Vec::new();
    for path in PATHS {
        let count = counting::per_operation(path)?;
        println!("{:<16}{count:>8}", path.name);
        counts.push((path.name.to_owned(), count));
    }
    Ok(Baseline {
        tools: counting::tools()?,
        counts,
    })
}

/// The run that valgrind watches.
fn run(name: &str, operations: &str) -> Result<ExitCode, Box<dyn Error>> {
    let path = PATHS
        .iter()
        .find(|path| path.name == name)
        .ok_or("no such path")?;
    (path.run)(operations.parse()?)?;
    Ok(ExitCode::SUCCESS)
}
