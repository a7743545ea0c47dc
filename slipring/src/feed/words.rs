//! Memory that may be overwritten while it is read, word by word.
//!
//! A reader copies a record while the writer may be overwriting it, and finds out afterwards. So
//! both access it by relaxed atomics of 8 bytes: such bytes race by design, and any mixture that a
//! reader copies is thrown away.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Up to eight bytes as a word, filled up with zeros.
#[inline]
pub(crate) fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Copies bytes into words; the last one is filled up with zeros.
#[inline]
pub(crate) fn copy_in(words: &[AtomicU64], from: &[u8]) {
    let (whole, rest) = from.as_chunks::<8>();
    for (word, chunk) in words.iter().zip(whole) {
        // Relaxed, here and below: such bytes race by design.
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        word.store(word_of(rest), Ordering::Relaxed);
    }
}

/// Copies bytes out of words.
#[inline]
pub(crate) fn copy_out(words: &[AtomicU64], to: &mut [u8]) {
    let (whole, rest) = to.as_chunks_mut::<8>();
    for (word, chunk) in words.iter().zip(whole) {
        *chunk = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        let word = word.load(Ordering::Relaxed).to_le_bytes();
        rest.copy_from_slice(&word[..rest.len()]);
    }
}
