//! What a handshake comes to.

use super::Endpoint;
use super::read::ReadHalf;
use super::ring_memory::{OwnRing, PeerRing};
use super::write::WriteHalf;
use crate::sys::watch::Watches;
use std::sync::Arc;

/// An endpoint whose handshake is done, with its rings, and the watches of its blocking halves, if
/// it is to have such.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) own_ring: OwnRing,
    pub(crate) peer_ring: PeerRing,
    pub(crate) watches: Option<Watches>,
}

impl Connected {
    /// Its two halves, and the watches.
    pub(crate) fn into_halves(self) -> (ReadHalf, WriteHalf, Option<Watches>) {
        let reader = ReadHalf::new(Arc::clone(&self.endpoint), self.peer_ring);
        let writer = WriteHalf::new(self.endpoint, self.own_ring);
        (reader, writer, self.watches)
    }
}
