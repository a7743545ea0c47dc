//! What a writer keeps for the exchanges of its ring.

use super::demand::Demand;
use crate::growth::Limit;
use crate::memory_limit::{self, Charge};
use crate::sys::clock::CoarseInstant;
use crate::sys::process::ForkGuard;
use std::mem;
use std::sync::atomic::Ordering;

/// The most descriptors of rings that a process has on their way, if nothing but speed depends on
/// them: the system counts them for each user, and all programs of the user share the limit.
const MOST_IN_FLIGHT: u32 = 64;

/// What a writer keeps for it.
#[derive(Debug)]
pub(super) struct Exchanges {
    pub(super) demand: Demand,
    pub(super) charge: Charge,
    pub(super) in_flight: InFlight,
    /// The limit that a ring of `demand.most` meets.
    pub(super) limit: Limit,
    /// What the peer's reader was refused last: the position that it waits for, when, and by
    /// which limit.
    pub(super) answered: Option<(u64, CoarseInstant, Limit)>,
    /// The number of `memory_limit::pressed` that was seen last.
    pub(super) pressed: u64,
    pub(super) shrunk: Option<CoarseInstant>,
}

impl Exchanges {
    /// For rings of `start` to `most` bytes.
    pub(super) fn new(guard: ForkGuard, start: usize, most: usize, limit: Limit) -> Exchanges {
        Exchanges {
            demand: Demand::new(start, most),
            charge: Charge::none(guard),
            in_flight: InFlight { guard, here: 0 },
            limit,
            answered: None,
            pressed: memory_limit::pressed(),
            shrunk: None,
        }
    }
}

/// Descriptors that are on their way, counted until they are taken.
#[derive(Debug)]
pub(super) struct InFlight {
    guard: ForkGuard,
    here: u32,
}

impl InFlight {
    pub(super) fn set(&mut self, here: u32) {
        let more = here.wrapping_sub(mem::replace(&mut self.here, here));
        // Relaxed: a number that guards no memory.
        self.guard.in_flight().fetch_add(more, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.here > 0
    }

    pub(super) fn are_too_many(&self) -> bool {
        self.guard.in_flight().load(Ordering::Relaxed) >= MOST_IN_FLIGHT
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // A forked child counts its own.
        if self.guard.is_owner() {
            self.set(0);
        }
    }
}

/// Why a ring that has to be larger is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The peer has not taken the last ones yet. It wakes this half when it does.
    NotTaken,
    Refused(Limit),
    /// The peer is gone.
    Gone,
}
