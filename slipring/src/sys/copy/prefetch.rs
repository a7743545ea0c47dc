//! Cache lines that are fetched before they are written.

/// Lines that are fetched at a time.
const LINES: usize = 4;
const LINE: usize = 64;

/// Fetches the first lines at `at` for writing, in the background. A hint: nothing is accessed, and
/// any address will do.
#[inline(always)]
pub(super) fn for_writing(at: *const u8) {
    for line in 0..LINES {
        let at = at.wrapping_add(LINE * line);
        // PREFETCHW: AMD64 Architecture Programmer's Manual, volume 3. A processor of this
        // architecture that does not have it takes it for a no-op.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch faults nowhere, changes no register, and writes no memory.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags));
        }
        // PRFM PSTL1KEEP: Arm Architecture Reference Manual for A-profile, "PRFM (immediate)".
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("prfm pstl1keep, [{}]", in(reg) at, options(nostack, preserves_flags));
        }
        #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
        let _ = at;
    }
}
