//! The two processes of a measurement, as the process that compares sees them.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::{Case, Cores, Kind},
    clock::SECOND,
    contender::Contender,
    machine,
    order::{Answer, Order, Report},
    scratch::Scratch,
};

/// No answer takes longer, or something hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages of a slice at a fixed rate, at least.
const FOR_PERCENTILES: u64 = 250;
/// To tidy up and end.
const LEAVE: Duration = Duration::from_secs(1);

pub struct Pair {
    host: Worker,
    /// `None`: a thread of the host
    peer: Option<Worker>,
    /// last, so that it is dropped when both have ended
    _scratch: Scratch,
}

impl Pair {
    pub fn start(
        contender: &Contender,
        case: &Case,
        cpus: Option<(usize, usize)>,
    ) -> io::Result<Pair> {
        let cpus = match case.cores {
            Cores::AsAsked => cpus,
            Cores::One => {
                let core = cpus.map_or_else(machine::some_core, |(here, _)| Ok(here))?;
                Some((core, core))
            }
            Cores::Any => None,
        };
        let scratch = Scratch::new()?;
        let command = |cpu: Option<usize>| -> io::Result<Command> {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["worker", "--contender", contender.name, "--case", case.name]);
            command.arg("--directory").arg(scratch.path());
            if let Some(cpu) = cpu {
                command.arg("--cpu").arg(cpu.to_string());
            }
            Ok(command)
        };
        let (here, there) = cpus.unzip();
        let mut host = command(here)?;
        if let Some(cpu) = there {
            host.arg("--other-cpu").arg(cpu.to_string());
        }
        let host = Worker::start(host)?;
        let peer = match host.answer()? {
            Answer::Connected => None,
            Answer::Listening(address) => {
                let peer = Worker::start({
                    let mut peer = command(there)?;
                    peer.arg("--address").arg(address);
                    peer
                })?;
                for worker in [&peer, &host] {
                    match worker.answer()? {
                        Answer::Connected => {}
                        other => return Err(unexpected(other)),
                    }
                }
                Some(peer)
            }
            other => return Err(unexpected(other)),
        };
        Ok(Pair {
            host,
            peer,
            _scratch: scratch,
        })
    }

    /// What the host and the peer report.
    pub fn carry_out(&mut self, order: Order) -> io::Result<[Report; 2]> {
        // The peer first, so that it waits already.
        if let Some(peer) = &mut self.peer {
            peer.order(order)?;
        }
        self.host.order(order)?;
        let here = self.host.report()?;
        let there = match &self.peer {
            Some(peer) => peer.report()?,
            None => self.host.report()?,
        };
        Ok([here, there])
    }

    /// Checks every byte of some messages.
    pub fn verify(&mut self, case: &Case) -> io::Result<()> {
        // A stream goes around every ring more than once.
        let fitting = |bytes: u64| (bytes / case.size as u64).clamp(4, 1 << 17);
        let messages = match case.kind {
            Kind::RoundTrip => fitting(4 << 20).min(1000),
            Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } | Kind::SmallReads(_) => {
                fitting(4 << 20)
            }
            Kind::FixedRate { per_second } => (per_second / 50).max(32),
            Kind::Streams { streams } => (4096 / streams as u64).max(8),
        };
        self.carry_out(Order {
            messages,
            round: 0,
            verify: true,
        })?;
        Ok(())
    }

    /// How many messages fit a slice.
    pub fn calibrate(&mut self, case: &Case, slice: u64) -> io::Result<u64> {
        if let Kind::FixedRate { per_second } = case.kind {
            return Ok((slice * per_second / SECOND).max(FOR_PERCENTILES));
        }
        let mut messages = match case.kind {
            Kind::Streams { streams } => 16u64.div_ceil(streams as u64),
            _ => 16,
        };
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
}

/// From the first message to the last one's arrival.
pub fn wall(here: &Report, there: &Report) -> u64 {
    here.end.max(there.end) - here.start
}

fn unexpected(answer: Answer) -> io::Error {
    match answer {
        Answer::Failed(why) => io::Error::other(why),
        _ => io::ErrorKind::InvalidData.into(),
    }
}

/// Ends when dropped, and is killed if it does not.
struct Worker {
    child: Child,
    /// `None`: told to end
    orders: Option<ChildStdin>,
    answers: Receiver<Answer>,
}

impl Worker {
    /// To be called by the main thread: the worker dies with the thread that started it.
    fn start(mut command: Command) -> io::Result<Worker> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, output) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(answer) => {
                        if sender.send(answer).is_err() {
                            return;
                        }
                    }
                    // A peer's own words on standard output are no answers.
                    Err(_) => eprintln!("{line}"),
                }
            }
        });
        Ok(Worker {
            child,
            orders: Some(orders),
            answers,
        })
    }

    fn order(&mut self, order: Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        self.orders
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .write_all(&line)
    }

    fn answer(&self) -> io::Result<Answer> {
        self.answers.recv_timeout(PATIENCE).map_err(|error| {
            io::Error::other(match error {
                mpsc::RecvTimeoutError::Timeout => "did not answer in 30 seconds",
                mpsc::RecvTimeoutError::Disconnected => "its process has ended",
            })
        })
    }

    fn report(&self) -> io::Result<Report> {
        match self.answer()? {
            Answer::Done(report) => Ok(report),
            other => Err(unexpected(other)),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // At the end of its orders it drops its end of the connection, so that a peer's files do
        // not stay behind. What waits for its peer does not read orders, and is killed.
        self.orders = None;
        let deadline = Instant::now() + LEAVE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
