//! The resources that a process uses, as the kernel counts them (proc(5)).

use std::{fs, io, path::Path};

use rustix::io::Errno;

/// The resources that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// nanoseconds of CPU time
    pub cpu: u64,
    /// Times that it went to sleep: for each it was woken once.
    pub wakes: u64,
}

impl Activity {
    /// The difference between the two.
    pub(crate) fn since(self, before: Activity) -> Activity {
        // A thread that has ended in between takes its share with it.
        Activity {
            cpu: self.cpu.saturating_sub(before.cpu),
            wakes: self.wakes.saturating_sub(before.wakes),
        }
    }
}

/// Of all threads that live.
pub fn activity(pid: u32) -> io::Result<Activity> {
    let mut all = Activity::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let (Some(time), Some(status)) =
            (of_thread(&task, "schedstat")?, of_thread(&task, "status")?)
        else {
            continue;
        };
        all.cpu += number(&time, "").ok_or_else(unreadable)?;
        all.wakes += number(&status, "voluntary_ctxt_switches:").ok_or_else(unreadable)?;
    }
    Ok(all)
}

/// Nanoseconds of CPU time of this process's threads of this name.
pub(crate) fn of_threads(name: &str) -> io::Result<u64> {
    let mut all = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if of_thread(&task, "comm")?.is_some_and(|comm| comm.trim_end() == name)
            && let Some(time) = of_thread(&task, "schedstat")?
        {
            all += number(&time, "").ok_or_else(unreadable)?;
        }
    }
    Ok(all)
}

/// Whether all threads sleep.
pub fn sleeps(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Some(stat) = of_thread(&task?.path(), "stat")? else {
            continue;
        };
        // After the name, which may have anything in it.
        let state = stat.rsplit(") ").next().ok_or_else(unreadable)?;
        if !state.starts_with('S') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The kernel's counts for a thread; `None` if it has ended since it was listed.
fn of_thread(task: &Path, file: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(task.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes of memory, without the program itself; memory that several processes share is divided
/// among them.
pub fn memory(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kibibytes =
        ["Pss_Anon:", "Pss_Shmem:"].map(|key| number(&text, key).ok_or_else(unreadable));
    let [anonymous, shared] = kibibytes;
    Ok((anonymous? + shared?) << 10)
}

/// How many are open.
pub fn descriptors(pid: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

/// The first number of the line that begins with `key`.
fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn unreadable() -> io::Error {
    io::Error::other("this kernel does not tell what a process uses (/proc)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        assert!(activity(pid).unwrap().cpu > 0);
        assert!(memory(pid).unwrap() > 0);
        assert!(descriptors(pid).unwrap() > 2);
        assert!(!sleeps(pid).unwrap(), "it checks itself");
    }

    #[test]
    fn numbers_are_found_by_the_beginning_of_their_line() {
        let text = "nonvoluntary_ctxt_switches:\t5\nvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(text, "voluntary_ctxt_switches:"), Some(3));
        assert_eq!(number("17 4 1\n", ""), Some(17));
        assert_eq!(number(text, "Pss_Anon:"), None);
    }
}
