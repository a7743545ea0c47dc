//! A process that is measured: it makes its ends of connections and carries out orders.

use std::{fs, io, os::fd::OwnedFd, process::ExitCode};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::{
    case::Case,
    channel::Channel,
    machine,
    order::{Answer, Join, Order, Report, Task},
    transport::End,
};

/// The hidden subcommand that a program starts itself with; it has one argument more.
pub const SUBCOMMAND: &str = "bench-worker";

/// The work of a process of a measurement. Every transport does it as its links allow; a contender
/// that is not made of links does it in a way of its own.
///
/// A transport's link is hidden behind the whole work of a process, so that every measurement is
/// compiled for its own transport and no call goes through a pointer.
pub trait Work: Send + Sync {
    /// Whether both halves are in one process.
    fn alone(&self) -> bool {
        false
    }

    /// Does it, until there are no more orders.
    fn work(&self, worker: &Worker) -> io::Result<()>;
}

/// The task that a process has been started for, as it sees it itself.
pub struct Worker {
    channel: Channel,
    task: Task,
}

/// Runs a process of a measurement. `argument` is the text that [`SUBCOMMAND`] came with; `work`
/// finds the work of a contender of this name in a case.
pub fn run(
    argument: &str,
    work: impl FnOnce(&str, &Case) -> Option<Box<dyn Work>>,
) -> io::Result<ExitCode> {
    let task: Task = serde_json::from_str(argument)
        .map_err(|_| io::Error::other("this subcommand is started by the benchmark itself"))?;
    // A half that spins would not notice that nobody is interested any more.
    belong_to(task.parent)?;
    let worker = Worker {
        channel: Channel::from_stdin()?,
        task,
    };
    let worked = worker.pin(worker.task.cpu).and_then(|()| {
        let unknown = || io::Error::other("there is no such contender");
        work(&worker.task.contender, worker.case())
            .ok_or_else(unknown)?
            .work(&worker)
    });
    Ok(match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            worker.tell_failure(&error);
            ExitCode::FAILURE
        }
    })
}

/// Lets this process end with the one that started it.
pub fn belong_to(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above took effect; then nobody will send the signal,
    // and this process has been given another parent already.
    let actual = getppid().map_or(0, Pid::as_raw_pid);
    if u32::try_from(actual) == Ok(parent) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "this subcommand is started by the command itself; its parent is process {actual}, not \
         {parent}"
    )))
}

impl Worker {
    /// The case that is measured.
    pub fn case(&self) -> &Case {
        &self.task.case
    }

    /// Whether this process has the half that sends first.
    pub fn is_host(&self) -> bool {
        self.task.host
    }

    pub(crate) fn pin(&self, cpu: Option<usize>) -> io::Result<()> {
        cpu.map_or(Ok(()), machine::pin_to)
    }

    /// Takes this process's ends of the connections, whose other ends another process takes.
    pub fn ends(&self) -> io::Result<Vec<End>> {
        self.channel.send(&Answer::Ready)?;
        let mut ends = Vec::new();
        while let Some((Join::Stream, sockets)) = self.channel.receive_with::<Join>()? {
            for socket in sockets {
                ends.push(self.end(ends.len(), socket)?);
            }
        }
        Ok(ends)
    }

    fn end(&self, number: usize, socket: OwnedFd) -> io::Result<End> {
        let mut directory = self.task.directory.clone();
        if !directory.as_os_str().is_empty() {
            directory.push(number.to_string());
            fs::create_dir_all(&directory)?;
        }
        Ok(End {
            host: self.task.host,
            socket: socket.into(),
            size: self.case().size,
            directory,
        })
    }

    /// The one end of a case of one connection.
    pub fn end_of_one(&self) -> io::Result<End> {
        let mut ends = self.ends()?;
        ends.pop().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Says that the connections stand.
    pub fn say_connected(&self) -> io::Result<()> {
        self.channel.send(&Answer::Connected)
    }

    pub(crate) fn tell_failure(&self, error: &io::Error) {
        // The parent tells the user; if it does not listen, there is nobody to tell.
        let _ = self.channel.send(&Answer::Failed(error.to_string()));
    }

    /// Says that the connections stand, and carries out orders until there are no more.
    pub fn orders(
        &self,
        mut carry_out: impl FnMut(Order) -> io::Result<Vec<Report>>,
    ) -> io::Result<()> {
        self.say_connected()?;
        while let Some(order) = self.channel.receive()? {
            for report in carry_out(order)? {
                self.report(report)?;
            }
        }
        Ok(())
    }

    pub(crate) fn report(&self, report: Report) -> io::Result<()> {
        self.channel.send(&Answer::Done(report))
    }

    /// Core of the other half, if that is a thread of this process.
    pub(crate) fn other_cpu(&self) -> Option<usize> {
        self.task.other_cpu
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }
}
