//! In place of `strings.rs` where there are none.

use std::ptr;

#[inline]
pub(super) fn are_best() -> bool {
    false
}

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
}
