//! Whether the peer process still lives, for waits that would not notice its death by themselves.

use std::{
    os::fd::OwnedFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Default)]
pub struct Gone {
    flag: AtomicBool,
    /// An eventfd that a wait sleeps on.
    wake: Mutex<Option<OwnedFd>>,
}

impl Gone {
    /// The peer has ended: ends waits.
    pub fn set(&self) {
        // Release: a wait that is woken by the write below, and loads with Acquire, sees it.
        self.flag.store(true, Ordering::Release);
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(eventfd) = wake.as_ref() {
            // Fails only if the counter is full, and then nobody sleeps on it.
            let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
        }
    }

    pub fn is_set(&self) -> bool {
        // Acquire: pairs with the store in `set`.
        self.flag.load(Ordering::Acquire)
    }

    /// A wait sleeps on this eventfd from now on.
    pub fn wake_through(&self, eventfd: OwnedFd) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(eventfd);
        if self.is_set() {
            self.set();
        }
    }
}
