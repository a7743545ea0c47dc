//! A clock that is cheap enough to be read at every publication, and times to wait.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

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

    /// The time from `earlier` to this; zero if that was not earlier.
    pub(crate) fn since(self, earlier: CoarseInstant) -> Duration {
        let nanoseconds =
            |at: Timespec| i128::from(at.tv_sec) * 1_000_000_000 + i128::from(at.tv_nsec);
        let passed = nanoseconds(self.0) - nanoseconds(earlier.0);
        Duration::from_nanos(u64::try_from(passed).unwrap_or(0))
    }
}

/// A time to wait, of a day at most. The calls that take it count in milliseconds and know no
/// longer times; their callers read the clock afterwards.
pub(super) fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(Duration::from_secs(24 * 3600));
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
