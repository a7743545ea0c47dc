//! `slipring listen`: waits at a name and joins whoever connects to the standard streams or a command.

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use slipring::{Listener, Stream};

use crate::{
    attach::{AttachArgs, Attached},
    backoff::Backoff,
    cleanup::{self, SocketFile},
    console,
    duplex::abort_code,
    failure::Failure,
    handover,
    options::{StreamArgs, name_parser},
};

pub const EXAMPLES: &str = "\
The end of standard input ends only that direction; what the peer sends is still read to its end.

Examples:
  slipring listen backup > backup.tar          # and elsewhere: tar c . | slipring connect backup
  slipring listen count -- wc -c               # a command serves one connection
  slipring listen -k upper -- tr a-z A-Z       # and any number at once
  slipring listen --capacity 4M --progress bulk > /dev/null

Exit code: 0 after a clean end, 3 if the peer was lost, 4 if the name could not be bound; see `slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name to listen at: NAME or Local/NAME (this user), Global/NAME (this machine), or an
    /// absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// Accept again and again: one after the other, or any number at once with a command
    #[arg(short, long)]
    keep: bool,

    #[command(flatten)]
    attach: AttachArgs,

    #[command(flatten)]
    stream: StreamArgs,
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let listener = args.stream.options().bind(&args.name)?;
    let watch = cleanup::on_signal(SocketFile::at(listener.path()).into_iter().collect())?;
    if args.attach.verbose {
        console::say(format_args!("listening on slip-listen:{}", listener.name()));
    }
    if args.keep {
        return serve(&listener, &args.attach);
    }
    let stream = listener.accept()?;
    // One connection was asked for: the next one to come shall find nobody, rather than wait.
    drop(listener);
    drop(watch);
    greet(&args.attach, &stream);
    args.attach.run(stream, true).map(Attached::exit_code)
}

/// Never ends but for a failure to listen, or when nobody reads our output any more.
fn serve(listener: &Listener, attach: &AttachArgs) -> Result<ExitCode, Failure> {
    let attach = Arc::new(attach.clone());
    let mut backoff = Backoff::new();
    loop {
        let stream = match listener.accept() {
            Ok(stream) => stream,
            Err(slipring::Error::Stopped) => return Ok(ExitCode::SUCCESS),
            Err(error) => {
                backoff.failed(error);
                continue;
            }
        };
        backoff.succeeded();
        greet(&attach, &stream);
        if attach.has_command() {
            let attach = Arc::clone(&attach);
            let serve = move |stream| {
                if let Err(failure) = attach.run(stream, false) {
                    failure.report();
                }
            };
            if let Err((error, stream)) = handover::spawn("connection".to_owned(), stream, serve) {
                stream.into_split().1.abort(abort_code::FAILED);
                backoff.failed(format_args!("cannot start a thread: {error}"));
            }
            continue;
        }
        match attach.run(stream, true) {
            Ok(Attached::OutputClosed) => return Ok(ExitCode::SUCCESS),
            Ok(_) => {}
            Err(failure) if failure.is_local() => return Err(failure),
            Err(failure) => {
                failure.report();
            }
        }
    }
}

fn greet(attach: &AttachArgs, stream: &Stream) {
    if attach.verbose {
        let peer = stream.peer();
        match peer.pid {
            Some(pid) => console::log(format_args!("connection from process {pid} of user {}", peer.uid)),
            None => console::log(format_args!("connection from a process of user {}", peer.uid)),
        }
    }
}
