//! Waiting for files to come into being, by inotify.
//!
//! [`Watch::arm`], then look, then [`Watch::wait`]: what comes before the watch is seen by looking,
//! what comes after it is an event. A directory that is not there yet is waited for in the nearest
//! one that is. A watch is a hint, never an answer: whoever waits looks again.
//!
//! What inotify does not tell: a file system mounted over a watched directory, a parent of it
//! renamed, another machine's doings on a network file system. And it can be used up (128 instances
//! a user), which [`Watch::arm`] says.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
#[cfg(feature = "tokio")]
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{
    CreateFlags, Event, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::sys::{closing, user};

/// A new entry, or a change of mode (a socket that may be connected to now, a directory that is
/// safe now), or the end of the directory itself.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What to watch for; and whether that is all that may matter.
///
/// A process whose user's number says nothing sets modes to learn what is its own ([`user::owns`]).
/// It would be woken by that each time.
fn changes() -> (WatchFlags, bool) {
    if user::is_told(user::me()) {
        (CHANGES, true)
    } else {
        (CHANGES.difference(WatchFlags::ATTRIB), false)
    }
}

/// Waits for files to come into being.
#[derive(Debug)]
pub(crate) struct Watch {
    /// None if the system has no more to give.
    inotify: Option<OwnedFd>,
    /// By watch: the entries of that directory that matter.
    wanted: HashMap<i32, Vec<OsString>>,
}

/// Events that were taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events {
    /// One of them may matter.
    pub(crate) matter: bool,
    /// There were no more.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "for event loops"))]
    pub(crate) are_all: bool,
}

impl Watch {
    /// A watch for nothing yet. While the system gives no inotify instance, it watches nothing, and
    /// [`arm`](Watch::arm) says so.
    pub(crate) fn new() -> Watch {
        Watch {
            inotify: instance(),
            wanted: HashMap::new(),
        }
    }

    /// Watches for these files, and for no others any more. To be called before every look: the
    /// directories may have come or gone. False if some of them cannot be watched (no permission
    /// to read the directory, limits), so that looking again now and then must do.
    pub(crate) fn arm<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> bool {
        self.inotify = self.inotify.take().or_else(instance);
        let before = std::mem::take(&mut self.wanted);
        let (changes, mut all) = changes();
        for file in files {
            all &= self.watch_for(file, changes);
        }
        if let Some(inotify) = &self.inotify {
            for watch in before
                .keys()
                .filter(|watch| !self.wanted.contains_key(watch))
            {
                // Gone already if its directory is.
                let _ = remove_watch(inotify, *watch);
            }
        }
        all
    }

    /// Blocks until something has happened that may matter (true), or the time has come (false;
    /// None: never).
    ///
    /// # Errors
    ///
    /// [`Error::Os`], of which nothing is known that can happen here.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Result<bool> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // A time that is too long for the kernel is none.
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds: Vec<_> = self
                .inotify
                .iter()
                .map(|fd| PollFd::new(fd, PollFlags::IN))
                .collect();
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) if self.take_events()?.matter => return Ok(true),
                // Something else in a busy directory: it must not become a look each time. Nor must
                // it renew the time, as then no poll might ever find nothing.
                Ok(_) | Err(Errno::INTR) if left == Some(Duration::ZERO) => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::os("waiting for inotify events")(errno)),
            }
        }
    }

    /// Takes the events that there are, up to a buffer full.
    ///
    /// # Errors
    ///
    /// As [`wait`](Watch::wait).
    pub(crate) fn take_events(&self) -> Result<Events> {
        self.drain().map_err(Error::os("reading inotify events"))
    }

    /// What is readable when there are events.
    #[cfg(feature = "tokio")]
    pub(crate) fn inotify(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(OwnedFd::as_fd)
    }

    /// Watches for one file: in its directory, or for the first part of the way there that is
    /// missing.
    fn watch_for(&mut self, file: &Path, changes: WatchFlags) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        loop {
            let mut missing = file;
            let watch = loop {
                let Some(directory) = missing.parent() else {
                    return false;
                };
                match add_watch(inotify, directory, changes) {
                    Ok(watch) => break watch,
                    Err(Errno::NOENT | Errno::NOTDIR) => missing = directory,
                    Err(_) => return false,
                }
            };
            let Some(entry) = missing.file_name() else {
                return false;
            };
            self.wanted.entry(watch).or_default().push(entry.to_owned());
            // A directory that was missing may have come before the watch for it: then there is no
            // event, and the place to watch is further down.
            if missing == file || !missing.is_dir() {
                return true;
            }
        }
    }

    fn drain(&self) -> rustix::io::Result<Events> {
        let mut taken = Events {
            matter: false,
            are_all: true,
        };
        let Some(inotify) = &self.inotify else {
            return Ok(taken);
        };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => taken.matter |= self.matters(&event),
                Err(Errno::WOULDBLOCK) => return Ok(taken),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            if events.is_buffer_empty() {
                taken.are_all = false;
                return Ok(taken);
            }
        }
    }

    fn matters(&self, event: &Event<'_>) -> bool {
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            return true;
        }
        // An event of a watch that is no longer wanted is from before the last arming, and was
        // followed by a look.
        let Some(wanted) = self.wanted.get(&event.wd()) else {
            return false;
        };
        // No file name: it is about the directory itself.
        event.file_name().is_none_or(|name| {
            wanted
                .iter()
                .any(|entry| entry == OsStr::from_bytes(name.to_bytes()))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The kernel lets whoever closes it wait until no other processor can be at it any more: up
        // to tens of milliseconds, which would stand between the caller and what it has been
        // waiting for.
        if let Some(inotify) = self.inotify.take() {
            closing::elsewhere(inotify);
        }
    }
}

