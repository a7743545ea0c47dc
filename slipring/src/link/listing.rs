//! Listing the names that are bound, by their lock files. Nobody is connected to, so nobody
//! notices.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Places, Standing};
use super::lock::{LockState, lock_state};
use super::spot::Spot;
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
    /// Whether somebody is bound to it.
    pub state: NameState,
}

/// Whether somebody is bound to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameState {
    /// A process is bound to it.
    Live {
        /// The process, if it can be told.
        pid: Option<u32>,
        /// What it is called (as `ps` shows it: 15 bytes at most).
        program: Option<String>,
    },
    /// Its process is gone and left the socket. The next that binds the name replaces it.
    Stale,
    /// It cannot be told.
    Unknown {
        /// What stands against it.
        why: String,
    },
}

/// All names bound for this user, and those bound machine-wide, in order of their spelling. A name
/// that is bound in two directories (by programs that run in different environments) is there
/// twice. Names that are paths are wherever they are, and not listed.
///
/// Connects to nobody. What it tells was so while it looked, and may be otherwise by now: a name
/// that is `Live` can be left at any time.
///
/// # Errors
///
/// [`Error::Os`] if a directory or a lock file cannot be read, also for want of descriptors. A directory that does not
/// exist has no names.
pub fn names() -> Result<Vec<BoundName>> {
    names_in(&Places::from_env())
}

