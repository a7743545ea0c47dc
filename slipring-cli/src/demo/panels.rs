//! The panel processes: starting them, waiting until all are connected, ending them.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slipring::{Error, Listener, Spin, Stream};

use super::Way;
use crate::{
    failure::Failure,
    harness::{child, interrupt::Interrupt, text},
};

/// When nothing has connected for so long, the missing panels are given up.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a panel whose stream has ended may take to exit.
const EXIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The children, killed when this is dropped, in any state.
pub struct Panels {
    children: Vec<Child>,
}

/// Holds back panels that have started until all have, so that what is timed is connecting.
struct Gate {
    /// A panel waits for the end of this.
    closed: PipeReader,
    /// Dropped, it opens.
    opener: PipeWriter,
    /// Each panel that waits has written a byte.
    ready: PipeReader,
    waiting: PipeWriter,
}

impl Gate {
    fn new() -> io::Result<Gate> {
        let (closed, opener) = io::pipe()?;
        let (ready, waiting) = io::pipe()?;
        Ok(Gate {
            closed,
            opener,
            ready,
            waiting,
        })
    }

    fn open(self) {
        drop(self.opener);
    }

    /// Takes in how many panels wait by now, of those that have not been taken in yet.
    fn arrived(&mut self) -> io::Result<usize> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_AGAIN.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.ready, PollFlags::IN)];
        if poll(&mut fds, Some(&timeout))? == 0 {
            return Ok(0);
        }
        self.ready.read(&mut [0; 64])
    }
}

