//! Where names live: the directories, and which users may write to them.
//!
//! | scope | directory | of |
//! |---|---|---|
//! | `Local` | `$XDG_RUNTIME_DIR/slipring`, else `/run/user/UID/slipring`, else `/tmp/slipring-UID` | this user: mode 0700 |
//! | `Global` | `/run/slipring` | root: mode 1777 |
//! | a path | the one that it is in | nothing is asked of it |
//!
//! `UID` is the effective one.
//!
//! A process that binds takes the first directory that can be had; one that connects searches all,
//! since the two may run in different environments. Both check by the same rules. A directory that
//! is there but not safe is never passed over silently: a listener that went elsewhere would not be
//! found.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::sys::errno::{self, Errno};
use crate::sys::file::{FileType, Mode, OFlags, Stat, chmod, fstat, lstat, mkdir, open};

use crate::error::{Error, Result};
use crate::name::Scope;
use crate::sys::user;

/// The step in an error's text while a directory is checked.
const CHECKING: &str = "checking the directory for names";

/// The line for `tmpfiles.d` that makes the directory of global names at every boot.
const TMPFILES_LINE: &str = "d /run/slipring 1777 root root -";

/// The environment that decides where names live: all of it, so that tests can have their own.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeDirs {
    /// `$XDG_RUNTIME_DIR`, if it is set and absolute.
    pub(crate) xdg: Option<PathBuf>,
    /// The effective user.
    pub(crate) uid: u32,
    /// `/tmp`. Not `$TMPDIR`: both sides must come to the same directory.
    pub(crate) tmp: PathBuf,
    /// `/run`.
    pub(crate) run: PathBuf,
}

/// Whether a directory can be trusted. The texts say why not, and name the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DirTrust {
    /// It is there, and only users that may have written to it.
    Safe,
    /// It is not there (nor perhaps is its parent).
    Missing,
    /// It cannot be had, or its parent is not this user's.
    Unusable(String),
    /// It is there, and others may have written to it.
    Unsafe(String),
}

/// One directory that local names may live in.
struct Local {
    path: PathBuf,
    /// Whether the parent is a directory of this user alone (`/tmp` is not).
    parent_is_mine: bool,
}

impl RuntimeDirs {
    /// The environment of this process.
    pub(crate) fn from_env() -> RuntimeDirs {
        RuntimeDirs {
            xdg: std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            uid: user::me(),
            tmp: "/tmp".into(),
            run: "/run".into(),
        }
    }

    /// The directories for local names, in the order in which they are tried.
    fn local(&self) -> Vec<Local> {
        let users = self.run.join("user").join(self.uid.to_string());
        let mut all = Vec::new();
        if let Some(xdg) = &self.xdg
            && *xdg != users
        {
            all.push(Local {
                path: xdg.join("slipring"),
                parent_is_mine: true,
            });
        }
        all.push(Local {
            path: users.join("slipring"),
            parent_is_mine: true,
        });
        all.push(Local {
            path: self.tmp.join(format!("slipring-{}", self.uid)),
            parent_is_mine: false,
        });
        all
    }

    /// The directory for global names.
    fn global(&self) -> PathBuf {
        self.run.join("slipring")
    }

    /// Every directory that names of this scope may live in, with whether it can be trusted (none
    /// for paths).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be told, for want of descriptors or memory.
    pub(crate) fn directories(&self, scope: Scope) -> Result<Vec<(PathBuf, DirTrust)>> {
        match scope {
            Scope::Local => self
                .local()
                .into_iter()
                .map(|local| Ok((local.path.clone(), self.trust_in_local(&local)?)))
                .collect(),
            Scope::Global => Ok(vec![(self.global(), self.trust_in_global()?)]),
            Scope::Path => Ok(Vec::new()),
        }
    }

    /// The directory in which names of this scope are bound; made, if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::UnsafeDirectory`] if the one to be used is there, but others may have written to
    /// it; [`Error::NoRuntimeDirectory`] if none can be had; [`Error::Os`] if that cannot be told.
    ///
    /// # Panics
    ///
    /// For [`Scope::Path`], which has no directory of its own.
    pub(crate) fn for_binding(&self, scope: Scope) -> Result<PathBuf> {
        match scope {
            Scope::Local => self.local_for_binding(),
            Scope::Global => self.global_for_binding(),
            Scope::Path => unreachable!("a path is in the directory that it is in"),
        }
    }

