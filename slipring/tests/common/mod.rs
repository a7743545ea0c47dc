//! The parts that the tests share: other processes, watchdogs, private directories, and bytes that
//! betray any loss.

#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod bulk;
pub mod bytes;
pub mod csharp;
pub mod mmf;
pub mod process;
pub mod raw;
pub mod users;
pub mod wrong;

use std::io;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A deadline that only a hang reaches: no test depends on how fast anything is.
pub const GENEROUS: Duration = Duration::from_secs(60);

/// The setting after how many seconds a child process is taken to hang.
pub const CHILD_SECONDS: &str = "SLIPRING_TEST_CHILD_SECONDS";

/// Runs the body of a test; one that hangs is named after a while, and fails, instead of stopping
/// everything for ever.
pub fn guard(body: impl FnOnce() + Send + 'static) {
    guard_for(2 * GENEROUS, body);
}

/// As [`guard`], for a body that may take longer.
pub fn guard_for(limit: Duration, body: impl FnOnce() + Send + 'static) {
    let (done, watch) = channel::<()>();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let running = thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let _done = done;
            body();
        })
        .unwrap();
    match watch.recv_timeout(limit) {
        // The sender was dropped, whether the body returned or panicked.
        Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = running.join() {
                std::panic::resume_unwind(panic);
            }
        }
        _ => panic!("{name} hangs: not done after {limit:?}"),
    }
}

/// As [`guard`] for a process that exists for one body alone: a hang ends the process.
pub fn guard_process(body: impl FnOnce()) {
    // A test that runs for minutes says so.
    let limit = Duration::from_secs(setting(CHILD_SECONDS, 2 * GENEROUS.as_secs()));
    // A thread that has begun maps nothing more; the body may count mappings.
    let (running, begun) = channel();
    thread::spawn(move || {
        running.send(()).unwrap();
        thread::sleep(limit);
        eprintln!("a child process hangs: {:?}", std::env::args());
        exit(99);
    });
    begun.recv().unwrap();
    body();
}

/// Waits until the condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + GENEROUS;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "it has not come about that {what}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// A directory of a test's own, for names that are paths and for `XDG_RUNTIME_DIR` of its children.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A name in it.
    pub fn name(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The kind of the error that is expected.
#[track_caller]
pub fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(e) => e.kind(),
    }
}

/// How many descriptors this process has: of use only in a process that does one thing at a time.
pub fn descriptors() -> usize {
    // The one that reads the directory is among them, each time.
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A small generator of numbers, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bytes::mix(self.0)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A number from the environment, to make a test longer.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}
