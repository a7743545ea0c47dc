//! Listing the names that are bound, by their lock files. Nobody is connected to, so nobody
//! notices.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::sys::errno::Errno;
use crate::sys::file::lstat;
use crate::sys::socket::is_listened_at;

use super::dial::SETTLING;
use super::directory::{DirTrust, RuntimeDirs, is_absence};
use super::lock::{LockState, is_activated_at, kind_at, lock_state_until};
use super::message::Kind;
use super::paths::SocketPaths;
use crate::error::{Error, Result};
use crate::name::{Name, Scope};

/// One bound name, as [`names`] lists it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BoundName {
    /// The name.
    pub name: Name,
    /// Where its socket is, or was.
    pub path: PathBuf,
    /// Whether a process is bound to it.
    pub state: NameState,
    /// What is behind it, by that process's word: `stream` or `feed`. `None` if it is not
    /// [`Live`](NameState::Live), has not said so yet, or is something that this version does not
    /// know.
    pub kind: Option<&'static str>,
    /// A service manager holds the socket (socket activation), by the word of its service.
    pub activated: bool,
}

/// Whether a process is bound to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameState {
    /// A process is bound to it.
    Live {
        /// The process, if it can be told.
        pid: Option<u32>,
        /// The name of its program (as `ps` shows it: 15 bytes at most).
        program: Option<String>,
    },
    /// No process is bound to it. A service manager holds the socket, and starts its service when a
    /// client connects.
    Activatable,
    /// Its process is gone and left the socket. The next that binds the name replaces it.
    Stale,
    /// It cannot be told.
    Unknown {
        /// The reason why not.
        why: String,
    },
}

/// All names bound for this user, and those bound machine-wide, in order of their spelling. A name
/// that is bound in two directories (by programs that run in different environments) is there
/// twice. Names that are paths are wherever they are, and not listed.
///
/// Connects to nobody. The list was true during the call, and may be outdated by now: a name that
/// is `Live` can be left at any time.
///
/// It takes 20 ms longer if a process is just coming or going, or cannot be told from that: for all
/// names together, however many there are.
///
/// # Errors
///
/// [`Error::Os`] if a directory or a lock file cannot be read, also for want of descriptors. A
/// directory that does not exist has no names. One that cannot be used has none either:
/// [`passed_over`] tells which.
///
/// # Examples
///
/// ```
/// use slipring::{Listener, NameState, names};
/// # let name = format!("doc-names-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// let bound = names()?;
/// let mine = bound.iter().find(|bound| bound.name == *listener.name()).unwrap();
/// assert_eq!(mine.path, listener.path());
/// assert_eq!(mine.kind, Some("stream"));
/// assert!(matches!(mine.state, NameState::Live { pid, .. } if pid == Some(std::process::id())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn names() -> Result<Vec<BoundName>> {
    names_in(&RuntimeDirs::from_env())
}

/// The directories in which [`names`] finds nothing, or believes nothing that it finds, and why:
/// one that belongs to another user, as `XDG_RUNTIME_DIR` may after `sudo`, or that others can
/// write to. One that does not exist is none of them.
///
/// # Errors
///
/// [`Error::Os`] if a directory cannot be checked, for want of descriptors or memory.
///
/// # Examples
///
/// ```
/// for (directory, why) in slipring::passed_over()? {
///     eprintln!("{} is not used: {why}", directory.display());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn passed_over() -> Result<Vec<(PathBuf, String)>> {
    let dirs = RuntimeDirs::from_env();
    let mut all = Vec::new();
    for scope in [Scope::Local, Scope::Global] {
        for (directory, trust) in dirs.directories(scope)? {
            match trust {
                DirTrust::Safe | DirTrust::Missing => {}
                DirTrust::Unsafe(why) | DirTrust::Unusable(why) => all.push((directory, why)),
            }
        }
    }
    Ok(all)
}

/// Like [`names`], with an environment of one's own.
pub(crate) fn names_in(dirs: &RuntimeDirs) -> Result<Vec<BoundName>> {
    let mut checks = Vec::new();
    for found in survey(dirs)? {
        checks.push((check(&found)?, found));
    }
    // A process may have been between two steps of coming or going. All of them have had the time
    // for it then.
    if checks
        .iter()
        .any(|(check, _)| matches!(check, Check::Unsettled(_)))
    {
        thread::sleep(SETTLING);
        for (check, found) in &mut checks {
            if matches!(check, Check::Unsettled(_)) {
                found.refresh();
                *check = self::check(found)?;
            }
        }
    }
    let mut all = Vec::new();
    for (check, found) in checks {
        if let Check::Settled(state) | Check::Unsettled(state) = check {
            let is_live = matches!(state, NameState::Live { .. });
            let kind = is_live.then(|| kind_at(&found.paths.lock)).flatten();
            let activated = match state {
                NameState::Live { .. } => is_activated_at(&found.paths.lock),
                _ => state == NameState::Activatable,
            };
            all.push(BoundName {
                activated,
                name: found.name,
                path: found.paths.socket,
                state,
                kind: kind.map(Kind::name),
            });
        }
    }
    all.sort_by_cached_key(|bound| (bound.name.to_string(), bound.path.clone()));
    Ok(all)
}

/// A name of which something is in a directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) paths: SocketPaths,
    /// Which of its two files are there.
    pub(super) socket: bool,
    pub(super) lock: bool,
    /// Why nothing that is in the directory can be believed.
    pub(super) distrust: Option<String>,
}

