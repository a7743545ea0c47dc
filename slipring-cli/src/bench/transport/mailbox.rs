//! Two message slots in shared memory, one for each direction: the least that two processes can
//! exchange messages with. The bare transports add a way of waiting.
//!
//! Each slot is a line with a counter (the flag) and, 128 bytes further, the message. Whoever
//! posts copies the message in and raises the counter; whoever takes copies it out. The next
//! message may be posted when the answer to the last one has come, so one message is under way at
//! a time.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// Far enough apart that neither line is fetched along with the other (two cache lines: the
/// adjacent-line prefetcher works on pairs).
const LINE: usize = 128;

#[derive(Clone, Copy)]
pub enum Side {
    Parent,
    Peer,
}

pub struct Mailbox {
    start: NonNull<u8>,
    length: usize,
    /// bytes of a message
    size: usize,
    outbox: usize,
    inbox: usize,
    posted: u64,
    taken: u64,
}

impl Mailbox {
    /// New memory for messages of this size.
    pub fn memory(size: usize) -> io::Result<std::os::fd::OwnedFd> {
        let memory = memfd_create("bench-mailbox", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, 2 * slot(size) as u64)?;
        Ok(memory)
    }

    pub fn map(memory: impl AsFd, size: usize, side: Side) -> io::Result<Mailbox> {
        let length = 2 * slot(size);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that Rust
        // knows of. It is unmapped only in `drop`.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
                memory,
                0,
            )?
        };
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (outbox, inbox) = match side {
            Side::Parent => (0, slot(size)),
            Side::Peer => (slot(size), 0),
        };
        Ok(Mailbox {
            start,
            length,
            size,
            outbox,
            inbox,
            posted: 0,
            taken: 0,
        })
    }

    /// Copies a message in and raises the flag.
    pub fn post(&mut self, message: &[u8]) {
        assert_eq!(
            message.len(),
            self.size,
            "a mailbox has messages of one size"
        );
        // SAFETY: the slot has `size` bytes behind its flag line and lies in the mapping, which
        // `message`, being a reference to other memory, does not overlap. The other side does not
        // touch these bytes now: it reads them between seeing this slot's flag raised and posting
        // its answer, and that answer (or nothing yet) is what this side has taken last.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), self.message(self.outbox), self.size) };
        self.posted += 1;
        // Release: whoever sees the raised flag with Acquire sees the message copied before it.
        self.flag(self.outbox).store(self.posted, Ordering::Release);
    }

    /// Whether the next message has been posted by the other side.
    #[inline]
    pub fn is_full(&self) -> bool {
        // Acquire: pairs with the other side's store, so the message is there as well.
        self.flag(self.inbox).load(Ordering::Acquire) > self.taken
    }

    /// Copies the message out that `is_full` has announced.
    pub fn take(&mut self, buffer: &mut [u8]) {
        assert_eq!(
            buffer.len(),
            self.size,
            "a mailbox has messages of one size"
        );
        // SAFETY: the slot has `size` bytes behind its flag line and lies in the mapping, which
        // `buffer`, being a reference to other memory, does not overlap. The other side does not
        // write them now: it posts again only after an answer to this message.
        unsafe {
            ptr::copy_nonoverlapping(self.message(self.inbox), buffer.as_mut_ptr(), self.size)
        };
        self.taken += 1;
    }

    /// Where the message of a slot lies.
    fn message(&self, slot: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(slot + LINE)
    }

    fn flag(&self, slot: usize) -> &AtomicU64 {
        let flag = self.start.as_ptr().wrapping_add(slot).cast();
        // SAFETY: both slots start at multiples of LINE from the start of a page, inside the
        // mapping, which lives as long as `self`. All accesses to a flag, in both processes, are
        // atomic.
        unsafe { AtomicU64::from_ptr(flag) }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map` with this length, nothing else unmaps it, and no
        // reference into it outlives `self`. It fails for no mapping that exists.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Bytes of a slot for messages of this size.
fn slot(size: usize) -> usize {
    LINE + size.next_multiple_of(LINE)
}
