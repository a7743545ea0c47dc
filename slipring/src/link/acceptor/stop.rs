//! Ending `accept` from another thread.

use crate::error::{Error, Result};
use crate::sys::eventfd::Eventfd;
use crate::sys::process::ForkGuard;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops a [`Listener`](crate::Listener) from any thread.
///
/// # Examples
///
/// ```
/// use slipring::Listener;
/// # let name = format!("doc-stopper-type-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// let stopper = listener.stopper();
/// std::thread::spawn(move || stopper.stop());
/// // Ends once it is stopped, here without a client.
/// assert_eq!(listener.incoming().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stopper {
    pub(super) stop: Arc<Stop>,
}

impl Stopper {
    /// Ends blocked calls of `accept` and all later ones with [`Error::Stopped`]. Does not block;
    /// the name stays bound until the listener is dropped. Does nothing in a forked child: the
    /// listener is its parent's.
    pub fn stop(&self) {
        if self.stop.fork_guard.is_owner() {
            // Release: pairs with the acquire of the threads that this wakes.
            self.stop.stopped.store(true, Ordering::Release);
            self.stop.told.raise();
        }
    }
}

/// The acceptor's side of it.
#[derive(Debug)]
pub(super) struct Stop {
    /// Level-triggered, so that it goes on waking for all threads.
    told: Eventfd,
    stopped: AtomicBool,
    fork_guard: ForkGuard,
}

impl Stop {
    pub(super) fn new(fork_guard: ForkGuard) -> Result<Stop> {
        Ok(Stop {
            told: Eventfd::new().map_err(Error::os("making an eventfd"))?,
            stopped: AtomicBool::new(false),
            fork_guard,
        })
    }

    pub(super) fn is_asked_for(&self) -> bool {
        // Acquire: pairs with the release in `stop`.
        self.stopped.load(Ordering::Acquire)
    }

    /// Wakes the threads that accept, so that they look anew.
    pub(super) fn wake(&self) {
        self.told.raise();
    }

    /// Ends all calls of `accept`, from within one.
    pub(super) fn end(&self) {
        // Release: as in `Stopper::stop`.
        self.stopped.store(true, Ordering::Release);
        self.told.raise();
    }

    /// Clears an event that was raised by a process that may not stop anything: a forked child has
    /// the descriptor.
    pub(super) fn silence(&self) {
        if self.is_asked_for() {
            return;
        }
        self.told.clear();
        // This process may have stopped it just then, and its event was cleared with the rest.
        if self.is_asked_for() {
            self.told.raise();
        }
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
