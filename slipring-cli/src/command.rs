//! A command that a stream is given to: how it is started, told to end, and how it ended.

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};
use slipring::{DescriptorLimit, Stream};

use crate::duplex::Duplex;

/// How long a command that has lost its peer may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// `PF_EXITING` of Linux' include/linux/sched.h.
const EXITING: u64 = 0x4;

/// The descriptors that a command finds as its standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    Pipes,
    /// One socket that is both, as inetd gives it.
    Socket,
}

/// The command line, with the peer of `stream` named in its environment.
pub fn command(
    program: &OsString,
    arguments: &[OsString],
    stream: &Stream,
    limit: Option<DescriptorLimit>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command.env("SLIPRING_PEER_UID", stream.peer().uid.to_string());
    match stream.peer().pid {
        Some(pid) => command.env("SLIPRING_PEER_PID", pid.to_string()),
        None => command.env_remove("SLIPRING_PEER_PID"),
    };
    match stream.name() {
        Some(name) => command.env("SLIPRING_NAME", name.to_string()),
        None => command.env_remove("SLIPRING_NAME"),
    };
    // They were meant for this process, and a command has none of what they name.
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "SLIPRING_FDS"] {
        command.env_remove(variable);
    }
    if let Some(limit) = limit {
        limit.give_to(&mut command);
    }
    command
}

/// Starts the command. `shown` is its name for people.
pub fn start(
    mut command: Command,
    wiring: Wiring,
    shown: &str,
) -> io::Result<(Arc<Running>, Duplex)> {
    let (running, duplex) = match wiring {
        Wiring::Pipes => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn()?;
            let pipes = child.stdout.take().zip(child.stdin.take());
            let running = Running::new(child)?;
            let duplex = pipes
                .ok_or_else(|| io::Error::other("it has no pipes"))
                .and_then(|(output, input)| Duplex::pipes(output, input, shown.to_owned()));
            (running, duplex)
        }
        Wiring::Socket => {
            let (ours, theirs) = UnixStream::pair()?;
            let theirs = OwnedFd::from(theirs);
            command.stdin(theirs.try_clone()?).stdout(theirs);
            let running = Running::new(command.spawn()?)?;
            // `command` holds the other end, whose only copies have to be the child's.
            drop(command);
            (running, Duplex::command_socket(ours, shown.to_owned()))
        }
    };
    let running = Arc::new(running);
    match duplex {
        Ok(duplex) => Ok((Arc::clone(&running), duplex.of_command(running))),
        Err(error) => {
            running.kill();
            Err(error)
        }
    }
}

/// A command that has been started, and may have ended.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    child: Mutex<Child>,
}

impl Running {
    fn new(child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self {
            pid: pid.ok_or_else(|| io::Error::other("it has no process id"))?,
            child: Mutex::new(child),
        })
    }

    /// Waits for the end.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        // Without reaping it: as long as nobody has, its number is its own, and can be signalled.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.pid), ended).is_err_and(|errno| errno == Errno::INTR) {}
        self.child().wait()
    }

    /// The signal that killed it, if it is about to end or has ended like that. A command that
    /// lives on (it may have closed its output alone) is not waited for.
    pub fn killed_by(&self) -> Option<i32> {
        if !self.is_exiting() {
            return None;
        }
        self.wait().ok()?.signal()
    }

    /// Does nothing if it has ended.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Its peer is gone, and its input and output are closed: it may end by itself, and is told to
    /// if it does not.
    pub fn hang_up(&self) {
        let start = Instant::now();
        while matches!(self.child().try_wait(), Ok(None)) {
            if start.elapsed() >= GRACE {
                return self.signal(Signal::HUP);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// For a command that could not be served: without this it would stay as a zombie.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        let _ = self.wait();
    }

    /// Whether it has begun to exit, for any reason. The kernel says so in the flags of a process
    /// before it closes its descriptors (`do_exit`), so the end of its output cannot come earlier.
    fn is_exiting(&self) -> bool {
        if !matches!(self.child().try_wait(), Ok(None)) {
            return true;
        }
        fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()))
            .ok()
            .and_then(|stat| flags(&stat))
            .is_some_and(|flags| flags & EXITING != 0)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The flags in `/proc/PID/stat` (proc(5)): the seventh field after the name, which may have blanks
/// and brackets in it.
fn flags(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_process_are_found_behind_any_program_name() {
        let stat = "7 (a) (b 1 2) R 1 7 7 0 -1 4194308 90 0";
        assert_eq!(flags(stat), Some(4_194_308));
        assert_eq!(flags("7 (a"), None);
    }

    #[test]
    fn a_command_that_lives_is_not_exiting_and_a_killed_one_is() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let running = Running::new(child).unwrap();
        assert_eq!(running.killed_by(), None);
        running.signal(Signal::KILL);
        running.wait().unwrap();
        assert_eq!(running.killed_by(), Some(9));
        running.signal(Signal::KILL);
    }
}
