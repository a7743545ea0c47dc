//! Copying bytes into words that others may load meanwhile, and out of words that others may store.
//!
//! Each word is copied at once, and nothing is promised of several: such bytes race by design. A
//! load or store of a word is Relaxed, or an instruction that does the same (`racing`).

use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(miri, fuzzing, slipring_sanitized))
))]
#[path = "racing.rs"]
mod racing;

/// How many words of so many are copied in blocks.
#[inline(always)]
fn in_blocks(words: usize) -> usize {
    if cfg!(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(miri, fuzzing, slipring_sanitized))
    )) {
        words & !7
    } else {
        0
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
pub(crate) fn into_words(words: &[AtomicU64], from: &[u8]) {
    let (whole, rest) = from.as_chunks::<8>();
    assert!(
        words.len() == from.len().div_ceil(8),
        "as many words as that"
    );
    let vectors = in_blocks(whole.len());
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(miri, fuzzing, slipring_sanitized))
    ))]
    if vectors > 0 {
        let blocks = vectors * 8 / racing::BLOCK;
        // SAFETY: both have that many bytes. Words may be stored through a shared reference, as
        // they are atomics, and `from` is nobody's to write.
        unsafe { racing::copy(from.as_ptr(), words.as_ptr().cast_mut().cast(), blocks) };
    }
    for (word, chunk) in words[vectors..].iter().zip(&whole[vectors..]) {
        // Relaxed, here and below: such bytes race by design.
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        word.store(word_of(rest), Ordering::Relaxed);
    }
}

/// Copies bytes out of words.
#[inline]
pub(crate) fn out_of_words(words: &[AtomicU64], to: &mut [u8]) {
    assert!(words.len() == to.len().div_ceil(8), "as many words as that");
    let (whole, rest) = to.as_chunks_mut::<8>();
    let vectors = in_blocks(whole.len());
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(miri, fuzzing, slipring_sanitized))
    ))]
    if vectors > 0 {
        let blocks = vectors * 8 / racing::BLOCK;
        // SAFETY: both have that many bytes, `to` is this caller's alone, and words may change
        // while they are loaded.
        unsafe { racing::copy(words.as_ptr().cast(), whole.as_mut_ptr().cast(), blocks) };
    }
    for (word, chunk) in words[vectors..].iter().zip(&mut whole[vectors..]) {
        *chunk = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        let word = word.load(Ordering::Relaxed).to_le_bytes();
        rest.copy_from_slice(&word[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_go_in_and_come_out_again() {
        for len in 0..300 {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 255) as u8 + 1).collect();
            let words: Vec<AtomicU64> = (0..50).map(|_| AtomicU64::new(u64::MAX)).collect();
            let count = bytes.len().div_ceil(8);
            into_words(&words[1..=count], &bytes);
            let mut back = vec![0; bytes.len()];
            out_of_words(&words[1..=count], &mut back);
            assert_eq!(back, bytes, "{len}");
            // The rest of the last word is zeros, and the words around are as they were.
            let all: Vec<u8> = words
                .iter()
                .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
                .collect();
            let mut expected = vec![0xff; 8];
            expected.extend(&bytes);
            expected.resize(8 * (count + 1), 0);
            expected.resize(400, 0xff);
            assert_eq!(all, expected, "{len}");
        }
    }
}
