//! The two files of a name, and where to look for them: in its directory, `NAME.sock`, a Unix
//! socket, and `NAME.lock`. (Of a path name: the path itself, and the path with `.lock` after it.)

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::directory::{Places, Standing};
use crate::error::{Error, Result};
use crate::name::{Name, Scope};

/// The most bytes that fit into `sun_path` before its NUL.
pub(crate) const LONGEST_PATH: usize = 107;

/// The two files of a name in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The Unix socket.
    pub(crate) socket: PathBuf,
    /// The lock file beside it, which decides whether the socket is live or stale.
    pub(crate) lock: PathBuf,
}

/// One place to look for a name.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The directory.
    pub(crate) directory: PathBuf,
    /// The files of the name in it.
    pub(crate) spot: Spot,
    /// Whether it can be used.
    pub(crate) standing: Standing,
    /// Whether the socket may be reached by a symbolic link: if the user gave the path.
    pub(crate) follow_links: bool,
}

impl Places {
    /// The files that whoever binds the name makes.
    ///
    /// # Errors
    ///
    /// As [`for_binding`](Places::for_binding), and [`Error::PathTooLong`].
    pub(crate) fn spot_for_binding(&self, name: &Name) -> Result<Spot> {
        let spot = match name.scope() {
            Scope::Path => Spot::at_path(name),
            scope => Spot::in_directory(&self.for_binding(scope)?, name),
        };
        spot.fits().map(|()| spot)
    }

    /// Where to look for the name when connecting, in order. There is at least one.
    ///
    /// # Errors
    ///
    /// [`Error::PathTooLong`] if that is so in every place; [`Error::Os`] if a directory cannot be
    /// judged, for want of descriptors or memory.
    pub(crate) fn candidates(&self, name: &Name) -> Result<Vec<Candidate>> {
        if name.scope() == Scope::Path {
            let spot = Spot::at_path(name);
            spot.fits()?;
            let directory = spot.socket.parent().unwrap_or(Path::new("/")).to_owned();
            return Ok(vec![Candidate {
                directory,
                spot,
                standing: Standing::Safe,
                follow_links: true,
            }]);
        }
        let mut too_long = None;
        let mut fitting = Vec::new();
        for (directory, standing) in self.directories(name.scope())? {
            let spot = Spot::in_directory(&directory, name);
            match spot.fits() {
                Ok(()) => fitting.push(Candidate {
                    directory,
                    spot,
                    standing,
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

impl Spot {
    /// The files of a name in a directory for names.
    pub(crate) fn in_directory(directory: &Path, name: &Name) -> Spot {
        let with = |suffix: &str| {
            let mut file = name.bare().to_owned();
            file.push(suffix);
            directory.join(file)
        };
        Spot {
            socket: with(".sock"),
            lock: with(".lock"),
        }
    }

    /// The files of a name that is a path.
    fn at_path(name: &Name) -> Spot {
        let mut lock = OsString::from(name.bare());
        lock.push(".lock");
        Spot {
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

    use super::super::directory::testing::{name, places};
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn connecting_looks_everywhere_and_reports_what_is_unsafe() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let unsafe_one = places.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&unsafe_one).unwrap();
        set_mode(&unsafe_one, 0o755);
        let all = places.candidates(&name("clock")).unwrap();
        let sockets: Vec<_> = all
            .iter()
            .map(|candidate| candidate.spot.socket.clone())
            .collect();
        let user = places.run.join("user").join(places.uid.to_string());
        let tmp = places.tmp.join(format!("slipring-{}", places.uid));
        assert_eq!(
            sockets,
            [
                unsafe_one.join("clock.sock"),
                user.join("slipring/clock.sock"),
                tmp.join("clock.sock")
            ]
        );
        assert_eq!(all[0].spot.lock, unsafe_one.join("clock.lock"));
        assert!(matches!(all[0].standing, Standing::Unsafe(_)));
        assert_eq!(all[1].standing, Standing::Missing);
        assert_eq!(all[2].standing, Standing::Missing);
        assert!(!tmp.exists(), "looking makes nothing");
    }

    #[test]
    fn connecting_looks_at_the_same_directory_once() {
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        places.xdg = Some(places.run.join("user").join(places.uid.to_string()));
        assert_eq!(places.candidates(&name("x")).unwrap().len(), 2);
    }

    #[test]
    fn the_files_of_a_path_are_beside_each_other() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("socket");
        let spot = places(temporary.path())
            .spot_for_binding(&name(&path))
            .unwrap();
        assert_eq!(
            (spot.socket, spot.lock),
            (path, temporary.path().join("socket.lock"))
        );
    }

    #[test]
    fn a_path_of_107_bytes_fits_and_one_of_108_does_not() {
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        let longest = "/".to_owned() + &"n".repeat(106);
        places.spot_for_binding(&name(&longest)).unwrap();
        let longer = longest + "n";
        for result in [
            places.spot_for_binding(&name(&longer)).err(),
            places.candidates(&name(&longer)).err(),
        ] {
            let Some(error @ Error::PathTooLong { limit: 107, .. }) = result else {
                panic!("{result:?}")
            };
            assert!(error.to_string().contains("108 bytes"), "{error}");
        }

        let deep = temporary.path().join("d".repeat(90));
        fs::create_dir(&deep).unwrap();
        places.xdg = Some(deep);
        let result = places.spot_for_binding(&name("clock"));
        assert!(
            matches!(result, Err(Error::PathTooLong { .. })),
            "no falling through: {result:?}"
        );
        assert_eq!(
            places.candidates(&name("clock")).unwrap().len(),
            2,
            "nobody can be bound there"
        );
    }
}