    fn local_for_binding(&self) -> Result<PathBuf> {
        let mut tried = Vec::new();
        for local in self.local() {
            let mut trust = self.trust_in_local(&local)?;
            if trust == DirTrust::Missing {
                // That another process was quicker is no failure: it is checked again all the same.
                trust = match mkdir(&local.path, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => self.trust_in_local(&local)?,
                    Err(errno) => cannot_be_made(&local.path, errno)?,
                };
            }
            match trust {
                DirTrust::Safe => return Ok(local.path),
                DirTrust::Unsafe(why) => {
                    return Err(Error::UnsafeDirectory {
                        path: local.path,
                        why,
                    });
                }
                DirTrust::Unusable(why) => tried.push((local.path, why)),
                DirTrust::Missing => {
                    tried.push((local.path, "it was made, and removed again at once".into()))
                }
            }
        }
        Err(Error::NoRuntimeDirectory { tried })
    }

    fn global_for_binding(&self) -> Result<PathBuf> {
        let path = self.global();
        let mut trust = self.trust_in_global()?;
        if trust == DirTrust::Missing && self.uid == 0 {
            // The umask takes bits from the mode of mkdir, not from that of chmod.
            let mode = Mode::RWXU | Mode::RWXG | Mode::RWXO | Mode::SVTX;
            trust = match mkdir(&path, Mode::RWXU).and_then(|()| chmod(&path, mode)) {
                Ok(()) | Err(Errno::EXIST) => self.trust_in_global()?,
                Err(errno) => cannot_be_made(&path, errno)?,
            };
        }
        match trust {
            DirTrust::Safe => Ok(path),
            DirTrust::Unsafe(why) => Err(Error::UnsafeDirectory { path, why }),
            DirTrust::Unusable(why) => Err(Error::NoRuntimeDirectory {
                tried: vec![(path, why)],
            }),
            DirTrust::Missing => {
                let why = format!(
                    "it does not exist, and root must make it: put the line `{TMPFILES_LINE}` into \
                     /etc/tmpfiles.d/slipring.conf and run `systemd-tmpfiles --create`"
                );
                Err(Error::NoRuntimeDirectory {
                    tried: vec![(path, why)],
                })
            }
        }
    }

    /// Whether a directory for local names can be trusted.
    ///
    /// The parent must belong to this user (except for `/tmp`). After `sudo` the variable often
    /// still names the directory of another, and a file that root made there would be in that
    /// user's way.
    fn trust_in_local(&self, local: &Local) -> Result<DirTrust> {
        let parent = local.path.parent().unwrap_or(Path::new("/"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open(parent, flags, Mode::empty()).and_then(with_stat) {
            Err(Errno::NOENT) => return Ok(DirTrust::Missing),
            Err(errno) if is_absence(errno) => {
                return Ok(DirTrust::Unusable(format!("{}: {errno}", parent.display())));
            }
            Err(errno) => return Err(Error::os_at(CHECKING, parent)(errno)),
            Ok((found, stat)) if local.parent_is_mine && !owned_by(self.uid, &found, &stat) => {
                return Ok(DirTrust::Unusable(format!(
                    "{} belongs to {}, not to user {}",
                    parent.display(),
                    whose(stat.st_uid),
                    self.uid
                )));
            }
            Ok(_) => {}
        }
        trust_in(&local.path, |found, stat| {
            let (mode, path) = (stat.st_mode & 0o7777, local.path.display());
            if !owned_by(self.uid, found, stat) {
                let (owner, me) = (whose(stat.st_uid), self.uid);
                return Some(format!(
                    "it belongs to {owner}, not to user {me}; have it removed (`rm -r {path}`)"
                ));
            }
            (mode & 0o077 != 0).then(|| {
                format!("its mode is {mode:04o}, which lets others in; run `chmod 700 {path}`")
            })
        })
    }

    /// Whether the directory for global names can be trusted: root owns it, and no user can take
    /// away a file that another has made in it.
    fn trust_in_global(&self) -> Result<DirTrust> {
        let path = self.global();
        trust_in(&path, |_, stat| {
            let (owner, mode, path) = (stat.st_uid, stat.st_mode & 0o7777, path.display());
            if owner != 0 {
                let owner = whose(owner);
                return Some(format!(
                    "it belongs to {owner}, not to root; run `chown root:root {path}` as root"
                ));
            }
            (mode & 0o022 != 0 && mode & 0o1000 == 0).then(|| {
                format!(
                    "its mode is {mode:04o}, without the sticky bit; run `chmod 1777 \
                    {path}` as root"
                )
            })
        })
    }
}

/// Whether a directory can be trusted, by a rule that names its flaw. It is opened without
/// following a link, and the directory that was opened is checked.
fn trust_in(path: &Path, flaw: impl Fn(&OwnedFd, &Stat) -> Option<String>) -> Result<DirTrust> {
    // O_PATH needs no permission on the directory itself: one that locks this user out has an owner
    // too.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(match open(path, flags, Mode::empty()).and_then(with_stat) {
        Ok((found, stat)) => flaw(&found, &stat).map_or(DirTrust::Safe, DirTrust::Unsafe),
        Err(Errno::NOENT) => DirTrust::Missing,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let what = lstat(path).map_or("a file", |stat| kind_of(&stat));
            DirTrust::Unsafe(format!(
                "it is {what}, not a directory; remove it (`rm {}`)",
                path.display()
            ))
        }
        Err(errno) if is_absence(errno) => DirTrust::Unusable(errno.to_string()),
        Err(errno) => return Err(Error::os_at(CHECKING, path)(errno)),
    })
}

