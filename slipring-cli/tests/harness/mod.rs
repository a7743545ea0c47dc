//! Runs the command for a test: in a runtime directory and a process group of its own, with its
//! output lines as they come, and with a deadline for everything.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Far longer than anything here takes: a test that gets there has hung.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Trial {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    seen: Vec<String>,
    _directory: TempDir,
}

pub struct Outcome {
    /// the exit code, or 128 + the signal
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Trial {
    pub fn start(args: &[&str]) -> Trial {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipring"))
            .args(args)
            .env("XDG_RUNTIME_DIR", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the command starts");
        let mut stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout
                .read_to_string(&mut text)
                .expect("its output is text");
            text
        });
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // When the test has failed, nobody listens any more.
                let _ = sender.send(line);
            }
        });
        Trial {
            child,
            stdout: Some(stdout),
            lines,
            seen: Vec::new(),
            _directory: directory,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that has this in it.
    pub fn until_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.next_line(deadline) {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("it ended without a line with {part:?}: {:#?}", self.seen),
            }
        }
    }

    /// Sends a signal to the command and its children, as the terminal does.
    pub fn signal_group(&self, signal: Signal) {
        let pid = raw(self.pid());
        kill_process_group(pid, signal).expect("the process group exists");
    }

    /// Waits until the command has as many children, and gives their process ids.
    pub fn children(&self, count: usize) -> Vec<u32> {
        let mut children = Vec::new();
        until("the children", || {
            children = children_of(self.pid());
            children.len() == count
        });
        children
    }

    /// Waits for the end.
    pub fn outcome(mut self) -> Outcome {
        let deadline = Instant::now() + DEADLINE;
        while self.next_line(deadline).is_some() {}
        let status = self.child.wait().expect("it is a child of this process");
        let stdout = self.stdout.take().expect("it is taken only here");
        Outcome {
            code: status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .expect("it has ended"),
            stdout: stdout.join().expect("its output is text"),
            stderr: self.seen.join("\n"),
        }
    }

    /// `None` when the command has closed its standard error, which the children share.
    fn next_line(&mut self, deadline: Instant) -> Option<String> {
        match self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it hangs; so far: {:#?}", self.seen),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // A failed test leaves nothing running. Fails only if all of them have ended.
        let _ = kill_process_group(raw(self.pid()), Signal::KILL);
        let _ = self.child.wait();
    }
}

pub fn run(args: &[&str]) -> Outcome {
    Trial::start(args).outcome()
}

pub fn signal(pid: u32, signal: Signal) {
    kill_process(raw(pid), signal).expect("the process exists");
}

/// Waits until the process no longer runs. A process that nobody has waited for counts as ended.
pub fn until_ended(pid: u32) {
    until("the end of a process", || {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat
                .rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with(['Z', 'X'])),
            Err(_) => true,
        }
    });
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|children| {
            children
                .split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("no process has the id 0")
}
