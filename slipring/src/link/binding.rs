//! Being bound to a name: the lock is held, and the socket is there.
//!
//! In this order: take the lock; check whether the socket at the path is stale, and remove it only
//! then; bind, set the mode, listen. All of that happens under the lock, so two that replace a
//! stale socket cannot remove each other's. A name that is taken over is bound already; its lock
//! and its socket come as descriptors. Leaving goes the other way round: remove the socket (if it
//! is still this one), and the lock file, while the lock is still held.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys::errno::Errno;
use crate::sys::file::{FileType, Mode, Stat, chmod, lstat, unlink};
use crate::sys::socket::{self, SocketAddrUnix, bind, connect, listen};

use super::dial::SETTLING;
use super::directory::{RuntimeDirs, is_absence, kind_of};
use super::listener_fd::{self, ListenerFd};
use super::lock::{Lock, LockState, is_activated_at, lock_state, lock_state_until, same_file};
use super::message::Kind;
use super::paths::SocketPaths;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::{Name, Scope};

/// A name that this process is bound to, until it is dropped.
///
/// It holds the lock, not the listening socket: a rendezvous goes on holding its name after it has
/// met the other and listens no more.
///
/// Dropped in a forked child it does nothing: the name is the parent's.
#[derive(Debug)]
pub(crate) struct Binding {
    dirs: RuntimeDirs,
    name: Name,
    mode: u32,
    backlog: i32,
    path: PathBuf,
    /// `None` where a service manager holds the socket, and this user may make no file beside it.
    lock: Option<Lock>,
    /// The socket that was made, as long as it has not been removed.
    socket: Option<Stat>,
    /// Who holds the socket.
    held: Held,
}

/// The part of this process in a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It is this process's, which removes it when it leaves.
    Here,
    /// A service manager has bound it, and keeps it.
    ByManager,
    /// It was left to a successor.
    ByAnother,
}

/// The state of the two files of a name that is bound; see
/// [`Listener::check`](crate::Listener::check).
///
/// # Examples
///
/// ```
/// use slipring::{Condition, Listener};
/// # let name = format!("doc-condition-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// match listener.check()? {
///     Condition::Sound => {}
///     lost => println!("made anew: {} ({lost:?})", listener.repair()?),
/// }
/// # assert_eq!(listener.check()?, Condition::Sound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// A process that connects to the name finds it.
    Sound,
    /// Its socket is not at the path: it has been removed, or another file is there. The name is
    /// held.
    SocketGone,
    /// Its lock file is not at the path. Another process may have taken the name.
    LockGone,
}

impl Binding {
    /// Binds a name. Returns also the listening socket: non-blocking, and closed on exec. `mode` is
    /// that of the socket: users that may write to it may connect.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`], with the process if that can be told; the errors of
    /// [`RuntimeDirs::paths_for_binding`]; [`Error::Os`] if a file that is no socket is in the way
    /// (it is not touched), or a system call fails.
    pub(crate) fn new(name: &Name, mode: u32, backlog: i32) -> Result<(Binding, OwnedFd)> {
        Binding::new_in(&RuntimeDirs::from_env(), name, mode, backlog)
    }

    /// Like [`new`](Binding::new), with an environment of one's own.
    pub(crate) fn new_in(
        dirs: &RuntimeDirs,
        name: &Name,
        mode: u32,
        backlog: i32,
    ) -> Result<(Binding, OwnedFd)> {
        let paths = dirs.paths_for_binding(name)?;
        if is_activated_at(&paths.lock)
            && lock_state(&paths.lock)? == LockState::Free
            && socket::is_listened_at(&paths.socket)
        {
            return Err(Error::NameInUse {
                name: name.to_string(),
                pid: None,
                socket_gone: None,
                activated: true,
            });
        }
        let lock = Lock::acquire(&paths.lock, name, dirs.uid)
            .map_err(|error| say_if_hidden(error, &paths))?;
        point(Point::Locked);
        // From here on, an early return drops this, and that tidies up.
        let mut binding = Binding {
            dirs: dirs.clone(),
            name: name.clone(),
            mode,
            backlog,
            path: paths.socket,
            lock: Some(lock),
            socket: None,
            held: Held::Here,
        };
        let socket = binding.listen()?;
        Ok((binding, socket))
    }

