//! A descriptor in reserve.
//!
//! When descriptors have run out, a client in the backlog cannot be taken out. There it would wait
//! for nothing, and `accept` would be woken for it again and again. With one descriptor in reserve
//! it can be taken out and told.

use crate::error::{Error, Result};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Spare(Mutex<Option<OwnedFd>>);

impl Spare {
    /// A copy of any descriptor.
    pub(super) fn new(any: BorrowedFd<'_>) -> Result<Spare> {
        Ok(Spare(Mutex::new(Some(copy(any)?))))
    }

    fn held(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it up for the duration of `with`. One at a time.
    pub(super) fn lend(&self, with: impl FnOnce()) {
        let mut held = self.held();
        *held = None;
        with();
    }

    /// Holds one again, as soon as one can be had.
    pub(super) fn restore(&self, any: BorrowedFd<'_>) {
        let mut held = self.held();
        if held.is_none() {
            *held = copy(any).ok();
        }
    }
}

fn copy(any: BorrowedFd<'_>) -> Result<OwnedFd> {
    any.try_clone_to_owned()
        .map_err(Error::os("keeping a descriptor in reserve (fcntl)"))
}
