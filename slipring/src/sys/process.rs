//! Which process this is, and what it may run on.

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Knows the process that made it from a forked child of that process, without a system call.
///
/// A word in a page that the kernel gives back zeroed to a forked child (`MADV_WIPEONFORK`, madvise(2), Linux 4.14)
/// holds the pid of the process. `getpid` would cost more than a publication; `pthread_atfork` misses a raw `clone`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Birth {
    word: &'static AtomicU32,
    pid: u32,
}

impl Birth {
    /// The process that runs now.
    pub(crate) fn here() -> std::io::Result<Birth> {
        static WORD: OnceLock<&'static AtomicU32> = OnceLock::new();
        let word = match WORD.get() {
            Some(word) => word,
            None => {
                let word = wiped_on_fork()?;
                WORD.get_or_init(|| word)
            }
        };
        let pid = std::process::id();
        // Relaxed: every thread of a process stores the same value, and a forked child starts with one thread.
        word.store(pid, Ordering::Relaxed);
        Ok(Birth { word, pid })
    }

    /// Whether this is still the process it was made in, not a forked child.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        // Relaxed: see `here`; fork itself orders everything before it.
        self.word.load(Ordering::Relaxed) == self.pid
    }
}

fn wiped_on_fork() -> std::io::Result<&'static AtomicU32> {
    let len = rustix::param::page_size();
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nobody's memory.
    let page = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    // SAFETY: `page` is the mapping made above, `len` its length; wiping affects forked children only.
    unsafe { madvise(page, len, Advice::LinuxWipeOnFork) }?;
    // SAFETY: the page is never unmapped, is aligned for any atomic, zeroed (0 is a valid AtomicU32), and only ever
    // used through this type.
    Ok(unsafe { &*page.cast::<AtomicU32>() })
}

/// How many CPUs this process and its peer have between them.
///
/// Two that are pinned to a core each have two, and one of them can spin while the other works; two that share a
/// single core have one, and whoever spins there only keeps the other from working. Of a peer that cannot be seen
/// nothing is assumed.
pub(crate) fn cpus_of_both(peer: Option<u32>) -> usize {
    let Ok(mut cpus) = sched_getaffinity(None) else {
        return 1;
    };
    let own = cpus.count();
    if own > 1 && std::thread::available_parallelism().map_or(1, usize::from) == 1 {
        // A quota (cgroups(7), cpu.max) of less than two: what is spent on spinning is missing afterwards.
        return 1;
    }
    let peer = peer.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(Ok(theirs)) = peer.map(|pid| sched_getaffinity(Some(pid))) {
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| theirs.is_set(*cpu)) {
            cpus.set(cpu);
        }
    }
    cpus.count() as usize
}

/// The user whose rights this process has.
pub(crate) fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}
