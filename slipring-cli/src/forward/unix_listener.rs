//! A Unix socket that listens at a path, and leaves no path behind.

use std::{
    fs, io,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use crate::{cleanup::OwnFile, failure::Failure};

#[derive(Debug)]
pub struct PathListener {
    listener: UnixListener,
    file: OwnFile,
}

impl PathListener {
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
        Ok(Self { listener, file })
    }

    pub fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }

    pub fn file(&self) -> &OwnFile {
        &self.file
    }
}

impl Drop for PathListener {
    fn drop(&mut self) {
        self.file.remove();
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
