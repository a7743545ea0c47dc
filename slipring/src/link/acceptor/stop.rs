//! Ending `accept` from another thread.

use crate::error::{Error, Result};
use crate::sys::process::ForkGuard;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
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
            // Release: pairs with the acquire of whoever the doorbell wakes.
            self.stop.stopped.store(true, Ordering::Release);
            self.stop.ring();
        }
    }
}

/// What the acceptor sees of it.
#[derive(Debug)]
pub(super) struct Stop {
    /// Level-triggered, so that it goes on waking for all threads.
    doorbell: OwnedFd,
    stopped: AtomicBool,
    fork_guard: ForkGuard,
}

impl Stop {
    pub(super) fn new(fork_guard: ForkGuard) -> Result<Stop> {
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Stop {
            doorbell: doorbell.map_err(Error::os("making an eventfd"))?,
            stopped: AtomicBool::new(false),
            fork_guard,
        })
    }

    pub(super) fn is_asked_for(&self) -> bool {
        // Acquire: pairs with the release in `stop`.
        self.stopped.load(Ordering::Acquire)
    }

    fn ring(&self) {
        // It can only fail once it has been woken 2^64 - 1 times.
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }

    /// Silences a doorbell that nobody rang who may stop anything: a forked child has the
    /// descriptor.
    pub(super) fn silence(&self) {
        if self.is_asked_for() {
            return;
        }
        let _ = rustix::io::read(&self.doorbell, &mut [0; 8]);
        // This process may have stopped it just then, and its ring was taken with the others.
        if self.is_asked_for() {
            self.ring();
        }
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }
}
