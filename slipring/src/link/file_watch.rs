//! Waiting for files to come into being: which directories are watched, and which entries of them
//! matter.
//!
//! [`FileWatch::arm`], then search, then [`FileWatch::wait`]: a file that comes before the watch is
//! found by the search, and a file that comes after it is an event. A directory that is not there
//! yet is waited for in the nearest one that is. A watch is a hint, never an answer: the search
//! that follows decides.
//!
//! Some changes have no event ([`inotify`]), and [`FileWatch::arm`] says if something cannot be
//! watched.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::AsFd;
#[cfg(feature = "tokio")]
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sys::errno::Errno;
use crate::sys::inotify::{self, Event, Inotify};
use crate::sys::{poll, user};

/// Waits for files to come into being.
#[derive(Debug)]
pub(crate) struct FileWatch {
    /// `None` if the system has no more to give.
    inotify: Option<Inotify>,
    /// The entries that matter, by their directory.
    wanted: HashMap<inotify::Descriptor, Vec<OsString>>,
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

impl FileWatch {
    /// A watch for nothing yet. While the system gives no inotify instance, it watches nothing, and
    /// [`arm`](FileWatch::arm) says so.
    pub(crate) fn new() -> FileWatch {
        FileWatch {
            inotify: Inotify::new(),
            wanted: HashMap::new(),
        }
    }

    /// Watches for these files, and for no others any more. To be called before every search: the
    /// directories may have come or gone. `false` if some of them cannot be watched (no permission
    /// to read the directory, limits), so that searching again now and then must do.
    pub(crate) fn arm<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> bool {
        self.inotify = self.inotify.take().or_else(Inotify::new);
        let before = std::mem::take(&mut self.wanted);
        // A change of mode matters: a socket that may be connected to now, a directory that is safe
        // now. But a process whose user's number says nothing sets modes to learn what is its own
        // ([`user::owns`]), and would be woken by that each time.
        let modes = user::is_told(user::me());
        let mut all = modes;
        for file in files {
            all &= self.watch_for(file, modes);
        }
        if let Some(inotify) = &self.inotify {
            for directory in before.into_keys() {
                if !self.wanted.contains_key(&directory) {
                    inotify.unwatch(directory);
                }
            }
        }
        all
    }

    /// Blocks until something has happened that may matter (`true`), or the time has come
    /// (`false`). `None`: that never comes.
    ///
    /// # Errors
    ///
    /// [`Error::Os`], of which nothing is known that can happen here.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Result<bool> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let inotify = self.inotify.as_ref().map(Inotify::as_fd);
            match poll::wait(inotify, false, left) {
                Ok(true) if self.take_events()?.matter => return Ok(true),
                Ok(false) if until.is_some_and(|until| Instant::now() >= until) => {
                    return Ok(false);
                }
                // This is about something else in a busy directory, and must not become a search
                // each time. Nor must it renew the time: then no poll might ever find nothing.
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
    /// As [`wait`](FileWatch::wait).
    pub(crate) fn take_events(&self) -> Result<Events> {
        let mut matter = false;
        let are_all = match &self.inotify {
            Some(inotify) => inotify
                .take(|event| matter |= self.matters(event))
                .map_err(Error::os("reading inotify events"))?,
            None => true,
        };
        Ok(Events { matter, are_all })
    }

    /// The descriptor that is readable when there are events.
    #[cfg(feature = "tokio")]
    pub(crate) fn inotify(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(Inotify::as_fd)
    }

    /// Watches for one file: in its directory, or for the first part of the way there that is
    /// missing.
    fn watch_for(&mut self, file: &Path, modes: bool) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        loop {
            let mut missing = file;
            let watched = loop {
                let Some(directory) = missing.parent() else {
                    return false;
                };
                match inotify.watch(directory, modes) {
                    Ok(watched) => break watched,
                    Err(Errno::NOENT | Errno::NOTDIR) => missing = directory,
                    Err(_) => return false,
                }
            };
            let Some(entry) = missing.file_name() else {
                return false;
            };
            let entries = self.wanted.entry(watched).or_default();
            entries.push(entry.to_owned());
            // A directory that was missing may have come before the watch for it: then there is no
            // event, and the directory to watch is further down.
            if missing == file || !missing.is_dir() {
                return true;
            }
        }
    }

    fn matters(&self, event: Event<'_>) -> bool {
        let (directory, entry) = match event {
            Event::Overflow => return true,
            Event::Change { directory, entry } => (directory, entry),
        };
        // An event of a directory that is no longer wanted is from before the last arming, which a
        // search has followed.
        self.wanted.get(&directory).is_some_and(|wanted| {
            // Without an entry it is about the directory itself.
            entry.is_none_or(|entry| wanted.iter().any(|one| one == entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// Waits without a limit: a missed event is a test that hangs.
    fn comes(watch: &FileWatch) {
        assert!(watch.wait(None).unwrap());
    }

    fn stays_quiet(watch: &FileWatch) {
        // An event of an earlier write is queued already, so waiting no time is enough.
        assert!(!watch.wait(Some(Instant::now())).unwrap());
    }

    #[test]
    fn a_watch_sees_what_comes_and_only_that() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("x");
        let mut watch = FileWatch::new();
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
        let mut watch = FileWatch::new();
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
        let mut watch = FileWatch::new();
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
        let watch = FileWatch {
            inotify: None,
            wanted: HashMap::new(),
        };
        let until = Instant::now() + Duration::from_millis(5);
        assert!(!watch.wait(Some(until)).unwrap());
        assert!(Instant::now() >= until);
    }
}
