//! The shared memory of a feed: the publisher's header and ring, and a page for each subscriber.

use super::layout::{Header, NOT_BEGUN, Page, Preamble, VERSION, longest};
use super::words::{RingWords, Words};
use crate::endpoint::passed::memory;
use crate::error::{Error, Result};
use crate::link::{Fault, Introduced, other_preamble};
use crate::ring::{MAGIC, Std};
use crate::sys::closing::Passed;
use crate::sys::copy::words::{into_words, out_of_words};
use crate::sys::mapping::{Access, Mapping, page_size};
use crate::sys::memfd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// What a preamble says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) epoch: u64,
    pub(crate) max_record: u64,
    pub(crate) lossless: bool,
    pub(crate) never_sleeps: bool,
}

/// Memory that this process makes and passes: allocated, mapped, and sealed.
fn create(capacity: usize, facts: Facts) -> Result<(Mapping, OwnedFd)> {
    let header_len = page_size();
    let fd = memfd::create((header_len + capacity) as u64)?;
    let mapping = Mapping::new(fd.as_fd(), header_len, capacity, Access::ReadWrite)
        .map_err(Error::os("mapping shared memory (mmap)"))?;
    mapping.populate(capacity);
    // The preamble lies in the same place in both.
    let preamble = &mapping.first::<Page<Std>>().preamble.0;
    // Relaxed, all: nobody else has the memory yet, and the message that passes it orders them.
    let order = Ordering::Relaxed;
    preamble.magic.store(MAGIC, order);
    preamble.version.store(VERSION, order);
    preamble.header_len.store(header_len as u32, order);
    preamble.capacity.store(capacity as u64, order);
    preamble.epoch.store(facts.epoch, order);
    preamble.max_record.store(facts.max_record, order);
    preamble.lossless.store(facts.lossless.into(), order);
    let never_sleeps = facts.never_sleeps.into();
    preamble.never_sleeps.store(never_sleeps, order);
    // The mapping above stays writable.
    memfd::seal(&fd)?;
    Ok((mapping, fd))
}

/// Checks and maps memory that the peer has passed.
fn map(passed: Passed, introduced: &Introduced) -> std::result::Result<(Mapping, Facts), Fault> {
    let fd = memory(passed, introduced.memory_len())?;
    let (header_len, capacity) = (introduced.header_len, introduced.capacity);
    let mapping = Mapping::new(fd.as_fd(), header_len, capacity, Access::Read)
        .map_err(Error::os("mapping the peer's shared memory (mmap)"))
        .map_err(Fault::Mine)?;
    let facts = facts(&mapping.first::<Page<Std>>().preamble.0, introduced);
    match facts {
        Some(facts) => Ok((mapping, facts)),
        None => Err(other_preamble().into()),
    }
}

fn facts(preamble: &Preamble<Std>, introduced: &Introduced) -> Option<Facts> {
    // Relaxed, all: the message that brought the descriptor came after they were written.
    let order = Ordering::Relaxed;
    let honest = preamble.magic.load(order) == MAGIC
        && preamble.version.load(order) == VERSION
        && preamble.header_len.load(order) as usize == introduced.header_len
        && preamble.capacity.load(order) == introduced.capacity as u64;
    let max_record = preamble.max_record.load(order);
    let possible = introduced.capacity == 0 || max_record <= longest(introduced.capacity as u64);
    (honest && possible).then(|| Facts {
        epoch: preamble.epoch.load(order),
        max_record,
        lossless: preamble.lossless.load(order) == 1,
        never_sleeps: preamble.never_sleeps.load(order) == 1,
    })
}

/// The ring in a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring<'a>(&'a Mapping);

impl RingWords for Ring<'_> {
    #[inline]
    fn capacity(&self) -> u64 {
        self.0.capacity() as u64
    }
}

impl Words for Ring<'_> {
    #[inline]
    fn load(&self, at: u64) -> u64 {
        // Relaxed, here and below: see `words`.
        self.0.words(at as usize, 1)[0].load(Ordering::Relaxed)
    }

    #[inline]
    fn store(&self, at: u64, word: u64) {
        self.0.words(at as usize, 1)[0].store(word, Ordering::Relaxed);
    }

    #[inline]
    fn copy_in(&self, at: u64, from: &[u8]) {
        into_words(self.0.words(at as usize, from.len().div_ceil(8)), from);
    }

    #[inline]
    fn copy_out(&self, at: u64, to: &mut [u8]) {
        out_of_words(self.0.words(at as usize, to.len().div_ceil(8)), to);
    }
}

/// The publisher's own memory.
#[derive(Debug)]
pub(crate) struct OwnFeed {
    mapping: Mapping,
    fd: OwnedFd,
}

impl OwnFeed {
    pub(crate) fn create(capacity: usize, facts: Facts) -> Result<OwnFeed> {
        create(capacity, facts).map(|(mapping, fd)| OwnFeed { mapping, fd })
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header<Std> {
        self.mapping.first()
    }

    #[inline]
    pub(crate) fn ring(&self) -> Ring<'_> {
        Ring(&self.mapping)
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mapping.capacity() as u64
    }

    /// What is passed to each subscriber.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A publisher's memory, as a subscriber has it.
#[derive(Debug)]
pub(crate) struct PeerFeed {
    mapping: Mapping,
    pub(crate) facts: Facts,
}

impl PeerFeed {
    pub(crate) fn map(
        passed: Passed,
        introduced: &Introduced,
    ) -> std::result::Result<PeerFeed, Fault> {
        let (mapping, facts) = map(passed, introduced)?;
        mapping.populate(mapping.capacity());
        Ok(PeerFeed { mapping, facts })
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header<Std> {
        self.mapping.first()
    }

    #[inline]
    pub(crate) fn ring(&self) -> Ring<'_> {
        Ring(&self.mapping)
    }
}

/// The page of this subscriber.
#[derive(Debug)]
pub(crate) struct OwnPage {
    mapping: Mapping,
    /// Until it is passed.
    fd: Option<OwnedFd>,
}

impl OwnPage {
    pub(crate) fn create(lossless: bool, never_sleeps: bool) -> Result<OwnPage> {
        let facts = Facts {
            epoch: 0,
            max_record: 0,
            lossless,
            never_sleeps,
        };
        let (mapping, fd) = create(0, facts)?;
        let page = OwnPage {
            mapping,
            fd: Some(fd),
        };
        // Relaxed: as the preamble.
        page.words()
            .progress
            .0
            .read
            .store(NOT_BEGUN, Ordering::Relaxed);
        Ok(page)
    }

    #[inline]
    pub(crate) fn words(&self) -> &Page<Std> {
        self.mapping.first()
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// It was passed.
    pub(crate) fn passed(&mut self) {
        self.fd = None;
    }
}

/// The page of a subscriber, as the publisher has it.
#[derive(Debug)]
pub(crate) struct PeerPage {
    mapping: Mapping,
    pub(crate) lossless: bool,
    /// By its own word, and at its own risk.
    pub(crate) never_sleeps: bool,
}

impl PeerPage {
    pub(crate) fn map(
        passed: Passed,
        introduced: &Introduced,
    ) -> std::result::Result<PeerPage, Fault> {
        let (mapping, facts) = map(passed, introduced)?;
        Ok(PeerPage {
            mapping,
            lossless: facts.lossless,
            never_sleeps: facts.never_sleeps,
        })
    }

    #[inline]
    pub(crate) fn words(&self) -> &Page<Std> {
        self.mapping.first()
    }
}
