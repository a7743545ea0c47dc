//! The last acts before a signal ends the process, which runs no destructor: the files of listeners
//! are removed, commands are told to end, streams that are to end in order do, feeds and boards
//! end, and the terminal is given back.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::process::Signal;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use slipring::{Closer, Listener, Scope};

use crate::{
    board::restore_terminal, command::Running, failure::Failure, publish::Shared, signals,
};

/// A file that a listener made. Told apart by inode, because someone may have replaced it
/// meanwhile.
#[derive(Debug, Clone)]
pub struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnFile {
    pub fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        // The path is absolute, so that it can be removed from any current directory.
        Ok(Self {
            path: std::path::absolute(path)?,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// The socket of a name and the lock beside it, in the order in which a listener that leaves
    /// removes them: as long as the lock is there, no other process can bind the name. None of a
    /// socket that a service manager holds.
    pub fn of(listener: &Listener) -> Vec<Self> {
        if listener.is_activated() {
            return Vec::new();
        }
        let socket = listener.path();
        let lock = match listener.name().scope() {
            Scope::Path => {
                let mut lock = socket.as_os_str().to_owned();
                lock.push(".lock");
                lock.into()
            }
            _ => socket.with_extension("lock"),
        };
        let files = [socket, &lock].into_iter();
        files.filter_map(|path| Self::at(path).ok()).collect()
    }

    pub fn remove(&self) {
        if fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode))
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One act before a signal ends the process.
#[derive(Debug)]
pub enum Duty {
    Remove(OwnFile),
    /// Tell a command to end.
    Terminate(Arc<Running>),
    /// End a stream in order. Not for SIGINT: a stream that a user breaks off is not complete.
    Close(Closer),
    /// End a feed or a board: in order, or for SIGINT with an abort code.
    End(Shared),
    /// Give the terminal back as it was.
    RestoreTerminal,
}

impl Duty {
    fn fulfil(&self, signal: i32) {
        match self {
            Self::Remove(file) => file.remove(),
            Self::Terminate(command) => command.signal(Signal::TERM),
            Self::Close(_) if signal == SIGINT => {}
            Self::Close(closer) => closer.close(),
            Self::RestoreTerminal => restore_terminal(),
            Self::End(publisher) => publisher.end(signal == SIGINT),
        }
    }
}

/// All that is to be done; there is one end of the process for all of its threads.
#[derive(Debug)]
struct Duties {
    watched: bool,
    next: u64,
    list: Vec<(u64, Duty)>,
}

static DUTIES: Mutex<Duties> = Mutex::new(Duties {
    watched: false,
    next: 0,
    list: Vec::new(),
});

fn duties() -> MutexGuard<'static, Duties> {
    DUTIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as this lives, SIGINT, SIGTERM and SIGHUP see to its duties before they end the process.
/// Once a signal has come, dropping it waits for that end, so the signal's exit code stays.
#[must_use = "dropped at once, it watches over nothing"]
#[derive(Debug)]
pub struct Watch(Vec<u64>);

impl Drop for Watch {
    fn drop(&mut self) {
        duties().list.retain(|(number, _)| !self.0.contains(number));
    }
}

/// Runs `make`, and from then on sees to the duties that it names. A signal that comes
/// meanwhile waits for them; so `make` must not block.
pub fn on_signal<T>(
    make: impl FnOnce() -> Result<(T, Vec<Duty>), Failure>,
) -> Result<(T, Watch), Failure> {
    let mut duties = duties();
    if !duties.watched {
        watch()?;
        duties.watched = true;
    }
    let (made, new) = make()?;
    let first = duties.next;
    duties.next += new.len() as u64;
    let numbers: Vec<u64> = (first..duties.next).collect();
    duties.list.extend(numbers.iter().copied().zip(new));
    Ok((made, Watch(numbers)))
}

/// Takes the signals over, except for those that were ignored when the program started.
fn watch() -> Result<(), Failure> {
    let signals = signals::not_ignored(&[SIGINT, SIGTERM, SIGHUP]);
    if signals.is_empty() {
        return Ok(());
    }
    let mut signals = Signals::new(signals).map_err(Failure::doing("watch for signals"))?;
    let end = move || {
        for signal in signals.forever() {
            // Held until the process has ended.
            let duties = duties();
            duties.list.iter().for_each(|(_, duty)| duty.fulfil(signal));
            let _ = emulate_default_handler(signal);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(end);
    thread.map(drop).map_err(Failure::doing("start a thread"))
}