/// As [`names`], with an environment of one's own.
pub(crate) fn names_in(places: &Places) -> Result<Vec<BoundName>> {
    let mut all = Vec::new();
    for scope in [Scope::Local, Scope::Global] {
        for (directory, standing) in places.directories(scope)? {
            let distrust = match standing {
                Standing::Safe => None,
                Standing::Unsafe(why) => Some(why),
                Standing::Missing | Standing::Unusable(_) => continue,
            };
            match list(&directory, scope, distrust.as_deref(), &mut all) {
                Ok(()) => {}
                // It has been removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Another user's, where nothing could be believed anyway.
                Err(error) if distrust.is_some() && error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
    }
    all.sort_by_cached_key(|bound| (bound.name.to_string(), bound.path.clone()));
    Ok(all)
}

/// Which of a name's two files are there.
#[derive(Default)]
struct Files {
    socket: bool,
    lock: bool,
}

/// Adds the names in one directory. `distrust` says why nothing that is there can be believed.
fn list(directory: &Path, scope: Scope, distrust: Option<&str>, all: &mut Vec<BoundName>) -> Result<()> {
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    let failed = || Error::os_at("listing the names in", directory);
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let file = entry.map_err(failed())?.file_name();
        let Some(file) = file.to_str() else { continue };
        if let Some(bare) = file.strip_suffix(".sock") {
            found.entry(bare.to_owned()).or_default().socket = true;
        } else if let Some(bare) = file.strip_suffix(".lock") {
            found.entry(bare.to_owned()).or_default().lock = true;
        }
    }
    for (bare, files) in found {
        let spelled = match scope {
            Scope::Global => format!("Global/{bare}"),
            _ => format!("Local/{bare}"),
        };
        // What cannot be a name is some other file.
        let Ok(name) = Name::parse(spelled) else {
            continue;
        };
        let spot = Spot::in_directory(directory, &name);
        let state = match distrust {
            Some(why) => Some(NameState::Unknown {
                why: format!("its directory cannot be trusted: {why}"),
            }),
            None => state(&spot, &files)?,
        };
        all.extend(state.map(|state| BoundName {
            name,
            path: spot.socket,
            state,
        }));
    }
    Ok(())
}

/// None if it is only a lock file that was left, as it should be.
fn state(spot: &Spot, files: &Files) -> Result<Option<NameState>> {
    if !files.lock {
        let why = "there is no lock file beside its socket: it was removed, or the socket is another program's";
        return Ok(Some(NameState::Unknown { why: why.into() }));
    }
    Ok(match lock_state(&spot.lock)? {
        // A rendezvous that has taken place has no socket any more.
        LockState::Held { pid, .. } => Some(NameState::Live {
            pid,
            program: pid.and_then(program),
        }),
        LockState::Free => files.socket.then_some(NameState::Stale),
        LockState::Unreadable(why) => Some(NameState::Unknown { why }),
    })
}

/// What a process is called. It can call itself anything: what would upset a terminal is replaced.
fn program(pid: u32) -> Option<String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let comm = std::fs::read(process.join("comm")).map(|comm| String::from_utf8_lossy(&comm).trim_end().to_owned());
    let called = comm.ok().filter(|comm| !comm.is_empty()).or_else(|| {
        let exe = std::fs::read_link(process.join("exe")).ok()?;
        exe.file_name().map(OsStr::to_string_lossy).map(String::from)
    })?;
    Some(called.replace(char::is_control, "?"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::super::binding::Binding;
    use super::super::directory::testing::{is_root, name, places, stale_socket};
    use super::*;

    fn bind(places: &Places, text: &str) -> Binding {
        // The listening socket is dropped: the list goes by the lock.
        Binding::new_in(places, &name(text), 0o600, 16).unwrap().0
    }

    /// The names, with their states in a word.
    fn listed(places: &Places) -> Vec<(String, &'static str)> {
        let word = |state: &NameState| match state {
            NameState::Live { .. } => "live",
            NameState::Stale => "stale",
            NameState::Unknown { .. } => "unknown",
        };
        names_in(places)
            .unwrap()
            .iter()
            .map(|bound| (bound.name.to_string(), word(&bound.state)))
            .collect()
    }

    #[test]
    fn lists_what_is_bound_in_order() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        assert!(listed(&places).is_empty());
        let elsewhere = Places {
            xdg: None,
            ..places.clone()
        };
        let mut bound = vec![
            bind(&places, "b"),
            bind(&places, "a.b"),
            bind(&elsewhere, "b"),
            bind(&elsewhere, "a"),
        ];
        if is_root() {
            bound.push(bind(&places, "Global/z"));
        }
        let all = listed(&places);
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let locals: Vec<&&str> = names.iter().filter(|name| name.starts_with("Local/")).collect();
        assert_eq!(locals, [&"Local/a", &"Local/a.b", &"Local/b", &"Local/b"]);
        assert_eq!(names.contains(&"Global/z"), is_root());
        assert!(names.is_sorted());
        assert!(all.iter().all(|(_, state)| *state == "live"), "{all:?}");
        drop(bound);
        assert!(listed(&places).is_empty(), "what is left are lock files");
    }

    #[test]
    fn a_live_name_tells_its_process_and_socket() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let mut binding = bind(&places, "clock");
        let all = names_in(&places).unwrap();
        let [bound] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(bound.path, binding.path());
        let NameState::Live { pid, program } = &bound.state else {
            panic!("{bound:?}")
        };
        assert_eq!(*pid, Some(std::process::id()));
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(program.as_deref(), Some(comm.trim_end()));

        binding.mark_paired().unwrap();
        binding.retire_socket();
        assert_eq!(listed(&places), [("Local/clock".into(), "live")]);
    }

    #[test]
    fn tells_stale_from_unknown_and_leaves_other_files_out() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let directory = places.for_binding(Scope::Local).unwrap();
        stale_socket(&directory.join("stale.sock"));
        fs::write(directory.join("stale.lock"), "").unwrap();
        stale_socket(&directory.join("foreign.sock"));
        fs::create_dir(directory.join("odd.lock")).unwrap();
        fs::write(directory.join("left.lock"), "").unwrap();
        fs::write(directory.join("notes.txt"), "").unwrap();
        fs::write(directory.join("a b.sock"), "").unwrap();
        assert_eq!(
            listed(&places),
            [
                ("Local/foreign".into(), "unknown"),
                ("Local/odd".into(), "unknown"),
                ("Local/stale".into(), "stale")
            ]
        );
    }

    #[test]
    fn looking_does_not_keep_anybody_from_binding() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        drop(bind(&places, "clock"));
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| (0..200).for_each(|_| drop(names_in(&places).unwrap())));
            while !looks.is_finished() {
                drop(bind(&places, "clock"));
            }
        });
    }

    #[test]
    fn believes_nothing_in_an_unsafe_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let places = places(temporary.path());
        let _bound = bind(&places, "clock");
        let directory = places.for_binding(Scope::Local).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        let all = names_in(&places).unwrap();
        let NameState::Unknown { why } = &all[0].state else {
            panic!("{all:?}")
        };
        assert!(why.contains("0777"), "{why}");
        if is_root() {
            chown(&directory, Some(12345), None).unwrap();
            let all = names_in(&places).unwrap();
            assert!(
                matches!(&all[0].state, NameState::Unknown { why } if why.contains("12345")),
                "{all:?}"
            );
        }
    }

    #[test]
    fn a_program_without_a_name_in_proc_has_none() {
        assert_eq!(program(u32::MAX), None);
        assert!(program(std::process::id()).is_some());
    }
}