impl Found {
    fn refresh(&mut self) {
        self.socket = lstat(&self.paths.socket).is_ok();
        self.lock = lstat(&self.paths.lock).is_ok();
    }
}

/// Every name of which something is in one of the directories.
///
/// # Errors
///
/// As [`names`].
pub(super) fn survey(dirs: &RuntimeDirs) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for scope in [Scope::Local, Scope::Global] {
        for (directory, trust) in dirs.directories(scope)? {
            let distrust = match trust {
                DirTrust::Safe => None,
                DirTrust::Unsafe(why) => Some(why),
                DirTrust::Missing | DirTrust::Unusable(_) => continue,
            };
            match list(&directory, scope, distrust.as_deref(), &mut all) {
                Ok(()) => {}
                // It has been removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Another user's, where nothing could be believed anyway; or no directory.
                Err(error)
                    if distrust.is_some()
                        && matches!(
                            error.kind(),
                            io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
                        ) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(all)
}

/// Adds the names in one directory. `distrust` says why nothing that is there can be believed.
fn list(
    directory: &Path,
    scope: Scope,
    distrust: Option<&str>,
    all: &mut Vec<Found>,
) -> Result<()> {
    let failed = || Error::os_at("listing the names in", directory);
    let mut files: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let file = entry.map_err(failed())?.file_name();
        let Some(file) = file.to_str() else { continue };
        if let Some(bare) = file.strip_suffix(".sock") {
            files.entry(bare.to_owned()).or_default().0 = true;
        } else if let Some(bare) = file.strip_suffix(".lock") {
            files.entry(bare.to_owned()).or_default().1 = true;
        }
    }
    for (bare, (socket, lock)) in files {
        let spelled = match scope {
            Scope::Global => format!("Global/{bare}"),
            _ => format!("Local/{bare}"),
        };
        // A file that cannot be of a name is some other file.
        let Ok(name) = Name::parse(spelled) else {
            continue;
        };
        all.push(Found {
            paths: SocketPaths::in_directory(directory, &name),
            name,
            socket,
            lock,
            distrust: distrust.map(str::to_owned),
        });
    }
    Ok(())
}

/// The result of a check of one name.
#[derive(Debug)]
enum Check {
    /// Nobody is bound, and nothing is left but perhaps a lock file.
    Nothing,
    Settled(NameState),
    /// This, unless a process is just coming or going.
    Unsettled(NameState),
}

fn check(found: &Found) -> Result<Check> {
    if let Some(why) = &found.distrust {
        let why = format!("its directory cannot be trusted: {why}");
        return Ok(Check::Settled(NameState::Unknown { why }));
    }
    if !found.lock {
        if !found.socket {
            return Ok(Check::Nothing);
        }
        let why = if is_listened_at(&found.paths.socket) {
            "there is no lock file beside its socket, at which somebody listens: a service manager \
                whose service has not run yet, or another program; or the lock file was removed"
        } else {
            "there is no lock file beside its socket: it was removed, or the socket is another \
                program's"
        };
        return Ok(Check::Unsettled(NameState::Unknown { why: why.into() }));
    }
    Ok(match lock_state_until(&found.paths.lock, Instant::now())? {
        // A rendezvous that has taken place has no socket any more.
        LockState::Held { pid, paired: false } if !found.socket => {
            Check::Unsettled(NameState::Unknown {
                why: format!(
                    "{} holds it, and its socket has been removed, as cleaners of temporary files \
                        do: nobody can connect",
                    pid.map_or_else(|| "a process".into(), |pid| format!("process {pid}"))
                ),
            })
        }
        LockState::Held { pid: Some(pid), .. } => Check::Settled(NameState::Live {
            pid: Some(pid),
            program: program(pid)?,
        }),
        LockState::Held { pid: None, .. } => Check::Unsettled(NameState::Live {
            pid: None,
            program: None,
        }),
        LockState::Free
            if is_activated_at(&found.paths.lock) && is_listened_at(&found.paths.socket) =>
        {
            Check::Settled(NameState::Activatable)
        }
        LockState::Free if found.socket => Check::Settled(NameState::Stale),
        LockState::Free => Check::Nothing,
        LockState::Unreadable(why) => Check::Settled(NameState::Unknown { why }),
    })
}

/// The name of a process's program, if the process is still there. It can call itself anything, so
/// characters that would upset a terminal are replaced.
///
/// # Errors
///
/// [`Error::Os`] for want of descriptors or memory.
fn program(pid: u32) -> Result<Option<String>> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let comm = process.join("comm");
    let called = match std::fs::read(&comm) {
        Ok(called) => String::from_utf8_lossy(&called).trim_end().to_owned(),
        Err(error) => match Errno::from_io_error(&error) {
            Some(errno) if is_absence(errno) || errno == Errno::SRCH => String::new(),
            _ => return Err(Error::os_at("checking a process", &comm)(error)),
        },
    };
    let called = Some(called)
        .filter(|called| !called.is_empty())
        .or_else(|| {
            let exe = std::fs::read_link(process.join("exe")).ok()?;
            exe.file_name()
                .map(OsStr::to_string_lossy)
                .map(String::from)
        });
    Ok(called.map(|called| called.replace(char::is_control, "?")))
}

#[cfg(test)]
mod tests;
