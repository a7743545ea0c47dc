//! Where names live: the directories, and who may write to them.
//!
//! | scope | directory | of |
//! |---|---|---|
//! | `Local` | `$XDG_RUNTIME_DIR/slipring`, else `/run/user/UID/slipring`, else `/tmp/slipring-UID` | this user: mode 0700 |
//! | `Global` | `/run/slipring` | root: mode 1777 |
//! | a path | the one that it is in | nothing is asked of it |
//!
//! `UID` is the effective one.
//!
//! Whoever binds takes the first directory that can be had; whoever connects looks into all, since
//! the two may run in different environments. Both judge by the same rules. A directory that is
//! there but not safe is never passed over silently: a listener that went elsewhere would not be
//! found.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, chmod, fstat, lstat, mkdir, open};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::name::Scope;

/// The line for `tmpfiles.d` that makes the directory of global names at every boot.
const TMPFILES_LINE: &str = "d /run/slipring 1777 root root -";

/// The environment that decides where names live: all of it, so that tests can have their own.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// `$XDG_RUNTIME_DIR`, if it is set and absolute.
    pub(crate) xdg: Option<PathBuf>,
    /// The effective user.
    pub(crate) uid: u32,
    /// `/tmp`. Not `$TMPDIR`: both sides must come to the same place.
    pub(crate) tmp: PathBuf,
    /// `/run`.
    pub(crate) run: PathBuf,
}

/// What is to be thought of a directory. The texts say why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there, and only those who may have written to it.
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

impl Places {
    /// The environment of this process.
    pub(crate) fn from_env() -> Places {
        Places {
            xdg: std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            uid: rustix::process::geteuid().as_raw(),
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

    /// Every directory that names of this scope may live in, with what is to be thought of it
    /// (none for paths).
    pub(crate) fn directories(&self, scope: Scope) -> Vec<(PathBuf, Standing)> {
        match scope {
            Scope::Local => self
                .local()
                .into_iter()
                .map(|local| (local.path.clone(), self.judge_local(&local)))
                .collect(),
            Scope::Global => vec![(self.global(), self.judge_global())],
            Scope::Path => Vec::new(),
        }
    }

    /// The directory in which names of this scope are bound; made, if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::UnsafeDirectory`] if the one to be used is there, but others may have written to
    /// it; [`Error::NoRuntimeDirectory`] if none can be had.
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
            let mut standing = self.judge_local(&local);
            if standing == Standing::Missing {
                // That somebody else was quicker is no failure: it is looked at again all the same.
                standing = match mkdir(&local.path, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => self.judge_local(&local),
                    Err(errno) => Standing::Unusable(format!("it cannot be made: {errno}")),
                };
            }
            match standing {
                Standing::Safe => return Ok(local.path),
                Standing::Unsafe(why) => {
                    return Err(Error::UnsafeDirectory { path: local.path, why });
                }
                Standing::Unusable(why) => tried.push((local.path, why)),
                Standing::Missing => tried.push((local.path, "it was made, and removed again at once".into())),
            }
        }
        Err(Error::NoRuntimeDirectory { tried })
    }

