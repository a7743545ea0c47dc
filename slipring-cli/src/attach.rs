//! Joins a stream to standard input and output, or to a command's; shared by `listen` and
//! `connect`.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode, ExitStatus},
    sync::Arc,
};

use slipring::{DescriptorLimit, Stream};

use crate::{
    cleanup::{self, Duty},
    command::{self, Wiring},
    console,
    duplex::{Duplex, Fault, abort_code},
    failure::Failure,
    progress::Progress,
    relay::{self, Ending, Outcome, Traffic},
    standard,
};

/// The options of `listen` and `connect` for the stream they make.
#[derive(Debug, Clone, clap::Args)]
pub struct AttachArgs {
    /// Show bytes and rate on standard error: live if that is a terminal, and a summary at the end
    #[arg(long)]
    progress: bool,

    /// Say on standard error which process connects
    #[arg(short, long)]
    pub verbose: bool,

    /// Give CMD one socket as both its standard input and output, as inetd does (for rsync --daemon
    /// and the like), rather than two pipes
    #[arg(long, requires = "command")]
    socket: bool,

    /// Give the stream to this command as its standard input and output: two pipes, or with
    /// --socket one socket; standard error stays. It finds SLIPRING_NAME, SLIPRING_PEER_PID and
    /// SLIPRING_PEER_UID in its environment
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How a connection without failure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Ended,
    /// The reader of our standard output has gone; there is no point in going on.
    OutputClosed,
    Command(ExitStatus),
}

impl Attached {
    /// For a server, which has no exit code for each command.
    pub fn tell(self) {
        if let Self::Command(status) = self
            && !status.success()
        {
            console::log(format_args!("the command ended with {status}"));
        }
    }

    pub fn exit_code(self) -> ExitCode {
        let Self::Command(status) = self else {
            return ExitCode::SUCCESS;
        };
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

/// The circumstances of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// No other connection runs beside this one.
    pub alone: bool,
    /// SIGTERM and SIGHUP end a stream to standard input and output in order.
    pub orderly: bool,
    /// The limit of descriptors for a command, where this process has raised its own.
    pub limit: Option<DescriptorLimit>,
}

impl AttachArgs {
    pub fn has_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// Fails if the bytes of a stream would be lost. To be called before there is a stream.
    pub fn check(&self) -> Result<(), Failure> {
        if self.has_command() {
            Ok(())
        } else {
            standard::check_output()
        }
    }

    /// Copies until both directions have ended.
    pub fn run(&self, stream: Stream, circumstances: Circumstances) -> Result<Attached, Failure> {
        let traffic = Arc::default();
        let progress = self
            .progress
            .then(|| Progress::start(&traffic, circumstances.alone));
        let result = match self.command.split_first() {
            None => self.run_standard(stream, circumstances, &traffic),
            Some((program, arguments)) => {
                let shown = console::printable(&program.to_string_lossy());
                let command = command::command(program, arguments, &stream, circumstances.limit);
                to_command(stream, command, self.wiring(), &shown, &traffic)
            }
        };
        if let Some(progress) = progress {
            progress.finish();
        }
        result
    }

    /// As [`run`](Self::run), for the only connection there will be.
    pub fn run_once(
        &self,
        stream: Stream,
        circumstances: Circumstances,
    ) -> Result<ExitCode, Failure> {
        match self.run(stream, circumstances) {
            Ok(attached) => Ok(attached.exit_code()),
            Err(failure) if failure.is_peer_lost() => {
                Err(failure.followed_by("; run it again once the peer is back"))
            }
            Err(failure) => Err(failure),
        }
    }

    fn run_standard(
        &self,
        stream: Stream,
        circumstances: Circumstances,
        traffic: &Arc<Traffic>,
    ) -> Result<Attached, Failure> {
        let mut duties = Vec::new();
        if circumstances.orderly {
            duties.push(Duty::Close(stream.closer()));
        }
        match cleanup::on_signal(|| Ok(((), duties))) {
            Ok(((), _watch)) => to_standard(stream, traffic),
            Err(failure) => Err(refused(stream, failure)),
        }
    }

