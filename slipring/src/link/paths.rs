//! The two files of a name, and where they are searched for: in its directory, `NAME.sock`, a Unix
//! socket, and `NAME.lock`. (Of a path name: the path itself, and the path with `.lock` after it.)

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::directory::{DirTrust, RuntimeDirs};
use crate::error::{Error, Result};
use crate::name::{Name, Scope};

/// The most bytes that fit into `sun_path` before its NUL.
pub(crate) const LONGEST_PATH: usize = 107;

/// The two files of a name in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketPaths {
    /// The Unix socket.
    pub(crate) socket: PathBuf,
    /// The lock file beside it, which decides whether the socket is live or stale.
    pub(crate) lock: PathBuf,
}

/// One directory that a name is searched for in.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The directory.
    pub(crate) directory: PathBuf,
    /// The files of the name in it.
    pub(crate) paths: SocketPaths,
    /// Whether it can be used.
    pub(crate) trust: DirTrust,
    /// Whether the socket may be reached by a symbolic link: if the user gave the path.
    pub(crate) follow_links: bool,
}

impl RuntimeDirs {
    /// The files that binding the name makes.
    ///
    /// # Errors
    ///
    /// As [`for_binding`](RuntimeDirs::for_binding), and [`Error::PathTooLong`].
    pub(crate) fn paths_for_binding(&self, name: &Name) -> Result<SocketPaths> {
        let paths = match name.scope() {
            Scope::Path => SocketPaths::at_path(name),
            scope => SocketPaths::in_directory(&self.for_binding(scope)?, name),
        };
        paths.fits().map(|()| paths)
    }

    /// Where to search for the name when connecting, in order. There is at least one.
    ///
    /// # Errors
    ///
    /// [`Error::PathTooLong`] if that is so everywhere; [`Error::Os`] if a directory cannot be
    /// checked, for want of descriptors or memory.
    pub(crate) fn candidates(&self, name: &Name) -> Result<Vec<Candidate>> {
        if name.scope() == Scope::Path {
            let paths = SocketPaths::at_path(name);
            paths.fits()?;
            let directory = paths.socket.parent().unwrap_or(Path::new("/")).to_owned();
            return Ok(vec![Candidate {
                directory,
                paths,
                trust: DirTrust::Safe,
                follow_links: true,
            }]);
        }
        let mut too_long = None;
        let mut fitting = Vec::new();
        for (directory, trust) in self.directories(name.scope())? {
            let paths = SocketPaths::in_directory(&directory, name);
            match paths.fits() {
                Ok(()) => fitting.push(Candidate {
                    directory,
                    paths,
                    trust,
                    follow_links: false,
                }),
                Err(error) => too_long = Some(error),
            }
        }
        // Nobody can be bound where the path is too long: nothing is missed there.
        match too_long {
            Some(error) if fitting.is_empty() => Err(error),
            _ => Ok(fitting),
        }
    }
}

impl SocketPaths {
    /// The files of a name in a directory for names.
    pub(crate) fn in_directory(directory: &Path, name: &Name) -> SocketPaths {
        let with = |suffix: &str| {
            let mut file = name.bare().to_owned();
            file.push(suffix);
            directory.join(file)
        };
        SocketPaths {
            socket: with(".sock"),
            lock: with(".lock"),
        }
    }

    /// The files of a name that is a path.
    pub(super) fn at_path(name: &Name) -> SocketPaths {
        let mut lock = OsString::from(name.bare());
        lock.push(".lock");
        SocketPaths {
            socket: name.bare().into(),
            lock: lock.into(),
        }
    }

    /// Whether the socket's path fits into an address.
    fn fits(&self) -> Result<()> {
        if self.socket.as_os_str().len() > LONGEST_PATH {
            return Err(Error::PathTooLong {
                path: self.socket.clone(),
                limit: LONGEST_PATH,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::directory::testing::{dirs, name};
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn connecting_searches_everywhere_and_reports_what_is_unsafe() {
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let unsafe_one = dirs.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&unsafe_one).unwrap();
        set_mode(&unsafe_one, 0o755);
        let all = dirs.candidates(&name("clock")).unwrap();
        let sockets: Vec<_> = all
            .iter()
            .map(|candidate| candidate.paths.socket.clone())
            .collect();
        let user = dirs.run.join("user").join(dirs.uid.to_string());
        let tmp = dirs.tmp.join(format!("slipring-{}", dirs.uid));
        assert_eq!(
            sockets,
            [
                unsafe_one.join("clock.sock"),
                user.join("slipring/clock.sock"),
                tmp.join("clock.sock")
            ]
        );
        assert_eq!(all[0].paths.lock, unsafe_one.join("clock.lock"));
        assert!(matches!(all[0].trust, DirTrust::Unsafe(_)));
        assert_eq!(all[1].trust, DirTrust::Missing);
        assert_eq!(all[2].trust, DirTrust::Missing);
        assert!(!tmp.exists(), "searching makes nothing");
    }

    #[test]
    fn connecting_searches_the_same_directory_once() {
        let temporary = tempfile::tempdir().unwrap();
        let mut dirs = dirs(temporary.path());
        dirs.xdg = Some(dirs.run.join("user").join(dirs.uid.to_string()));
        assert_eq!(dirs.candidates(&name("x")).unwrap().len(), 2);
    }

    #[test]
    fn the_files_of_a_path_are_beside_each_other() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("socket");
        let paths = dirs(temporary.path())
            .paths_for_binding(&name(&path))
            .unwrap();
        assert_eq!(
            (paths.socket, paths.lock),
            (path, temporary.path().join("socket.lock"))
        );
    }

    #[test]
    fn a_path_of_107_bytes_fits_and_one_of_108_does_not() {
        let temporary = tempfile::tempdir().unwrap();
        let mut dirs = dirs(temporary.path());
        let longest = "/".to_owned() + &"n".repeat(106);
        dirs.paths_for_binding(&name(&longest)).unwrap();
        let longer = longest + "n";
        for result in [
            dirs.paths_for_binding(&name(&longer)).err(),
            dirs.candidates(&name(&longer)).err(),
        ] {
            let Some(error @ Error::PathTooLong { limit: 107, .. }) = result else {
                panic!("{result:?}")
            };
            assert!(error.to_string().contains("108 bytes"), "{error}");
        }

        let deep = temporary.path().join("d".repeat(90));
        fs::create_dir(&deep).unwrap();
        dirs.xdg = Some(deep);
        let result = dirs.paths_for_binding(&name("clock"));
        assert!(
            matches!(result, Err(Error::PathTooLong { .. })),
            "no falling through: {result:?}"
        );
        assert_eq!(
            dirs.candidates(&name("clock")).unwrap().len(),
            2,
            "nobody can be bound there"
        );
    }
}
