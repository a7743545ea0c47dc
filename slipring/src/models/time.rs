//! A moment of time, which loom does not know.
//!
//! A half that arms after a flow relies on this: a store that the peer made before it could see the
//! half armed is visible a moment later. Here that is an order of events. A publication that had
//! begun when the moment began is over, and visible, when the moment ends; one that begins later
//! sees what the half had stored before its fence. The models count publications outside of loom,
//! where counting orders nothing, and let loom order just these two.

use loom::sync::atomic::AtomicUsize;
use loom::thread;
use std::sync::atomic::{AtomicUsize as Untold, Ordering};

#[derive(Default)]
pub(super) struct Time {
    /// Publications that have begun. Untold: no thread learns anything else from it.
    begun: Untold,
    /// Publications that are over, and visible.
    over: AtomicUsize,
    /// Moments that have begun. Untold likewise.
    moments: Untold,
    /// The same, told to publications that begin later.
    told: AtomicUsize,
}

impl Time {
    /// A publication, which takes less than a moment.
    pub(super) fn publication(&self, publish: impl FnOnce()) {
        loop {
            let moments = self.moments.load(Ordering::Relaxed);
            // loom switches threads at its own atomics alone, so the second load finds the same
            // unless a moment has begun in between.
            let told = moments == 0 || self.told.load(Ordering::Acquire) >= moments;
            if told && self.moments.load(Ordering::Relaxed) == moments {
                break;
            }
            thread::yield_now();
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        publish();
        self.over.fetch_add(1, Ordering::Release);
    }

    /// Lets a moment pass.
    pub(super) fn moment(&self) {
        self.told.fetch_add(1, Ordering::Release);
        self.moments.fetch_add(1, Ordering::Relaxed);
        let begun = self.begun.load(Ordering::Relaxed);
        while self.over.load(Ordering::Acquire) < begun {
            thread::yield_now();
        }
    }
}
