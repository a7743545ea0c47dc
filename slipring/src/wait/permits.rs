//! How many halves of a process may spin at the same time, and whether they should.
//!
//! Each half decides for itself whether spinning pays, and hundreds of them may all be right:
//! together they would take the CPUs from the threads that they wait for. So a half takes a permit
//! before it spins for longer than the first polls, and there are fewer permits than CPUs. A half
//! that finds no permit left sleeps at once, which costs a wake-up but no time of other threads.
//!
//! Hundreds of halves that spin by turns are as bad: the one that has the permit keeps the CPU from
//! those that have something to do. Each of them would have to find that out, with a handful of
//! spins each. So what they have found is counted for the process. While most spins have been in
//! vain, a half that may decide for itself spins in one wait of sixteen alone
//! (docs/experiments/many-streams.md).

use std::sync::atomic::{AtomicU32, Ordering};

/// Spins in vain, all over the process, from which on hardly any half spins. And at most so many
/// are counted.
const IN_VAIN: (u32, u32) = (32, 64);

/// A spin that paid makes up for so many in vain.
const PAID: u32 = 4;

/// In vain all over the process, one wait in so many of a half is spun all the same.
const TRIED: u32 = 16;

/// What the halves of a process share: how many permits are out, and how many more of the latest
/// spins have been in vain than have paid.
pub(crate) type Shared = [AtomicU32; 2];

/// The permits of a process, as one half sees them. (Go bounds its spinning threads likewise:
/// `runtime/proc.go`, "Worker thread parking/unparking".)
#[derive(Debug)]
pub(crate) struct Permits {
    /// How many are out.
    taken: &'static AtomicU32,
    in_vain: &'static AtomicU32,
    most: u32,
    /// Waits that this half has not spun in a row, as it would have been in vain.
    given_up: u32,
}

/// Lets its holder spin; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    taken: &'static AtomicU32,
}

impl Permits {
    /// `own`: how many CPUs this process may use; `both`: it and the peer between them. One of its
    /// own CPUs is left to threads that work, unless it has only that one: then the peer has
    /// another.
    pub(crate) fn new(shared: &'static Shared, own: usize, both: usize) -> Permits {
        let most = if both < 2 {
            0
        } else {
            own.saturating_sub(1).max(1)
        };
        let [taken, in_vain] = shared;
        Permits {
            taken,
            in_vain,
            most: u32::try_from(most).unwrap_or(u32::MAX),
            given_up: 0,
        }
    }

    /// Whether spinning has been in vain all over the process, so that this wait had better sleep
    /// at once.
    pub(crate) fn is_in_vain(&mut self) -> bool {
        // Relaxed, here and below: these numbers guard no memory, and a lost update does no harm.
        if self.in_vain.load(Ordering::Relaxed) < IN_VAIN.0 {
            return false;
        }
        self.given_up = (self.given_up + 1) % TRIED;
        self.given_up != 0
    }

    /// Lets the process know how a spin ended.
    pub(crate) fn learn(&self, paid: bool) {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        let now = if paid {
            in_vain.saturating_sub(PAID)
        } else {
            (in_vain + 1).min(IN_VAIN.1)
        };
        if now != in_vain {
            self.in_vain.store(now, Ordering::Relaxed);
        }
    }

    /// Lets the process know that many waits of a half in a row have paid.
    pub(crate) fn forget(&self) {
        if self.in_vain.load(Ordering::Relaxed) != 0 {
            self.in_vain.store(0, Ordering::Relaxed);
        }
    }

    /// A permit, if one is left.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        // The load comes first so that hundreds of refused halves do not pass the line to and fro.
        if self.taken.load(Ordering::Relaxed) >= self.most {
            return None;
        }
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { taken: self.taken };
        // This is one too many if another half was faster; dropping it corrects the number.
        // Meanwhile a third half may be refused without need, but a permit is never granted in
        // excess.
        (before < self.most).then_some(permit)
    }

    /// A permit, even if none is left: it counts for the others all the same.
    pub(crate) fn force_acquire(&self) -> Permit {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Permit { taken: self.taken }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Never below zero: a signal handler may have forked while this half spun, and the child's
        // number begins at zero. An update that fails has nothing to give back.
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_sub(1)
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    fn out(permits: &Permits) -> u32 {
        permits.taken.load(Ordering::Relaxed)
    }

    #[test]
    fn permits_to_spin_leave_one_cpu_free() {
        static TAKEN: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        for (own, both, most) in [
            (1, 1, 0),
            (2, 2, 1),
            (8, 8, 7),
            (1, 2, 1),
            (1, 64, 1),
            (2, 4, 1),
        ] {
            let permits = Permits::new(&TAKEN, own, both);
            let taken: Vec<Permit> = std::iter::from_fn(|| permits.try_acquire())
                .take(100)
                .collect();
            assert_eq!(taken.len(), most, "{own} CPUs, {both} with the peer's");
        }
    }

    #[test]
    fn spins_in_vain_all_over_the_process_stop_its_halves_until_some_pay() {
        static SHARED: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        let mut crowd: Vec<Permits> = (0..100).map(|_| Permits::new(&SHARED, 2, 2)).collect();
        let spins = |crowd: &mut Vec<Permits>, paid: bool| {
            let spin = |permits: &mut Permits| {
                let spins = !permits.is_in_vain();
                if spins {
                    permits.learn(paid);
                }
                spins
            };
            crowd.iter_mut().map(spin).filter(|spins| *spins).count()
        };
        assert_eq!(spins(&mut crowd, false), IN_VAIN.0 as usize);
        for _ in 0..10 {
            spins(&mut crowd, false);
        }
        let in_sixteen: usize = (0..TRIED).map(|_| spins(&mut crowd, false)).sum();
        assert_eq!(in_sixteen, crowd.len());
        // The first ones that are tried show that it pays now.
        let found = (0..TRIED).any(|_| spins(&mut crowd, true) == crowd.len());
        assert!(found);
        for _ in 0..2 {
            spins(&mut crowd, false);
        }
        assert!(crowd[0].is_in_vain());
        crowd[1].forget();
        assert!(!crowd[0].is_in_vain());
    }

    #[test]
    fn a_forced_permit_counts_for_the_others() {
        static TAKEN: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        let permits = Permits::new(&TAKEN, 4, 4);
        let forced: Vec<Permit> = (0..5).map(|_| permits.force_acquire()).collect();
        assert!(permits.try_acquire().is_none());
        drop(forced);
        assert!(permits.try_acquire().is_some());
        assert_eq!(out(&permits), 0);
    }

    #[test]
    fn a_panic_gives_a_permit_to_spin_back() {
        static TAKEN: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        let permits = Permits::new(&TAKEN, 2, 2);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _permit = permits.try_acquire().expect("nobody else has it");
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(out(&permits), 0);
    }

    #[test]
    fn a_forked_child_gives_back_no_permit_to_spin() {
        static TAKEN: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        let permits = Permits::new(&TAKEN, 2, 2);
        let permit = permits.try_acquire();
        // The kernel does this to a child.
        permits.taken.store(0, Ordering::Relaxed);
        drop(permit);
        assert_eq!(out(&permits), 0);
    }

    #[test]
    fn many_threads_never_hold_more_permits_than_there_are() {
        static TAKEN: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
        let permits = Permits::new(&TAKEN, 3, 3);
        let holding = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Some(_permit) = permits.try_acquire() {
                            assert!(holding.fetch_add(1, Ordering::SeqCst) < 2);
                            holding.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(out(&permits), 0);
    }
}
