//! Memory that may be overwritten while it is read, word by word.
//!
//! A reader copies a record while the writer may be overwriting it, and finds out afterwards. So
//! both access it by relaxed atomics of 8 bytes: such bytes race by design, and any mixture that a
//! reader copies is thrown away.

use crate::sys::copy::words::word_of;

/// The words of a ring. A position goes round the ring any number of times.
pub(crate) trait RingWords: Words {
    /// Bytes of the ring: a power of two.
    fn capacity(&self) -> u64;
}

/// Words of shared memory. A position is a multiple of 8.
pub(crate) trait Words {
    /// Relaxed.
    fn load(&self, at: u64) -> u64;

    /// Relaxed. The writer's alone.
    fn store(&self, at: u64, word: u64);

    /// Copies bytes into it, in whole words: the last one is filled up with zeros.
    fn copy_in(&self, at: u64, from: &[u8]) {
        for (chunk, at) in from.chunks(8).zip((at..).step_by(8)) {
            self.store(at, word_of(chunk));
        }
    }

    /// Copies bytes out of it.
    fn copy_out(&self, at: u64, to: &mut [u8]) {
        for (chunk, at) in to.chunks_mut(8).zip((at..).step_by(8)) {
            let word = self.load(at).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
