//! Other processes: this very test binary, started once more in another role.
//!
//! A test binary that uses them has this, which is no test: it is ignored, so that no run counts
//! it.
//!
//! ```ignore
//! #[test]
//! #[ignore = "another process, started by the tests here"]
//! fn child_process() {
//!     process::play(&[("reads", reads)]);
//! }
//! ```

use super::{GENEROUS, Place, guard_process};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

const ROLE: &str = "SLIPRING_TEST_ROLE";
const ARGUMENTS: &str = "SLIPRING_TEST_ARGUMENTS";

/// The mark that tells a child's words from those of the test harness on its output.
const MARK: &str = "@@";

/// Between the arguments of a role; in none of them.
const BETWEEN: char = '\u{1f}';

/// Another process of this test binary. Killed when dropped.
pub struct Other {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
    role: String,
}

/// Starts this binary once more, in `role`, with a runtime directory of its own in `place`.
pub fn start(place: &Place, role: &str, arguments: &[&str]) -> Other {
    start_as(command(place, role, arguments), role)
}

/// The command that [`start`] runs, to be changed before it is passed to [`start_as`].
pub fn command(place: &Place, role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--ignored",
            "--exact",
            "child_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(ARGUMENTS, arguments.join(&BETWEEN.to_string()))
        .env("XDG_RUNTIME_DIR", place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

pub fn start_as(mut command: Command, role: &str) -> Other {
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (say, said) = channel();
    // A thread, so that waiting for a word can have a deadline.
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some((_, word)) = line.split_once(MARK)
                && say.send(word.to_owned()).is_err()
            {
                return;
            }
        }
    });
    Other {
        child,
        input,
        said,
        role: role.to_owned(),
    }
}

impl Other {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The next thing that it says; `None` if it has ended without another word.
    pub fn try_hear(&mut self) -> Option<String> {
        match self.said.recv_timeout(GENEROUS) {
            Ok(word) => Some(word),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the process `{}` says nothing", self.role),
        }
    }

    /// The next thing that it says.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        self.try_hear()
            .unwrap_or_else(|| panic!("the process `{}` ended: {:?}", self.role, self.child.wait()))
    }

    /// Waits until it says this.
    #[track_caller]
    pub fn expect(&mut self, word: &str) {
        assert_eq!(self.hear(), word, "from the process `{}`", self.role);
    }

    /// Says something to it.
    pub fn tell(&mut self, word: &str) {
        writeln!(self.input.as_mut().unwrap(), "{word}").unwrap();
    }

    /// Says something to it, if it is there to hear it.
    pub fn tell_if_there(&mut self, word: &str) {
        let _ = writeln!(self.input.as_mut().unwrap(), "{word}");
    }

    /// Sends a signal; returns once it has stopped, if that is the signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        if signal == Signal::STOP {
            let tasks = format!("/proc/{}/task", self.child.id());
            super::eventually("every thread has stopped", || {
                std::fs::read_dir(&tasks).unwrap().all(|task| {
                    let stat = std::fs::read_to_string(task.unwrap().path().join("stat"))
                        .unwrap_or_default();
                    stat.rsplit(") ")
                        .next()
                        .is_some_and(|rest| rest.starts_with('T'))
                })
            });
        }
    }

    /// Kills it, and returns once it is dead.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }

    /// Waits until it has ended by itself, well.
    #[track_caller]
    pub fn succeed(mut self) {
        let status = self.wait();
        assert!(status.success(), "the process `{}`: {status}", self.role);
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a role in a process of its own, with no other test in it: for roles that count descriptors
/// or change limits.
#[track_caller]
pub fn alone(role: &str) {
    let place = Place::new();
    start(&place, role, &[place.path().to_str().unwrap()]).succeed();
}

/// A role: a name, and the function that a process runs for it, given its arguments.
pub type Role = (&'static str, fn(&[&str]));

/// Plays the role that this process was started for. Fails in a process that no test started.
pub fn play(roles: &[Role]) {
    let role = std::env::var(ROLE)
        .expect("started by a test only: leave it out with --skip child_process");
    // Nobody is left behind by a test that is killed.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let arguments = std::env::var(ARGUMENTS).unwrap_or_default();
    let arguments: Vec<&str> = arguments.split(BETWEEN).collect();
    let (_, play) = roles
        .iter()
        .find(|(name, _)| *name == role)
        .unwrap_or_else(|| panic!("no role `{role}`"));
    guard_process(|| play(&arguments));
}

/// Says a word to the process that started this one.
pub fn say(word: &str) {
    println!("{MARK}{word}");
}

/// The next word from the process that started this one; `None` if it has nothing more to say.
pub fn told() -> Option<String> {
    let mut line = String::new();
    let n = std::io::stdin().read_line(&mut line).unwrap();
    (n > 0).then(|| line.trim_end().to_owned())
}

/// The kernel's text on a process in `/proc/PID/FILE`.
pub fn of_process(pid: u32, file: &str) -> String {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(file)).unwrap()
}

/// This thread, as the kernel numbers it.
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// The processor that the kernel was built for, if that is not the one of this program: an emulator
/// runs it.
const KERNEL: &str = "SLIPRING_TEST_KERNEL";

/// A system call that sleeps.
#[derive(Debug, Clone, Copy)]
pub enum Sleeping {
    /// Until it is woken or hung up on.
    EpollWait,
    /// Likewise, on one descriptor or two.
    Poll,
    /// For a time.
    Clock,
}

impl Sleeping {
    /// As the kernel numbers it.
    fn number(self) -> i64 {
        match (std::env::var(KERNEL).as_deref(), self) {
            (Err(_), Sleeping::EpollWait) => libc::SYS_epoll_pwait,
            (Err(_), Sleeping::Poll) => libc::SYS_ppoll,
            (Err(_), Sleeping::Clock) => libc::SYS_clock_nanosleep,
            (Ok("x86_64"), Sleeping::EpollWait) => 281,
            (Ok("x86_64"), Sleeping::Poll) => 271,
            (Ok("x86_64"), Sleeping::Clock) => 230,
            (Ok(other), _) => panic!("{KERNEL} may be x86_64, not {other}"),
        }
    }
}

/// Whether a thread, of any process, is in this system call.
pub fn is_in(thread: u32, call: Sleeping) -> bool {
    let now = std::fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
    let number = now.split(' ').next().and_then(|number| number.parse().ok());
    number == Some(call.number())
}

/// Whether a thread, of any process, sleeps until it is woken or hung up on (epoll_wait).
pub fn sleeps(thread: u32) -> bool {
    is_in(thread, Sleeping::EpollWait)
}

/// The same of a subscriber of a feed (ppoll).
pub fn polls(thread: u32) -> bool {
    is_in(thread, Sleeping::Poll)
}

/// Runs a body on a thread of its own, and returns once that thread sleeps on its stream.
pub fn asleep<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let (say, hear) = channel();
    let running = thread::spawn(move || {
        say.send(thread_id()).unwrap();
        body()
    });
    let thread = hear.recv().unwrap();
    super::eventually("a thread sleeps", || sleeps(thread));
    running
}
