//! `OwnRegion` and `PeerRegion`: a sealed memfd, mapped twice in a row.
//!
//! ```text
//! file     │ header │ ring ............ │
//! address  │ header │ ring ............ │ ring again ...... │
//! ```
//!
//! The owner maps it writable and then seals it, so that no other process ever can
//! (memfd_create(2), `F_SEAL_FUTURE_WRITE` in fcntl(2)); the peer maps it read-only. This file
//! holds all raw-pointer access to ring memory.

use crate::error::{Error, Result};
use crate::ring::{Header, Std};
use crate::sys::copy::{load, store};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::ptr::{self, NonNull};

/// The seals that every region has. Its size is fixed. From then on no process maps it writable or
/// takes pages out of it, and no seal is added.
pub(crate) const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE)
    .union(SealFlags::SEAL);

/// The smallest capacity: a page, since the mirror is made of pages.
pub(crate) fn min_capacity() -> usize {
    rustix::param::page_size()
}

/// The largest capacity of a region.
pub(crate) const MAX_CAPACITY: usize = 1 << 30;

/// Bytes before the ring: one page.
pub(crate) fn header_len() -> usize {
    rustix::param::page_size()
}

/// A header and a ring, mapped with the mirror behind it.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    /// Where the ring begins, `header_len` behind `base`.
    ring: NonNull<u8>,
    header_len: usize,
    /// A power of two.
    capacity: usize,
}

