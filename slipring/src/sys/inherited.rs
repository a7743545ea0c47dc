//! Descriptors that a process was started with, and those that another one is started with.
//!
//! There are two ways to name them. A service manager sets `LISTEN_PID`, `LISTEN_FDS` and
//! `LISTEN_FDNAMES` (sd_listen_fds(3)). Descriptors from 3 on are meant, by the process of that id.
//! A process that starts its successor cannot know that id beforehand; it sets [`OURS`] instead:
//! for each descriptor its number, the inode behind it, and a label. A process that has inherited
//! the variable alone finds no such inode behind the number.

use super::errno::{self, Errno};
use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::ffi::OsString;
use std::fmt::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The variable for a successor: words in threes, with a space after each.
pub(crate) const OURS: &str = "SLIPRING_FDS";

/// The first descriptor of a service manager's.
const FIRST: RawFd = 3;

/// One descriptor that this process was started with.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) label: String,
    pub(crate) fd: OwnedFd,
}

/// Those that nobody has taken yet. The environment is read once. `Err`: it makes no sense, and
/// why.
pub(crate) fn all() -> Result<MutexGuard<'static, Vec<Inherited>>, &'static str> {
    static ALL: OnceLock<Result<Mutex<Vec<Inherited>>, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let variable = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
        let numbers = numbers(std::process::id(), variable)?;
        // SAFETY: this runs once in a process, and the numbers were passed to it for its use.
        Ok(Mutex::new(unsafe { owned(numbers) }))
    });
    match all {
        Ok(all) => Ok(all.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(why) => Err(why),
    }
}

/// A descriptor that the environment names.
#[derive(Debug, PartialEq, Eq)]
struct Numbered {
    number: RawFd,
    /// The inode that has to be behind it, if that is said.
    inode: Option<u64>,
    label: String,
}

/// What the environment says, for the process `pid`.
fn numbers(pid: u32, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Numbered>, String> {
    let mut all = Vec::new();
    if variable("LISTEN_PID").is_some_and(|text| text == pid.to_string()) {
        let text = variable("LISTEN_FDS").unwrap_or_default();
        let count: RawFd = match text.parse() {
            Ok(count @ 0..=65_536) => count,
            _ => return Err(format!("LISTEN_FDS={text:?} is no number of descriptors")),
        };
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        all.extend((FIRST..FIRST + count).map(|number| Numbered {
            number,
            inode: None,
            label: names.next().unwrap_or_default().to_owned(),
        }));
    }
    if let Some(text) = variable(OURS) {
        let mut words = text.split_terminator(' ');
        while let Some(number) = words.next() {
            let (number, inode) = (number.parse(), words.next().map(str::parse));
            let (Ok(number), Some(Ok(inode)), Some(label)) = (number, inode, words.next()) else {
                return Err(format!("{OURS}={text:?} is no list of descriptors"));
            };
            all.push(Numbered {
                number,
                inode: Some(inode),
                label: label.to_owned(),
            });
        }
    }
    Ok(all)
}

/// Those of them that are open, closed on exec from now on.
///
/// # Safety
///
/// Nobody else owns the descriptors of these numbers.
unsafe fn owned(numbers: Vec<Numbered>) -> Vec<Inherited> {
    let mut all: Vec<Inherited> = Vec::new();
    for Numbered {
        number,
        inode,
        label,
    } in numbers
    {
        if number < FIRST || all.iter().any(|one| one.fd.as_raw_fd() == number) {
            continue;
        }
        // SAFETY: it is looked at for this moment alone. If it is not open, calls say so.
        let looked_at = unsafe { BorrowedFd::borrow_raw(number) };
        let is_meant =
            fstat(looked_at).is_ok_and(|stat| inode.is_none_or(|inode| stat.st_ino == inode));
        if is_meant && fcntl_setfd(looked_at, FdFlags::CLOEXEC).is_ok() {
            // SAFETY: it is open, and by the contract of this function nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            all.push(Inherited { label, fd });
        }
    }
    all
}

/// Lets the process that `command` starts inherit a descriptor, and names it in its environment.
/// The command holds the descriptor until it is dropped.
pub(crate) fn pass(command: &mut Command, label: &str, fd: OwnedFd) -> errno::Result<()> {
    let inode = fstat(&fd)?.st_ino;
    let earlier = command
        .get_envs()
        .find_map(|(name, value)| (name == OURS).then_some(value)?);
    let mut text = earlier.map_or_else(String::new, |text| text.to_string_lossy().into_owned());
    let _ = write!(text, "{} {inode} {label} ", fd.as_raw_fd());
    command.env(OURS, OsString::from(text));
    let keep_open = move || Ok(fcntl_setfd(&fd, fcntl_getfd(&fd)? & !FdFlags::CLOEXEC)?);
    // SAFETY: the closure makes two system calls and nothing else, which may be done between fork
    // and exec.
    unsafe { command.pre_exec(keep_open) };
    Ok(())
}

/// Whether a label can be passed: it is a word.
pub(crate) fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The error of a descriptor that was passed and is not what it should be.
pub(crate) const WRONG: Errno = Errno::INVAL;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(variables: &[(&str, &str)]) -> Result<Vec<(RawFd, Option<u64>, String)>, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let all = numbers(7, find)?;
        Ok(all
            .into_iter()
            .map(|one| (one.number, one.inode, one.label))
            .collect())
    }

    #[test]
    fn a_service_manager_numbers_and_labels_from_3_on() {
        let all = parsed(&[
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "2"),
            ("LISTEN_FDNAMES", "web:api"),
        ]);
        let expected = vec![(3, None, "web".into()), (4, None, "api".into())];
        assert_eq!(all, Ok(expected));
        let unlabelled = parsed(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1")]);
        assert_eq!(unlabelled, Ok(vec![(3, None, String::new())]));
    }

    #[test]
    fn what_is_meant_for_another_process_is_not_taken() {
        assert_eq!(
            parsed(&[("LISTEN_PID", "8"), ("LISTEN_FDS", "2")]),
            Ok(vec![])
        );
        assert_eq!(parsed(&[("LISTEN_FDS", "2")]), Ok(vec![]));
        // A variable that a process has inherited from one that was meant.
        let text = "1000000 5 socket ";
        let found = numbers(7, |name| (name == OURS).then(|| text.to_owned())).unwrap();
        assert_eq!(found.len(), 1);
        // SAFETY: no descriptor has this number.
        assert!(unsafe { owned(found) }.is_empty());
    }

    #[test]
    fn an_environment_that_makes_no_sense_is_told() {
        let why = parsed(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "many")]).unwrap_err();
        assert!(why.contains("many"), "{why}");
        assert!(parsed(&[(OURS, "3 4")]).unwrap_err().contains("3 4"));
        assert!(parsed(&[(OURS, "3 x label ")]).is_err());
    }

    #[test]
    fn a_started_process_has_what_was_passed_and_nothing_else() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (_other, kept) = std::io::pipe().unwrap();
        let number = writer.as_raw_fd();
        let mut command = Command::new("/bin/sh");
        let look = format!(
            "echo $SLIPRING_FDS > /proc/self/fd/{number}; test ! -e /proc/self/fd/{}",
            kept.as_raw_fd()
        );
        command.args(["-c", &look]);
        pass(&mut command, "end", writer.into()).unwrap();
        assert!(command.status().unwrap().success());
        drop(command);
        let said = std::io::read_to_string(reader).unwrap();
        assert!(said.starts_with(&format!("{number} ")), "{said}");
        assert!(said.ends_with(" end\n"), "{said}");
    }
}
