//! `rep movsb`: the processor copies a string of bytes by itself.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, CpuidResult};
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this is a processor on which that has been measured to be best: Zen 5 of AMD's, with
/// fast short strings.
///
/// On any other the C library decides. (On Zen 3 and 4 it takes many times as long where the
/// destination lies just behind the source in the page:
/// <https://sourceware.org/bugzilla/show_bug.cgi?id=30994>. On Intel's, the C libraries use it
/// themselves.)
#[inline]
pub(super) fn is_best() -> bool {
    // Relaxed: nothing else depends on it, and a thread that comes too early asks again and gets
    // the same answer.
    match ANSWER.load(Ordering::Relaxed) {
        NO => false,
        YES => true,
        _ => ask(),
    }
}

/// Not a `LazyLock`: a child that is forked while another thread is inside of one waits for that
/// thread for ever.
static ANSWER: AtomicU8 = AtomicU8::new(NOT_ASKED);
const NOT_ASKED: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

#[cold]
fn ask() -> bool {
    let best =
        cpuid(0).eax >= 7 && is_zen_5(cpuid(0), cpuid(1)) && has_fast_short_strings(cpuid(7));
    ANSWER.store(if best { YES } else { NO }, Ordering::Relaxed);
    best
}

fn cpuid(leaf: u32) -> CpuidResult {
    // Rust calls it safe from 1.94 on.
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 has the instruction, which reads and writes nothing but registers.
    unsafe {
        __cpuid_count(leaf, 0)
    }
}

/// By the first two leaves; the models as the kernel has them (arch/x86/kernel/cpu/amd.c). The same
/// family has Zen 6.
fn is_zen_5(vendor: CpuidResult, version: CpuidResult) -> bool {
    let vendor = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    let field = |shift: u32, mask: u32| version.eax >> shift & mask;
    let family = [field(8, 0xf), field(20, 0xff)];
    let model = field(16, 0xf) << 4 | field(4, 0xf);
    vendor == [*b"Auth", *b"enti", *b"cAMD"]
        && family == [0xf, 0xb]
        && matches!(model, 0x00..=0x2f | 0x40..=0x4f | 0x60..=0x7f)
}

/// By leaf 7 (FSRM).
fn has_fast_short_strings(features: CpuidResult) -> bool {
    features.edx >> 4 & 1 == 1
}

/// The bytes of a string may be stored, and seen, in any order; but a store that follows is not
/// seen before them, and loads keep their order to what surrounds the string, as those of any other
/// instruction do (Intel's Software Developer's Manual 3A, "Fast-String Operation and Out-of-Order
/// Stores", says so; on AMD's the C libraries and the kernel have relied on it ever since). For the
/// compiler it is a call that may touch any memory, so it moves no index across.
///
/// # Safety
///
/// As for `ptr::copy_nonoverlapping`.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: reads and writes what the caller has promised may be, `len` bytes upwards: the
    // direction flag is clear, as everywhere between functions.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(eax: u32, words: [&[u8; 4]; 3]) -> CpuidResult {
        let [ebx, edx, ecx] = words.map(|word| u32::from_le_bytes(*word));
        CpuidResult { eax, ebx, ecx, edx }
    }

    #[test]
    fn a_zen_5_processor_is_recognised() {
        let amd = leaf(0x10, [b"Auth", b"enti", b"cAMD"]);
        let intel = leaf(0x20, [b"Genu", b"ineI", b"ntel"]);
        let version = |eax| leaf(eax, [&[0; 4]; 3]);
        // Turin (family 1Ah, model 02h), Strix Point (24h), Granite Ridge (44h).
        for eax in [0x00b0_0f21, 0x00b2_0f40, 0x00b4_0f40] {
            assert!(is_zen_5(amd, version(eax)), "{eax:x}");
            assert!(!is_zen_5(intel, version(eax)), "{eax:x}");
        }
        // Genoa (family 19h, model 11h), Rome (17h, 31h), family 1Ah's model 50h, and an Intel's
        // version.
        for eax in [0x00a1_0f11, 0x0083_0f10, 0x00b5_0f00, 0x000c_06f2] {
            assert!(!is_zen_5(amd, version(eax)), "{eax:x}");
        }
        let features = |edx| CpuidResult { edx, ..version(0) };
        assert!(has_fast_short_strings(features(1 << 4)));
        assert!(!has_fast_short_strings(features(!(1 << 4))));
    }
}
