//! Memory that a forked child finds zeroed, whatever value its parent has stored there
//! (`MADV_WIPEONFORK`, madvise(2), Linux 4.14).

use super::errno::{self, Errno};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::param::page_size;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A type whose values may lie there.
///
/// # Safety
///
/// Zeroes are a valid value, also if they come while the value is borrowed, and nothing has to be
/// dropped.
pub(crate) unsafe trait Wipeable: Send + Sync {}

/// A page of its own with a `T` in it, at first zeroed.
/// Unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct WipeOnFork<T: Wipeable> {
    page: NonNull<T>,
}

// SAFETY: it owns the page as a `Box` would own it, and every `Wipeable` is `Send`.
unsafe impl<T: Wipeable> Send for WipeOnFork<T> {}
// SAFETY: as above; it gives out shared references alone, and every `Wipeable` is `Sync`.
unsafe impl<T: Wipeable> Sync for WipeOnFork<T> {}

impl<T: Wipeable> WipeOnFork<T> {
    pub(crate) fn new() -> errno::Result<WipeOnFork<T>> {
        const {
            assert!(
                size_of::<T>() <= 4096 && align_of::<T>() <= 4096,
                "no page is smaller"
            )
        };
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nobody's
        // memory.
        let page =
            unsafe { mmap_anonymous(ptr::null_mut(), page_size(), prot, MapFlags::PRIVATE) }?;
        let wiped = WipeOnFork {
            // The kernel never places a mapping at 0 unless asked to.
            page: NonNull::new(page.cast()).ok_or(Errno::NOMEM)?,
        };
        // SAFETY: the range is the mapping made above; wiping affects forked children only.
        unsafe { madvise(page, page_size(), Advice::LinuxWipeOnFork) }?;
        Ok(wiped)
    }
}

impl<T: Wipeable> Deref for WipeOnFork<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the page is mapped for as long as `self` lives, large enough and aligned for a
        // `T`, and zeroes, which it began with, are one.
        unsafe { self.page.as_ref() }
    }
}

impl<T: Wipeable> Drop for WipeOnFork<T> {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping that `new` made, and no reference into it outlives
        // `self`.
        let _ = unsafe { munmap(self.page.as_ptr().cast(), page_size()) };
    }
}