    /// Takes over a name that is bound: from a predecessor, which has passed on the lock as well,
    /// or from a service manager. Nothing of it is touched when this is dropped, until it is
    /// [kept](Binding::keep).
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if another process holds the lock; [`Error::Os`] if the descriptors are
    /// not those of a listener.
    pub(crate) fn take_over(fds: ListenerFd, backlog: i32) -> Result<(Binding, OwnedFd)> {
        Binding::take_over_in(&RuntimeDirs::from_env(), fds, backlog)
    }

    /// Like [`take_over`](Binding::take_over), with an environment of one's own.
    pub(crate) fn take_over_in(
        dirs: &RuntimeDirs,
        fds: ListenerFd,
        backlog: i32,
    ) -> Result<(Binding, OwnedFd)> {
        let path = fds.path()?;
        let name = listener_fd::name_at(dirs, &path)?;
        let at_path = match name.scope() {
            Scope::Path => SocketPaths::at_path(&name),
            _ => SocketPaths::in_directory(path.parent().unwrap_or(&path), &name),
        };
        let lock = match fds.lock {
            Some(lock) => Some(Lock::take_over(lock, &at_path.lock, &name, dirs.uid)?),
            None => match Lock::acquire_activated(&at_path.lock, &name, dirs.uid) {
                Ok(lock) => Some(lock),
                // The service manager holds the name all the same.
                Err(error) if may_not_write(&error) => None,
                Err(error) => return Err(error),
            },
        };
        listener_fd::accept_from(fds.socket.as_fd(), &path, backlog)?;
        let stat = match lstat(&path) {
            Ok(stat) => Some(stat),
            Err(errno) if is_absence(errno) => None,
            Err(errno) => return Err(Error::os_at("checking the socket", &path)(errno)),
        };
        let binding = Binding {
            dirs: dirs.clone(),
            name,
            mode: stat.map_or(0o600, |stat| stat.st_mode & 0o777),
            backlog,
            path,
            lock,
            socket: stat,
            held: Held::ByAnother,
        };
        Ok((binding, fds.socket))
    }

    /// From now on a name that was taken over is this process's, which tidies up when it leaves.
    pub(crate) fn keep(&mut self) {
        self.held = match &mut self.lock {
            Some(lock) => {
                lock.keep();
                if lock.is_activated() {
                    Held::ByManager
                } else {
                    Held::Here
                }
            }
            None => Held::ByManager,
        };
    }

    /// Names this process in the lock file again, and to clients, after somebody who has taken the
    /// name over and is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be written.
    pub(crate) fn reclaim(&mut self, socket: BorrowedFd<'_>) -> Result<()> {
        if !self.is_mine() {
            return Ok(());
        }
        if let Some(lock) = &mut self.lock {
            lock.sign()?;
        }
        listener_fd::accept_from(socket, &self.path, self.backlog)
    }

    /// The descriptors for a successor: copies of `socket`, the listening socket, and of the lock.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] for want of descriptors, and in a forked child.
    pub(crate) fn copy(&self, socket: BorrowedFd<'_>) -> Result<ListenerFd> {
        if let Some(lock) = &self.lock
            && !lock.is_mine()
        {
            let text = "the listener is another process's: this one was forked";
            return Err(Error::os("copying a listener")(io::Error::other(text)));
        }
        let socket = socket.try_clone_to_owned();
        Ok(ListenerFd {
            socket: socket.map_err(Error::os("copying a listener (fcntl)"))?,
            lock: self.lock.as_ref().map(Lock::copy).transpose()?,
        })
    }

    /// Leaves files, lock and socket to those that have a copy.
    pub(crate) fn give_up(&mut self) {
        self.held = Held::ByAnother;
        if let Some(lock) = &mut self.lock {
            lock.give_up();
        }
    }

    /// Whether the socket stays, with whoever else has it, when this process leaves.
    pub(crate) fn is_shared(&self) -> bool {
        self.held != Held::Here
    }

    /// Whether a service manager holds the socket.
    pub(crate) fn is_activated(&self) -> bool {
        self.held == Held::ByManager
    }

