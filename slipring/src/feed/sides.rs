//! The two sides of a feed's handshake: the publisher passes its memory, and a subscriber its page.

use super::lossless::{Admitted, Lossless};
use super::memory::{OwnFeed, OwnPage, PeerFeed, PeerPage};
use crate::endpoint::ring_memory::is_capacity;
use crate::error::Result;
use crate::fail_points::{Point, point};
use crate::link::{Fault, Introduced, Kind, Memory, Parts, Refusal, Refused, Side};
use crate::name::Name;
use crate::options::Options;
use crate::peer::Peer;
use crate::sys::closing::{Link, Passed};
use crate::sys::doorbell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Nothing that a feed's `Memory` says: subscribers sleep on their sockets.
const MEMORY: Memory = Memory {
    doorbells: doorbell::Kind::Plain,
};

/// The one descriptor of a peer.
fn only(fds: Vec<Passed>) -> std::result::Result<Passed, Refused> {
    <[Passed; 1]>::try_from(fds).map(|[fd]| fd).map_err(|fds| {
        Refused::bad(if fds.is_empty() {
            "a descriptor is missing"
        } else {
            "more descriptors than expected"
        })
    })
}

/// What is passed beside the feed's memory.
#[derive(Debug)]
pub(crate) struct Beside {
    /// What the name is, in the feed's place.
    pub(crate) kind: Kind,
    pub(crate) memory: OwnedFd,
}

/// The publisher's.
#[derive(Debug, Clone)]
pub(crate) struct PublisherSide {
    pub(crate) memory: Arc<OwnFeed>,
    pub(crate) beside: Option<Arc<Beside>>,
    /// `None`: lossless subscribers are refused.
    pub(crate) lossless: Option<Arc<Lossless>>,
}

/// A subscriber that has been let in.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) link: Link,
    pub(crate) peer: Peer,
    pub(crate) trusted: bool,
    pub(crate) theirs: Theirs,
}

/// What the publisher passes.
#[derive(Debug)]
pub(crate) struct Passing {
    memory: Arc<OwnFeed>,
    beside: Option<Arc<Beside>>,
}

/// What the publisher has of a subscriber.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) page: Arc<PeerPage>,
    /// For as long as it is lossless.
    pub(crate) admitted: Option<Admitted>,
}

impl Side for PublisherSide {
    type Mine = Passing;
    type Theirs = Theirs;
    type Connected = Joined;

    fn kind(&self) -> Kind {
        self.beside
            .as_ref()
            .map_or(Kind::Feed, |beside| beside.kind)
    }

    fn descriptors(&self) -> usize {
        1
    }

    fn capacity(&self, options: &Options) -> u64 {
        options.capacity as u64
    }

    fn expects_capacity(&self, capacity: usize) -> bool {
        capacity == 0
    }

    fn make(
        &self,
        _options: &Options,
        _link: BorrowedFd<'_>,
        _is_mine: bool,
    ) -> Result<(Passing, Memory)> {
        let passing = Passing {
            memory: Arc::clone(&self.memory),
            beside: self.beside.clone(),
        };
        Ok((passing, MEMORY))
    }

    fn passed(mine: &Passing) -> Vec<BorrowedFd<'_>> {
        let beside = mine.beside.iter().map(|beside| beside.memory.as_fd());
        [mine.memory.fd()].into_iter().chain(beside).collect()
    }

    fn verify(
        &self,
        _memory: Memory,
        fds: Vec<Passed>,
        introduced: &Introduced,
        _options: &Options,
    ) -> std::result::Result<Theirs, Fault> {
        let page = Arc::new(PeerPage::map(only(fds)?, introduced)?);
        let admitted = match (&self.lossless, page.lossless) {
            (_, false) => None,
            // Before it has this side's memory, so that nothing is overwritten that it may claim.
            (Some(lossless), true) => Some(lossless.admit(&page)),
            (None, true) => {
                let why = "this feed admits no lossless subscribers";
                let error = crate::error::Error::BadPeer { what: why.into() };
                return Err(Refused::new(Refusal::Other, why, error).into());
            }
        };
        Ok(Theirs { page, admitted })
    }

    fn connect(&self, parts: Parts<PublisherSide>) -> Joined {
        Joined {
            link: parts.link,
            peer: parts.peer,
            trusted: parts.trusted,
            theirs: parts.theirs,
        }
    }

    fn link(connected: &Joined) -> BorrowedFd<'_> {
        connected.link.as_fd()
    }
}

/// A subscriber's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubscriberSide {
    /// What the name is: a feed, or something with memory beside that of a feed.
    pub(crate) kind: Kind,
    pub(crate) lossless: bool,
    pub(crate) never_sleeps: bool,
}

/// A feed that a subscriber is connected to.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) link: Link,
    pub(crate) peer: Peer,
    pub(crate) trusted: bool,
    pub(crate) name: Option<Name>,
    pub(crate) feed: PeerFeed,
    pub(crate) page: OwnPage,
    /// What was passed beside the feed's memory; not checked yet.
    pub(crate) beside: Option<Passed>,
}

impl Side for SubscriberSide {
    type Mine = OwnPage;
    type Theirs = (PeerFeed, Option<Passed>);
    type Connected = Attached;

    fn kind(&self) -> Kind {
        self.kind
    }

    fn descriptors(&self) -> usize {
        if self.kind == Kind::Feed { 1 } else { 2 }
    }

    fn capacity(&self, _options: &Options) -> u64 {
        0
    }

    fn expects_capacity(&self, capacity: usize) -> bool {
        is_capacity(capacity)
    }

    fn make(
        &self,
        _options: &Options,
        _link: BorrowedFd<'_>,
        _is_mine: bool,
    ) -> Result<(OwnPage, Memory)> {
        let page = OwnPage::create(self.lossless, self.never_sleeps)?;
        point(Point::MemoryMade);
        Ok((page, MEMORY))
    }

    fn passed(mine: &OwnPage) -> Vec<BorrowedFd<'_>> {
        mine.fd().into_iter().collect()
    }

    fn sent(mine: &mut OwnPage) {
        mine.passed();
    }

    fn verify(
        &self,
        _memory: Memory,
        mut fds: Vec<Passed>,
        introduced: &Introduced,
        _options: &Options,
    ) -> std::result::Result<(PeerFeed, Option<Passed>), Fault> {
        let beside = match self.kind {
            Kind::Feed => None,
            _ => fds.pop(),
        };
        Ok((PeerFeed::map(only(fds)?, introduced)?, beside))
    }

    fn connect(&self, parts: Parts<SubscriberSide>) -> Attached {
        Attached {
            link: parts.link,
            peer: parts.peer,
            trusted: parts.trusted,
            name: parts.name,
            feed: parts.theirs.0,
            page: parts.mine,
            beside: parts.theirs.1,
        }
    }

    fn link(connected: &Attached) -> BorrowedFd<'_> {
        connected.link.as_fd()
    }
}
