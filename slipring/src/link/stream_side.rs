//! A stream's side of a handshake: a header, a ring and two doorbells each way.

use super::message::{Growth, Kind, Memory};
use super::side::{Parts, Side};
use super::verify::{self, Fault, Introduced, Refused};
use crate::endpoint::header_page::{OwnHeader, PeerHeader};
use crate::endpoint::ring_memory::{MAX_CAPACITY, OwnRing, PeerRing, is_capacity};
use crate::endpoint::{Connected, Endpoint, Limits, passed};
use crate::error::Result;
use crate::fail_points::{Point, point};
use crate::growth::Limit;
use crate::options::Options;
use crate::ring::{LAYOUT_VERSION, MAGIC, RingId};
use crate::sys::closing::Passed;
use crate::sys::doorbell::{self, Doorbell, Doorbells};
use crate::sys::watch::Watches;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How the halves of the stream will wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// By blocking on epoll sets of their own.
    Blocking,
    /// In an event loop.
    #[cfg(feature = "tokio")]
    Polled,
}

/// Everything that this side makes for itself.
#[derive(Debug)]
pub(crate) struct Mine {
    header: OwnHeader,
    ring: OwnRing,
    /// Of both, until they are passed.
    memory: Option<[OwnedFd; 2]>,
    doorbells: Doorbells,
    watches: Option<Watches>,
}

/// The peer's memory and doorbells, after they have passed.
#[derive(Debug)]
pub(crate) struct Theirs {
    header: PeerHeader,
    ring: PeerRing,
    limits: Limits,
    doorbells: Doorbells,
}

/// The header, the ring, the doorbell of the reader, and that of the writer.
const DESCRIPTORS: usize = 4;

impl Side for Waits {
    type Mine = Mine;
    type Theirs = Theirs;
    type Connected = Connected;

    fn kind(&self) -> Kind {
        Kind::Stream
    }

    fn descriptors(&self) -> usize {
        DESCRIPTORS
    }

    fn capacity(&self, options: &Options) -> u64 {
        options.capacity as u64
    }

    fn growth(&self, options: &Options) -> Growth {
        Growth {
            own: options.max_capacity_or_default().ilog2() as u8,
            peer: accepted(options).ilog2() as u8,
        }
    }

    fn expects_capacity(&self, capacity: usize) -> bool {
        is_capacity(capacity)
    }

    fn make(
        &self,
        options: &Options,
        link: BorrowedFd<'_>,
        is_mine: bool,
    ) -> Result<(Mine, Memory)> {
        let kind = if is_mine {
            doorbell::Kind::Plain
        } else {
            doorbell::Kind::Inverted
        };
        let (header, header_fd) = OwnHeader::create(RingId::new(0, options.capacity as u64))?;
        let (ring, ring_fd) = OwnRing::create(options.capacity)?;
        ring.populate();
        point(Point::MemoryMade);
        let doorbells = Doorbells {
            reader: Doorbell::new(kind)?,
            writer: Doorbell::new(kind)?,
        };
        let watches = match self {
            Waits::Blocking => Some(Watches::new(&doorbells, link)?),
            #[cfg(feature = "tokio")]
            Waits::Polled => None,
        };
        let says = Memory { doorbells: kind };
        let mine = Mine {
            header,
            ring,
            memory: Some([header_fd, ring_fd]),
            doorbells,
            watches,
        };
        Ok((mine, says))
    }