/// Called by a panel: waits until the engine opens the gate.
pub fn wait_at_gate() -> io::Result<()> {
    io::Write::write_all(&mut io::stdout(), b".")?;
    io::Write::flush(&mut io::stdout())?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// The streams so far, in the panels' order.
struct Streams {
    pids: Vec<u32>,
    streams: Vec<Option<Stream>>,
    missing: usize,
}

impl Panels {
    /// Starts the processes and waits for every one to connect to the listener; gives their streams
    /// in the panels' order, and how long it took: from the first one's start on, or if they are
    /// `gated`, from the moment at which all have started. `None`: the user has interrupted. To be
    /// called by the main thread: the panels die with the thread that started them.
    pub fn start(
        count: usize,
        listener: &Listener,
        spinning: Spin,
        way: Way,
        gated: bool,
        interrupt: &Interrupt,
    ) -> Result<Option<(Panels, Vec<Stream>, Duration)>, Failure> {
        let mut panels = Panels {
            children: Vec::with_capacity(count),
        };
        let mut streams = Streams::new(count);
        let mut gate = gated.then(Gate::new).transpose()?;
        let mut starting = Instant::now();
        for number in 0..count {
            if interrupt.requested() {
                return Ok(None);
            }
            let child = spawn(number, count, listener, spinning, way, gate.as_ref())
                .map_err(|error| Failure::failed(not_started(number, &error)))?;
            streams.pids.push(child.id());
            panels.children.push(child);
            // Those that are there are let in meanwhile, so that none waits for the last one to
            // start.
            while let Some(stream) = listener.try_accept()? {
                streams.add(stream);
            }
        }
        if let Some(mut gate) = gate.take() {
            let mut missing = count;
            while missing > 0 {
                if interrupt.requested() {
                    return Ok(None);
                }
                missing -= gate.arrived()?;
                panels.check_missing(&streams.streams)?;
            }
            starting = Instant::now();
            gate.open();
        }
        let mut deadline = Instant::now() + CONNECT;
        while streams.missing > 0 {
            if interrupt.requested() {
                return Ok(None);
            }
            match listener.accept_timeout(LOOK_AGAIN) {
                Ok(stream) => {
                    if streams.add(stream) {
                        deadline = Instant::now() + CONNECT;
                    }
                }
                Err(Error::Timeout { .. }) => {
                    panels.check_missing(&streams.streams)?;
                    if Instant::now() >= deadline {
                        return Err(not_connected(&streams.streams, &streams.pids, listener));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let taken = starting.elapsed();
        let streams = streams.streams.into_iter().flatten().collect();
        Ok(Some((panels, streams, taken)))
    }

    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Fails if a panel has exited without having connected.
    fn check_missing(&mut self, streams: &[Option<Stream>]) -> Result<(), Failure> {
        for (number, child) in self.children.iter_mut().enumerate() {
            if streams[number].is_none()
                && let Some(status) = child.try_wait()?
            {
                return Err(Failure::failed(format!(
                    "panel {number} (process {}) ended before it was connected: {status}",
                    child.id()
                )));
            }
        }
        Ok(())
    }

    /// Ends a panel that does not end by itself, even a stopped one.
    pub fn kill(&mut self, number: usize) {
        // Fails only for a process that has been waited for, so there is nothing left to kill.
        let _ = self.children[number].kill();
    }

    /// Waits for the processes to exit, and kills those that do not.
    pub fn wait(&mut self) {
        let deadline = Instant::now() + EXIT;
        while Instant::now() < deadline && self.children.iter_mut().any(is_running) {
            thread::sleep(Duration::from_millis(1));
        }
        for child in &mut self.children {
            end(child);
        }
    }
}

impl Streams {
    fn new(panels: usize) -> Streams {
        Streams {
            pids: Vec::with_capacity(panels),
            streams: std::iter::repeat_with(|| None).take(panels).collect(),
            missing: panels,
        }
    }

    /// Whether it is the stream of a panel. Any other process that has found the name is hung up
    /// on.
    fn add(&mut self, stream: Stream) -> bool {
        let pid = stream.peer().pid;
        let Some(number) = self.pids.iter().position(|&own| Some(own) == pid) else {
            return false;
        };
        self.missing -= usize::from(self.streams[number].replace(stream).is_none());
        true
    }
}

impl Drop for Panels {
    fn drop(&mut self) {
        for child in &mut self.children {
            end(child);
        }
    }
}

fn spawn(
    number: usize,
    count: usize,
    listener: &Listener,
    spinning: Spin,
    way: Way,
    gate: Option<&Gate>,
) -> io::Result<Child> {
    let mut command = child::command("demo-panel")?;
    if let Some(gate) = gate {
        command.arg("--gated");
        command.stdin(Stdio::from(gate.closed.try_clone()?));
        command.stdout(Stdio::from(gate.waiting.try_clone()?));
    }
    if way != Way::Streams {
        command.arg("--feed").arg(super::feed_name());
    }
    if matches!(way, Way::Painting | Way::Board) {
        command.arg("--paint");
    }
    if way == Way::Board {
        command.arg("--board");
    }
    command
        .arg("--name")
        .arg(listener.name().to_string())
        .arg("--spin")
        .arg(text::spin(spinning))
        .arg("--number")
        .arg(number.to_string())
        .arg("--panels")
        .arg(count.to_string())
        .spawn()
}

fn not_started(number: usize, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::WouldBlock => {
            "; ask for fewer panels, or raise the limit of processes (ulimit -u)"
        }
        io::ErrorKind::OutOfMemory => "; ask for fewer panels, or for smaller rings (--capacity)",
        _ => "",
    };
    format!("panel {number} could not be started: {error}{cure}")
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

fn end(child: &mut Child) {
    // Both fail only if the child has been waited for already.
    let _ = child.kill();
    let _: Result<ExitStatus, _> = child.wait();
}

fn not_connected(streams: &[Option<Stream>], pids: &[u32], listener: &Listener) -> Failure {
    let missing: Vec<String> = streams
        .iter()
        .zip(pids)
        .enumerate()
        .filter(|(_, (stream, _))| stream.is_none())
        .map(|(number, (_, pid))| format!("{number} (process {pid})"))
        .collect();
    let refusal = listener
        .last_refusal()
        .map(|why| format!("; the last one refused: {why}"))
        .unwrap_or_default();
    Failure::failed(format!(
        "panels not connected within {} s: {}{refusal}",
        CONNECT.as_secs(),
        text::some(&missing, 8)
    ))
}
