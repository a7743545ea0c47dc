//! What membarrier(2) does, in a model: a thread is interrupted between two of its steps, and executes a fence there.

use super::super::Atomics;
use super::flaw::Flaw;
use crate::wait;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, fence};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The interrupts of one thread; one of them is served.
pub(super) struct Interrupts {
    asked: AtomicBool,
    served: AtomicBool,
    edge: Notify,
}

loom::thread_local! {
    /// Of this thread, if it has such.
    static MINE: RefCell<Option<Arc<Interrupts>>> = RefCell::new(None);
}

impl Interrupts {
    pub(super) fn new() -> Arc<Interrupts> {
        Arc::new(Interrupts {
            asked: AtomicBool::new(false),
            served: AtomicBool::new(false),
            edge: Notify::new(),
        })
    }

    /// Runs `thread` so that it may be interrupted wherever it says that [an interrupt may come](may_come).
    pub(super) fn may_interrupt(self: &Arc<Self>, thread: impl FnOnce()) {
        MINE.with(|mine| mine.replace(Some(Arc::clone(self))));
        thread();
        MINE.with(|mine| mine.replace(None));
        // A thread that does not run has a fence behind it.
        self.serve();
    }

    /// Arms a half that has excused this thread from its fences, as `wait::Excuse` does, less what a [`Flaw`] leaves out.
    pub(super) fn interrupt_and_arm<A: Atomics>(&self, wake: &A::U64, at: u64, flaw: Flaw) {
        match flaw {
            Flaw::NoInterrupt => wait::arm::<A>(wake, at),
            Flaw::InterruptBeforeArming => {
                self.interrupt();
                wait::arm::<A>(wake, at);
            }
            _ => wait::arm_by::<A>(wake, at, || self.interrupt()),
        }
    }

    /// Interrupts the thread, and waits until it has executed the fence.
    fn interrupt(&self) {
        fence(Ordering::SeqCst);
        // Release, and acquire below: the kernel's own locks order what comes before an interrupt and what comes after it.
        self.asked.store(true, Ordering::Release);
        while !self.served.load(Ordering::Acquire) {
            self.edge.wait();
        }
        fence(Ordering::SeqCst);
    }

    fn serve(&self) {
        if !self.served.load(Ordering::Relaxed) {
            fence(Ordering::SeqCst);
            self.served.store(true, Ordering::Release);
            self.edge.notify();
        }
    }
}

/// Here the thread may be interrupted.
pub(in super::super) fn may_come() {
    let mine = MINE.with(|mine| mine.borrow().clone());
    if let Some(mine) = mine.filter(|mine| mine.asked.load(Ordering::Acquire)) {
        mine.serve();
    }
}