fn with_stat(found: OwnedFd) -> errno::Result<(OwnedFd, Stat)> {
    fstat(&found).map(|stat| (found, stat))
}

/// The trust in a directory that is not there and was not made. A lack of room or of memory for it
/// is no reason to go elsewhere: by the next time there may be some.
fn cannot_be_made(path: &Path, errno: Errno) -> Result<DirTrust> {
    if is_absence(errno) || errno == Errno::ROFS {
        return Ok(DirTrust::Unusable(format!("it cannot be made: {errno}")));
    }
    Err(Error::os_at("making the directory for names", path)(errno))
}

/// Whether the failure of a check says that nothing usable is there, for this user. Any other (no
/// descriptors, no memory, a disk that fails) says nothing of what is there.
pub(super) fn is_absence(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT
            | Errno::ACCESS
            | Errno::PERM
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::NAMETOOLONG
    )
}

/// Whether the file is known to belong to this user. A number that says nothing is none: see
/// [`user::owns`].
pub(super) fn owned_by(uid: u32, file: &OwnedFd, stat: &Stat) -> bool {
    stat.st_uid == uid && (user::is_told(uid) || user::owns(file.as_fd(), stat))
}

/// A user, in words.
pub(super) fn whose(uid: u32) -> String {
    if user::is_told(uid) {
        format!("user {uid}")
    } else {
        format!("a user who has no number in this user namespace (shown as {uid})")
    }
}

/// The type of a file, in words.
pub(crate) fn kind_of(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "a file",
    }
}

/// Helpers that the tests of names share.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::name::Name;

    /// An environment inside a directory of a test.
    pub(crate) fn dirs_in(directory: &Path) -> RuntimeDirs {
        RuntimeDirs {
            xdg: Some(directory.join("xdg")),
            uid: user::me(),
            tmp: directory.join("tmp"),
            run: directory.join("run"),
        }
    }

    /// The same, with everything made except the directories for names.
    pub(crate) fn dirs(directory: &Path) -> RuntimeDirs {
        for made in ["xdg", "tmp", "run"] {
            std::fs::create_dir(directory.join(made)).unwrap();
        }
        dirs_in(directory)
    }

    /// For a test that gives files to other users: fails without root.
    #[track_caller]
    pub(crate) fn need_root() {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "this test gives files to other users: run it as root");
    }

    /// Leaves a socket that nobody listens on. It never was listened on: one that was could live on
    /// for a moment in a child forked by another test.
    pub(crate) fn stale_socket(path: &Path) {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    }

    pub(crate) fn name(text: impl AsRef<std::ffi::OsStr>) -> Name {
        Name::parse(text).unwrap()
    }
}

#[cfg(test)]
mod tests;
