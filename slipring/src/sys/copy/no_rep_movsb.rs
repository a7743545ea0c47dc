//! In place of `rep_movsb.rs` where it cannot be used.

use std::ptr;

#[inline]
pub(super) fn is_best() -> bool {
    false
}

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
}
