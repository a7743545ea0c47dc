//! Joins a stream to standard input and output, or to a child's; shared by `listen` and `connect`.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::Arc,
};

use slipring::Stream;

use crate::{
    console,
    duplex::{Duplex, Fault, abort_code},
    failure::Failure,
    progress::Progress,
    relay::{self, Ending, Outcome, Traffic},
};

/// What `listen` and `connect` do with a stream.
#[derive(Debug, Clone, clap::Args)]
pub struct AttachArgs {
    /// Show bytes and rate on standard error: live if that is a terminal, and a summary at the end
    #[arg(long)]
    progress: bool,

    /// Say on standard error who connects
    #[arg(short, long)]
    pub verbose: bool,

    /// Give the stream to this command as its standard input and output. It finds SLIPRING_NAME,
    /// SLIPRING_PEER_PID and SLIPRING_PEER_UID in its environment
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How a connection without failure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Ended,
    /// Whoever read our standard output does so no longer; there is no point in going on.
    OutputClosed,
    Child(ExitStatus),
}

impl Attached {
    pub fn exit_code(self) -> ExitCode {
        let Self::Child(status) = self else {
            return ExitCode::SUCCESS;
        };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl AttachArgs {
    pub fn has_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// Copies until both directions have ended. `alone`: no other connection runs beside this one.
    pub fn run(&self, stream: Stream, alone: bool) -> Result<Attached, Failure> {
        let traffic = Arc::default();
        let progress = self.progress.then(|| Progress::start(&traffic, alone));
        let result = match self.command.split_first() {
            None => to_standard(stream, &traffic),
            Some((program, arguments)) => to_child(stream, program, arguments, &traffic),
        };
        if let Some(progress) = progress {
            progress.finish();
        }
        result
    }
}

fn to_standard(stream: Stream, traffic: &Arc<Traffic>) -> Result<Attached, Failure> {
    let standard = Duplex::standard().map_err(Failure::doing("use standard input and output"))?;
    let outcome = relay::run(
        standard,
        Duplex::slip(stream),
        traffic,
        |_, _| {},
        |back, link| {
            // Like a tool that is ended by SIGPIPE: what we would still send serves nobody.
            if matches!(back, Ending::NotWanted { .. }) {
                link.close();
            }
        },
    )
    .map_err(Failure::doing("start copying"))?;
    if matches!(outcome.back, Ending::NotWanted { .. }) {
        return Ok(Attached::OutputClosed);
    }
    judge(&outcome)?;
    match outcome.forth {
        Ending::NotWanted { unsent: true } => Err(Failure::failed(
            "the peer stopped reading; the rest of the input was not sent",
        )),
        _ => Ok(Attached::Ended),
    }
}

fn to_child(
    stream: Stream,
    program: &OsString,
    arguments: &[OsString],
    traffic: &Arc<Traffic>,
) -> Result<Attached, Failure> {
    let shown = console::printable(&program.to_string_lossy());
    let (mut child, duplex) = match start(&stream, program, arguments, &shown) {
        Ok(started) => started,
        Err(failure) => {
            // Only dropped, the stream would look to the peer as if it had ended in order.
            stream.into_split().1.abort(abort_code::FAILED);
            return Err(failure);
        }
    };
    let mut status = None;
    let outcome = relay::run(
        duplex,
        Duplex::slip(stream),
        traffic,
        |_, link| {
            // The command's output is closed. Its input goes on until it exits; then nobody is
            // left to read what the peer sends.
            status = Some(child.wait());
            link.close();
        },
        |_, _| {},
    );
    let outcome = outcome.map_err(|error| {
        end(&mut child);
        Failure::doing("start copying")(error)
    })?;
    judge(&outcome)?;
    match status {
        Some(Ok(status)) => Ok(Attached::Child(status)),
        Some(Err(error)) => Err(Failure::doing(format_args!("wait for `{shown}`"))(error)),
        None => Ok(Attached::Ended),
    }
}

fn start(stream: &Stream, program: &OsString, arguments: &[OsString], shown: &str) -> Result<(Child, Duplex), Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("SLIPRING_PEER_UID", stream.peer().uid.to_string());
    match stream.peer().pid {
        Some(pid) => command.env("SLIPRING_PEER_PID", pid.to_string()),
        None => command.env_remove("SLIPRING_PEER_PID"),
    };
    match stream.name() {
        Some(name) => command.env("SLIPRING_NAME", name.to_string()),
        None => command.env_remove("SLIPRING_NAME"),
    };
    let cannot_run = || Failure::doing(format!("run `{shown}`"));
    let mut child = command.spawn().map_err(cannot_run())?;
    let duplex = match (child.stdout.take(), child.stdin.take()) {
        (Some(output), Some(input)) => Duplex::child(output, input, shown.to_owned()),
        _ => Err(io::Error::other("it has no pipes")),
    };
    match duplex {
        Ok(duplex) => Ok((child, duplex)),
        Err(error) => {
            end(&mut child);
            Err(cannot_run()(error))
        }
    }
}

/// For a child that could not be served: without this it would stay as a zombie.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A loss counts more than a failure: the failure may only be its consequence.
fn judge(outcome: &Outcome) -> Result<(), Failure> {
    let faults = || {
        [&outcome.back, &outcome.forth]
            .into_iter()
            .filter_map(|ending| match ending {
                Ending::Source(fault) | Ending::Sink(fault) => Some(fault),
                _ => None,
            })
    };
    let lost = faults().find_map(|fault| match fault {
        Fault::Lost { why, .. } => Some(format!("the peer was lost: {why}; run it again once the peer is back")),
        _ => None,
    });
    if let Some(message) = lost {
        return Err(Failure::peer_lost(message));
    }
    let failed = faults().find_map(|fault| match fault {
        Fault::Failed(message) => Some(message.clone()),
        _ => None,
    });
    failed.map_or(Ok(()), |message| Err(Failure::failed(message)))
}
