//! `slipring`: the command line of the slipring library.

mod address;
mod attach;
mod backoff;
mod bench;
mod board;
mod cleanup;
mod command;
mod connect;
mod console;
mod demo;
mod duplex;
mod exit;
mod failure;
mod forward;
mod harness;
mod hints;
mod listen;
mod ls;
mod options;
mod progress;
mod publish;
mod records;
mod relay;
mod session;
mod signals;
mod spawn_with;
mod standard;
mod subscribe;
mod succession;
mod units;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use failure::Failure;

/// Shared-memory byte streams, feeds and boards from the shell.
///
/// A slipring stream joins two processes of one machine like a connected socket, only faster: the
/// bytes go through shared memory, in both directions at once. A feed has one writer and any number
/// of readers, none of which holds up the writer or another one; a board has keys, each with its
/// newest value, likewise.
#[derive(Debug, Parser)]
#[command(name = "slipring", version, after_help = exit::HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start an engine and its panels, and see that nothing is lost, and how fast it is
    Demo(demo::Args),
    #[command(hide = true)]
    DemoPanel(demo::PanelArgs),
    /// Listen at a name and join each client to standard input and output, or to a command
    Listen(listen::Args),
    /// Connect to a name and join it to standard input and output, or to a command
    Connect(connect::Args),
    /// Join two of: streams, TCP, Unix sockets, rings of C# programs, standard input and output
    Forward(forward::Args),
    /// Publish the lines of standard input to everybody who subscribes to a name, or as a board
    Publish(publish::Args),
    /// Print what is published at a name
    Subscribe(subscribe::Args),
    /// Show the keys of a board, each with its newest value
    Board(board::Args),
    /// List the bound names
    Ls(ls::Args),
    /// Measure streams beside sockets, pipes and the bare exchange of cache lines
    Bench(bench::Args),
    #[command(hide = true)]
    BenchWorker(bench::WorkerArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completions { shell: Shell },
}

const COMPLETION_EXAMPLES: &str = "\
Examples:
  slipring completions bash > ~/.local/share/bash-completion/completions/slipring
  slipring completions zsh > ~/.zfunc/_slipring
  slipring completions fish > ~/.config/fish/completions/slipring.fish";

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) if error.use_stderr() => {
            let arguments: Vec<OsString> = env::args_os().collect();
            hints::hinted(error, &arguments).exit()
        }
        Err(help) => {
            return print_help(&help)
                .map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS);
        }
    };
    let result = match command {
        Command::Demo(args) => demo::run(args),
        Command::DemoPanel(args) => demo::run_panel(args),
        Command::Listen(args) => listen::run(args),
        Command::Connect(args) => connect::run(args),
        Command::Forward(args) => forward::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Subscribe(args) => subscribe::run(args),
        Command::Board(args) => board::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::BenchWorker(args) => bench::run_worker(&args),
        Command::Completions { shell } => completions(shell),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Help or the version, which the user asked for.
fn print_help(help: &clap::Error) -> Result<(), Failure> {
    standard::check_output()?;
    let printed = help.print().and_then(|()| io::stdout().flush());
    printed.map_err(Failure::writing_output)
}

fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    // Generated in memory first, because the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut offered(), "slipring", &mut script);
    console::print(script)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line without the subcommands that it starts itself with, which clap_complete would
/// offer.
fn offered() -> clap::Command {
    let whole = Cli::command();
    let subcommands = whole
        .get_subcommands()
        .filter(|one| !one.is_hide_set())
        .cloned();
    clap::Command::new("slipring")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(subcommands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
