//! Removing the files that killed processes have left of their names.

use std::path::{Path, PathBuf};

use crate::sys::errno::Errno;
use crate::sys::file::lstat;
use crate::sys::socket::{SocketAddrUnix, is_listened_at};

use super::binding::{Way, clear_the_way};
use super::directory::{RuntimeDirs, whose};
use super::listing::{Found, survey};
use super::lock::{Lock, LockState, is_activated_at, lock_state};
use crate::error::{Error, Result};
use crate::name::Name;

/// One file that a process has left which was killed, as [`remove_leftovers`] found it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Leftover {
    /// The name to which it belongs.
    pub name: Name,
    /// The file: a socket, or the lock file beside it.
    pub path: PathBuf,
    /// Why it is still there; `None` if it has been removed.
    pub kept: Option<String>,
}

/// Removes the sockets and lock files that nobody holds any more, of the names of this user and of
/// those that are machine-wide. They are left by processes that were killed. The next process that
/// binds such a name replaces them, so that this is for tidiness. There is one exception: lock
/// files in the directory of machine-wide names keep other users from binding.
///
/// Each name is locked meanwhile, as for binding it. So a name that is in use is not touched, and a
/// process that wants to bind the name waits for that moment. Files of other users are named and
/// left, unless this user is root. Names that are paths are wherever they are, and not checked.
///
/// # Errors
///
/// As for [`names`](crate::names). The files that were removed until then stay removed.
///
/// # Examples
///
/// ```no_run
/// for left in slipring::remove_leftovers()? {
///     match left.kept {
///         None => println!("removed {}", left.path.display()),
///         Some(why) => println!("kept {}: {why}", left.path.display()),
///     }
/// }
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn remove_leftovers() -> Result<Vec<Leftover>> {
    remove_leftovers_in(&RuntimeDirs::from_env())
}

/// Like [`remove_leftovers`], with an environment of one's own.
pub(crate) fn remove_leftovers_in(dirs: &RuntimeDirs) -> Result<Vec<Leftover>> {
    let mut all = Vec::new();
    for found in survey(dirs)? {
        // Of a directory that is not safe nothing is known, least of all whether a lock is one.
        if found.distrust.is_none() {
            let kept = clear(dirs, &found)?;
            tell(&found, kept, &mut all);
        }
    }
    all.sort_by_cached_key(|left| (left.name.to_string(), left.path.clone()));
    Ok(all)
}

/// Why the files of a name were not removed, or not checked.
enum Kept {
    /// Somebody has the name.
    InUse,
    Because(String),
}

/// Removes the files of a name that nobody holds, and says why not if it does not.
fn clear(dirs: &RuntimeDirs, found: &Found) -> Result<Option<Kept>> {
    match lock_state(&found.paths.lock)? {
        // A service manager has it: to connect would start its service.
        LockState::Free
            if is_activated_at(&found.paths.lock) && is_listened_at(&found.paths.socket) =>
        {
            return Ok(Some(Kept::InUse));
        }
        LockState::Free => {}
        LockState::Held { .. } => return Ok(Some(Kept::InUse)),
        LockState::Unreadable(why) => return Ok(Some(Kept::Because(why))),
    }
    let files = [&found.paths.socket, &found.paths.lock];
    for path in files {
        match owner(path)? {
            Some(owner) if owner != dirs.uid && dirs.uid != 0 => {
                let whose = whose(owner);
                let why = format!("it belongs to {whose}; that user or root can remove it");
                return Ok(Some(Kept::Because(why)));
            }
            _ => {}
        }
    }
    let uid = owner(&found.paths.lock)?.unwrap_or(dirs.uid);
    let lock = match Lock::acquire_left(&found.paths.lock, &found.name, uid) {
        Ok(lock) => lock,
        Err(Error::NameInUse { .. }) => return Ok(Some(Kept::InUse)),
        Err(error) if error.is_exhaustion() => return Err(error),
        Err(error) => return Ok(Some(Kept::Because(error.to_string()))),
    };
    let path = found.paths.socket.as_path();
    let cleared = SocketAddrUnix::new(path)
        .map_err(Error::os_at("checking whether the socket is stale", path))
        .and_then(|address| clear_the_way(path, &address));
    // Removes the lock file.
    drop(lock);
    match cleared {
        Ok(Way::Free) => Ok(None),
        Ok(Way::Taken { .. }) => Ok(Some(Kept::Because(
            "somebody listens there, without the lock".into(),
        ))),
        Err(error) if error.is_exhaustion() => Err(error),
        Err(error) => Ok(Some(Kept::Because(error.to_string()))),
    }
}

