//! `slipring listen`: waits at a name and joins each client to the standard streams or a command.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
    sync::Arc,
};

use slipring::{Listener, Stream};

use crate::{
    attach::{AttachArgs, Attached, Circumstances},
    backoff::Backoff,
    cleanup::{self, Duty, OwnFile},
    console,
    duplex::abort_code,
    failure::Failure,
    options::{StreamArgs, bind, name_parser},
    spawn_with,
    succession::{Estate, Served, Succession, Turn},
};

pub const EXAMPLES: &str = "\
The end of standard input ends only that direction; what the peer sends is still read to its end. \
A CMD that a signal killed is a loss for the peer. CMD gets a SIGTERM if this is told to end, and \
a SIGHUP if it goes on although its peer was lost.

With --keep, SIGUSR2 replaces this process by a new one of the same program and arguments, such as \
an updated version. No client is refused: the new one takes the name over, and this one ends with \
the last connection that it has. A socket of this name that a service manager passes (socket \
activation) is taken over as well.

Examples:
  slipring listen backup > backup.tar          # and elsewhere: tar c . | slipring connect backup
  slipring listen count -- wc -c               # a command serves one connection
  slipring listen -k upper -- tr a-z A-Z       # and any number at once
  slipring listen -k --socket files -- rsync --daemon --config=rsyncd.conf
  slipring listen --capacity 4M --progress bulk > /dev/null

Exit code: 0 after a clean end, 3 if the peer was lost, 4 if the name could not be bound; see \
`slipring --help`.";

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
    args.attach.check()?;
    // If that is not possible, the present limit has to suffice.
    let limit = slipring::raise_descriptor_limit().ok();
    let succession = Succession::begin()?;
    let (listener, watch) = cleanup::on_signal(|| {
        let listener = bind(&args.stream.options(), &args.name)?;
        let duties = duties(&listener);
        Ok((listener, duties))
    })?;
    let circumstances = Circumstances {
        alone: !(args.keep && args.attach.has_command()),
        orderly: false,
        limit,
    };
    if args.keep {
        let name = Arc::new(Name(listener));
        let turn = succession.serve(Arc::clone(&name), limit)?;
        drop(watch);
        announce(&args.attach, &name.0);
        return serve(&name.0, turn, &args.attach, circumstances);
    }
    announce(&args.attach, &listener);
    let stream = listener.accept()?;
    // One connection was asked for: the next one to come shall find nobody, rather than wait.
    drop(listener);
    drop(watch);
    greet(&args.attach, &stream);
    args.attach.run_once(stream, circumstances)
}

fn announce(attach: &AttachArgs, listener: &Listener) {
    if attach.verbose {
        console::say(format_args!("listening on slip-listen:{}", listener.name()));
    }
}

fn duties(listener: &Listener) -> Vec<Duty> {
    let files = OwnFile::of(listener).into_iter();
    files.map(Duty::Remove).collect()
}

/// The name that is listened at, for a successor.
struct Name(Listener);

impl Estate for Name {
    fn pass_to(&self, successor: &mut Command) -> Result<(), Failure> {
        Ok(self.0.to_fd()?.pass_to(successor)?)
    }

    fn reclaim(&self) -> Result<(), Failure> {
        Ok(self.0.reclaim()?)
    }

    fn retire(&self) {
        self.0.retire();
    }

    fn duties(&self) -> Vec<Duty> {
        duties(&self.0)
    }
}

/// Ends only if it cannot listen, when nobody reads our output any more, or when a successor has
/// taken over and the last connection has ended.
fn serve(
    listener: &Listener,
    mut turn: Turn,
    attach: &AttachArgs,
    circumstances: Circumstances,
) -> Result<ExitCode, Failure> {
    let attach = Arc::new(attach.clone());
    let mut backoff = Backoff::new();
    let served = Served::new();
    if !attach.has_command() {
        // One after the other has standard input and output, also of two processes.
        turn.wait()?;
    }
    loop {
        let stream = match listener.accept() {
            Ok(stream) => stream,
            Err(slipring::Error::Stopped) => {
                served.wait();
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => {
                backoff.failed(error);
                continue;
            }
        };
        backoff.succeeded();
        greet(&attach, &stream);
        if attach.has_command() {
            let attach = Arc::clone(&attach);
            let one = served.one();
            let serve = move |stream| {
                match attach.run(stream, circumstances) {
                    Ok(attached) if attach.verbose => attached.tell(),
                    Ok(_) => {}
                    Err(failure) => tell(&attach, &failure),
                }
                drop(one);
            };
            if let Err((error, stream)) =
                spawn_with::spawn_with("connection".to_owned(), stream, serve)
            {
                stream.into_split().1.abort(abort_code::FAILED);
                backoff.failed(format_args!("cannot start a thread: {error}"));
            }
            continue;
        }
        match attach.run(stream, circumstances) {
            Ok(Attached::OutputClosed) => return Ok(ExitCode::SUCCESS),
            Ok(_) => {}
            Err(failure) if failure.is_local() => return Err(failure),
            Err(failure) => tell(&attach, &failure),
        }
    }
}

/// Peers come and go: for a server a lost peer is an everyday event.
fn tell(attach: &AttachArgs, failure: &Failure) {
    if attach.verbose || !failure.is_peer_lost() {
        failure.report();
    }
}

fn greet(attach: &AttachArgs, stream: &Stream) {
    if attach.verbose {
        let peer = stream.peer();
        match peer.pid {
            Some(pid) => console::log(format_args!(
                "connection from process {pid} of user {}",
                peer.uid
            )),
            None => console::log(format_args!(
                "connection from a process of user {}",
                peer.uid
            )),
        }
    }
}
