//! Which process this is, and what it may run on.

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Knows the process that made it from a forked child of that process, without a system call.
///
/// A word in a page that the kernel gives back zeroed to a forked child (`MADV_WIPEONFORK`, madvise(2), Linux 4.14) holds the
/// pid of the process. `getpid` would cost more than a publication; `pthread_atfork` misses a raw `clone`.
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
    // SAFETY: the page is never unmapped, is aligned for any atomic, zeroed (0 is a valid AtomicU32), and only ever used
    // through this type.
    Ok(unsafe { &*page.cast::<AtomicU32>() })
}

/// How many CPUs this process may use at a time: affinity mask and cgroup quota considered.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The user whose rights this process has.
pub(crate) fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}
