//! The processes of a measurement, as the process that compares sees them.

use std::{
    io,
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    case::{Case, Kind, Measure},
    channel::Channel,
    clock::{self, MILLISECOND, SECOND},
    contender::Contender,
    order::{Answer, Join, Order, Report, Task, wall},
    scratch::Scratch,
    subscribed,
    usage::{self, Activity},
    worker,
};

/// No answer takes longer, or something hangs.
const PATIENCE: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};
/// Messages of a slice at a fixed rate, at least.
const FOR_PERCENTILES: u64 = 250;
/// Publications of a slice, at least.
const LEAST_PUBLICATIONS: u64 = 50;
/// Client processes of a server, if there are as many streams.
const CLIENTS: usize = 2;
/// How long processes may take to come to rest.
const REST: u64 = 10 * SECOND;

pub(crate) struct Team {
    /// the host, then its peers
    processes: Vec<Process>,
    streams: usize,
    /// Both halves are in one process.
    alone: bool,
    /// The host is a server, and its peers are clients.
    served: bool,
    /// of all processes before they were connected, bytes
    memory: u64,
    /// of the host
    descriptors: u64,
    /// last, so that it is dropped when all have ended
    _scratch: Option<Scratch>,
}

impl Team {
    /// Starts the processes and connects them. To be called by the main thread: the processes die
    /// with the thread that started them.
    pub(crate) fn start(
        contender: &Contender,
        case: &Case,
        cpus: Option<(usize, usize)>,
    ) -> io::Result<Team> {
        let scratch = contender.files.then(Scratch::new).transpose()?;
        let directory = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let (here, there) = cpus.unzip();
        let start = |host: bool| {
            Process::start(&Task {
                parent: std::process::id(),
                contender: contender.name.clone(),
                case: case.clone(),
                host,
                cpu: if host { here } else { there },
                other_cpu: there,
                directory: directory.clone().unwrap_or_default(),
            })
        };
        let alone = contender.work.alone();
        let streams = case.kind.streams();
        let peers = match case.kind {
            _ if alone => 0,
            Kind::Served { .. } => CLIENTS.min(streams),
            _ => 1,
        };
        let mut processes = vec![start(true)?];
        for _ in 0..peers {
            processes.push(start(false)?);
        }
        let mut team = Team {
            processes,
            streams,
            alone,
            served: matches!(case.kind, Kind::Served { .. }),
            memory: 0,
            descriptors: 0,
            _scratch: scratch,
        };
        team.all_answer(|answer| matches!(answer, Answer::Ready))?;
        if case.kind.measure() == Measure::Messages {
            team.memory = team.memory_of_all()?;
            team.descriptors = usage::descriptors(team.host().pid())?;
        }
        team.connect()?;
        Ok(team)
    }

    fn host(&self) -> &Process {
        &self.processes[0]
    }

    fn connect(&self) -> io::Result<()> {
        let peers = if self.alone {
            &self.processes
        } else {
            &self.processes[1..]
        };
        for number in 0..self.streams {
            let (one, other) = UnixStream::pair()?;
            self.host().join(&one)?;
            peers[number % peers.len()].join(&other)?;
        }
        for process in &self.processes {
            process.channel.send(&Join::Complete)?;
        }
        self.all_answer(|answer| matches!(answer, Answer::Connected))
    }

    /// The reports of the host and the peer.
    pub(crate) fn carry_out(&self, order: Order) -> io::Result<[Report; 2]> {
        // The peer first, so that it waits already. Clients of a server answer without orders.
        let peer = (!self.alone && !self.served).then_some(1);
        for process in peer.into_iter().chain([0]) {
            self.processes[process].channel.send(&order)?;
        }
        let here = self.report(0)?;
        let there = match peer {
            Some(peer) => self.report(peer)?,
            None if self.alone => self.report(0)?,
            None => Report::default(),
        };
        Ok([here, there])
    }

    /// Checks every byte of some messages.
    pub(crate) fn verify(&self, case: &Case) -> io::Result<()> {
        // A stream goes around every ring more than once.
        let fitting = |bytes: u64| (bytes / case.size as u64).clamp(4, 1 << 17);
        let messages = match case.kind {
            Kind::RoundTrip => fitting(4 << 20).min(1000),
            Kind::Throughput | Kind::Filled(_) | Kind::Batched(_) | Kind::SmallReads(_) => {
                fitting(4 << 20)
            }
            Kind::FixedRate(per_second) => (per_second / 50).max(32),
            Kind::Streams(_) | Kind::Served { .. } => (4096 / self.streams as u64).max(8),
            Kind::Subscribed(_) => 20,
            // It knows how many.
            Kind::Mixed(_) => 0,
        };
        self.carry_out(Order {
            messages,
            round: 0,
            verify: true,
        })?;
        Ok(())
    }

