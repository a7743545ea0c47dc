//! The exit codes of every subcommand, and the text that documents them.

use std::process::ExitCode;

/// The exit code of a finished command. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Something was lost, or an operation on this machine failed.
    Failed = 1,
    /// The command line is wrong; clap uses the same number for the mistakes that it finds itself.
    Usage = 2,
    /// The peer went away before its clean end.
    PeerLost = 3,
    /// No connection came about, or the name or address could not be bound.
    Unreachable = 4,
    /// Ended by Ctrl-C. For a command that leaves the signal at its default the shell makes the
    /// same number, as 128 + SIGINT.
    #[allow(
        dead_code,
        reason = "most commands leave SIGINT to the shell's reckoning"
    )]
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Shown at the end of `slipring --help`.
pub const HELP: &str = "\
Exit codes:
    0  success: the peer has taken everything, and both sides ended cleanly
    1  failed: something was lost, or reading, writing or starting a command failed
    2  the command line is wrong
    3  the peer was lost: it died, aborted or vanished before its clean end
    4  could not connect or bind: name not bound, in use, refused, timed out
  130  interrupted by Ctrl-C; 128 + N in general, as shells reckon, if signal N ended it

With `-- CMD`, `listen` and `connect` pass on the exit code of CMD (128 + N if signal N killed \
it), unless the peer was lost.
A reader of standard output that stops early, as in `slipring ls | head -1`, is not a failure.

`slipring COMMAND --help` shows each command's options, units, defaults and examples.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_status_is_documented() {
        for status in [
            Status::Failed,
            Status::Usage,
            Status::PeerLost,
            Status::Unreachable,
            Status::Interrupted,
        ] {
            let number = (status as u8).to_string();
            assert!(
                HELP.lines()
                    .any(|line| line.trim_start().starts_with(&number)),
                "{status:?} ({number}) is missing in the help text"
            );
        }
    }
}
