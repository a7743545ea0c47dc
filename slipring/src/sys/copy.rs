//! Copying into memory that another core reads, and out of memory that it writes.
//!
//! *8 to 64 bytes* without a call: many messages are short, and the C library's `memcpy` takes
//! longer to find out how few bytes there are than to copy them.
//!
//! *Large ones* by `rep movsb`, on processors where that is known to be best: up to four times
//! as fast as vector registers, as it seems because it takes over whole lines without fetching what
//! they hold. Many C libraries do so by themselves; some do not any more on the processors that
//! gain most. The numbers are in docs/experiments/copying.md.
//!
//! *The next lines* are fetched ahead in a flow of middling messages, on the other processors. A
//! line that the reader's core has read must be taken away from it before it is written. A copy
//! asks for each line when it comes to it, and the index behind the copy waits for them all
//! (docs/experiments/prefetch.md).

// Not where a tool has to see each access (AddressSanitizer sees those of `memcpy`).
#[cfg_attr(
    not(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(miri, fuzzing, slipring_sanitized))
    )),
    path = "copy/no_rep_movsb.rs"
)]
mod rep_movsb;

mod prefetch;
pub(crate) mod words;

use std::ops::Range;
use std::ptr;

/// From how many bytes on a copy into shared memory is made by `rep movsb`.
const STORE_REP_MOVSB_MIN: usize = 768;
/// And for a copy out of it.
const LOAD_REP_MOVSB_MIN: usize = 2048;

/// After messages of so many bytes the next lines are fetched. Fewer bytes gain nothing from it; of
/// more, the first lines are a small part.
const PREFETCHED_AFTER: Range<usize> = 256..8 * 1024;

/// `ptr::copy_nonoverlapping` into memory that another core reads.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(crate) unsafe fn store(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { copy::<STORE_REP_MOVSB_MIN>(from, to, len) };
}

/// Says that a message of about `len` bytes is going to be stored at `to`, as the last one was. A
/// hint.
#[inline(always)]
pub(crate) fn expect_store(to: *const u8, len: usize) {
    if PREFETCHED_AFTER.contains(&len) && !rep_movsb::is_best() {
        prefetch::for_writing(to);
    }
}

/// `ptr::copy_nonoverlapping` out of memory that another core writes.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(crate) unsafe fn load(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { copy::<LOAD_REP_MOVSB_MIN>(from, to, len) };
}

/// Without a call for 8 to 64 bytes, and as is best for `REP_MOVSB_MIN` and more.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy<const REP_MOVSB_MIN: usize>(from: *const u8, to: *mut u8, len: usize) {
    if !(8..=64).contains(&len) {
        if len < REP_MOVSB_MIN {
            // SAFETY: by the caller's promise.
            unsafe { ptr::copy_nonoverlapping(from, to, len) };
        } else {
            // SAFETY: by the caller's promise.
            unsafe { copy_large(from, to, len) };
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

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(never)]
unsafe fn copy_large(from: *const u8, to: *mut u8, len: usize) {
    if rep_movsb::is_best() {
        // SAFETY: by the caller's promise.
        unsafe { rep_movsb::copy(from, to, len) };
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

    /// That many lie at either end of the bytes that are copied.
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
            .chain(STORE_REP_MOVSB_MIN - 2..STORE_REP_MOVSB_MIN + 2)
            .chain(LOAD_REP_MOVSB_MIN - 2..LOAD_REP_MOVSB_MIN + 2)
            .chain([100_000])
        {
            check(len, store);
            check(len, load);
        }
    }

    /// Also on a processor on which it is not the best way.
    #[test]
    fn rep_movsb_copies_so_many_bytes_and_no_other() {
        for len in (0..=130).chain([STORE_REP_MOVSB_MIN, 2048, 2049, 3000, 4095, 4096, 100_000]) {
            check(len, rep_movsb::copy);
        }
    }
}
