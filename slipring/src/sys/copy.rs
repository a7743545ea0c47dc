//! Copying into memory that another core reads, and out of memory that it writes.
//!
//! *A little* without a call: many messages are short, and to call the C library's `memcpy`, which
//! finds out how little there is to do, takes longer than to do it.
//!
//! *Much* by `rep movsb`, where that is known to be best: up to four times as fast as vector
//! registers, as it seems because it takes over whole lines without fetching what they hold. Many C
//! libraries do so by themselves; some do not any more on the processors that gain most.
//!
//! The numbers are in docs/performance.md.

// None where a tool has to see each access (AddressSanitizer sees those of `memcpy`).
#[cfg_attr(
    not(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(miri, fuzzing, slipring_sanitized))
    )),
    path = "copy/no_strings.rs"
)]
mod strings;

use std::ptr;

/// From how many bytes on a copy into shared memory is made by `rep movsb`.
const STORE_MUCH: usize = 768;
/// And one out of it.
const LOAD_MUCH: usize = 2048;

/// `ptr::copy_nonoverlapping` into memory that another core reads.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn store(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { copy::<STORE_MUCH>(from, to, len) };
}

/// `ptr::copy_nonoverlapping` out of memory that another core writes.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn load(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { copy::<LOAD_MUCH>(from, to, len) };
}

/// Without a call for 8 to 64 bytes, and as is best for `MUCH` and more.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy<const MUCH: usize>(from: *const u8, to: *mut u8, len: usize) {
    if !(8..=64).contains(&len) {
        if len < MUCH {
            // SAFETY: by the caller's promise.
            unsafe { ptr::copy_nonoverlapping(from, to, len) };
        } else {
            // SAFETY: by the caller's promise.
            unsafe { copy_much(from, to, len) };
        }
    } else if len >= 32 {
        // SAFETY: by the caller's promise; 32 <= len <= 64.
        unsafe { copy_ends::<32>(from, to, len) };
    } else if len >= 16 {
        // SAFETY: by the caller's promise; 16 <= len < 32.
        unsafe { copy_ends::<16>(from, to, len) };
    } else {
        // SAFETY: by the caller's promise; 8 <= len < 16.
        unsafe { copy_ends::<8>(from, to, len) };
    }
}

/// Whether much is copied so fast that a reader who has caught up with the writer is in its way.
#[inline]
pub(crate) fn is_in_the_way() -> bool {
    strings::are_best()
}

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(never)]
unsafe fn copy_much(from: *const u8, to: *mut u8, len: usize) {
    if strings::are_best() {
        // SAFETY: by the caller's promise.
        unsafe { strings::copy(from, to, len) };
    } else {
        // SAFETY: by the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
}

/// Copies the first `N` bytes and the last, which may be some of the same.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`, and `N <= len <= 2 * N`.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
    let last = len - N;
    // SAFETY: the first `N` of the `len` bytes that may be read at `from`, and written at `to`.
    unsafe { ptr::copy_nonoverlapping(from, to, N) };
    // SAFETY: the last of them.
    unsafe { ptr::copy_nonoverlapping(from.wrapping_add(last), to.wrapping_add(last), N) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That many lie at either end of what is copied.
    const AROUND: usize = 7;

    fn check(len: usize, copy: unsafe fn(*const u8, *mut u8, usize)) {
        let from: Vec<u8> = (1..=255).cycle().take(len + AROUND).collect();
        let mut to = vec![0; len + 2 * AROUND];
        // SAFETY: both have that many bytes, from there on.
        unsafe { copy(from[AROUND..].as_ptr(), to[AROUND..].as_mut_ptr(), len) };
        assert_eq!(to[AROUND..AROUND + len], from[AROUND..], "{len}");
        assert!(
            to[..AROUND]
                .iter()
                .chain(&to[AROUND + len..])
                .all(|byte| *byte == 0),
            "{len}"
        );
    }

    #[test]
    fn a_copy_moves_so_many_bytes_and_no_other() {
        for len in (0..=130)
            .chain(STORE_MUCH - 2..STORE_MUCH + 2)
            .chain(LOAD_MUCH - 2..LOAD_MUCH + 2)
            .chain([100_000])
        {
            check(len, |from, to, len| {
                // SAFETY: by the caller's promise.
                unsafe { store(from, to, len) };
            });
            check(len, |from, to, len| {
                // SAFETY: by the caller's promise.
                unsafe { load(from, to, len) };
            });
        }
    }

    /// Also on a processor on which nobody else would do so.
    #[test]
    fn a_copy_by_string_instructions_moves_so_many_bytes_and_no_other() {
        for len in (0..=130).chain([STORE_MUCH, 2048, 2049, 3000, 4095, 4096, 100_000]) {
            check(len, strings::copy);
        }
    }
}
