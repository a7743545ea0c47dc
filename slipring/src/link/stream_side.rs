//! A stream's side of a handshake: a region and two doorbells each way.

use super::message::{Kind, Memory};
use super::side::{Parts, Side};
use super::verify::{self, Fault, Introduced, Refused, is_capacity};
use crate::endpoint::region::{OwnRegion, PeerRegion};
use crate::endpoint::{Connected, Endpoint};
use crate::error::Result;
use crate::fail_points::{Point, point};
use crate::options::Options;
use crate::ring::{LAYOUT_VERSION, MAGIC};
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
    own_region: OwnRegion,
    /// Until it is passed.
    memory: Option<OwnedFd>,
    doorbells: Doorbells,
    watches: Option<Watches>,
}

/// The peer's memory and doorbells, after they have passed.
#[derive(Debug)]
pub(crate) struct Theirs {
    peer_region: PeerRegion,
    doorbells: Doorbells,
}

/// The region, the doorbell of the reader, and that of the writer.
const DESCRIPTORS: usize = 3;

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
        let (own_region, memory) = OwnRegion::create(options.capacity)?;
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
            own_region,
            memory: Some(memory),
            doorbells,
            watches,
        };
        Ok((mine, says))
    }

    fn passed(mine: &Mine) -> Vec<BorrowedFd<'_>> {
        let bells = [mine.doorbells.reader.as_fd(), mine.doorbells.writer.as_fd()];
        let memory = mine.memory.iter().map(AsFd::as_fd);
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
        let Ok([region, reader_bell, writer_bell]) = <[Passed; DESCRIPTORS]>::try_from(fds) else {
            return Err(Refused::bad("more descriptors than expected").into());
        };
        let peer_region = peer_region(region, introduced)?;
        let doorbell =
            |passed| verify::eventfd(passed).map(|fd| Doorbell::of_peer(fd, memory.doorbells));
        let doorbells = Doorbells {
            reader: doorbell(reader_bell)?,
            writer: doorbell(writer_bell)?,
        };
        peer_region.populate(options.capacity);
        Ok(Theirs {
            peer_region,
            doorbells,
        })
    }

    fn refuse(mine: &Mine) {
        mine.own_region.header().refuse();
    }

    fn connect(&self, parts: Parts<Waits>) -> Connected {
        let copy_reads = parts.options.copy_reads || !parts.trusted;
        let endpoint = Arc::new(Endpoint::new(
            parts.mine.own_region,
            parts.theirs.peer_region,
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
            watches: parts.mine.watches,
        }
    }

    fn link(connected: &Connected) -> BorrowedFd<'_> {
        connected.endpoint.link.as_fd()
    }
}

fn peer_region(passed: Passed, introduced: &Introduced) -> std::result::Result<PeerRegion, Fault> {
    let fd = verify::memory(passed, introduced.memory_len())?;
    let (header_len, capacity) = (introduced.header_len, introduced.capacity);
    let peer_region = PeerRegion::map(fd.as_fd(), header_len, capacity).map_err(Fault::Mine)?;
    let preamble = &peer_region.header().preamble.0;
    // Relaxed: the message that brought the descriptor came after the preamble was written.
    let honest = preamble.magic.load(Ordering::Relaxed) == MAGIC
        && preamble.version.load(Ordering::Relaxed) == LAYOUT_VERSION
        && preamble.header_len.load(Ordering::Relaxed) as usize == header_len
        && preamble.capacity.load(Ordering::Relaxed) == capacity as u64;
    if !honest {
        return Err(verify::other_preamble().into());
    }
    Ok(peer_region)
}
