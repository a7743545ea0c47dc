//! Being bound to a name: the lock is held, and the socket is there.
//!
//! In this order: take the lock; look whether the socket at the path is stale, and remove it only
//! then; bind, set the mode, listen. All of that happens under the lock, so two that
//! replace a stale socket cannot remove each other's. Leaving goes the other way round: remove the
//! socket (if it is still this one), let go of the lock. The lock file stays.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, Stat, chmod, lstat, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};

use super::directory::{Places, kind_of};
use super::lock::{Lock, same_file};
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
    path: PathBuf,
    lock: Lock,
    /// The socket that was made, as long as it has not been removed.
    socket: Option<Stat>,
}

impl Binding {
    /// Binds a name. Returns also the listening socket: non-blocking, and closed on exec. `mode` is
    /// that of the socket: who may write to it may connect.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`], with the process if that can be told; what
    /// [`Places::spot_for_binding`] returns; [`Error::Os`] if a file that is no socket is in the
    /// way (it is not touched), or a system call fails.
    pub(crate) fn new(name: &Name, mode: u32, backlog: i32) -> Result<(Binding, OwnedFd)> {
        Binding::new_in(&Places::from_env(), name, mode, backlog)
    }

    /// As [`new`](Binding::new), with an environment of one's own.
    pub(crate) fn new_in(places: &Places, name: &Name, mode: u32, backlog: i32) -> Result<(Binding, OwnedFd)> {
        let spot = places.spot_for_binding(name)?;
        let lock = Lock::acquire(&spot.lock, name, places.uid)?;
        point(Point::Locked);
        // From here on, an early return drops this, and that tidies up.
        let mut binding = Binding {
            path: spot.socket,
            lock,
            socket: None,
        };
        let path = binding.path.as_path();

        let in_use = || Error::NameInUse {
            name: name.to_string(),
            pid: None,
        };
        let address = SocketAddrUnix::new(path).map_err(Error::os_at("binding", path))?;
        if !clear_the_way(path, &address)? {
            return Err(in_use());
        }
        let socket = new_socket()?;
        match bind(&socket, &address) {
            Ok(()) => {}
            // Made since it was looked at, by somebody who does not care for the lock.
            Err(Errno::ADDRINUSE) => return Err(in_use()),
            Err(errno) => return Err(Error::os_at("binding", path)(errno)),
        }
        point(Point::Bound);
        let stat = lstat(path).map_err(Error::os_at("looking at the socket", path))?;
        binding.socket = Some(stat);
        // Before listening: nobody can have connected under the mode that the umask left.
        let path = binding.path.as_path();
        chmod(path, Mode::from_raw_mode(mode)).map_err(Error::os_at("setting the mode of the socket", path))?;
        listen(&socket, backlog).map_err(Error::os_at("listening", path))?;
        point(Point::Listening);
        Ok((binding, socket))
    }

    /// The path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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
            // If it cannot be removed, it is stale, and the next who binds the name replaces it.
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
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(Error::os("making a socket"))
}

/// Makes sure that nothing is at the path; removes a stale socket. False if a live listener is
/// there (one that does not hold the lock: another program, or the lock file was removed).
fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<bool> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(true),
        Err(errno) => return Err(Error::os_at("looking at the socket", path)(errno)),
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
        Err(errno) => Err(Error::os_at("looking whether the socket is stale", path)(errno)),
    }
}

#[cfg(test)]
mod tests;