// SAFETY: a mapping is plain memory that belongs to no thread; the code that reads and writes
// through it decides which accesses may happen at the same time.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out raw pointers and a header of atomics.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Header and ring.
    fn new(
        fd: BorrowedFd<'_>,
        header_len: usize,
        capacity: usize,
        prot: ProtFlags,
    ) -> rustix::io::Result<Mapping> {
        let len = header_len + 2 * capacity;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        // The kernel never places a mapping at 0 unless asked to.
        let first = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let mapping = Mapping {
            base: first,
            // SAFETY: `header_len` lies within the reservation.
            ring: unsafe { first.byte_add(header_len) },
            header_len,
            capacity,
        };
        let fixed = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: replaces the first `header_len + capacity` bytes of the reservation made above,
        // which no other code knows.
        unsafe { mmap(base, header_len + capacity, prot, fixed, fd, 0) }?;
        // SAFETY: `header_len + capacity` lies within the reservation.
        let mirror = unsafe { base.byte_add(header_len + capacity) };
        // SAFETY: replaces the last `capacity` bytes of the reservation.
        unsafe { mmap(mirror, capacity, prot, fixed, fd, header_len as u64) }?;
        Ok(mapping)
    }

    /// Populates the page tables of the header and of the first `len` bytes of the ring, in both
    /// places, so that the first lap is as fast as the second. Only a matter of speed: an old
    /// kernel does without.
    fn populate(&self, advice: Advice, len: usize) {
        let len = len.min(self.capacity);
        // SAFETY: the range lies within this mapping; populating reads or writes nothing that a
        // program could see.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.header_len + len, advice) };
        let mirror = self.span(0, self.capacity).wrapping_add(self.capacity);
        // SAFETY: as above: the ring lies there once more.
        let _ = unsafe { madvise(mirror.cast(), len, advice) };
    }

    fn header(&self) -> &Header<Std> {
        // SAFETY: the mapping begins with a page that is at least as large as `Header`,
        // page-aligned, and mapped for as long as `self` lives. All fields are atomics, for which
        // any bytes are valid, and which may change under a shared reference. A peer's region is
        // mapped read-only: `Consumer` and `Producer` only ever do relaxed loads of at most 8 bytes
        // there, which std allows.
        unsafe { self.base.cast::<Header<Std>>().as_ref() }
    }

    /// The address of `offset` in the ring, which may have gone round it any number of times. `len
    /// <= capacity`: then the whole span is mapped.
    #[inline]
    fn span(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(len <= self.capacity, "a span longer than the ring");
        // SAFETY: header_len + offset + len <= header_len + 2 * capacity, the length of the
        // mapping, as the masked offset is less than the capacity.
        unsafe { self.ring.as_ptr().add(offset & (self.capacity - 1)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `new` reserved, and no reference into it outlives
        // `self`.
        let _ = unsafe {
            munmap(
                self.base.as_ptr().cast(),
                self.header_len + 2 * self.capacity,
            )
        };
    }
}

/// This side's memory: written by this process alone.
#[derive(Debug)]
pub(crate) struct OwnRegion {
    mapping: Mapping,
}

impl OwnRegion {
    /// Makes, allocates, populates and seals a region. The descriptor is to be passed to the peer
    /// and can then be closed.
    pub(crate) fn create(capacity: usize) -> Result<(OwnRegion, OwnedFd)> {
        let header_len = header_len();
        let fd = create_memfd().map_err(Error::os("creating shared memory (memfd_create)"))?;
        // All pages are allocated now: so a lack of memory is an error here, not a SIGBUS at the
        // first access. Some kernels interrupt the allocation for a signal.
        let len = (header_len + capacity) as u64;
        retry_on_intr(|| fallocate(&fd, FallocateFlags::empty(), 0, len))
            .map_err(Error::os("allocating shared memory (fallocate)"))?;
        let mapping = Mapping::new(
            fd.as_fd(),
            header_len,
            capacity,
            ProtFlags::READ | ProtFlags::WRITE,
        )
        .map_err(Error::os("mapping shared memory (mmap)"))?;
        mapping.populate(Advice::LinuxPopulateWrite, capacity);
        // SAFETY: the header's page is mapped writable, aligned, and not shared with anybody yet.
        unsafe {
            mapping
                .base
                .cast::<Header<Std>>()
                .write(Header::new(header_len as u32, capacity as u64))
        };
        // The mapping above stays writable: the seal binds only later ones.
        fcntl_add_seals(&fd, SEALS).map_err(|e| match e {
            Errno::INVAL => no_seals(),
            e => Error::os("sealing shared memory")(e),
        })?;
        Ok((OwnRegion { mapping }, fd))
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header<Std> {
        self.mapping.header()
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.mapping.capacity
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
    /// The caller is the one writer of this ring, the span is free, and nothing is written to it
    /// during `'a`, which `self` outlives.
    #[inline]
    pub(crate) unsafe fn slice<'a>(&self, offset: usize, len: usize) -> &'a [u8] {
        let at = self.mapping.span(offset, len);
        // SAFETY: mapped (`span`), initialised (the kernel zeroed it), written by this process
        // alone (the seals), and by the caller's promise not written while the slice lives.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
}

/// The peer's region. Nothing is ever written there.
#[derive(Debug)]
pub(crate) struct PeerRegion {
    /// Read-only.
    mapping: Mapping,
}

impl PeerRegion {
    /// Maps a region whose descriptor has passed the checks of `link::verify`: right size, sealed,
    /// all allocated.
    pub(crate) fn map(
        fd: BorrowedFd<'_>,
        header_len: usize,
        capacity: usize,
    ) -> Result<PeerRegion> {
        let mapping = Mapping::new(fd, header_len, capacity, ProtFlags::READ)
            .map_err(Error::os("mapping the peer's shared memory (mmap)"))?;
        Ok(PeerRegion { mapping })
    }

    /// Populates up to `len` bytes of it in this process. The remaining pages come as they are
    /// used: the peer chose the size, and a large one costs no time here before that.
    pub(crate) fn populate(&self, len: usize) {
        self.mapping.populate(Advice::LinuxPopulateRead, len);
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header<Std> {
        self.mapping.header()
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.mapping.capacity
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

/// The error of a kernel that does not know all of [`SEALS`].
fn no_seals() -> Error {
    Error::Unsupported {
        what: "sealing shared memory (F_SEAL_FUTURE_WRITE)",
        needs: "Linux 5.1 or newer",
    }
}

fn create_memfd() -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A system may be set to refuse memory that could be made executable (sysctl
    // vm.memfd_noexec=2); a kernel before 6.3 does not know the flag that says it will not be.
    match memfd_create("slipring", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create("slipring", flags),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_span_of_a_mapped_ring_is_contiguous() {
        let capacity = min_capacity();
        let (own_region, fd) = OwnRegion::create(capacity).unwrap();
        let peer_region = PeerRegion::map(fd.as_fd(), header_len(), capacity).unwrap();
        let bytes: Vec<u8> = (0..capacity).map(|i| i as u8).collect();
        for offset in [0, 1, 7, capacity / 2, capacity - 1] {
            // SAFETY: this test is the one writer and holds no slice.
            unsafe { own_region.write(offset, &bytes) };
            let mut got = vec![0; capacity];
            peer_region.read(offset, &mut got);
            assert_eq!(got, bytes, "at offset {offset}");
        }
    }

    #[test]
    fn a_peer_can_neither_map_a_ring_writable_nor_change_its_size() {
        let (_outbox, fd) = OwnRegion::create(min_capacity()).unwrap();
        // SAFETY: a fresh mapping; it is expected to fail.
        let mapped = unsafe {
            mmap(
                ptr::null_mut(),
                min_capacity(),
                ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )
        };
        assert_eq!(mapped.unwrap_err(), Errno::PERM);
        assert_eq!(rustix::fs::ftruncate(&fd, 0).unwrap_err(), Errno::PERM);
        assert_eq!(
            rustix::fs::ftruncate(&fd, 1 << 20).unwrap_err(),
            Errno::PERM
        );
        assert_eq!(rustix::io::write(&fd, b"x").unwrap_err(), Errno::PERM);
    }

    #[test]
    #[should_panic(expected = "a span longer than the ring")]
    fn a_span_longer_than_the_ring_is_refused() {
        let (own_region, _fd) = OwnRegion::create(min_capacity()).unwrap();
        // SAFETY: this test is the one writer and holds no slice.
        unsafe { own_region.write(0, &vec![0; min_capacity() + 1]) };
    }

    #[test]
    fn an_offset_beyond_the_ring_goes_round_it() {
        let capacity = min_capacity();
        let (own_region, fd) = OwnRegion::create(capacity).unwrap();
        let peer_region = PeerRegion::map(fd.as_fd(), header_len(), capacity).unwrap();
        // SAFETY: this test is the one writer and holds no slice.
        unsafe { own_region.write(5 * capacity + 7, b"x") };
        let mut got = [0];
        peer_region.read(7, &mut got);
        assert_eq!(&got, b"x");
    }
}
