//! One transport with one number of streams: its processes, and what has been measured of them.

use std::{io, os::unix::net::UnixStream};

use super::{
    CLIENTS,
    contender::Contender,
    order::{Measure, Outcome, Role, Round},
    report::Setup,
    usage::{self, Activity},
    worker::Worker,
};
use crate::{
    bench::stats::Spread,
    failure::Failure,
    trial::clock::{self, MILLISECOND, SECOND},
};

/// How long processes may take to come to rest, in nanoseconds.
const REST: u64 = 10 * SECOND;

pub struct Entry {
    pub contender: Contender,
    pub rounds: Vec<(Round, Activity)>,
    /// what all processes did in the idle window
    pub idle: Option<Activity>,
    /// of an endpoint in the server
    pub descriptors: f64,
    /// bytes of all processes, more than before they were connected: after warming up, and after
    /// all rounds
    pub memory: Option<[i64; 2]>,
    /// why it could not be measured (to the end)
    pub failure: Option<String>,
    processes: Option<Processes>,
}

struct Processes {
    // The order matters when dropped: the clients would fail without their server, but nobody would
    // listen.
    server: Worker,
    clients: Vec<Worker>,
    memory_before: i64,
    memory_warm: i64,
    idle_since: Activity,
}

impl Entry {
    /// Starts the processes and connects them.
    pub fn open(setup: &Setup, contender: Contender, streams: usize) -> Entry {
        let mut entry = Entry {
            contender,
            rounds: Vec::new(),
            idle: None,
            descriptors: 0.0,
            memory: None,
            failure: None,
            processes: None,
        };
        let opened = entry.start(setup, streams);
        entry.note(opened);
        entry
    }

    fn start(&mut self, setup: &Setup, streams: usize) -> Result<(), Failure> {
        let server = Worker::start(setup, self.contender, Role::Server)?;
        let clients: Result<Vec<_>, _> = (0..CLIENTS.min(streams))
            .map(|_| Worker::start(setup, self.contender, Role::Client))
            .collect();
        let mut processes = Processes {
            server,
            clients: clients?,
            memory_before: 0,
            memory_warm: 0,
            idle_since: Activity::default(),
        };
        processes.memory_before = processes.memory()?;
        let descriptors = usage::descriptors(processes.server.pid())?;
        processes.connect(streams)?;
        processes.measure(setup.slice / 4)?;
        processes.memory_warm = processes.memory()?;
        // One is that of the orders.
        let more = usage::descriptors(processes.server.pid())?.saturating_sub(descriptors + 1);
        self.descriptors = more as f64 / streams as f64;
        self.processes = Some(processes);
        Ok(())
    }

    fn note(&mut self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.failure = Some(failure.to_string());
            self.processes = None;
        }
    }

    /// One round, if nothing has failed so far.
    pub fn measure(&mut self, slice: u64) {
        let Some(processes) = &self.processes else {
            return;
        };
        let round = processes
            .measure(slice)
            .map(|round| self.rounds.push(round));
        self.note(round);
    }

    /// From when all its processes sleep.
    pub fn begin_idling(&mut self) {
        if let Some(processes) = &mut self.processes {
            let now = processes
                .come_to_rest()
                .map(|now| processes.idle_since = now);
            self.note(now.map_err(Failure::from));
        }
    }

    pub fn end_idling(&mut self) {
        if let Some(processes) = &self.processes {
            let now = processes.activity();
            self.idle = now.ok().map(|now| now - processes.idle_since);
        }
    }

    /// Weighs what the processes have become, and ends them.
    pub fn close(&mut self) {
        if let Some(processes) = self.processes.take() {
            let before = processes.memory_before;
            self.memory = processes
                .memory()
                .ok()
                .map(|now| [processes.memory_warm - before, now - before]);
        }
    }

    fn spread(&self, of: impl Fn(&Round, &Activity) -> f64) -> Option<Spread> {
        Spread::of(
            self.rounds
                .iter()
                .map(|(round, activity)| of(round, activity)),
        )
    }

    /// Messages that were answered, per second.
    pub fn rate(&self) -> Option<Spread> {
        self.spread(|round, _| round.messages as f64 * SECOND as f64 / round.wall as f64)
    }

    /// Nanoseconds.
    pub fn p50(&self) -> Option<Spread> {
        self.spread(|round, _| round.p50 as f64)
    }

    /// Nanoseconds.
    pub fn p99(&self) -> Option<Spread> {
        self.spread(|round, _| round.p99 as f64)
    }

    /// Nanoseconds, of all rounds.
    pub fn max(&self) -> Option<u64> {
        self.rounds.iter().map(|(round, _)| round.max).max()
    }

    /// Nanoseconds of CPU time, of all processes, for a message and its answer.
    pub fn cpu(&self) -> Option<Spread> {
        self.spread(|round, activity| activity.cpu as f64 / round.messages_in_all as f64)
    }
}

impl Processes {
    fn all(&self) -> impl Iterator<Item = &Worker> {
        std::iter::once(&self.server).chain(&self.clients)
    }

    fn connect(&self, streams: usize) -> Result<(), Failure> {
        for number in 0..streams {
            let (one, other) = UnixStream::pair()?;
            self.server.join(&one)?;
            self.clients[number % self.clients.len()].join(&other)?;
        }
        for worker in self.all() {
            worker.joined()?;
        }
        self.all().try_for_each(Worker::ready)
    }

    fn measure(&self, slice: u64) -> Result<(Round, Activity), Failure> {
        let before = self.activity()?;
        self.server.channel.send(&Measure { slice })?;
        match self.server.report()? {
            Outcome::Done(round) => Ok((round, self.activity()? - before)),
            Outcome::Failed(failure) => Err(Failure::failed(failure)),
        }
    }

    fn activity(&self) -> io::Result<Activity> {
        let mut all = Activity::default();
        for worker in self.all() {
            all += usage::activity(worker.pid())?;
        }
        Ok(all)
    }

    /// Waits until what the last round has set in motion rests, if it ever does.
    fn come_to_rest(&self) -> io::Result<Activity> {
        let patience = clock::now() + REST;
        while clock::now() < patience {
            let asleep: io::Result<Vec<bool>> = self
                .all()
                .map(|worker| usage::sleeps(worker.pid()))
                .collect();
            if asleep?.into_iter().all(|sleeps| sleeps) {
                break;
            }
            clock::sleep_until(clock::now() + MILLISECOND);
        }
        self.activity()
    }

    fn memory(&self) -> io::Result<i64> {
        let mut all = 0;
        for worker in self.all() {
            all += usage::memory(worker.pid())?.cast_signed();
        }
        Ok(all)
    }
}
