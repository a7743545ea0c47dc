//! The pause of a spinner between two polls of a line that its peer is about to write.
//!
//! A pause is needed: a processor that runs ahead has dozens of loads under way when the line is
//! taken away from it, and throws them all away.

use std::hint;
use std::time::{Duration, Instant};

/// So many polls with a [`short`] pause, and so many with a [`long`] one, take about a microsecond.
pub(crate) const SHORT_POLLS: u32 = if cfg!(target_arch = "x86_64") {
    128
} else {
    LONG_POLLS
};
pub(crate) const LONG_POLLS: u32 = 32;

/// Lets the preceding load finish, and nothing more: a few nanoseconds.
///
/// For the first polls of a wait, which often are all. [`long`] takes as long as a line's way from
/// one core to another, so that half of that is lost on average before the news is seen
/// (docs/experiments/polling.md).
#[inline(always)]
pub(crate) fn short() {
    // LFENCE: nothing that comes after it begins before all loads that come before it are done
    // (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; AMD64 Architecture
    // Programmer's Manual, volume 3: for loads alone, unless the system has it serialise all, as
    // Linux does). No memory order depends on it here, only time.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction belongs to SSE2, which every processor of this architecture has.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    #[cfg(not(target_arch = "x86_64"))]
    hint::spin_loop();
}

/// Leaves the core to its other hardware thread for a moment, and takes less power: for waits that
/// last.
#[inline(always)]
pub(crate) fn long() {
    hint::spin_loop();
}

/// Lets so much time pass.
#[cold]
pub(crate) fn wait_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}