    /// The name.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The mode of the socket.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// The user that the socket's file belongs to, if it is there.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.socket.as_ref().map(|stat| stat.st_uid)
    }

    /// Makes the socket, under the lock.
    fn listen(&mut self) -> Result<OwnedFd> {
        let path = self.path.as_path();
        let in_use = |listener: Option<u32>| Error::NameInUse {
            name: self.name.to_string(),
            pid: listener,
            socket_gone: None,
            activated: listener.is_some_and(is_manager),
        };
        let address = SocketAddrUnix::new(path).map_err(Error::os_at("binding", path))?;
        if let Way::Taken { listener } = clear_the_way(path, &address)? {
            return Err(in_use(listener));
        }
        let socket = new_socket()?;
        match bind(&socket, &address) {
            Ok(()) => {}
            // Made since the check, by a program that does not care for the lock.
            Err(Errno::ADDRINUSE) => return Err(in_use(None)),
            Err(errno) => return Err(Error::os_at("binding", path)(errno)),
        }
        point(Point::Bound);
        let stat = lstat(path).map_err(Error::os_at("checking the socket", path))?;
        self.socket = Some(stat);
        // Before listening: nobody can have connected under the mode that the umask left.
        let path = self.path.as_path();
        chmod(path, Mode::from_raw_mode(self.mode))
            .map_err(Error::os_at("setting the mode of the socket", path))?;
        listen(&socket, self.backlog).map_err(Error::os_at("listening", path))?;
        point(Point::Listening);
        Ok(socket)
    }

    /// The state of the two files: a cleaner of temporary files may have removed them.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if that cannot be told.
    pub(crate) fn condition(&self) -> Result<Condition> {
        if let Some(lock) = &self.lock
            && !lock.is_in_place()?
        {
            return Ok(Condition::LockGone);
        }
        let Some(made) = &self.socket else {
            return Ok(Condition::SocketGone);
        };
        match lstat(&self.path) {
            Ok(found) if same_file(made, &found) => Ok(Condition::Sound),
            Ok(_) => Ok(Condition::SocketGone),
            Err(errno) if is_absence(errno) => Ok(Condition::SocketGone),
            Err(errno) => Err(Error::os_at("checking the socket", &self.path)(errno)),
        }
    }

    /// Makes anew the files that have been removed. Returns the new listening socket, if one was
    /// made. The old one is to be closed, as nobody can reach it any more; the clients in its queue
    /// can still be served.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if another process has taken the name meanwhile, or in a forked child;
    /// otherwise as [`new`](Binding::new). Then it is as it was before.
    pub(crate) fn repair(&mut self) -> Result<Option<OwnedFd>> {
        if !self.is_mine() {
            return Err(Error::NameInUse {
                name: self.name.to_string(),
                pid: None,
                socket_gone: None,
                activated: false,
            });
        }
        if self.held == Held::ByManager {
            return match self.condition()? {
                Condition::Sound => Ok(None),
                _ => {
                    let text = "a service manager has made the socket, and it alone can make it \
                        anew: restart its socket unit";
                    Err(Error::os_at("repairing a name", &self.path)(
                        io::Error::other(text),
                    ))
                }
            };
        }
        if let Some(lock) = &mut self.lock
            && !lock.is_in_place()?
        {
            // The directory may be gone as well.
            let paths = self.dirs.paths_for_binding(&self.name)?;
            if paths.socket != self.path {
                let text = format!(
                    "names are now kept in another directory, where it would be {}",
                    paths.socket.display()
                );
                return Err(Error::os_at("binding the name anew", &self.path)(
                    io::Error::other(text),
                ));
            }
            // The old lock is let go of: its file is at no path any more.
            let kind = lock.kind();
            *lock = Lock::acquire(lock.path(), &self.name, self.dirs.uid)?;
            if let Some(kind) = kind {
                self.mark_kind(kind)?;
            }
        }
        match self.condition()? {
            Condition::Sound => Ok(None),
            Condition::SocketGone | Condition::LockGone => {
                self.socket = None;
                self.listen().map(Some)
            }
        }
    }

    /// The path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what the name is, for those that list names.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be written.
    pub(super) fn mark_kind(&mut self, kind: Kind) -> Result<()> {
        match &mut self.lock {
            Some(lock) => lock.mark_kind(kind),
            None => Ok(()),
        }
    }

    /// Notes in the lock file that two have met under this name, so that a third can be told.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if that cannot be written.
    pub(crate) fn mark_paired(&self) -> Result<()> {
        match &self.lock {
            Some(lock) => lock.mark_paired(),
            None => Ok(()),
        }
    }

    /// Whether the files are for this process to remove: it has made them, and is no forked child.
    fn is_mine(&self) -> bool {
        self.held != Held::ByAnother && self.lock.as_ref().is_none_or(Lock::is_mine)
    }

    /// Removes the socket, and goes on holding the name: nobody can connect any more, and nobody
    /// else can bind. Does nothing if the socket at the path is not the one that was made here, or
    /// in a forked child, or a second time.
    pub(crate) fn retire_socket(&mut self) {
        if !self.is_mine() || self.held != Held::Here {
            return;
        }
        if let Some(made) = self.socket.take()
            && lstat(&self.path).is_ok_and(|found| same_file(&made, &found))
        {
            // If it cannot be removed, it is stale, and the next binding of the name replaces it.
            let _ = unlink(&self.path);
            point(Point::SocketRemoved);
        }
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // The lock is let go of after this, when it is dropped itself.
        self.retire_socket();
    }
}

