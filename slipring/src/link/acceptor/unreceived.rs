//! Clients of other users that were answered and have not received it.
//!
//! The descriptors of an answer that nobody receives are on their way, and count against those that this process's user
//! may have on their way anywhere (unix(7), ETOOMANYREFS). So another user may leave few of them there.

use crate::endpoint::Endpoint;
use crate::sys::socket;
use rustix::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many of one user there may be.
const MOST: usize = 16;

/// Streams that were accepted, each with the user of its client.
#[derive(Debug, Default)]
pub(super) struct Unreceived(Mutex<Vec<(u32, Weak<Endpoint>)>>);

impl Unreceived {
    /// Whether there are too many of this user.
    pub(super) fn has_too_many_of(&self, user: u32) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, endpoint)| endpoint.upgrade().is_some_and(|endpoint| is_on_its_way(&endpoint)));
        all.iter().filter(|(one, _)| *one == user).count() >= MOST
    }

    /// A client of this user has been answered.
    pub(super) fn note(&self, user: u32, endpoint: &Arc<Endpoint>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((user, Arc::downgrade(endpoint)));
    }
}

fn is_on_its_way(endpoint: &Endpoint) -> bool {
    socket::unreceived(endpoint.link.as_fd()) != Ok(0)
}
