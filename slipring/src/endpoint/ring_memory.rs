//! The memory of a ring: a sealed memfd ([`memfd`]), mapped twice in a row ([`Mapping`]).
//!
//! ```text
//! file     │ ring ............ │
//! address  │ ring ............ │ ring again ...... │
//! ```
//!
//! The owner maps it writable and then seals it, so that nobody else ever can (memfd_create(2),
//! `F_SEAL_FUTURE_WRITE` in fcntl(2)); the peer maps it read-only. All ring memory is read and
//! written in this file alone. A ring belongs to its half, which can exchange it for another one.

use crate::error::{Error, Result};
use crate::sys::copy::{expect_store, load, store};
use crate::sys::mapping::{Access, Mapping, page_size};
use crate::sys::memfd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The smallest capacity: a page, since the mirror is made of pages.
pub(crate) fn min_capacity() -> usize {
    page_size()
}

/// The largest capacity.
pub(crate) const MAX_CAPACITY: usize = 1 << 30;

/// Whether it is a power of two within the limits of a ring.
pub(crate) fn is_capacity(capacity: usize) -> bool {
    capacity.is_power_of_two() && (min_capacity()..=MAX_CAPACITY).contains(&capacity)
}

/// A ring that this side writes: written by this process alone.
#[derive(Debug)]
pub(crate) struct OwnRing {
    mapping: Mapping,
}

impl OwnRing {
    /// Makes, allocates and seals a ring. The descriptor is to be passed to the peer and can then
    /// be closed.
    pub(crate) fn create(capacity: usize) -> Result<(OwnRing, OwnedFd)> {
        let fd = memfd::create(capacity as u64)?;
        let mapping = Mapping::new(fd.as_fd(), 0, capacity, Access::ReadWrite)
            .map_err(Error::os("mapping shared memory (mmap)"))?;
        // The mapping above stays writable.
        memfd::seal(&fd)?;
        Ok((OwnRing { mapping }, fd))
    }

    /// Populates it in this process.
    pub(crate) fn populate(&self) {
        self.mapping.populate(self.capacity());
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.mapping.capacity()
    }

    /// Copies `bytes` to `offset` in the ring.
    ///
    /// # Safety
    ///
    /// The caller is the one writer of this ring and holds no slice of the span.
    #[inline]
    pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.mapping.span(offset, bytes.len());
        // SAFETY: `span` has checked that the destination is mapped, and it is mapped writable.
        // `bytes` is no part of it: the caller holds no slice of the span. The peer only reads
        // these pages, and not before `tail` says so.
        unsafe { store(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Says that a message of about `len` bytes is going to be written at `offset`. A hint.
    #[inline(always)]
    pub(crate) fn expect_write(&self, offset: usize, len: usize) {
        expect_store(self.mapping.span(offset, 0), len);
    }

    /// The span of `len` bytes at `offset`, to be written in place.
    ///
    /// # Safety
    ///
    /// The caller is the one writer of this ring, the span is free, and no other slice of it exists
    /// for `'a`, which `self` outlives.
    #[inline]
    pub(crate) unsafe fn slice_mut<'a>(&self, offset: usize, len: usize) -> &'a mut [u8] {
        let at = self.mapping.span(offset, len);
        // SAFETY: mapped writable (`span`), initialised (the kernel zeroed it), written by this
        // process alone (the seals), and by the caller's promise through this slice alone. The peer
        // may read it; a read there is no access in this process.
        unsafe { std::slice::from_raw_parts_mut(at, len) }
    }

    /// The span of `len` bytes at `offset`, to be read.
    ///
    /// # Safety
    ///
    /// The caller is the one writer of this ring, and nothing is written to the span during `'a`,
    /// which `self` outlives.
    #[inline]
    pub(crate) unsafe fn slice<'a>(&self, offset: usize, len: usize) -> &'a [u8] {
        let at = self.mapping.span(offset, len);
        // SAFETY: mapped (`span`), initialised (the kernel zeroed it), written by this process
        // alone (the seals), and by the caller's promise not written while the slice lives.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
}

/// A ring that the peer writes. Nothing is ever written there.
#[derive(Debug)]
pub(crate) struct PeerRing {
    /// Read-only.
    mapping: Mapping,
}

impl PeerRing {
    /// Maps a ring whose descriptor has passed the checks of [`passed`](super::passed): right size,
    /// sealed, all allocated.
    pub(crate) fn map(fd: BorrowedFd<'_>, capacity: usize) -> Result<PeerRing> {
        let mapping = Mapping::new(fd, 0, capacity, Access::Read)
            .map_err(Error::os("mapping the peer's shared memory (mmap)"))?;
        Ok(PeerRing { mapping })
    }

    /// Populates up to `len` bytes of it in this process. The remaining pages come as they are
    /// used: the peer chose the size, and a large one costs no time here before that.
    pub(crate) fn populate(&self, len: usize) {
        self.mapping.populate(len);
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.mapping.capacity()
    }

    /// Copies from `offset` in the ring.
    #[inline]
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.mapping.span(offset, to.len());
        // SAFETY: `span` has checked that the source is mapped; sealed against shrinking and fully
        // allocated, it stays readable. `to` is this process's own and no part of it. An honest
        // peer does not write these bytes until `head` gives them back. A dishonest one may: then
        // this copies an undefined mixture of old and new bytes, through raw pointers and into this
        // process's private memory, so that no reference ever points to changing memory.
        unsafe { load(from, to.as_mut_ptr(), to.len()) };
    }

    /// The span of `len` bytes at `offset`, without a copy.
    ///
    /// # Safety
    ///
    /// The span has been published and is not consumed during `'a`, which `self` outlives; and the
    /// peer is trusted not to rewrite published bytes (the same user, who could as well attach a
    /// debugger).
    #[inline]
    pub(crate) unsafe fn slice<'a>(&self, offset: usize, len: usize) -> &'a [u8] {
        let at = self.mapping.span(offset, len);
        // SAFETY: mapped and readable (`span`, the seals), initialised (the kernel zeroed it);
        // unchanged during `'a` by the caller's promise.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_span_of_a_mapped_ring_is_contiguous() {
        let capacity = min_capacity();
        let (own, fd) = OwnRing::create(capacity).unwrap();
        let peer = PeerRing::map(fd.as_fd(), capacity).unwrap();
        let bytes: Vec<u8> = (0..capacity).map(|i| i as u8).collect();
        for offset in [0, 1, 7, capacity / 2, capacity - 1] {
            // SAFETY: this test is the one writer and holds no slice.
            unsafe { own.write(offset, &bytes) };
            let mut got = vec![0; capacity];
            peer.read(offset, &mut got);
            assert_eq!(got, bytes, "at offset {offset}");
        }
    }

    #[test]
    #[should_panic(expected = "a span longer than the ring")]
    fn a_span_longer_than_the_ring_is_refused() {
        let (own, _fd) = OwnRing::create(min_capacity()).unwrap();
        // SAFETY: this test is the one writer and holds no slice.
        unsafe { own.write(0, &vec![0; min_capacity() + 1]) };
    }

    #[test]
    fn an_offset_beyond_the_ring_goes_round_it() {
        let capacity = min_capacity();
        let (own, fd) = OwnRing::create(capacity).unwrap();
        let peer = PeerRing::map(fd.as_fd(), capacity).unwrap();
        // SAFETY: this test is the one writer and holds no slice.
        unsafe { own.write(5 * capacity + 7, b"x") };
        let mut got = [0];
        peer.read(7, &mut got);
        assert_eq!(&got, b"x");
    }
}