    /// How many messages fit a slice.
    pub(crate) fn calibrate(&self, case: &Case, slice: u64) -> io::Result<u64> {
        if let Kind::FixedRate(per_second) = case.kind {
            return Ok((slice * per_second / SECOND).max(FOR_PERCENTILES));
        }
        if let Kind::Subscribed(subscribers) = case.kind {
            let per_second = subscribed::rate(subscribers);
            return Ok((slice * per_second / SECOND).max(LEAST_PUBLICATIONS));
        }
        let mut messages = 16_u64.div_ceil(self.streams as u64);
        loop {
            let [here, there] = self.carry_out(Order {
                messages,
                round: 0,
                verify: false,
            })?;
            let taken = wall(&here, &there).max(1);
            if taken >= slice / 4 {
                return Ok((messages as f64 * slice as f64 / taken as f64).ceil() as u64);
            }
            messages *= 2;
        }
    }

    fn report(&self, process: usize) -> io::Result<Report> {
        match self.answer(process)? {
            Answer::Done(report) => Ok(report),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn all_answer(&self, expected: fn(&Answer) -> bool) -> io::Result<()> {
        for process in 0..self.processes.len() {
            if !expected(&self.answer(process)?) {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// Waits for the answer of one of the processes, as long as all of them live.
    fn answer(&self, wanted: usize) -> io::Result<Answer> {
        let mut fds: Vec<PollFd> = Vec::new();
        for (number, process) in self.processes.iter().enumerate() {
            // The end of a process is always told.
            let flags = match number == wanted {
                true => PollFlags::IN,
                false => PollFlags::empty(),
            };
            fds.push(PollFd::new(&process.channel, flags));
        }
        loop {
            match poll(&mut fds, Some(&PATIENCE)) {
                Ok(0) => return Err(io::Error::other("no answer came in 30 seconds")),
                Ok(_) => break,
                // A signal asks for the end; the round is waited for.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let other = (0..fds.len()).find(|&one| one != wanted && !fds[one].revents().is_empty());
        let process = match fds[wanted].revents().is_empty() {
            true => other.unwrap_or(wanted),
            false => wanted,
        };
        match self.processes[process].channel.receive()? {
            Some(Answer::Failed(why)) => Err(io::Error::other(why)),
            Some(answer) if process == wanted => Ok(answer),
            _ => {
                let role = if process == 0 { "host" } else { "peer" };
                Err(io::Error::other(format!("the {role} process has ended")))
            }
        }
    }

    fn memory_of_all(&self) -> io::Result<u64> {
        let memory = |process: &Process| usage::memory(process.pid());
        self.processes.iter().map(memory).sum()
    }

    /// Bytes of a stream in all processes.
    pub(crate) fn memory(&self) -> io::Result<f64> {
        let more = self.memory_of_all()? as f64 - self.memory as f64;
        Ok(more / self.streams as f64)
    }

    /// Descriptors of a stream in a server, which has one more for its orders.
    pub(crate) fn descriptors(&self) -> io::Result<f64> {
        let now = usage::descriptors(self.host().pid())?;
        Ok(now.saturating_sub(self.descriptors + 1) as f64 / self.streams as f64)
    }

    /// The activity of all processes so far.
    pub(crate) fn activity(&self) -> io::Result<Activity> {
        let mut all = Activity::default();
        for process in &self.processes {
            let activity = usage::activity(process.pid())?;
            all.cpu += activity.cpu;
            all.wakes += activity.wakes;
        }
        Ok(all)
    }

    /// Waits until everything that the last round has set in motion rests, if it ever does.
    pub(crate) fn come_to_rest(&self) -> io::Result<Activity> {
        let patience = clock::now() + REST;
        let asleep = |process: &Process| usage::sleeps(process.pid());
        while clock::now() < patience {
            let asleep: Vec<bool> = self
                .processes
                .iter()
                .map(asleep)
                .collect::<Result<_, _>>()?;
            if asleep.into_iter().all(|sleeps| sleeps) {
                break;
            }
            clock::sleep_until(clock::now() + MILLISECOND);
        }
        self.activity()
    }
}

/// Ended when this is dropped, also in the middle of its work.
struct Process {
    channel: Channel,
    child: Child,
}

impl Process {
    fn start(task: &Task) -> io::Result<Process> {
        let (channel, there) = Channel::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(worker::SUBCOMMAND)
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::from(there))
            // A transport's own words on standard output are no results.
            .stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
            // A Ctrl-C reaches the whole foreground process group, but the parent alone decides
            // when its children end.
            .process_group(0);
        let child = command.spawn()?;
        // `command` has held the other end of the channel, whose only copy has to be the child's.
        drop(command);
        Ok(Process { channel, child })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn join(&self, socket: &UnixStream) -> io::Result<()> {
        self.channel.send_with(&Join::Stream, &[socket.as_fd()])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has been waited for, which nobody else does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
