//! Memory that a forked child finds zeroed, whatever its parent has stored there (`MADV_WIPEONFORK`, madvise(2), Linux 4.14).

use rustix::io;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::param::page_size;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What may lie there.
///
/// # Safety
///
/// Zeroes are a valid value, also if they come while the value is borrowed, and nothing has to be dropped.
pub(crate) unsafe trait Wipeable: Send + Sync {}

/// A page of its own with a `T` in it, at first zeroed.
/// Unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Wiped<T: Wipeable> {
    page: NonNull<T>,
}

// SAFETY: it owns the page as a `Box` would own it, and every `Wipeable` is `Send`.
unsafe impl<T: Wipeable> Send for Wiped<T> {}
// SAFETY: as above; it gives out shared references alone, and every `Wipeable` is `Sync`.
unsafe impl<T: Wipeable> Sync for Wiped<T> {}

impl<T: Wipeable> Wiped<T> {
    pub(crate) fn new() -> io::Result<Wiped<T>> {
        const { assert!(size_of::<T>() <= 4096 && align_of::<T>() <= 4096, "no page is smaller") };
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches nobody's memory.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), page_size(), prot, MapFlags::PRIVATE) }?;
        let wiped = Wiped {
            // The kernel never places a mapping at 0 unless asked to.
            page: NonNull::new(page.cast()).ok_or(io::Errno::NOMEM)?,
        };
        // SAFETY: the range is the mapping made above; wiping affects forked children only.
        unsafe { madvise(page, page_size(), Advice::LinuxWipeOnFork) }?;
        Ok(wiped)
    }
}

impl<T: Wipeable> Deref for Wiped<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the page is mapped for as long as `self` lives, large enough and aligned for a `T`, and zeroes, which it began
        // with, are one.
        unsafe { self.page.as_ref() }
    }
}

impl<T: Wipeable> Drop for Wiped<T> {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping that `new` made, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.page.as_ptr().cast(), page_size()) };
    }
}

/// A word on cache lines of its own, at first 0. It is used again after this is dropped.
#[derive(Debug)]
pub(crate) struct WipedWord {
    shelf: &'static Shelf,
    place: usize,
}

/// A page of them, kept for good, and the page after it.
#[derive(Debug)]
struct Shelf {
    words: Wiped<[Line; PLACES]>,
    /// A bit for each. It is not wiped: a forked child has its parent's words, too, for as long as it has what they belong to.
    taken: AtomicU32,
    next: OnceLock<Box<Shelf>>,
}

const PLACES: usize = 32;

/// Two cache lines of 64 bytes, as in [`ring`](crate::ring): x86 fetches them in pairs.
#[repr(align(128))]
#[derive(Debug)]
struct Line(AtomicU64);

// SAFETY: atomics: 0 is a valid number, they may change while they are borrowed, and dropping them does nothing.
unsafe impl Wipeable for [Line; PLACES] {}

impl WipedWord {
    pub(crate) fn new() -> io::Result<WipedWord> {
        static FIRST: OnceLock<Box<Shelf>> = OnceLock::new();
        let mut shelf = &FIRST;
        loop {
            let here = match shelf.get() {
                Some(here) => here,
                None => {
                    let made = Box::new(Shelf::new()?);
                    shelf.get_or_init(|| made)
                }
            };
            if let Some(place) = here.take() {
                return Ok(WipedWord { shelf: here, place });
            }
            shelf = &here.next;
        }
    }

    /// The word itself. It belongs to somebody else once this is dropped.
    pub(crate) fn get(&self) -> &'static AtomicU64 {
        &self.shelf.words[self.place].0
    }
}

impl Drop for WipedWord {
    fn drop(&mut self) {
        // Relaxed: published with the place.
        self.get().store(0, Ordering::Relaxed);
        // Release: whoever takes the place finds the 0.
        self.shelf.taken.fetch_and(!(1 << self.place), Ordering::Release);
    }
}

impl Shelf {
    fn new() -> io::Result<Shelf> {
        Ok(Shelf {
            words: Wiped::new()?,
            taken: AtomicU32::new(0),
            next: OnceLock::new(),
        })
    }

    fn take(&self) -> Option<usize> {
        // Relaxed: the exchange decides, and acquires what `drop` has released.
        let mut taken = self.taken.load(Ordering::Relaxed);
        while taken != u32::MAX {
            let place = taken.trailing_ones();
            let with = taken | 1 << place;
            match self
                .taken
                .compare_exchange_weak(taken, with, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(place as usize),
                Err(now) => taken = now,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_and_used_again() {
        let words: Vec<_> = (0..3 * PLACES).map(|_| WipedWord::new().unwrap()).collect();
        for (i, word) in words.iter().enumerate() {
            assert_eq!(word.get().swap(1 + i as u64, Ordering::Relaxed), 0);
        }
        for (i, word) in words.iter().enumerate() {
            assert_eq!(word.get().load(Ordering::Relaxed), 1 + i as u64);
        }
        let mut before: Vec<_> = words.iter().map(|word| ptr::from_ref(word.get())).collect();
        drop(words);
        let again: Vec<_> = (0..3 * PLACES).map(|_| WipedWord::new().unwrap()).collect();
        assert!(again.iter().all(|word| word.get().load(Ordering::Relaxed) == 0));
        before.retain(|old| again.iter().any(|word| ptr::from_ref(word.get()) == *old));
        // Other tests of this process take some, too.
        assert!(before.len() > PLACES, "{}", before.len());
    }
}