    fn passed(mine: &Mine) -> Vec<BorrowedFd<'_>> {
        let bells = [mine.doorbells.reader.as_fd(), mine.doorbells.writer.as_fd()];
        let memory = mine.memory.iter().flatten().map(AsFd::as_fd);
        memory.chain(bells).collect()
    }

    fn sent(mine: &mut Mine) {
        mine.memory = None;
    }

    fn verify(
        &self,
        memory: Memory,
        fds: Vec<Passed>,
        introduced: &Introduced,
        options: &Options,
    ) -> std::result::Result<Theirs, Fault> {
        if !introduced.trusted && memory.doorbells != doorbell::Kind::Inverted {
            return Err(Refused::bad("a doorbell that another user could block").into());
        }
        if fds.len() < DESCRIPTORS {
            return Err(Refused::bad("a descriptor is missing").into());
        }
        let Ok([header, ring, reader_bell, writer_bell]) = <[Passed; DESCRIPTORS]>::try_from(fds)
        else {
            return Err(Refused::bad("more descriptors than expected").into());
        };
        let ring = passed::memory(ring, introduced.capacity as u64)?;
        let header = peer_header(header, introduced)?;
        let ring = PeerRing::map(ring.as_fd(), introduced.capacity).map_err(Fault::Mine)?;
        let doorbell =
            |passed| verify::eventfd(passed).map(|fd| Doorbell::of_peer(fd, memory.doorbells));
        let doorbells = Doorbells {
            reader: doorbell(reader_bell)?,
            writer: doorbell(writer_bell)?,
        };
        ring.populate(options.capacity);
        Ok(Theirs {
            header,
            ring,
            limits: limits(introduced, options),
            doorbells,
        })
    }

    fn refuse(mine: &Mine) {
        mine.header.get().refuse();
    }

    fn connect(&self, parts: Parts<Waits>) -> Connected {
        let copy_reads = parts.options.copy_reads || !parts.trusted;
        let endpoint = Arc::new(Endpoint::new(
            parts.mine.header,
            parts.theirs.header,
            parts.theirs.limits,
            parts.link,
            parts.mine.doorbells,
            parts.theirs.doorbells,
            parts.peer,
            parts.name,
            parts.options,
            copy_reads,
        ));
        Connected {
            endpoint,
            own_ring: parts.mine.ring,
            peer_ring: parts.theirs.ring,
            watches: parts.mine.watches,
        }
    }

    fn link(connected: &Connected) -> BorrowedFd<'_> {
        connected.endpoint.link.as_fd()
    }
}

fn peer_header(passed: Passed, introduced: &Introduced) -> std::result::Result<PeerHeader, Fault> {
    let len = introduced.header_len;
    let fd = passed::memory(passed, len as u64)?;
    let header = PeerHeader::map(fd.as_fd(), len).map_err(Fault::Mine)?;
    let first = RingId::new(0, introduced.capacity as u64);
    let preamble = &header.get().preamble.0;
    // Relaxed: the message that brought the descriptor came after the preamble was written.
    let honest = preamble.magic.load(Ordering::Relaxed) == MAGIC
        && preamble.version.load(Ordering::Relaxed) == LAYOUT_VERSION
        && preamble.header_len.load(Ordering::Relaxed) as usize == len;
    // The peer may have its stream already, and may have grown its ring.
    let ring = header.get().published.0.ring.load(Ordering::Relaxed);
    let began = RingId::from_word(ring).is_some_and(|ring| ring == first || ring.generation > 0);
    if !honest || !began {
        return Err(verify::other_preamble().into());
    }
    Ok(header)
}

/// The largest ring that this side accepts.
fn accepted(options: &Options) -> usize {
    options.max_peer_capacity.clamp(1, MAX_CAPACITY)
}

/// How far each ring may grow: as both sides allow.
fn limits(introduced: &Introduced, options: &Options) -> Limits {
    let smaller = |own: usize, peers: usize, of_own: Limit, of_peer: Limit| {
        if own <= peers {
            (own, of_own)
        } else {
            (peers, of_peer)
        }
    };
    let (theirs, takes) = introduced.growth;
    // A ring may always be as large as it is.
    let own = options.max_capacity_or_default();
    let takes = takes.max(options.capacity);
    let theirs = theirs.max(introduced.capacity);
    let accepts = 1 << accepted(options).ilog2();
    let (writes, reads) = (Limit::MaxCapacity, Limit::MaxPeerCapacity);
    Limits {
        of_own: smaller(own, takes, writes, reads),
        of_peer: smaller(theirs, accepts, writes, reads),
    }
}
