//! How many descriptors the process may have open: `RLIMIT_NOFILE` (getrlimit(2)).

use super::failure::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The soft limit; `None`: there is none.
pub(crate) fn soft() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the soft limit to the hard one, and returns it as it was (prlimit(2)).
pub(crate) fn raise() -> Result<Option<u64>, Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).map_err(Failure::of(
            "raising the limit of descriptors (RLIMIT_NOFILE)",
        ))?;
    }
    Ok(current)
}

/// Makes `command` start its program with this soft limit. If it cannot be set, it is
/// [`Command::spawn`] that fails.
pub(crate) fn start_with(command: &mut Command, soft: Option<u64>) -> &mut Command {
    let lower = move || {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: soft,
            maximum,
        };
        setrlimit(Resource::Nofile, limit).map_err(Into::into)
    };
    // SAFETY: between fork and exec only async-signal-safe code may run. `lower` makes two system
    // calls on values of its own; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(lower) }
}
