//! How much memory the rings of a process may grow by, all together.

use crate::sys::memory_size;
use crate::sys::process::ForkGuard;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was set; `UNSET`: nothing.
static LIMIT: AtomicU64 = AtomicU64::new(UNSET);

const UNSET: u64 = u64::MAX;

/// How often rings could not grow for the limit. Rings that are calm give back what they grew when
/// they see it change.
static PRESSED: AtomicU64 = AtomicU64::new(0);

/// Sets how many bytes the rings of this process may grow by, all together, beyond the
/// [`capacity`](crate::Options::capacity) that each begins with.
///
/// A ring that would grow beyond the limit does not. Streams that have needed no large ring for a
/// second give theirs back when they are used next, or wait to read. A limit below what has grown
/// already takes nothing away at once. Memory that a peer keeps mapped although it was given back
/// is not counted.
///
/// The default is a quarter of the memory that this process may have: of the smallest limit of the
/// control groups that it is in (`memory.max`, `memory.limit_in_bytes`), or of the machine. Without
/// it a group that is full would not refuse memory: the kernel kills a process of it instead.
///
/// # Examples
///
/// ```
/// slipring::set_memory_limit(64 << 20);
/// assert_eq!(slipring::memory_limit(), 64 << 20);
/// assert_eq!(slipring::grown_memory(), 0);
/// ```
pub fn set_memory_limit(bytes: u64) {
    // Relaxed, here and below: numbers that guard no memory.
    LIMIT.store(bytes.min(UNSET - 1), Ordering::Relaxed);
}

/// How many bytes the rings of this process may grow by; see [`set_memory_limit`].
pub fn memory_limit() -> u64 {
    static DEFAULT: OnceLock<u64> = OnceLock::new();
    match LIMIT.load(Ordering::Relaxed) {
        UNSET => *DEFAULT.get_or_init(|| memory_size::most() / 4),
        bytes => bytes,
    }
}

/// How many bytes the rings of this process have grown by; see [`set_memory_limit`].
pub fn grown_memory() -> u64 {
    ForkGuard::here().map_or(0, |guard| guard.grown().load(Ordering::Relaxed))
}

/// Bytes that a ring has grown by, counted until they are dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    guard: ForkGuard,
    bytes: u64,
}

impl Charge {
    /// Nothing, for a ring of the process of `guard`.
    pub(crate) fn none(guard: ForkGuard) -> Charge {
        Charge { guard, bytes: 0 }
    }

    /// What is counted.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `bytes` in place of what was counted so far. `false`, and nothing has changed, if
    /// they are more and exceed the limit.
    pub(crate) fn set(&mut self, bytes: u64) -> bool {
        let grown = self.guard.grown();
        let more = bytes.saturating_sub(self.bytes);
        let limit = memory_limit();
        let fits = more == 0
            || grown
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |grown| {
                    grown.checked_add(more).filter(|now| *now <= limit)
                })
                .is_ok();
        if !fits {
            PRESSED.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        grown.fetch_sub(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        self.bytes = bytes;
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // A forked child counts its own.
        if self.guard.is_owner() {
            self.guard.grown().fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// See [`PRESSED`].
pub(crate) fn pressed() -> u64 {
    PRESSED.load(Ordering::Relaxed)
}
