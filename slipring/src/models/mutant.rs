//! loom's atomics with one ordering taken away, for the controls of the models.
//!
//! A model that passes proves little as long as nobody knows that it can fail. So each is also run
//! with one thing missing that it is about. Where that thing is a fence or an ordering, the code
//! stays the real one and [`Mutant`] leaves it out: for the one call that [`weakly`] surrounds, in
//! the one thread that makes it.

use crate::ring::{Atomics, Word};
use loom::sync::atomic;
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// The ordering that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weakness {
    Nothing,
    /// `fence(SeqCst)` does nothing.
    SeqCst,
    /// `store(Release)` and a successful exchange are Relaxed.
    Release,
    /// `fence(Acquire)` does nothing.
    Acquire,
    /// `fence(Release)` does nothing.
    ReleaseFence,
}

loom::thread_local! {
    static MISSING: Cell<Weakness> = Cell::new(Weakness::Nothing);
}

/// Runs `operation` without `what`.
pub(super) fn weakly<T>(what: Weakness, operation: impl FnOnce() -> T) -> T {
    if what == Weakness::Nothing {
        return operation();
    }
    MISSING.with(|missing| missing.set(what));
    let result = operation();
    MISSING.with(|missing| missing.set(Weakness::Nothing));
    result
}

fn missing(what: Weakness) -> bool {
    MISSING.with(Cell::get) == what
}

fn weakened(order: Ordering) -> Ordering {
    match order {
        Ordering::Release if missing(Weakness::Release) => Ordering::Relaxed,
        _ => order,
    }
}

/// The family of atomics that [`weakly`] acts on.
#[derive(Debug)]
pub(super) enum Mutant {}

#[derive(Debug)]
pub(super) struct Mutable<W>(W);

macro_rules! word {
    ($atomic:ty, $value:ty) => {
        impl Word<$value> for Mutable<$atomic> {
            fn new(value: $value) -> Self {
                Mutable(<$atomic>::new(value))
            }
            fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }
            fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, weakened(order));
            }
            fn replace(&self, current: $value, new: $value, success: Ordering) -> bool {
                Word::replace(&self.0, current, new, weakened(success))
            }
        }
    };
}

word!(atomic::AtomicU32, u32);
word!(atomic::AtomicU64, u64);

impl Atomics for Mutant {
    type U32 = Mutable<atomic::AtomicU32>;
    type U64 = Mutable<atomic::AtomicU64>;
    fn index_stored() {
        super::time::index_stored();
    }
    fn fence(order: Ordering) {
        let left_out = match order {
            Ordering::SeqCst => missing(Weakness::SeqCst),
            Ordering::Acquire => missing(Weakness::Acquire),
            Ordering::Release => missing(Weakness::ReleaseFence),
            _ => false,
        };
        if !left_out {
            atomic::fence(order);
        }
    }
}
