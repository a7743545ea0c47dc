//! Copying a little: without a call.
//!
//! Many messages are short, and to call the C library's `memcpy`, which finds out how little there is to do, takes longer than
//! to do it (docs/performance.md).

use std::ptr;

/// `ptr::copy_nonoverlapping`, without a call for 8 to 64 bytes.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    if !(8..=64).contains(&len) {
        // SAFETY: by the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
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

    #[test]
    fn copies_so_many_bytes_and_no_other() {
        let from: Vec<u8> = (1..=200).collect();
        for len in 0..=130 {
            let mut to = [0; 200];
            // SAFETY: both have that many bytes, from there on.
            unsafe { copy(from[3..].as_ptr(), to[7..].as_mut_ptr(), len) };
            assert_eq!(to[7..7 + len], from[3..3 + len]);
            assert!(to[..7].iter().chain(&to[7 + len..]).all(|byte| *byte == 0), "{len}");
        }
    }
}
