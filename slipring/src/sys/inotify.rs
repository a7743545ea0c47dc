//! Changes in directories, as events (inotify(7)).
//!
//! Some changes have no event: a file system mounted over a watched directory, a parent of it
//! renamed, another machine's doings on a network file system. And instances can be used up (128 a
//! user).

use super::closing;
use super::errno::{self, Errno};
use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A new entry, or the end of the directory itself.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The number of a watched directory.
pub(crate) type Descriptor = i32;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// Events were lost, as the queue was full.
    Overflow,
    /// Something in a directory, or with it.
    Change {
        directory: Descriptor,
        /// The entry; `None`: it is about the directory itself.
        entry: Option<&'a OsStr>,
    },
}

/// An instance, which does not block.
#[derive(Debug)]
pub(crate) struct Inotify {
    /// Always there, except while this is dropped.
    fd: Option<OwnedFd>,
}

impl Inotify {
    /// `None` if the system has no more to give (inotify_init1(2)).
    pub(crate) fn new() -> Option<Inotify> {
        let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        Some(Inotify { fd: Some(fd) })
    }

    /// Watches a directory for new entries and for its own end, and with `modes` for changes of
    /// modes too (inotify_add_watch(2)). A directory that is watched already keeps its number.
    pub(crate) fn watch(&self, directory: &Path, modes: bool) -> errno::Result<Descriptor> {
        let mut changes = CHANGES;
        changes.set(WatchFlags::ATTRIB, modes);
        add_watch(self, directory, changes)
    }

    /// Watches a directory no more (inotify_rm_watch(2)).
    pub(crate) fn unwatch(&self, directory: Descriptor) {
        // Gone already if the directory is.
        let _ = remove_watch(self, directory);
    }

    /// Takes the events that there are, up to a buffer full (read(2)). Says whether there were no
    /// more.
    pub(crate) fn take(&self, mut each: impl FnMut(Event<'_>)) -> errno::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(self, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    each(Event::Overflow);
                }
                Ok(event) => each(Event::Change {
                    directory: event.wd(),
                    entry: event
                        .file_name()
                        .map(|name| OsStr::from_bytes(name.to_bytes())),
                }),
                Err(Errno::WOULDBLOCK) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            if events.is_buffer_empty() {
                return Ok(false);
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
            .as_ref()
            .expect("it is there until it is dropped")
            .as_fd()
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        // The kernel lets the thread that closes it wait until no other processor can still use it:
        // up to tens of milliseconds. The caller would have to wait for that before it could go on.
        if let Some(fd) = self.fd.take() {
            closing::elsewhere(fd);
        }
    }
}
