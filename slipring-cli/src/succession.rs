//! Replacing this process by a new one of its own binary while its names and addresses stay bound.
//!
//! On SIGUSR2 a process that serves starts its successor, which inherits the listening sockets, and
//! waits until that serves. Then it accepts nobody any more, and ends with the last connection that
//! it has. Both accept from the same queue meanwhile, so that no client is refused.

use std::{
    env,
    fs::File,
    io::{self, PipeWriter, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use signal_hook::{consts::SIGUSR2, iterator::Signals};
use slipring::{DescriptorLimit, inherited_fd, pass_fd};

use crate::{
    cleanup::{self, Duty, Watch},
    console,
    failure::Failure,
    signals,
};

/// How long a successor may take until it serves.
const STARTING: Duration = Duration::from_secs(30);

/// The labels of what a successor inherits beside its listeners: a pipe on which it says that it
/// serves, and one that ends with its predecessor.
const READY: &str = "ready";
const TURN: &str = "turn";

/// What service managers set for a process, and what is not for its successor.
const FROM_MANAGER: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// What is left to a successor.
pub trait Estate: Send + Sync + 'static {
    /// Lets the successor inherit the listeners.
    fn pass_to(&self, successor: &mut Command) -> Result<(), Failure>;

    /// The listeners stay this process's, after a successor that has failed.
    fn reclaim(&self) -> Result<(), Failure>;

    /// Accepts nobody any more, and leaves all files where they are.
    fn retire(&self);

    /// What is to be done when a signal ends this process.
    fn duties(&self) -> Vec<Duty>;
}

/// This process as the successor of another one, if it is one.
#[derive(Debug)]
pub struct Succession {
    /// Where this program is found: an update may replace it while this process runs.
    program: Option<PathBuf>,
    ready: Option<File>,
    turn: Option<File>,
}

impl Succession {
    /// To be called before anything is bound.
    pub fn begin() -> Result<Self, Failure> {
        let pipe = |wanted| inherited_fd(|label, _| label == wanted).map(|fd| fd.map(File::from));
        Ok(Self {
            program: env::current_exe().ok(),
            ready: pipe(READY)?,
            turn: pipe(TURN)?,
        })
    }

    /// From here on SIGUSR2 replaces this process, and the signals that end it see to the duties of
    /// the estate. Tells the predecessor, if there is one, that this process serves.
    pub fn serve(
        mut self,
        estate: Arc<impl Estate>,
        limit: Option<DescriptorLimit>,
    ) -> Result<Turn, Failure> {
        let ((), watch) = cleanup::on_signal(|| Ok(((), estate.duties())))?;
        let (first, mine) = io::pipe().map_err(Failure::doing("make a pipe"))?;
        let heir = Heir {
            program: self.program.take(),
            watch: Mutex::new(Some(watch)),
            first: first.into(),
            limit,
        };
        if !signals::not_ignored(&[SIGUSR2]).is_empty() {
            let mut signals =
                Signals::new([SIGUSR2]).map_err(Failure::doing("watch for signals"))?;
            let replace = move || {
                for _ in signals.forever() {
                    match heir.replace(&*estate) {
                        Ok(()) => return,
                        Err(failure) => console::log(failure.context("no successor")),
                    }
                }
            };
            let thread = thread::Builder::new().name("succession".to_owned());
            let thread = thread.spawn(replace);
            thread.map_err(Failure::doing("start a thread"))?;
        }
        if let Some(mut ready) = self.ready {
            // A predecessor that does not wait for it any more has given this process up.
            ready
                .write_all(b"!")
                .map_err(Failure::doing("tell the predecessor"))?;
        }
        Ok(Turn {
            turn: self.turn,
            _mine: mine,
        })
    }
}

/// A place in a row of processes that have standard input and output after one another. It is given
/// up with the process.
#[derive(Debug)]
pub struct Turn {
    turn: Option<File>,
    /// The successor waits for its end.
    _mine: PipeWriter,
}

impl Turn {
    /// Waits until the predecessor is gone.
    pub fn wait(&mut self) -> Result<(), Failure> {
        match self.turn.take() {
            Some(mut turn) => turn
                .read_to_end(&mut Vec::new())
                .map(drop)
                .map_err(Failure::doing("wait for the predecessor")),
            None => Ok(()),
        }
    }
}

/// Starts the successor.
struct Heir {
    program: Option<PathBuf>,
    watch: Mutex<Option<Watch>>,
    /// What ends with this process.
    first: OwnedFd,
    limit: Option<DescriptorLimit>,
}

impl Heir {
    fn replace(&self, estate: &impl Estate) -> Result<(), Failure> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        // From here on the files are not this process's to remove: if a signal ends it now, they
        // stay, stale or the successor's.
        *watch = None;
        let started = self.start(estate);
        match started {
            Ok(mut successor) => {
                console::log(format_args!("replaced by process {}", successor.id()));
                tell_manager(successor.id());
                // The last thing: this process may end with it.
                estate.retire();
                // It outlives this process, as a rule. If not, it is waited for.
                let _ = thread::Builder::new().spawn(move || successor.wait());
                Ok(())
            }
            Err(failure) => {
                if let Err(failure) = estate.reclaim() {
                    console::log(failure);
                }
                *watch = cleanup::on_signal(|| Ok(((), estate.duties())))
                    .ok()
                    .map(|((), watch)| watch);
                Err(failure)
            }
        }
    }

    /// Starts the successor, and waits until it serves.
    fn start(&self, estate: &impl Estate) -> Result<Child, Failure> {
        let program = self.program.as_ref();
        let program =
            program.ok_or_else(|| Failure::failed("it is not known where this program lies"))?;
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1));
        for name in FROM_MANAGER {
            command.env_remove(name);
        }
        if let Some(limit) = self.limit {
            limit.give_to(&mut command);
        }
        let (mut ready, theirs) = io::pipe().map_err(Failure::doing("make a pipe"))?;
        pass_fd(&mut command, READY, theirs)?;
        let turn = self.first.try_clone();
        let turn = turn.map_err(Failure::doing("copy a descriptor"))?;
        pass_fd(&mut command, TURN, turn)?;
        estate.pass_to(&mut command)?;
        let shown = program.display();
        let spawned = command.spawn();
        let mut successor = spawned.map_err(Failure::doing(format_args!("start {shown}")))?;
        // It holds the other end of the pipe.
        drop(command);
        let why = match wait_until_readable(ready.as_fd(), STARTING) {
            Ok(true) if ready.read(&mut [0]).is_ok_and(|count| count == 1) => return Ok(successor),
            Ok(true) => "it has ended".to_owned(),
            Ok(false) => format!("it does not serve after {STARTING:?}"),
            Err(error) => error.to_string(),
        };
        let _ = successor.kill();
        let _ = successor.wait();
        Err(Failure::failed(format!("{shown} was started, but {why}")))
    }
}

