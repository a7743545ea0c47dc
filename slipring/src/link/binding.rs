//! Being bound to a name: the lock is held, and the socket is there.
//!
//! In this order: take the lock; check whether the socket at the path is stale, and remove it only
//! then; bind, set the mode, listen. All of that happens under the lock, so two that
//! replace a stale socket cannot remove each other's. Leaving goes the other way round: remove the
//! socket (if it is still this one), and the lock file, while the lock is still held.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys::errno::Errno;
use crate::sys::file::{FileType, Mode, Stat, chmod, lstat, unlink};
use crate::sys::socket::{self, SocketAddrUnix, bind, connect, listen};

use super::dial::SETTLING;
use super::directory::{RuntimeDirs, is_absence, kind_of};
use super::lock::{Lock, LockState, lock_state_until, same_file};
use super::message::Kind;
use super::paths::SocketPaths;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::Name;

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
    lock: Lock,
    /// The socket that was made, as long as it has not been removed.
    socket: Option<Stat>,
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
            lock,
            socket: None,
        };
        let socket = binding.listen()?;
        Ok((binding, socket))
    }

    /// Makes the socket, under the lock.
    fn listen(&mut self) -> Result<OwnedFd> {
        let path = self.path.as_path();
        let in_use = || Error::NameInUse {
            name: self.name.to_string(),
            pid: None,
            socket_gone: None,
        };
        let address = SocketAddrUnix::new(path).map_err(Error::os_at("binding", path))?;
        if !clear_the_way(path, &address)? {
            return Err(in_use());
        }
        let socket = new_socket()?;
        match bind(&socket, &address) {
            Ok(()) => {}
            // Made since the check, by a program that does not care for the lock.
            Err(Errno::ADDRINUSE) => return Err(in_use()),
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
        if !self.lock.is_in_place()? {
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
        if !self.lock.is_mine() {
            return Err(Error::NameInUse {
                name: self.name.to_string(),
                pid: None,
                socket_gone: None,
            });
        }
        if self.condition()? == Condition::LockGone {
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
            let kind = self.lock.kind();
            self.lock = Lock::acquire(self.lock.path(), &self.name, self.dirs.uid)?;
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
        self.lock.mark_kind(kind)
    }

    /// Notes in the lock file that two have met under this name, so that a third can be told.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if that cannot be written.
    pub(crate) fn mark_paired(&self) -> Result<()> {
        self.lock.mark_paired()
    }

    /// Removes the socket, and goes on holding the name: nobody can connect any more, and nobody
    /// else can bind. Does nothing if the socket at the path is not the one that was made here, or
    /// in a forked child, or a second time.
    pub(crate) fn retire_socket(&mut self) {
        if !self.lock.is_mine() {
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
    }
}

/// Makes sure that nothing is at the path; removes a stale socket. False if a live listener is
/// there (one that does not hold the lock: another program, or the lock file was removed).
pub(super) fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<bool> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(true),
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
    match connect(new_socket()?, address) {
        Err(Errno::CONNREFUSED) => match unlink(path) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(errno) => Err(Error::os_at("removing the stale socket", path)(errno)),
        },
        Err(Errno::NOENT) => Ok(true),
        // Accepted; or its backlog is full; or it is of another type. Somebody has it open.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(false),
        Err(errno) => Err(Error::os_at("checking whether the socket is stale", path)(
            errno,
        )),
    }
}

#[cfg(test)]
mod tests;