    fn wiring(&self) -> Wiring {
        if self.socket {
            Wiring::Socket
        } else {
            Wiring::Pipes
        }
    }
}

fn to_standard(stream: Stream, traffic: &Arc<Traffic>) -> Result<Attached, Failure> {
    let standard = Duplex::standard().map_err(Failure::doing("use standard input and output"))?;
    let outcome = relay::run(
        standard,
        Duplex::slip(stream),
        traffic,
        |_, _| {},
        |back, session| {
            // Like a tool that is ended by SIGPIPE: nobody uses the bytes that we would still send.
            if matches!(back, Ending::NotWanted { .. }) {
                session.close();
            }
        },
    )
    .map_err(Failure::doing("start copying"))?;
    if matches!(outcome.back, Ending::NotWanted { .. }) {
        return Ok(Attached::OutputClosed);
    }
    lost(&outcome)?;
    failed(&outcome)?;
    match outcome.forth {
        Ending::NotWanted { unsent: true } => Err(Failure::failed(
            "the peer stopped reading; the rest of the input was not sent",
        )),
        _ => Ok(Attached::Ended),
    }
}

fn to_command(
    stream: Stream,
    command: Command,
    wiring: Wiring,
    shown: &str,
    traffic: &Arc<Traffic>,
) -> Result<Attached, Failure> {
    let started = cleanup::on_signal(|| {
        let (running, duplex) = command::start(command, wiring, shown)
            .map_err(Failure::doing(format!("run `{shown}`")))?;
        let duties = vec![Duty::Terminate(Arc::clone(&running))];
        Ok(((running, duplex), duties))
    });
    let ((running, duplex), _watch) = match started {
        Ok(started) => started,
        Err(failure) => return Err(refused(stream, failure)),
    };
    let outcome = relay::run(
        duplex,
        Duplex::slip(stream),
        traffic,
        |forth, session| {
            if is_loss(forth) {
                running.hang_up();
            }
            // The command's output is closed. Its input goes on until the command exits; then
            // nobody is left to read the bytes that the peer sends.
            if session.abort_code().is_none() {
                let _ = running.wait();
                session.close();
            }
        },
        |back, _| {
            if is_loss(back) {
                running.hang_up();
            }
        },
    );
    let outcome = outcome.map_err(|error| {
        running.kill();
        Failure::doing("start copying")(error)
    })?;
    let status = running.wait();
    lost(&outcome)?;
    let status = status.map_err(Failure::doing(format_args!("wait for `{shown}`")))?;
    // A killed command ends the stream as a failure does, and its exit code says why.
    if status.signal().is_none() {
        failed(&outcome)?;
    }
    Ok(Attached::Command(status))
}

/// Refuses a stream that was never served. If it were only dropped, its peer would take that for an
/// end in order.
fn refused(stream: Stream, failure: Failure) -> Failure {
    stream.into_split().1.abort(abort_code::FAILED);
    failure
}

fn is_loss(ending: &Ending) -> bool {
    fault(ending).is_some_and(|fault| matches!(fault, Fault::Lost { .. }))
}

fn fault(ending: &Ending) -> Option<&Fault> {
    match ending {
        Ending::Source(fault) | Ending::Sink(fault) => Some(fault),
        _ => None,
    }
}

fn faults(outcome: &Outcome) -> impl Iterator<Item = &Fault> {
    [&outcome.back, &outcome.forth]
        .into_iter()
        .filter_map(fault)
}

/// To be asked before [`failed`]: a failure may only be the consequence of a loss.
fn lost(outcome: &Outcome) -> Result<(), Failure> {
    let lost = faults(outcome).find_map(|fault| match fault {
        Fault::Lost { why, .. } => Some(Failure::peer_lost(format!("the peer was lost: {why}"))),
        _ => None,
    });
    lost.map_or(Ok(()), Err)
}

fn failed(outcome: &Outcome) -> Result<(), Failure> {
    let failed = faults(outcome).find_map(|fault| match fault {
        Fault::Failed(message) => Some(Failure::failed(message.clone())),
        _ => None,
    });
    failed.map_or(Ok(()), Err)
}
