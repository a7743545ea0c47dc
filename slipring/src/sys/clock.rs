//! A clock that is cheap enough to be read at every publication.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of `CLOCK_MONOTONIC_COARSE`: read from a page that the kernel keeps up to date at its tick
/// (1 to 10 ms), without a system call and without reading the hardware's counter (clock_gettime(2), vdso(7)).
#[inline]
pub(crate) fn coarse_millis() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    // A monotonic clock is not negative.
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