fn new_socket() -> Result<OwnedFd> {
    socket::nonblocking().map_err(Error::os("making a socket"))
}

/// Says of a name in use that its holder cannot be reached, if that is so.
fn say_if_hidden(error: Error, paths: &SocketPaths) -> Error {
    let Error::NameInUse { name, pid, .. } = error else {
        return error;
    };
    let give_up = Instant::now() + SETTLING;
    // A holder may be between its lock and its socket, when it comes and when it leaves.
    let is_missing = || matches!(lstat(&paths.socket), Err(Errno::NOENT));
    let holds = || {
        matches!(
            lock_state_until(&paths.lock, Instant::now()),
            Ok(LockState::Held { paired: false, .. })
        )
    };
    let socket_gone = loop {
        if !is_missing() || !holds() {
            break None;
        }
        if Instant::now() >= give_up {
            break Some(paths.socket.clone());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    Error::NameInUse {
        name,
        pid,
        socket_gone,
        activated: is_activated_at(&paths.lock),
    }
}

/// Whether this user may make no files there: another one's directory, or one that is read-only.
fn may_not_write(error: &Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether this process is a service manager, by the name of its program.
fn is_manager(pid: u32) -> bool {
    let program = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    program.is_ok_and(|program| program.starts_with("systemd"))
}

/// What is at a path at which a socket is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Free,
    /// A live listener is there that does not hold the lock: another program, a service manager, or
    /// the lock file was removed.
    Taken {
        /// The process that listens, if it can be told.
        listener: Option<u32>,
    },
}

/// Makes sure that nothing is at the path; removes a stale socket.
pub(super) fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<Way> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Way::Free),
        Err(errno) => return Err(Error::os_at("checking the socket", path)(errno)),
    };
    if !FileType::from_raw_mode(stat.st_mode).is_socket() {
        let text = format!(
            "{} is {}, not a socket, and was not touched; remove it, or choose another name",
            path.display(),
            kind_of(&stat)
        );
        let source = io::Error::new(io::ErrorKind::AlreadyExists, text);
        return Err(Error::Os {
            doing: "binding",
            source,
        });
    }
    let socket = new_socket()?;
    match connect(&socket, address) {
        Err(Errno::CONNREFUSED) => match unlink(path) {
            Ok(()) | Err(Errno::NOENT) => Ok(Way::Free),
            Err(errno) => Err(Error::os_at("removing the stale socket", path)(errno)),
        },
        Err(Errno::NOENT) => Ok(Way::Free),
        // Somebody has it open. The kernel tells which process has called `listen`.
        Ok(()) => {
            let listener = socket::made_by(socket.as_fd()).ok();
            let listener = listener
                .map(|listener| listener.pid)
                .filter(|pid| *pid != 0);
            Ok(Way::Taken { listener })
        }
        // Its backlog is full, or it is of another type.
        Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Way::Taken { listener: None }),
        Err(errno) => Err(Error::os_at("checking whether the socket is stale", path)(
            errno,
        )),
    }
}

#[cfg(test)]
mod tests;
