//! What a side of a handshake is: the kind of its name, what it makes and passes, and what it
//! expects of the other side. The handshake and the acceptor are the same for all kinds.

use super::message::{Growth, Kind, Memory};
use super::verify::{Fault, Introduced};
use crate::error::Result;
use crate::name::Name;
use crate::options::Options;
use crate::peer::Peer;
use crate::sys::closing::{Link, Passed};
use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// One side of a handshake.
pub(crate) trait Side: Debug + Clone + Send {
    /// Everything that this side makes for itself.
    type Mine: Debug + Send;
    /// Everything of the other side, once it is verified.
    type Theirs: Debug + Send;
    /// What comes of it.
    type Connected;

    /// What it takes the name to be.
    fn kind(&self) -> Kind;

    /// The most descriptors that the other side passes.
    fn descriptors(&self) -> usize;

    /// Bytes of the ring that this side passes.
    fn capacity(&self, options: &Options) -> u64;

    /// How far rings may grow.
    fn growth(&self, _options: &Options) -> Growth {
        Growth::default()
    }

    /// Whether the other side's ring may have that size.
    fn expects_capacity(&self, capacity: usize) -> bool;

    /// Makes what is its own, and what it says of it. If it fails, nothing is left. `is_mine`: the
    /// other side, and the socket, are of this process's own user.
    fn make(
        &self,
        options: &Options,
        link: BorrowedFd<'_>,
        is_mine: bool,
    ) -> Result<(Self::Mine, Memory)>;

    /// The descriptors that are passed.
    fn passed(mine: &Self::Mine) -> Vec<BorrowedFd<'_>>;

    /// They are on their way.
    fn sent(_mine: &mut Self::Mine) {}

    /// Checks and maps what the other side has passed.
    fn verify(
        &self,
        memory: Memory,
        fds: Vec<Passed>,
        introduced: &Introduced,
        options: &Options,
    ) -> std::result::Result<Self::Theirs, Fault>;

    /// Tells a peer that has its memory already that this side refuses.
    fn refuse(_mine: &Self::Mine) {}

    /// Both are there.
    fn connect(&self, parts: Parts<Self>) -> Self::Connected;

    /// The socket of it.
    fn link(connected: &Self::Connected) -> BorrowedFd<'_>;
}

/// What a handshake has come to.
#[derive(Debug)]
pub(crate) struct Parts<S: Side> {
    pub(crate) link: Link,
    pub(crate) peer: Peer,
    /// The peer could do anything to this process anyway.
    pub(crate) trusted: bool,
    pub(crate) name: Option<Name>,
    pub(crate) options: Arc<Options>,
    pub(crate) mine: S::Mine,
    pub(crate) theirs: S::Theirs,
}
