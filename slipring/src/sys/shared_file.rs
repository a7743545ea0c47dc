//! A file, mapped for reading and writing, that other processes map and write as well (mmap(2),
//! `MAP_SHARED`).
//!
//! Nothing seals it, unlike a region of a stream: the peer may write any of it at any time, and may
//! shrink the file. So everything that is read here is input, every access is through raw pointers
//! or atomics, and [`SharedFile::is_lost`] tells whether a shrunken file had to be replaced
//! ([`sigbus`]). All raw-pointer access to such memory is in here.

use super::copy::{load, store};
use super::errno::{self, Errno};
use super::sigbus::Guarded;
use rustix::fs::{AtFlags, CWD, FallocateFlags, fallocate, linkat};
use rustix::io::retry_on_intr;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

#[cfg(doc)]
use super::sigbus;

#[derive(Debug)]
pub(crate) struct SharedFile {
    base: NonNull<u8>,
    len: usize,
    /// Always there, except while this is dropped.
    guarded: Option<Guarded>,
}

// SAFETY: a mapping is plain memory that belongs to no thread; all accesses at the same time are
// the matter of those who read and write through it.
unsafe impl Send for SharedFile {}

impl SharedFile {
    /// Maps the first `len` bytes, at least one.
    pub(crate) fn map(file: impl AsFd, len: usize) -> errno::Result<SharedFile> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nobody's memory.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, file, 0) }?;
        // The kernel never places a mapping at 0 unless asked to.
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let start = base.as_ptr().expose_provenance();
        // The handler replaces whole pages.
        let end = start + len.next_multiple_of(rustix::param::page_size());
        Ok(SharedFile {
            base,
            len,
            guarded: Some(Guarded::new(start..end)),
        })
    }

    /// The eight bytes at `offset`, a multiple of 8, as a word that several processes load and
    /// store.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "a word that is not aligned");
        let word = self.span(offset, 8).cast();
        // SAFETY: within the mapping (`span`), which lives as long as `self`; aligned, since that
        // begins with a page; any bytes are an AtomicU64, and it may change under a shared
        // reference. It is mapped writable, so every atomic access is allowed. Other processes use
        // it by aligned loads and stores of eight bytes, or else what is loaded here is a mixture
        // of theirs: a number like any other, which the caller checks.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// The address of `offset`, `len` bytes from where are mapped.
    #[inline]
    fn span(&self, offset: usize, len: usize) -> *mut u8 {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "a span outside the file");
        // SAFETY: within the mapping, by the line above.
        unsafe { self.base.as_ptr().add(offset) }
    }

    /// Copies `bytes` to `offset`.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.span(offset, bytes.len());
        // SAFETY: the destination is mapped writable (`span`), and `bytes` is no part of it: nobody
        // lends slices of what is still to be written. Another process may touch these bytes at the
        // same time only against the rules of the ring; then they are an undefined mixture in its
        // memory, which no reference of this process covers.
        unsafe { store(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies from `offset`.
    #[inline]
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.span(offset, to.len());
        // SAFETY: the source is mapped (`span`); `to` is this process's own and no part of it.
        // Another process may write these bytes at the same time only against the rules; then an
        // undefined mixture of old and new bytes is copied, through raw pointers and into memory
        // that is nobody else's.
        unsafe { load(from, to.as_mut_ptr(), to.len()) };
    }

    /// The `len` bytes at `offset`, without a copy.
    ///
    /// # Safety
    ///
    /// They have been published and are not consumed during `'a`, which `self` outlives; and the
    /// peer is trusted not to rewrite bytes that it has published, nor to shrink the file.
    #[inline]
    pub(crate) unsafe fn slice<'a>(&self, offset: usize, len: usize) -> &'a [u8] {
        let at = self.span(offset, len);
        // SAFETY: mapped (`span`), initialised (it is a file), unchanged during `'a` by the
        // caller's promise.
        unsafe { std::slice::from_raw_parts(at, len) }
    }

    /// Whether the file shrank under an access, and zeros have taken its place; see [`sigbus`].
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.guarded.as_ref().is_none_or(Guarded::is_lost)
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // Off the list first: the address may be anyone's afterwards.
        self.guarded = None;
        // SAFETY: the range is the one that `map` has mapped, and no reference into it outlives
        // `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Gives a file all blocks of its first `len` bytes; its size and its bytes stay as they are
/// (fallocate(2)).
pub(crate) fn allocate(file: impl AsFd, len: u64) -> errno::Result<()> {
    // Some kernels give it up for a signal.
    retry_on_intr(|| fallocate(&file, FallocateFlags::KEEP_SIZE, 0, len))
}

/// Gives a name to a file that was opened without one, by `O_TMPFILE` (linkat(2)).
pub(crate) fn give_name(file: impl AsFd, path: &Path) -> errno::Result<()> {
    let unnamed = PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()));
    linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    fn mapped(len: usize) -> (tempfile::NamedTempFile, SharedFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(len as u64).unwrap();
        let memory = SharedFile::map(&file, len).unwrap();
        (file, memory)
    }

    #[test]
    fn words_written_into_a_mapped_file_are_in_it() {
        let (file, memory) = mapped(23);
        memory.word(8).store(0x0807_0605_0403_0201, Relaxed);
        memory.write(16, b"seven b");
        let mut expected = vec![0; 8];
        expected.extend(1..=8);
        expected.extend(b"seven b");
        assert_eq!(std::fs::read(file.path()).unwrap(), expected);
        let mut got = [0; 3];
        memory.read(20, &mut got);
        assert_eq!(&got, b"n b");
        assert!(!memory.is_lost());
    }

    #[test]
    #[should_panic(expected = "a span outside the file")]
    fn a_span_outside_a_mapped_file_is_refused() {
        mapped(23).1.write(17, b"seven b");
    }

    #[test]
    #[should_panic(expected = "a span outside the file")]
    fn a_span_of_a_mapped_file_that_overflows_is_refused() {
        mapped(23).1.read(usize::MAX, &mut [0; 2]);
    }

    #[test]
    #[should_panic(expected = "a span outside the file")]
    fn half_a_word_of_a_mapped_file_is_refused() {
        mapped(23).1.word(16);
    }

    #[test]
    #[should_panic(expected = "a word that is not aligned")]
    fn an_unaligned_word_of_a_mapped_file_is_refused() {
        mapped(23).1.word(4);
    }
}
