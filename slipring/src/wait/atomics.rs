//! The atomics that the ring is generic over.
//!
//! [`Std`] is the one that runs. The models in `models` put loom's in its place, so that the
//! checked code is the shipped code.

use std::sync::atomic::{self, Ordering};

/// A shared word: the few operations that the protocol needs.
pub(crate) trait Word<T> {
    fn new(value: T) -> Self;
    fn load(&self, order: Ordering) -> T;
    fn store(&self, value: T, order: Ordering);
    /// Replaces `current` by `new`; returns whether it did.
    fn replace(&self, current: T, new: T, success: Ordering) -> bool;
}

/// A family of atomics.
pub(crate) trait Atomics: 'static {
    type U32: Word<u32> + std::fmt::Debug;
    type U64: Word<u64> + std::fmt::Debug;
    fn fence(order: Ordering);
    /// Comes between the store of an index and the load of the peer's wake word, where no fence
    /// does: the compiler keeps their order.
    #[inline(always)]
    fn index_stored() {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
}

macro_rules! word {
    ($atomic:ty, $value:ty) => {
        impl Word<$value> for $atomic {
            #[inline]
            fn new(value: $value) -> Self {
                <$atomic>::new(value)
            }
            #[inline]
            fn load(&self, order: Ordering) -> $value {
                <$atomic>::load(self, order)
            }
            #[inline]
            fn store(&self, value: $value, order: Ordering) {
                <$atomic>::store(self, value, order);
            }
            #[inline]
            fn replace(&self, current: $value, new: $value, success: Ordering) -> bool {
                // A failed exchange publishes nothing and its value is not used: Relaxed.
                self.compare_exchange(current, new, success, Ordering::Relaxed)
                    .is_ok()
            }
        }
    };
}

/// The standard library's atomics.
#[derive(Debug)]
pub(crate) enum Std {}

word!(atomic::AtomicU32, u32);
word!(atomic::AtomicU64, u64);

impl Atomics for Std {
    type U32 = atomic::AtomicU32;
    type U64 = atomic::AtomicU64;
    #[inline]
    fn fence(order: Ordering) {
        atomic::fence(order);
    }
}

#[cfg(test)]
pub(crate) mod model {
    //! loom's atomics.
    use super::{Atomics, Word};
    use loom::sync::atomic;
    use std::sync::atomic::Ordering;

    #[derive(Debug)]
    pub(crate) enum Loom {}

    word!(atomic::AtomicU32, u32);
    word!(atomic::AtomicU64, u64);

    impl Atomics for Loom {
        type U32 = atomic::AtomicU32;
        type U64 = atomic::AtomicU64;
        fn fence(order: Ordering) {
            atomic::fence(order);
        }
        fn index_stored() {
            crate::models::time::index_stored();
        }
    }
}
