//! Time as nanoseconds: the monotonic clock, which all processes of a machine share, and the CPU
//! time of a process or a thread.

use rustix::{
    fs::Timespec,
    io::Errno,
    thread::clock_nanosleep_absolute,
    time::{ClockId, clock_gettime},
};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds of a microsecond.
pub const MICROSECOND: u64 = 1_000;

/// `CLOCK_MONOTONIC`: comparable between processes, never set back.
#[inline]
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// User and system time of all threads of this process (what getrusage gives, in nanoseconds
/// instead of scheduler ticks).
#[inline]
pub fn cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// The same of this thread alone.
#[inline]
pub fn thread_cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

/// Sleeps until the monotonic clock shows `when`; signals do not shorten it.
pub fn sleep_until(when: u64) {
    let until = Timespec {
        tv_sec: (when / SECOND) as i64,
        tv_nsec: (when % SECOND) as _,
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &until) == Err(Errno::INTR) {}
}

/// Seconds, of nanoseconds.
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}
