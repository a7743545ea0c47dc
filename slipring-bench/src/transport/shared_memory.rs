//! Memory that both processes map, for the transports that are written here.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    ptr, slice,
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::End;

/// A mapping that both processes have.
pub struct SharedMemory {
    map: MmapRaw,
    /// how many of its bytes may be written here: all, or none
    writable: usize,
}

// SAFETY of all accesses below: the mapping is as long as the file, which nobody shrinks, and stays
// until `self` is dropped; every access is checked to lie inside it, and every write inside what
// may be written.
impl SharedMemory {
    /// The host makes it, full of zeros, and passes it to the other end.
    pub fn open(end: &End, length: usize) -> io::Result<SharedMemory> {
        let map = MmapOptions::new().populate().map_raw(&file(end, length)?)?;
        let writable = map.len();
        Ok(SharedMemory { map, writable })
    }

    /// Like `open`, but the end that is not the host only reads: code that stores into it, or
    /// copies or writes into it, panics there.
    pub fn open_one_way(end: &End, length: usize) -> io::Result<SharedMemory> {
        if end.host {
            return Self::open(end, length);
        }
        let file = file(end, length)?;
        let map = MmapOptions::new().populate().map_raw_read_only(&file)?;
        Ok(SharedMemory { map, writable: 0 })
    }

    /// An index. Release: a process that loads it sees all bytes that were copied before.
    #[inline]
    pub fn store(&self, offset: usize, value: u64) {
        self.word(offset, self.writable)
            .store(value, Ordering::Release);
    }

    /// Acquire: pairs with `store`. By a fence, since std allows relaxed loads alone in memory that
    /// is mapped read-only.
    #[inline]
    pub fn load(&self, offset: usize) -> u64 {
        let value = self.word(offset, self.map.len()).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }

    /// An index that ends by `limit`, at most the length.
    #[inline]
    fn word(&self, offset: usize, limit: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= limit);
        // SAFETY: inside the mapping, and aligned, since the mapping starts at a page. Both
        // processes access the word atomically only.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().wrapping_add(offset).cast()) }
    }

    /// The low half of an index, for the kernel to compare and wait on.
    #[inline]
    pub fn low_half(&self, offset: usize) -> &AtomicU32 {
        let word = self.word(offset, self.writable).as_ptr().cast();
        // SAFETY: inside the index and aligned. This side only hands its address to the kernel, and
        // never accesses an index but as a whole.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// The other process must not touch these bytes meanwhile: the indexes see to that.
    #[inline]
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.writable && bytes.len() <= self.writable - offset);
        let place = self.map.as_mut_ptr().wrapping_add(offset);
        // SAFETY: inside the mapping, and not lent. The callers are the transports of this
        // repository that use it, whose indexes give a span to one side at a time.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
    }

    /// The other process must not write these bytes meanwhile: the indexes see to that.
    #[inline]
    pub fn copy_out(&self, offset: usize, buffer: &mut [u8]) {
        assert!(offset <= self.map.len() && buffer.len() <= self.map.len() - offset);
        let place = self.map.as_ptr().wrapping_add(offset);
        // SAFETY: as in `copy_in`.
        unsafe { ptr::copy_nonoverlapping(place, buffer.as_mut_ptr(), buffer.len()) };
    }

    /// The other process must not touch these bytes while they are lent: the indexes see to that.
    #[inline]
    pub fn lend(&self, offset: usize, length: usize) -> &[u8] {
        assert!(offset <= self.map.len() && length <= self.map.len() - offset);
        // SAFETY: inside the mapping; of the callers' indexes, see `copy_in`. Nobody writes these
        // bytes meanwhile.
        unsafe { slice::from_raw_parts(self.map.as_ptr().wrapping_add(offset), length) }
    }

    /// The other process must not touch these bytes while they are lent: the indexes see to that.
    #[inline]
    pub fn lend_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        assert!(offset <= self.writable && length <= self.writable - offset);
        // SAFETY: as in `lend`; and `self` is borrowed for as long, so that nothing else here uses
        // them.
        unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr().wrapping_add(offset), length) }
    }
}

fn file(end: &End, length: usize) -> io::Result<File> {
    if !end.host {
        let [file] = end.take()?;
        return Ok(file.into());
    }
    let file = memfd_create("bench-memory", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, length as u64)?;
    end.pass(&[file.as_fd()])?;
    Ok(file.into())
}