/// None if the system has no more to give.
fn instance() -> Option<OwnedFd> {
    init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// Waits without a limit: a missed event is a test that hangs.
    fn comes(watch: &Watch) {
        assert!(watch.wait(None).unwrap());
    }

    fn stays_quiet(watch: &Watch) {
        // What was written before is queued already, so waiting no time is enough.
        assert!(!watch.wait(Some(Instant::now())).unwrap());
    }

    #[test]
    fn a_watch_sees_what_comes_and_only_that() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("x");
        let mut watch = Watch::new();
        assert!(watch.arm([file.as_path()]));
        stays_quiet(&watch);
        fs::write(temporary.path().join("y"), "").unwrap();
        stays_quiet(&watch);
        fs::write(&file, "").unwrap();
        comes(&watch);
        fs::rename(temporary.path().join("y"), &file).unwrap();
        comes(&watch);
        watch.arm([]);
        fs::remove_file(&file).unwrap();
        stays_quiet(&watch);
    }

    #[test]
    fn a_watch_follows_a_missing_path_step_by_step_and_back() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("a/b/x");
        let mut watch = Watch::new();
        for step in ["a", "a/b", "a/b/x"] {
            assert!(watch.arm([file.as_path()]));
            stays_quiet(&watch);
            fs::create_dir(temporary.path().join(step)).unwrap();
            comes(&watch);
        }
        assert!(watch.arm([file.as_path()]));
        fs::remove_dir_all(temporary.path().join("a")).unwrap();
        comes(&watch);
        assert!(watch.arm([file.as_path()]));
        while watch.wait(Some(Instant::now())).unwrap() {}
        // A file where a directory should be is no endless search.
        fs::write(temporary.path().join("a"), "").unwrap();
        comes(&watch);
        assert!(watch.arm([file.as_path()]));
    }

    #[test]
    fn a_watch_misses_nothing_that_comes_while_it_is_armed() {
        let temporary = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        for round in 0..300 {
            let top = temporary.path().join(round.to_string());
            let file = top.join("a/b/c/d/e/f/g/x");
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    fs::create_dir_all(&file).unwrap();
                });
                barrier.wait();
                loop {
                    assert!(watch.arm([file.as_path()]));
                    if file.exists() {
                        break;
                    }
                    let until = Instant::now() + Duration::from_secs(20);
                    assert!(watch.wait(Some(until)).unwrap(), "missed in round {round}");
                }
            });
        }
    }

    #[test]
    fn a_watch_without_inotify_only_waits() {
        let watch = Watch {
            inotify: None,
            wanted: HashMap::new(),
        };
        let until = Instant::now() + Duration::from_millis(5);
        assert!(!watch.wait(Some(until)).unwrap());
        assert!(Instant::now() >= until);
    }
}
