//! The panel processes: starting them, waiting until all are connected, ending them.

use std::{
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use slipring::{Error, Listener, Spin, Stream};

use crate::{
    failure::Failure,
    trial::{child, interrupt::Interrupt, spin},
};

/// When nothing has connected for so long, the missing panels are given up.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a panel whose stream has ended may take to exit.
const EXIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The children, killed when this is dropped, whatever they are doing then.
pub struct Panels {
    children: Vec<Child>,
}

impl Panels {
    /// Starts the processes, which connect to the listener. To be called by the main thread: the
    /// panels die with the thread that started them.
    pub fn start(count: usize, listener: &Listener, spinning: Spin) -> Result<Panels, Failure> {
        let mut panels = Panels {
            children: Vec::with_capacity(count),
        };
        for number in 0..count {
            let started = child::command("demo-panel")?
                .arg("--name")
                .arg(listener.name().to_string())
                .arg("--spin")
                .arg(spin::text(spinning))
                .spawn();
            let child =
                started.map_err(|error| Failure::failed(format!("panel {number} could not be started: {error}")))?;
            panels.children.push(child);
        }
        Ok(panels)
    }

    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Waits for every panel to connect and gives the streams in the panels' order; `None` when
    /// the user interrupts.
    pub fn connect(&mut self, listener: &Listener, interrupt: &Interrupt) -> Result<Option<Vec<Stream>>, Failure> {
        let pids = self.pids();
        let mut streams: Vec<Option<Stream>> = pids.iter().map(|_| None).collect();
        let mut missing = pids.len();
        let mut deadline = Instant::now() + CONNECT;
        while missing > 0 {
            if interrupt.requested() {
                return Ok(None);
            }
            match listener.accept_timeout(LOOK_AGAIN) {
                Ok(stream) => {
                    let pid = stream.peer().pid;
                    let place = pids.iter().position(|&own| Some(own) == pid);
                    // Anybody else who has found the name is hung up on.
                    if let Some(place) = place.and_then(|index| streams.get_mut(index)) {
                        missing -= usize::from(place.replace(stream).is_none());
                        deadline = Instant::now() + CONNECT;
                    }
                }
                Err(Error::Timeout { .. }) => {
                    self.check_missing(&streams)?;
                    if Instant::now() >= deadline {
                        return Err(not_connected(&streams, &pids, listener));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(streams.into_iter().flatten().collect()))
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

impl Drop for Panels {
    fn drop(&mut self) {
        for child in &mut self.children {
            end(child);
        }
    }
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
        missing.join(", ")
    ))
}
