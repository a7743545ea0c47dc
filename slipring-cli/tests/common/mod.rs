//! Runs the real binary in directories of its own, and never longer than a deadline.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Far longer than anything takes on a busy machine; reached only by a hang.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// For `--wait`, so that tests need not order the start of two processes.
pub const WAIT: &str = "--wait=60s";

/// A runtime directory that no other test sees.
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `slipring` with these arguments, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// A shell that finds the binary as `$SLIPRING`.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("SLIPRING", env!("CARGO_BIN_EXE_slipring"));
        self.settle(&mut command);
        command
    }

    fn settle(&self, command: &mut Command) {
        command
            .env("XDG_RUNTIME_DIR", self.path())
            .current_dir(self.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// `listen -v` with these arguments, once it can be connected to. (`ls` shows a name from a
    /// moment earlier on.)
    pub fn listen<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Process {
        let process = self.start(["listen", "-v"].into_iter().chain(arguments));
        process.listening_on();
        process
    }

    /// `publish -v` with these arguments, once it can be subscribed to.
    pub fn publish<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Process {
        let process = self.start(["publish", "-v"].into_iter().chain(arguments));
        process.stderr_line("publishing at ");
        process
    }

    /// Runs to the end with nothing on standard input.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        self.start(arguments).finish()
    }

    /// Waits until `ls` shows the name in this state.
    pub fn wait_for_name(&self, name: &str, state: &str) {
        wait_until(&format!("{name} is {state}"), || {
            self.names()
                .iter()
                .any(|entry| ends_in(entry, name) && entry["state"] == state)
        });
    }

    /// The names in this sandbox, as `ls --json` prints them.
    pub fn names(&self) -> Vec<serde_json::Value> {
        let listed = self.run(["ls", "--json"]).expect(0);
        let names: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).expect("JSON");
        // Names of the whole machine are listed too, and are none of our business.
        let here = self.path().to_string_lossy().into_owned();
        names
            .into_iter()
            .filter(|entry| {
                entry["path"]
                    .as_str()
                    .is_some_and(|path| path.starts_with(&here))
            })
            .collect()
    }
}

/// `ls` may print a name with its scope in front.
fn ends_in(entry: &serde_json::Value, name: &str) -> bool {
    entry["name"]
        .as_str()
        .is_some_and(|listed| listed.rsplit('/').next() == Some(name))
}

/// Polls again and again until `done`, or fails at the deadline.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The output of a process on one of its streams, collected by a thread.
#[derive(Clone, Default)]
struct Collected(Arc<Shared>);

#[derive(Default)]
struct Shared {
    output: Mutex<Output>,
    changed: Condvar,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    fn from(mut stream: impl Read + Send + 'static) -> Self {
        let collected = Self::default();
        let sink = collected.clone();
        thread::spawn(move || {
            let mut part = vec![0; 1 << 16];
            loop {
                let count = stream.read(&mut part).unwrap_or(0);
                let mut output = sink.0.output.lock().unwrap();
                output.bytes.extend_from_slice(&part[..count]);
                output.ended = count == 0;
                sink.0.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        collected
    }

    /// Waits until `found` in the output so far; `None` if the stream ended before.
    fn wait_for<T>(&self, what: &str, found: impl Fn(&[u8], bool) -> Option<T>) -> T {
        let (mut output, start) = (self.0.output.lock().unwrap(), Instant::now());
        loop {
            if let Some(result) = found(&output.bytes, output.ended) {
                return result;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                !output.ended && !left.is_zero(),
                "waited in vain for {what}; so far: {:?}",
                String::from_utf8_lossy(&output.bytes)
            );
            output = self.0.changed.wait_timeout(output, left).unwrap().0;
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.0.output.lock().unwrap().bytes).into_owned()
    }

    fn all(&self) -> Vec<u8> {
        self.wait_for("the end of the output", |bytes, ended| {
            ended.then(|| bytes.to_vec())
        })
    }
}

/// A running process, killed when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Collected>,
    stderr: Option<Collected>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(Collected::from),
            stderr: child.stderr.take().map(Collected::from),
            child,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input, which stays open.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stdin
            .as_mut()
            .expect("standard input is open")
            .write_all(bytes)
            .expect("it takes its input");
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    /// Waits for a line on standard error that has `text` in it.
    pub fn stderr_line(&self, text: &str) -> String {
        self.stderr
            .as_ref()
            .expect("collected")
            .wait_for(text, |bytes, _| {
                let whole = String::from_utf8_lossy(bytes).into_owned();
                whole
                    .split_inclusive('\n')
                    .find(|line| line.ends_with('\n') && line.contains(text))
                    .map(|line| line.trim_end().to_owned())
            })
    }

    /// The address of its `listening on` line.
    pub fn listening_on(&self) -> String {
        self.stderr_line("listening on ")
            .trim_start_matches("listening on ")
            .to_owned()
    }

    /// Waits until its standard output begins with this.
    pub fn stdout_begins(&self, expected: &[u8]) {
        self.stdout
            .as_ref()
            .expect("collected")
            .wait_for("output", |bytes, _| {
                bytes.starts_with(expected).then_some(())
            });
    }

    /// Waits for the first line on its standard output.
    pub fn stdout_line(&self) -> String {
        let collected = self.stdout.as_ref().expect("collected");
        collected.wait_for("a line", |bytes, _| {
            let end = bytes.iter().position(|&byte| byte == b'\n')?;
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        })
    }

    /// Waits for a line on its standard output that has `text` in it.
    pub fn stdout_line_with(&self, text: &str) {
        let collected = self.stdout.as_ref().expect("collected");
        collected.wait_for(text, |bytes, _| {
            let whole = String::from_utf8_lossy(bytes);
            let mut lines = whole.split_inclusive('\n');
            let is_it = |line: &str| line.ends_with('\n') && line.contains(text);
            lines.any(is_it).then_some(())
        });
    }

    /// Waits for this many bytes on its standard output.
    pub fn stdout_has(&self, count: usize) {
        self.stdout
            .as_ref()
            .expect("collected")
            .wait_for("output", |bytes, _| (bytes.len() >= count).then_some(()));
    }

    /// Everything on its standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.as_ref().expect("collected").so_far()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("a signal");
    }

    /// Closes its standard input and waits for the end.
    pub fn finish(mut self) -> Finished {
        self.end_input();
        self.wait()
    }

    /// Waits for the end with its standard input as it is.
    pub fn wait(mut self) -> Finished {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "the process hangs; standard error: {:?}",
                self.stderr.as_ref().map(Collected::so_far)
            );
            thread::sleep(Duration::from_millis(2));
        };
        Finished {
            status,
            stdout: self.stdout.as_ref().map(Collected::all).unwrap_or_default(),
            stderr: self
                .stderr
                .as_ref()
                .map(Collected::all)
                .map_or_else(String::new, |bytes| {
                    String::from_utf8_lossy(&bytes).into_owned()
                }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit of a process, and its remaining output.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    /// Checks the exit code, and shows the output if it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "signal {:?}, standard error: {}",
            self.status.signal(),
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in {:?}",
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn printed(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        assert!(
            self.stdout == expected,
            "printed {} bytes instead of {}: {:.200?}",
            self.stdout.len(),
            expected.len(),
            String::from_utf8_lossy(&self.stdout)
        );
        self
    }
}

/// Bytes without a pattern that a mistake could repeat; other for each seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A file with these bytes, open for reading.
pub fn file_with(directory: &Path, name: &str, bytes: &[u8]) -> File {
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("a file");
    File::open(path).expect("a file")
}