fn wait_until_readable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let limit = Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&limit)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Tells a service manager which process is the main one of the service from now on (sd_notify(3)).
fn tell_manager(pid: u32) {
    let Some(path) = env::var_os("NOTIFY_SOCKET").map(PathBuf::from) else {
        return;
    };
    let told = UnixDatagram::unbound()
        .and_then(|socket| socket.send_to(format!("MAINPID={pid}\nREADY=1").as_bytes(), &path));
    if let Err(error) = told {
        let path = path.display();
        console::log(format_args!(
            "cannot tell the service manager at {path}: {error}"
        ));
    }
}

/// Ends the waiting for connections of a listener that knows no end by itself.
#[derive(Debug)]
pub struct Retirement(OwnedFd);

impl Retirement {
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    pub fn retire(&self) {
        // The counter stays raised: it ends all waiting.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// A connection of a listener that does not block, by `accept`; `None` after the retirement.
    pub fn accept<T>(
        &self,
        listener: BorrowedFd<'_>,
        accept: impl Fn() -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(listener, PollFlags::IN),
                PollFd::new(&self.0, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            if !fds[1].revents().is_empty() {
                return Ok(None);
            }
            match accept() {
                // Another process was faster, or the client has left.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted
                    ) => {}
                accepted => return accepted.map(Some),
            }
        }
    }
}

/// The connections that are served, to be waited for.
#[derive(Debug)]
pub struct Served {
    one: mpsc::Sender<()>,
    gone: mpsc::Receiver<()>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct One(#[expect(dead_code, reason = "its drop is what counts")] mpsc::Sender<()>);

impl Served {
    pub fn new() -> Self {
        let (one, gone) = mpsc::channel();
        Self { one, gone }
    }

    pub fn one(&self) -> One {
        One(self.one.clone())
    }

    /// Waits until all of them have ended.
    pub fn wait(self) {
        drop(self.one);
        let _ = self.gone.recv();
    }
}