    fn global_for_binding(&self) -> Result<PathBuf> {
        let path = self.global();
        let mut standing = self.judge_global();
        if standing == Standing::Missing && self.uid == 0 {
            // The umask takes bits from the mode of mkdir, not from that of chmod.
            let mode = Mode::RWXU | Mode::RWXG | Mode::RWXO | Mode::SVTX;
            standing = match mkdir(&path, Mode::RWXU).and_then(|()| chmod(&path, mode)) {
                Ok(()) | Err(Errno::EXIST) => self.judge_global(),
                Err(errno) => Standing::Unusable(format!("it cannot be made: {errno}")),
            };
        }
        match standing {
            Standing::Safe => Ok(path),
            Standing::Unsafe(why) => Err(Error::UnsafeDirectory { path, why }),
            Standing::Unusable(why) => Err(Error::NoRuntimeDirectory {
                tried: vec![(path, why)],
            }),
            Standing::Missing => {
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

    /// What is to be thought of a directory for local names.
    ///
    /// The parent must belong to this user (but for `/tmp`): after `sudo` the variable often still
    /// names the directory of another, and what root made there would be in that user's way.
    fn judge_local(&self, local: &Local) -> Standing {
        let parent = local.path.parent().unwrap_or(Path::new("/"));
        match open(
            parent,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(fstat)
        {
            Err(Errno::NOENT) => return Standing::Missing,
            Err(errno) => return Standing::Unusable(format!("{}: {errno}", parent.display())),
            Ok(stat) if local.parent_is_mine && stat.st_uid != self.uid => {
                let (owner, me) = (stat.st_uid, self.uid);
                return Standing::Unusable(format!(
                    "{} belongs to user {owner}, not to user {me}",
                    parent.display()
                ));
            }
            Ok(_) => {}
        }
        judge(&local.path, |stat| {
            let (owner, mode, path) = (stat.st_uid, stat.st_mode & 0o7777, local.path.display());
            if owner != self.uid {
                let me = self.uid;
                return Some(format!(
                    "it belongs to user {owner}, not to user {me}; have it removed (`rm -r {path}`)"
                ));
            }
            (mode & 0o077 != 0).then(|| format!("its mode is {mode:04o}, which lets others in; run `chmod 700 {path}`"))
        })
    }

    /// What is to be thought of the directory for global names: that root owns it, and that nobody
    /// can take away what another has made in it.
    fn judge_global(&self) -> Standing {
        let path = self.global();
        judge(&path, |stat| {
            let (owner, mode, path) = (stat.st_uid, stat.st_mode & 0o7777, path.display());
            if owner != 0 {
                return Some(format!(
                    "it belongs to user {owner}, not to root; run `chown root:root {path}` as root"
                ));
            }
            (mode & 0o022 != 0 && mode & 0o1000 == 0)
                .then(|| format!("its mode is {mode:04o}, without the sticky bit; run `chmod 1777 {path}` as root"))
        })
    }
}

/// What is to be thought of a directory, with a rule that names its flaw. It is opened without
/// following a link, and judged by what was opened.
fn judge(path: &Path, flaw: impl Fn(&Stat) -> Option<String>) -> Standing {
    // O_PATH needs no permission on the directory itself: one that locks this user out has an owner
    // too.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()).and_then(fstat) {
        Ok(stat) => flaw(&stat).map_or(Standing::Safe, Standing::Unsafe),
        Err(Errno::NOENT) => Standing::Missing,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let what = lstat(path).map_or("a file", |stat| kind_of(&stat));
            Standing::Unsafe(format!(
                "it is {what}, not a directory; remove it (`rm {}`)",
                path.display()
            ))
        }
        Err(errno) => Standing::Unusable(errno.to_string()),
    }
}

/// What a file is, in words.
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

/// What the tests of names share.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::name::Name;

    /// An environment inside a directory of a test.
    pub(crate) fn places_in(directory: &Path) -> Places {
        Places {
            xdg: Some(directory.join("xdg")),
            uid: rustix::process::geteuid().as_raw(),
            tmp: directory.join("tmp"),
            run: directory.join("run"),
        }
    }

    /// The same, with everything made but the directories for names.
    pub(crate) fn places(directory: &Path) -> Places {
        for made in ["xdg", "tmp", "run"] {
            std::fs::create_dir(directory.join(made)).unwrap();
        }
        places_in(directory)
    }

    /// Whether the tests run as root, so that they can give files to others.
    pub(crate) fn is_root() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            eprintln!("not root: this test, or a part of it, was left out");
        }
        root
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
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::testing::{is_root, name, places};
    use super::*;

