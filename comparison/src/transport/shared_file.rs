//! A file in memory that both processes map, for the transports that are written here.

use std::{
    fs::File,
    io,
    path::Path,
    ptr, slice,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

pub struct SharedFile(MmapRaw);

// SAFETY of all accesses below: the mapping is as long as the file, which nobody shrinks, and
// stays until `self` is dropped; every access is checked to lie inside it.
impl SharedFile {
    /// A new file, full of zeros.
    pub fn create(path: &Path, length: usize) -> io::Result<SharedFile> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        file.set_len(length as u64)?;
        Self::map(&file)
    }

    pub fn open(path: &Path) -> io::Result<SharedFile> {
        Self::map(&File::options().read(true).write(true).open(path)?)
    }

    fn map(file: &File) -> io::Result<SharedFile> {
        Ok(SharedFile(MmapOptions::new().populate().map_raw(file)?))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// An index. Release: whoever loads it sees what was copied before.
    pub fn store(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Release);
    }

    /// Acquire: pairs with `store`.
    pub fn load(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len());
        // SAFETY: inside the mapping, and aligned, since the mapping starts at a page. Both
        // processes access the word atomically only.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().wrapping_add(offset).cast()) }
    }

    /// The low half of an index, for the kernel to compare and wait on.
    pub fn low_half(&self, offset: usize) -> &AtomicU32 {
        let word = self.word(offset).as_ptr().cast();
        // SAFETY: inside the index and aligned. This side only hands its address to the kernel, and never accesses an
        // index but as a whole.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// The other process must not touch these bytes meanwhile: the indexes see to that.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.len() && bytes.len() <= self.len() - offset);
        let place = self.0.as_mut_ptr().wrapping_add(offset);
        // SAFETY: inside the mapping, and not lent. The callers are the transports of this crate that are written
        // here, whose indexes give a span to one side at a time.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
    }

    /// The other process must not write these bytes meanwhile: the indexes see to that.
    pub fn copy_out(&self, offset: usize, buffer: &mut [u8]) {
        assert!(offset <= self.len() && buffer.len() <= self.len() - offset);
        let place = self.0.as_ptr().wrapping_add(offset);
        // SAFETY: as in `copy_in`.
        unsafe { ptr::copy_nonoverlapping(place, buffer.as_mut_ptr(), buffer.len()) };
    }

    /// The other process must not touch these bytes while they are lent: the indexes see to that.
    pub fn lend(&self, offset: usize, length: usize) -> &[u8] {
        assert!(offset <= self.len() && length <= self.len() - offset);
        // SAFETY: inside the mapping; of the callers' indexes, see `copy_in`. Nobody writes these bytes meanwhile.
        unsafe { slice::from_raw_parts(self.0.as_ptr().wrapping_add(offset), length) }
    }

    /// The other process must not touch these bytes while they are lent: the indexes see to that.
    pub fn lend_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        assert!(offset <= self.len() && length <= self.len() - offset);
        // SAFETY: as in `lend`; and `self` is borrowed for as long, so that nothing else here uses them.
        unsafe { slice::from_raw_parts_mut(self.0.as_mut_ptr().wrapping_add(offset), length) }
    }
}
