//! A clock that is cheap enough to be read at every publication.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A tick of `CLOCK_MONOTONIC_COARSE`, to be compared with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoarseInstant(Timespec);

impl CoarseInstant {
    /// The latest one: read from a page that the kernel keeps up to date at its ticks (1 to 10 ms
    /// apart), without a system call and without reading the hardware's counter (clock_gettime(2),
    /// vdso(7)).
    #[inline]
    pub(crate) fn now() -> CoarseInstant {
        CoarseInstant(clock_gettime(ClockId::MonotonicCoarse))
    }
}