    const STRANGER: Option<u32> = Some(12345);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn unsafe_because(places: &Places, scope: Scope) -> String {
        match places.for_binding(scope) {
            Err(error @ Error::UnsafeDirectory { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn makes_the_first_directory_that_can_be_had() {
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        let xdg = places.xdg.clone().unwrap();
        assert_eq!(places.for_binding(Scope::Local).unwrap(), xdg.join("slipring"));
        assert_eq!(mode(&xdg.join("slipring")), 0o700);
        assert_eq!(
            places.for_binding(Scope::Local).unwrap(),
            xdg.join("slipring"),
            "a second time"
        );

        places.xdg = None;
        let tmp = places.tmp.join(format!("slipring-{}", places.uid));
        assert_eq!(
            places.for_binding(Scope::Local).unwrap(),
            tmp,
            "there is no /run/user/UID"
        );
        assert_eq!(mode(&tmp), 0o700);

        let user = places.run.join("user").join(places.uid.to_string());
        fs::create_dir_all(&user).unwrap();
        assert_eq!(places.for_binding(Scope::Local).unwrap(), user.join("slipring"));
    }

    #[test]
    fn makes_no_parents_and_lists_all_reasons() {
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        fs::remove_dir(places.xdg.clone().unwrap()).unwrap();
        places.tmp = temporary.path().join("nothing");
        fs::write(places.run.join("user"), "").unwrap();
        let Err(error @ Error::NoRuntimeDirectory { .. }) = places.for_binding(Scope::Local) else {
            panic!()
        };
        let text = error.to_string();
        for part in ["xdg/slipring (", "/slipring-", "No such file", "Not a directory"] {
            assert!(text.contains(part), "{part} is missing from {text}");
        }
        assert!(!places.xdg.unwrap().exists());
    }

    #[test]
    fn an_unsafe_directory_is_an_error_and_no_reason_to_go_elsewhere() {
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        let directory = places.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&directory).unwrap();
        for wrong in [0o755, 0o701, 0o770, 0o1777] {
            set_mode(&directory, wrong);
            let text = unsafe_because(&places, Scope::Local);
            assert!(
                text.contains(&format!("{wrong:04o}")) && text.contains("chmod 700"),
                "{text}"
            );
        }
        set_mode(&directory, 0o700);
        places.for_binding(Scope::Local).unwrap();

        places.xdg = None;
        let directory = places.for_binding(Scope::Local).unwrap();
        set_mode(&directory, 0o777);
        assert!(unsafe_because(&places, Scope::Local).contains("slipring-"));
    }

    #[test]
    fn a_directory_of_another_user_is_unsafe() {
        if !is_root() {
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        let directory = places.xdg.clone().unwrap().join("slipring");
        fs::create_dir(&directory).unwrap();
        set_mode(&directory, 0o700);
        chown(&directory, STRANGER, None).unwrap();
        let text = unsafe_because(&places, Scope::Local);
        assert!(text.contains("belongs to user 12345, not to user 0"), "{text}");

        // The same from the other side: a directory of root is nothing for user 12345.
        places.uid = 12345;
        places.xdg = None;
        fs::create_dir(places.tmp.join("slipring-12345")).unwrap();
        assert!(unsafe_because(&places, Scope::Local).contains("belongs to user 0"));
    }

    #[test]
    fn a_runtime_directory_left_over_from_another_user_is_not_used() {
        if !is_root() {
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let xdg = places.xdg.clone().unwrap();
        chown(&xdg, STRANGER, None).unwrap();
        assert_eq!(places.for_binding(Scope::Local).unwrap(), places.tmp.join("slipring-0"));
        assert!(!xdg.join("slipring").exists());
        let Standing::Unusable(why) = &places.candidates(&name("x")).unwrap()[0].standing else {
            panic!()
        };
        assert!(why.contains("belongs to user 12345, not to user 0"), "{why}");
    }

    #[test]
    fn a_link_or_a_file_is_no_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let directory = places.xdg.clone().unwrap().join("slipring");
        let elsewhere = temporary.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        set_mode(&elsewhere, 0o700);
        symlink(&elsewhere, &directory).unwrap();
        assert!(unsafe_because(&places, Scope::Local).contains("a symbolic link"));
        fs::remove_file(&directory).unwrap();
        fs::write(&directory, "").unwrap();
        assert!(unsafe_because(&places, Scope::Local).contains("a regular file"));
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn root_makes_the_global_directory_and_others_are_told_how() {
        if !is_root() {
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let mut places = places(temporary.path());
        places.uid = 12345;
        let text = places.for_binding(Scope::Global).unwrap_err().to_string();
        assert!(text.contains("d /run/slipring 1777 root root -"), "{text}");
        places.uid = 0;
        let directory = places.for_binding(Scope::Global).unwrap();
        assert_eq!(
            (directory.clone(), mode(&directory)),
            (places.run.join("slipring"), 0o1777)
        );
        places.uid = 12345;
        assert_eq!(places.for_binding(Scope::Global).unwrap(), directory);

        set_mode(&directory, 0o777);
        assert!(unsafe_because(&places, Scope::Global).contains("chmod 1777"));
        set_mode(&directory, 0o1777);
        chown(&directory, STRANGER, None).unwrap();
        assert!(unsafe_because(&places, Scope::Global).contains("not to root"));
    }
}
