//! The identity of this process, and the CPUs that it may run on.

use super::errno::Errno;
use super::wipe_on_fork::{WipeOnFork, Wipeable};
use rustix::process::{Pid, test_kill_process};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Knows the process that made it from a forked child of that process, without a system call.
///
/// A word in a page that is [wiped](WipeOnFork) for a forked child holds a number of the process,
/// which neither it nor any process that it was forked from has had before. A pid would not do: in
/// another pid namespace a child can have its parent's. Besides, `getpid` would cost more than a
/// publication, and `pthread_atfork` misses a raw `clone`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForkGuard {
    page: &'static Page,
    number: u64,
}

/// The contents of that page.
#[repr(C)]
#[derive(Debug)]
struct Page {
    number: AtomicU64,
    shared: Apart<[AtomicU32; 2]>,
    grown: Apart<AtomicU64>,
    in_flight: Apart<AtomicU32>,
}

// SAFETY: atomics alone: 0 is a valid number, they may change while they are borrowed, and dropping
// them does nothing.
unsafe impl Wipeable for Page {}

/// On lines of its own: each operation on a stream reads the number, and a half that begins to spin
/// writes.
#[repr(C, align(128))]
#[derive(Debug)]
struct Apart<T>(T);

impl ForkGuard {
    /// The process that runs now.
    pub(crate) fn here() -> std::io::Result<ForkGuard> {
        static PAGE: OnceLock<WipeOnFork<Page>> = OnceLock::new();
        /// The last number that was given. A forked child goes on from its parent's.
        static LAST: AtomicU64 = AtomicU64::new(0);
        let page = match PAGE.get() {
            Some(page) => page,
            None => {
                let page = WipeOnFork::new()?;
                PAGE.get_or_init(|| page)
            }
        };
        // Relaxed, here and below: a number stands for nothing but itself, and no other memory goes
        // with it.
        let mut number = page.number.load(Ordering::Relaxed);
        if number == 0 {
            number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            if let Err(earlier) =
                page.number
                    .compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed)
            {
                number = earlier;
            }
        }
        Ok(ForkGuard { page, number })
    }

    /// Whether this is still the process it was made in, not a forked child.
    #[inline]
    pub(crate) fn is_owner(self) -> bool {
        // Relaxed: see `here`; fork itself orders everything before it.
        self.page.number.load(Ordering::Relaxed) == self.number
    }

    /// Two words that all halves of this process share. A forked child finds them zeroed.
    pub(crate) fn shared(self) -> &'static [AtomicU32; 2] {
        &self.page.shared.0
    }

    /// Bytes that the rings of this process have grown by. A forked child finds 0.
    pub(crate) fn grown(self) -> &'static AtomicU64 {
        &self.page.grown.0
    }

    /// Descriptors of rings that this process has passed and its peers have not taken. A forked
    /// child finds 0.
    pub(crate) fn in_flight(self) -> &'static AtomicU32 {
        &self.page.in_flight.0
    }
}

/// Whether there is a process of this number (kill(2) with no signal). One of another user is
/// there, too.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// Ends this process at once, as a crash would (kill(2) with SIGKILL).
#[cfg(feature = "fail-points")]
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // Not reached: the signal comes before that call returns.
    std::process::abort();
}

/// How many CPUs there are to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// For this process.
    pub(crate) own: usize,
    /// For it and its peer between them.
    pub(crate) both: usize,
}

/// Counts them (sched_getaffinity(2)).
///
/// Two processes that are pinned to a core each have two, and one of them can spin while the other
/// works. Two that share a single core have one, and the one that spins there only keeps the other
/// from working. Nothing is assumed of a peer that cannot be seen.
pub(crate) fn cpus(peer: Option<u32>) -> Cpus {
    const ONE: Cpus = Cpus { own: 1, both: 1 };
    let Ok(mut cpus) = sched_getaffinity(None) else {
        return ONE;
    };
    // With a quota (cgroups(7), cpu.max) there are fewer than the set has. If there are less than
    // two, the time spent on spinning is missing afterwards.
    let own = std::thread::available_parallelism().map_or(1, usize::from);
    if own == 1 && cpus.count() > 1 {
        return ONE;
    }
    let peer = peer.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(Ok(theirs)) = peer.map(|pid| sched_getaffinity(Some(pid))) {
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| theirs.is_set(*cpu)) {
            cpus.set(cpu);
        }
    }
    Cpus {
        own,
        both: cpus.count() as usize,
    }
}
