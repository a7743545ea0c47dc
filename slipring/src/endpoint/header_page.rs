//! The memory of a header: a sealed memfd of one page ([`memfd`]).
//!
//! The owner maps it writable and then seals it, so that nobody else ever can (memfd_create(2),
//! `F_SEAL_FUTURE_WRITE` in fcntl(2)); the peer maps it read-only. It lives as long as its stream.

use crate::error::{Error, Result};
use crate::ring::{Header, RingId, Std};
use crate::sys::mapping::{Access, Mapping, page_size};
use crate::sys::memfd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of a header: one page.
pub(crate) fn header_len() -> usize {
    page_size()
}

fn header(mapping: &Mapping) -> &Header<Std> {
    // SAFETY: the mapping begins with a page that is at least as large as `Header`, page-aligned,
    // and mapped for as long as `mapping` lives. All fields are atomics, for which any bytes are
    // valid, and which may change under a shared reference. A peer's header is mapped read-only:
    // there is nothing in it but relaxed loads of at most 8 bytes, which std allows.
    unsafe { mapping.start().cast::<Header<Std>>().as_ref() }
}

/// This side's header: written by this process alone.
#[derive(Debug)]
pub(crate) struct OwnHeader {
    mapping: Mapping,
}

impl OwnHeader {
    /// Makes, populates and seals a header that announces the first ring. The descriptor is to be
    /// passed to the peer and can then be closed.
    pub(crate) fn create(first: RingId) -> Result<(OwnHeader, OwnedFd)> {
        let len = header_len();
        let fd = memfd::create(len as u64)?;
        let mapping = Mapping::new(fd.as_fd(), len, 0, Access::ReadWrite)
            .map_err(Error::os("mapping shared memory (mmap)"))?;
        // SAFETY: the header's page is mapped writable, aligned, and nobody else has it yet.
        unsafe {
            mapping
                .start()
                .cast::<Header<Std>>()
                .write(Header::new(len as u32, first))
        };
        // The mapping above stays writable.
        memfd::seal(&fd)?;
        Ok((OwnHeader { mapping }, fd))
    }

    #[inline]
    pub(crate) fn get(&self) -> &Header<Std> {
        header(&self.mapping)
    }
}

/// The peer's header. Nothing is ever written there.
#[derive(Debug)]
pub(crate) struct PeerHeader {
    /// Read-only.
    mapping: Mapping,
}

impl PeerHeader {
    /// Maps a header whose descriptor has passed the checks of [`passed`](super::passed).
    pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> Result<PeerHeader> {
        let mapping = Mapping::new(fd, len, 0, Access::Read)
            .map_err(Error::os("mapping the peer's shared memory (mmap)"))?;
        mapping.populate(0);
        Ok(PeerHeader { mapping })
    }

    #[inline]
    pub(crate) fn get(&self) -> &Header<Std> {
        header(&self.mapping)
    }
}