/// Adds the fate of each file that was there.
fn tell(found: &Found, kept: Option<Kept>, all: &mut Vec<Leftover>) {
    if matches!(kept, Some(Kept::InUse)) {
        return;
    }
    for (path, was_there) in [
        (&found.paths.socket, found.socket),
        (&found.paths.lock, found.lock),
    ] {
        if !was_there {
            continue;
        }
        let is_there = lstat(path).is_ok();
        let kept = match &kept {
            Some(Kept::Because(why)) if is_there => Some(why.clone()),
            None if is_there => Some("it could not be removed, or is there again".into()),
            _ => None,
        };
        all.push(Leftover {
            name: found.name.clone(),
            path: path.clone(),
            kept,
        });
    }
}

/// The user whose file it is; `None` if there is none.
fn owner(path: &Path) -> Result<Option<u32>> {
    match lstat(path) {
        Ok(stat) => Ok(Some(stat.st_uid)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::os_at("checking a file that is left", path)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::net::UnixListener;

    use super::super::binding::Binding;
    use super::super::directory::testing::{dirs, name, need_root, stale_socket};
    use super::*;
    use crate::name::Scope;

    /// The files that were left, each with whether it was kept.
    fn removed(dirs: &RuntimeDirs) -> Vec<(String, bool)> {
        remove_leftovers_in(dirs)
            .unwrap()
            .iter()
            .map(|left| {
                assert_eq!(left.path.exists(), left.kept.is_some(), "{left:?}");
                let file = left.path.file_name().unwrap().to_str().unwrap();
                (file.to_owned(), left.kept.is_some())
            })
            .collect()
    }

    #[test]
    fn cleaning_removes_what_nobody_holds_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        assert!(removed(&dirs).is_empty());
        let directory = dirs.for_binding(Scope::Local).unwrap();
        let (_bound, _listener) = Binding::new_in(&dirs, &name("bound"), 0o600, 16).unwrap();
        for both in ["both.sock", "socket.sock"] {
            stale_socket(&directory.join(both));
        }
        for lock in ["both.lock", "lock.lock"] {
            fs::write(directory.join(lock), "1\n").unwrap();
        }
        fs::write(directory.join("other.txt"), "").unwrap();
        fs::write(directory.join("Cargo.lock"), "version = 4\n").unwrap();
        fs::write(directory.join("file.sock"), "precious").unwrap();
        let _elsewhere = UnixListener::bind(directory.join("elsewhere.sock")).unwrap();
        let gone = |file: &str| (file.to_owned(), false);
        let kept = |file: &str| (file.to_owned(), true);
        assert_eq!(
            removed(&dirs),
            [
                kept("Cargo.lock"),
                gone("both.lock"),
                gone("both.sock"),
                kept("elsewhere.sock"),
                kept("file.sock"),
                gone("lock.lock"),
                gone("socket.sock"),
            ]
        );
        let mut left: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "Cargo.lock",
                "bound.lock",
                "bound.sock",
                "elsewhere.sock",
                "file.sock",
                "other.txt"
            ]
        );
    }

    #[test]
    fn cleaning_keeps_nobody_from_binding() {
        let temporary = tempfile::tempdir().unwrap();
        let dirs = dirs(temporary.path());
        let path = dirs.for_binding(Scope::Local).unwrap().join("clock.sock");
        std::thread::scope(|scope| {
            let cleaning =
                scope.spawn(|| (0..300).for_each(|_| drop(remove_leftovers_in(&dirs).unwrap())));
            loop {
                let (binding, _listener) =
                    Binding::new_in(&dirs, &name("clock"), 0o600, 16).unwrap();
                assert!(binding.path().exists());
                drop(binding);
                stale_socket(&path);
                if cleaning.is_finished() {
                    break;
                }
            }
        });
    }

    mod needs_root {
        use super::*;

        #[test]
        #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
        fn cleaning_leaves_files_of_other_users_except_as_root() {
            need_root();
            let temporary = tempfile::tempdir().unwrap();
            let mut dirs = dirs(temporary.path());
            let directory = dirs.for_binding(Scope::Global).unwrap();
            let lock = directory.join("theirs.lock");
            fs::write(&lock, "1\n").unwrap();
            chown(&lock, Some(12345), None).unwrap();
            dirs.uid = 54321;
            let left = remove_leftovers_in(&dirs).unwrap();
            let why = left[0].kept.as_deref().unwrap();
            assert!(
                why.contains("belongs to user 12345") && why.contains("root"),
                "{why}"
            );
            assert_eq!(fs::metadata(&lock).unwrap().uid(), 12345);
            dirs.uid = 0;
            assert_eq!(removed(&dirs), [("theirs.lock".into(), false)]);
        }
    }
}
