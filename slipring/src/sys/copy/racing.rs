//! Copying words that another core may write or read at the same time: 64 bytes at a time in vector
//! registers, which the compiler does not make of atomics.
//!
//! The instructions are in one `asm!` each, which is to the compiler what a call of unknown code
//! is: it may load and store any words, in any order, and it races with nobody as far as the
//! language is concerned. To the processor they are loads and stores as those of words are.

use std::arch::asm;

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Copies so many blocks, at least one.
///
/// # Safety
///
/// `from` may be read and `to` written for that long, but for accesses of other processors at the
/// same time. The two do not overlap.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, blocks: usize) {
    debug_assert!(blocks > 0);
    // SAFETY: it reads and writes those blocks and no others, by the caller's promise. SSE2 belongs
    // to every processor of this architecture.
    unsafe {
        asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "sub {blocks}, 1",
            "jne 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            blocks = inout(reg) blocks => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}
