//! A file mapped twice in a row (mmap(2)): its first bytes once, the bytes behind them twice.
//!
//! ```text
//! file     │ first │ ring ............ │
//! address  │ first │ ring ............ │ ring again ...... │
//! ```

use super::errno::{self, Errno};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

/// The accesses that a mapping allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// The mapping, until it is dropped. It gives out raw pointers: everything that is read and written
/// through them is the matter of its owner.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    /// Where the ring begins, `first_len` behind `base`.
    ring: NonNull<u8>,
    first_len: usize,
    /// Bytes of the ring, a power of two.
    capacity: usize,
    access: Access,
}

// SAFETY: a mapping is plain memory that belongs to no thread; the accesses that are allowed at the
// same time are the matter of those who read and write through it.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out raw pointers alone.
unsafe impl Sync for Mapping {}

/// A type that may lie at the start of memory which another process has mapped as well.
///
/// # Safety
///
/// Any bytes are a valid value, also if they change while the value is borrowed, and nothing has to
/// be dropped.
pub(crate) unsafe trait Shared {}

/// Whether the process could map `len` bytes now.
pub(crate) fn has_room(len: usize) -> bool {
    // Writable, so that it counts where the kernel limits what is promised. No page is touched.
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nobody's memory.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) };
    // SAFETY: the mapping is the one made here, and nobody else knows it.
    mapped.is_ok_and(|at| unsafe { munmap(at, len) }.is_ok())
}

impl Mapping {
    /// Maps the first `first_len` bytes of the file, and the `capacity` bytes behind them, which
    /// are a power of two. One of them may be none; both are whole pages.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        first_len: usize,
        capacity: usize,
        access: Access,
    ) -> errno::Result<Mapping> {
        let len = first_len + 2 * capacity;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nobody's memory.
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
            // SAFETY: `first_len` lies within the reservation.
            ring: unsafe { first.byte_add(first_len) },
            first_len,
            capacity,
            access,
        };
        let prot = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        let fixed = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: replaces the first `first_len + capacity` bytes of the reservation made above,
        // which nobody else knows.
        unsafe { mmap(base, first_len + capacity, prot, fixed, fd, 0) }?;
        if capacity == 0 {
            return Ok(mapping);
        }
        // SAFETY: `first_len + capacity` lies within the reservation.
        let mirror = unsafe { base.byte_add(first_len + capacity) };
        // SAFETY: replaces the last `capacity` bytes of the reservation.
        unsafe { mmap(mirror, capacity, prot, fixed, fd, first_len as u64) }?;
        Ok(mapping)
    }

    /// Brings the page tables of the first bytes and of the first `len` bytes of the ring up, in
    /// both places, so that the first lap is as fast as the second (madvise(2)). Only a matter of
    /// speed: an old kernel does without.
    pub(crate) fn populate(&self, len: usize) {
        let advice = match self.access {
            Access::Read => Advice::LinuxPopulateRead,
            Access::ReadWrite => Advice::LinuxPopulateWrite,
        };
        let len = len.min(self.capacity);
        // SAFETY: the range lies within this mapping; populating reads or writes nothing that a
        // program could see.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.first_len + len, advice) };
        let mirror = self.span(0, self.capacity).wrapping_add(self.capacity);
        // SAFETY: as above: the ring lies there once more.
        let _ = unsafe { madvise(mirror.cast(), len, advice) };
    }

    /// Where the mapping begins: the start of a page, which is mapped for as long as `self` lives.
    #[inline]
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.base
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The words at the start. If the mapping is for reading, they are loaded alone, and relaxed
    /// (std::sync::atomic, "Atomic accesses to read-only memory").
    #[inline]
    pub(crate) fn first<T: Shared>(&self) -> &T {
        const { assert!(size_of::<T>() <= 4096 && align_of::<T>() <= 4096) };
        // SAFETY: the mapping begins with a page, which is mapped for as long as `self` lives, at
        // least as large as `T`, and aligned for it; any bytes are a `T`, which may change.
        unsafe { self.base.cast::<T>().as_ref() }
    }

    /// The `count` words from `offset` on, a multiple of 8, of the bytes before the ring. Loaded as
    /// those of [`first`](Self::first) are.
    #[inline]
    pub(crate) fn first_words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        assert!(offset.is_multiple_of(8), "a word that is not aligned");
        let fits = offset <= self.first_len && count <= (self.first_len - offset) / 8;
        assert!(fits, "words behind the first bytes");
        // SAFETY: `first_len >= offset`, so that this lies within the mapping or at its end.
        let at = unsafe { self.base.byte_add(offset) }.cast::<AtomicU64>();
        // SAFETY: all of them are mapped, for as long as `self` lives. The mapping begins with a
        // page, so that a multiple of 8 is aligned. Any bytes are valid words, which may change
        // while they are shared.
        unsafe { std::slice::from_raw_parts(at.as_ptr(), count) }
    }

    /// The `count` words of the ring from `offset` on, a multiple of 8, which may have gone round
    /// it any number of times. Loaded as those of [`first`](Self::first) are.
    #[inline]
    pub(crate) fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        assert!(offset.is_multiple_of(8), "a word that is not aligned");
        let at = self.span(offset, count * 8).cast::<AtomicU64>();
        // SAFETY: `span` has checked that all of them are mapped, for as long as `self` lives. The
        // ring begins with a page, so that a multiple of 8 is aligned. Any bytes are valid words,
        // which may change while they are shared.
        unsafe { std::slice::from_raw_parts(at, count) }
    }

    /// The address of `offset` in the ring, which may have gone round it any number of times. `len
    /// <= capacity`: then the whole span is mapped.
    #[inline]
    pub(crate) fn span(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(len <= self.capacity, "a span longer than the ring");
        // SAFETY: first_len + offset + len <= first_len + 2 * capacity, the length of the mapping,
        // as the masked offset is less than the capacity.
        unsafe {
            self.ring
                .as_ptr()
                .add(offset & self.capacity.wrapping_sub(1))
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let len = self.first_len + 2 * self.capacity;
        // SAFETY: the range is the one that `new` reserved, and no reference into it outlives
        // `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), len) };
    }
}

/// The size of a page (getauxval(3), `AT_PAGESZ`).
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}
