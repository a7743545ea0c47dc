//! `rep movsb`: the processor copies a string of bytes by itself.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use std::sync::LazyLock;

/// Whether this is a processor on which that has been measured: one of AMD's family of Zen 5, with fast short strings.
/// On any other the C library decides. (On Zen 3 and 4 it takes many times as long where the destination lies just behind
/// the source in the page: <https://sourceware.org/bugzilla/show_bug.cgi?id=30994>. On Intel's, the C libraries do so
/// themselves.)
#[inline]
pub(super) fn are_best() -> bool {
    static ARE_BEST: LazyLock<bool> = LazyLock::new(|| {
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid(0);
        let vendor = [ebx, edx, ecx].map(u32::to_le_bytes);
        if vendor != [*b"Auth", *b"enti", *b"cAMD"] || eax < 7 {
            return false;
        }
        let version = __cpuid(1).eax;
        let family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
        let fast_short_strings = __cpuid_count(7, 0).edx >> 4 & 1 == 1;
        family == 0x1a && fast_short_strings
    });
    *ARE_BEST
}

/// The processor copies a string of up to so many bytes in another way, which suits others better that are less than
/// twice as long.
const SHORT: usize = 2048;

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let first = if len < 2 * SHORT { len.min(SHORT) } else { len };
    // SAFETY: the first of the `len` bytes, by the caller's promise.
    unsafe { copy_string(from, to, first) };
    if first < len {
        // SAFETY: the rest of them.
        unsafe { copy_string(from.wrapping_add(first), to.wrapping_add(first), len - first) };
    }
}

/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy_string(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: reads and writes what the caller has promised may be, `len` bytes upwards: the direction flag is clear,
    // as everywhere between functions. Its stores may be seen in any order, but a store that follows by nobody before
    // them (Intel's Software Developer's Manual 3A, "Fast-String Operation and Out-of-Order Stores"); what the C
    // libraries' `memcpy` relies on as well, on all processors that have these strings.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        )
    };
}
