//! Answers to clients of other users that they have not received.
//!
//! The descriptors of an answer that nobody receives are on their way, and count against those that
//! this process's user may have on their way anywhere (unix(7), ETOOMANYREFS), also when the stream
//! is long gone: they lie in the client's socket. So another user may leave few of them there.

use crate::sys::socket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// How many of one user there may be.
const MOST: usize = 16;

/// Users, each with a copy of the link over which it was answered.
#[derive(Debug, Default)]
pub(super) struct Unreceived(Mutex<Vec<(u32, OwnedFd)>>);

impl Unreceived {
    /// Whether there are too many of this user.
    pub(super) fn has_too_many_of(&self, user: u32) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that closes its end takes everything with it that lies there.
        all.retain(|(_, link)| socket::unreceived(link.as_fd()) != Ok(0));
        all.iter().filter(|(one, _)| *one == user).count() >= MOST
    }

    /// A client of this user was answered. A link that cannot be copied for want of a descriptor is
    /// not counted.
    pub(super) fn note(&self, user: u32, link: BorrowedFd<'_>) {
        if let Ok(link) = link.try_clone_to_owned() {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((user, link));
        }
    }
}
