//! Time as nanoseconds.

use rustix::time::{ClockId, Timespec, clock_gettime};

pub const SECOND: u64 = 1_000_000_000;
pub const MILLISECOND: u64 = 1_000_000;

/// `CLOCK_MONOTONIC`: comparable between processes, never set back.
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Whose CPU time a half reports.
#[derive(Clone, Copy)]
pub enum Cpu {
    /// of all threads: some peers have helpers
    Process,
    /// for halves that share a process
    Thread,
}

impl Cpu {
    /// User and system time so far.
    pub fn spent(self) -> u64 {
        nanoseconds(clock_gettime(match self {
            Cpu::Process => ClockId::ProcessCPUTime,
            Cpu::Thread => ClockId::ThreadCPUTime,
        }))
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}
