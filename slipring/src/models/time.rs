//! A moment of time, which loom does not know.
//!
//! A half that arms after a flow relies on two facts, which are orders of events here:
//!
//! * An index that was stored before the moment began is visible when the moment ends.
//! * A wake word that is loaded after the moment began is the one that the half has armed, if the
//!   index was stored after it began as well.
//!
//! Between the two a publisher may stand still for as long as it likes. The models count outside of
//! loom, where counting orders nothing, and let loom order just these.

use loom::sync::atomic::AtomicUsize;
use loom::thread;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Untold, Ordering};

loom::thread_local! {
    /// The time of the publication that this thread is in.
    static TIME: RefCell<Option<Arc<Time>>> = RefCell::new(None);
}

#[derive(Default)]
pub(crate) struct Time {
    /// Indexes that have been stored. Untold: no thread learns anything else from it.
    stored: Untold,
    /// Those that are visible.
    visible: AtomicUsize,
    /// Moments that have begun. Untold likewise.
    moments: Untold,
    /// The same, told to publishers.
    told: AtomicUsize,
}

/// An index has been stored, and the wake word is loaded next ([`Atomics::index_stored`]).
///
/// [`Atomics::index_stored`]: crate::ring::Atomics::index_stored
pub(crate) fn index_stored() {
    let Some(time) = TIME.with(|time| time.borrow().clone()) else {
        return;
    };
    // No other thread runs before this: loom switches at its own atomics.
    time.stored.fetch_add(1, Ordering::Relaxed);
    time.visible.fetch_add(1, Ordering::Release);
    time.hear();
}

impl Time {
    /// Takes notice of the moments that have begun.
    fn hear(&self) {
        loop {
            let moments = self.moments.load(Ordering::Relaxed);
            let told = moments == 0 || self.told.load(Ordering::Acquire) >= moments;
            // The second load finds the same unless a moment has begun in between.
            if told && self.moments.load(Ordering::Relaxed) == moments {
                break;
            }
            thread::yield_now();
        }
    }

    /// A publication in this time.
    pub(super) fn publication(self: &Arc<Self>, publish: impl FnOnce()) {
        TIME.with(|time| *time.borrow_mut() = Some(Arc::clone(self)));
        publish();
        TIME.with(|time| *time.borrow_mut() = None);
    }

    /// Lets a moment pass.
    pub(super) fn moment(&self) {
        self.told.fetch_add(1, Ordering::Release);
        self.moments.fetch_add(1, Ordering::Relaxed);
        let stored = self.stored.load(Ordering::Relaxed);
        while self.visible.load(Ordering::Acquire) < stored {
            thread::yield_now();
        }
    }
}
