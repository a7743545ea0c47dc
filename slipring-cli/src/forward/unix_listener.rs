//! A Unix socket that listens at a path, and leaves no path behind.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            fs::FileTypeExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::net::{SocketAddrUnix, getsockname};
use slipring::inherited_fd;

use crate::{cleanup::OwnFile, failure::Failure};

#[derive(Debug)]
pub struct PathListener {
    listener: UnixListener,
    /// `None` if a service manager has made it.
    file: Option<OwnFile>,
    /// A successor has it.
    left: AtomicBool,
}

/// Behind the label of a socket that a service manager has made.
const ACTIVATED: &str = "-activated";

impl PathListener {
    /// Takes over the listener that a predecessor has passed on under this label, or a service
    /// manager at this path; or binds the path.
    pub fn open(path: &Path, label: &str) -> Result<Self, Failure> {
        let activated = format!("{label}{ACTIVATED}");
        let mut is_here = false;
        let inherited = inherited_fd(|called, fd| {
            let address = getsockname(fd).and_then(SocketAddrUnix::try_from);
            let Ok(address) = address else {
                return false;
            };
            is_here = called == label;
            let bound = path.as_os_str().as_bytes();
            is_here || called == activated || address.path_bytes() == Some(bound)
        })?;
        let Some(inherited) = inherited else {
            return Self::bind(path);
        };
        let cannot = |error: io::Error| {
            Failure::unreachable(format!("cannot listen at unix:{}: {error}", path.display()))
        };
        let file = is_here.then(|| OwnFile::at(path)).transpose();
        Self::of(inherited.into(), file.map_err(cannot)?).map_err(cannot)
    }

    fn of(listener: UnixListener, file: Option<OwnFile>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let left = AtomicBool::new(false);
        Ok(Self {
            listener,
            file,
            left,
        })
    }

    pub fn bind(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            Failure::unreachable(format!("cannot listen at unix:{}: {error}", path.display()))
        };
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                UnixListener::bind(path).map_err(cannot)?
            }
            result => result.map_err(cannot)?,
        };
        let file = OwnFile::at(path).map_err(cannot)?;
        Self::of(listener, Some(file)).map_err(cannot)
    }

    /// The label under which it is passed on.
    pub fn label(&self, label: &str) -> String {
        let activated = if self.file.is_none() { ACTIVATED } else { "" };
        format!("{label}{activated}")
    }

    /// Leaves the path to a successor.
    pub fn leave(&self) {
        // Relaxed: a flag with nothing behind it; the drop comes after all threads' use.
        self.left.store(true, Ordering::Relaxed);
    }

    pub fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }

    /// The file to be removed at the end, if it is this process's.
    pub fn file(&self) -> Option<OwnFile> {
        self.file.clone()
    }
}

impl AsFd for PathListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for PathListener {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && !self.left.load(Ordering::Relaxed)
        {
            file.remove();
        }
    }
}

/// Removes a socket at which nobody listens any more; only a refused connection proves that.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let cannot =
        |error: io::Error| Failure::unreachable(format!("cannot listen at unix:{shown}: {error}"));
    if !fs::symlink_metadata(path)
        .map_err(cannot)?
        .file_type()
        .is_socket()
    {
        return Err(Failure::unreachable(format!(
            "cannot listen at unix:{shown}: something else than a socket is there; remove it or \
                use another path"
        )));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(cannot)
        }
        Err(error) => Err(cannot(error)),
        Ok(_) => Err(Failure::unreachable(format!(
            "cannot listen at unix:{shown}: another process listens there; stop it or use another \
                path"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_unix_listener_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = PathListener::bind(&path).unwrap();
        assert!(path.exists());
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_unix_listener_replaces_a_stale_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        PathListener::bind(&path).unwrap();
    }

    #[test]
    fn a_unix_listener_leaves_a_live_socket_and_a_file_alone() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let _live = UnixListener::bind(&socket).unwrap();
        assert!(
            PathListener::bind(&socket)
                .unwrap_err()
                .message()
                .contains("another process")
        );
        assert!(socket.exists());

        let file = directory.path().join("f");
        fs::write(&file, "keep").unwrap();
        assert!(
            PathListener::bind(&file)
                .unwrap_err()
                .message()
                .contains("something else")
        );
        assert_eq!(fs::read(&file).unwrap(), b"keep");
    }

    #[test]
    fn a_unix_listener_does_not_remove_a_path_that_was_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = PathListener::bind(&path).unwrap();
        fs::rename(&path, directory.path().join("old")).unwrap();
        fs::write(&path, "other").unwrap();
        drop(listener);
        assert!(path.exists());
    }
}
