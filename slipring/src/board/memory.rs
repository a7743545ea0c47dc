//! The memory of a board.

use super::layout::{Sizes, VERSION, at};
use super::slot::Slot;
use crate::endpoint::passed::memory_up_to;
use crate::error::{Error, Result};
use crate::feed::words::Words;
use crate::link::{Fault, other_preamble};
use crate::ring::{MAGIC, Std, Word, load_peer};
use crate::sys::closing::Passed;
use crate::sys::copy::words::{into_words, out_of_words};
use crate::sys::mapping::{Access, Mapping, page_size};
use crate::sys::memfd;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// A mapping, by the words before its ring; there is no ring.
#[derive(Debug)]
pub(crate) struct Memory {
    mapping: Mapping,
    pub(crate) sizes: Sizes,
}

impl Words for Memory {
    fn load(&self, at: u64) -> u64 {
        // Relaxed, here and below: see `slot`.
        self.word(at as usize).load(Ordering::Relaxed)
    }

    fn store(&self, at: u64, word: u64) {
        self.word(at as usize).store(word, Ordering::Relaxed);
    }

    fn copy_in(&self, at: u64, from: &[u8]) {
        into_words(
            self.mapping
                .first_words(at as usize, from.len().div_ceil(8)),
            from,
        );
    }

    fn copy_out(&self, at: u64, to: &mut [u8]) {
        out_of_words(
            self.mapping.first_words(at as usize, to.len().div_ceil(8)),
            to,
        );
    }
}

impl Memory {
    fn word(&self, at: usize) -> &AtomicU64 {
        &self.mapping.first_words(at, 1)[0]
    }

    /// A slot; it has to be one of this board's.
    pub(crate) fn slot(&self, slot: u32) -> Slot<'_, Std, Memory> {
        Slot {
            state: self.word(self.sizes.state_at(slot) as usize),
            words: self,
            at: self.sizes.halves_at(slot),
            half_len: self.sizes.half_len(),
            max_value: self.sizes.max_value,
        }
    }

    /// Makes a board, and what is passed of it.
    pub(crate) fn create(sizes: Sizes, epoch: u64) -> Result<(Memory, OwnedFd)> {
        let len = sizes.memory_len(page_size() as u64).ok_or_else(too_large)?;
        let fd = memfd::create(len)?;
        let mapping = Mapping::new(fd.as_fd(), len as usize, 0, Access::ReadWrite)
            .map_err(Error::os("mapping shared memory (mmap)"))?;
        mapping.populate(0);
        let memory = Memory { mapping, sizes };
        let preamble = [
            (at::MAGIC, MAGIC),
            (at::VERSION, VERSION),
            (at::MAX_KEYS, sizes.max_keys),
            (at::MAX_VALUE, sizes.max_value),
            (at::EPOCH, epoch),
        ];
        for (at, word) in preamble {
            // Relaxed: nobody else has the memory yet, and the message that passes it orders this.
            memory.word(at).store(word, Ordering::Relaxed);
        }
        // The mapping above stays writable.
        memfd::seal(&fd)?;
        Ok((memory, fd))
    }

    /// Checks and maps what the peer has passed: a board of this epoch, of `most` bytes at most.
    pub(crate) fn map(passed: Option<Passed>, most: usize, epoch: u64) -> Result<Memory> {
        let Some(passed) = passed else {
            return Err(Error::BadPeer {
                what: "the memory of the board is missing".into(),
            });
        };
        let (fd, len) =
            memory_up_to(passed, most as u64).map_err(|unfit| Fault::from(unfit).into_error())?;
        let bad = || other_preamble().into_error();
        // A memfd of ordinary pages that is no whole number of them is nobody's.
        let page = page_size() as u64;
        if len < page || !len.is_multiple_of(page) {
            return Err(bad());
        }
        let mapping = Mapping::new(fd.as_fd(), len as usize, 0, Access::Read)
            .map_err(Error::os("mapping the peer's shared memory (mmap)"))?;
        // Relaxed: the message that brought the descriptor came after they were written.
        let load = |at| mapping.first_words(at, 1)[0].load(Ordering::Relaxed);
        let sizes = Sizes {
            max_keys: load(at::MAX_KEYS),
            max_value: load(at::MAX_VALUE),
        };
        let honest = load(at::MAGIC) == MAGIC
            && load(at::VERSION) == VERSION
            && load(at::EPOCH) == epoch
            && sizes.memory_len(page) == Some(len);
        if !honest {
            return Err(bad());
        }
        mapping.populate(0);
        Ok(Memory { mapping, sizes })
    }

    /// How many slots were ever used, as the peer says.
    pub(crate) fn used(&self) -> u32 {
        load_peer::<Std, _>(self.word(at::USED)).min(self.sizes.max_keys) as u32
    }

    /// How often a slot was given to a key.
    pub(crate) fn placed(&self) -> u64 {
        load_peer::<Std, _>(self.word(at::PLACED))
    }

    /// Says so, after the slots were written.
    pub(crate) fn publish_places(&self, used: u64, placed: u64) {
        // Release, both: a reader that finds them finds the slots.
        Word::store(self.word(at::USED), used, Ordering::Release);
        Word::store(self.word(at::PLACED), placed, Ordering::Release);
    }
}

/// The error of a board that cannot be as large.
pub(super) fn too_large() -> Error {
    Error::Capacity {
        asked: super::layout::MAX_LEN as usize,
        why:
            "a board has at least one key, and takes up to 1 GiB: about 2 * max_value + 192 bytes \
              for each of max_keys. Lower one of them"
                .into(),
    }
}
