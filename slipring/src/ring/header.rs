//! The header of an endpoint: which side writes which word, and where it lies.
//!
//! Everything in a header is written by the process that owns it; its peer has it mapped read-only.
//! The layout is a contract between processes that may have been built at different times:
//! `docs/layout.md` describes it, and the assertions at the end of this file hold it in place.

use super::RingId;
use crate::wait::{Atomics, Std, Word, wake_word};
use std::mem::{offset_of, size_of};
use std::sync::atomic::Ordering;

/// `slipring` in ASCII, little-endian.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"slipring");

/// The version of this layout and of everything that is done with it.
pub(crate) const LAYOUT_VERSION: u32 = 2;

/// Distance between words that different processes touch: two cache lines of 64 bytes, since the
/// prefetcher of x86 fetches them in pairs (Intel 64 and IA-32 Optimization Reference Manual,
/// "Spatial Prefetcher"), and one line of the 128 that some aarch64 cores have.
pub(crate) const LINE: usize = 128;

/// How a writer's direction ended, in [`Published::fin`]; how a reader left, in [`Consumed::stop`].
pub(crate) mod ended {
    pub(crate) const OPEN: u32 = 0;
    /// Finished, dropped, shut down: in order.
    pub(crate) const CLOSED: u32 = 1;
    /// Aborted; `code` says with what.
    pub(crate) const ABORTED: u32 = 2;
    /// This side found the other's header out of range and has given up the stream.
    pub(crate) const POISONED: u32 = 3;
    /// This side has refused the other's memory, or had no means to use it, after the other had
    /// taken the handshake to be complete.
    pub(crate) const REFUSED: u32 = 4;
    /// A writer only: this side has dropped the stream before it had read all that the other had
    /// written.
    pub(crate) const RESET: u32 = 5;
}

/// Keeps its content on cache lines of its own.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Line<T>(pub(crate) T);

/// Line 0: the kind of this memory. Written before the header is passed on; copied once by the
/// peer.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Preamble<A: Atomics> {
    pub(crate) magic: A::U64,
    pub(crate) version: A::U32,
    pub(crate) header_len: A::U32,
}

/// Line 1: the bytes that the peer may read.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Published<A: Atomics> {
    /// Count of bytes ever published.
    pub(crate) tail: A::U64,
    /// The ring that holds the bytes from the peer's `head` on ([`RingId`]). Stored before the
    /// first `tail` beyond what the ring before it holds.
    pub(crate) ring: A::U64,
    /// How the writing ended ([`ended`]).
    pub(crate) fin: A::U32,
    /// The code of an abort, stored before `fin` and `stop`.
    pub(crate) code: A::U32,
}

/// Line 2: the bytes that the peer may write over.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Consumed<A: Atomics> {
    /// Count of bytes ever consumed of the *peer's* rings.
    pub(crate) head: A::U64,
    /// Why the reader is gone ([`ended`]).
    pub(crate) stop: A::U32,
    /// The generation of the peer's ring that this side reads. The ones before it are unmapped
    /// here.
    pub(crate) taken: A::U32,
}

/// Lines 5 and 6: counters of one half, for tools that read them from outside. Nothing depends on
/// them.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Counters<A: Atomics> {
    /// Times this half went to sleep.
    pub(crate) sleeps: A::U64,
    /// Times it woke the peer.
    pub(crate) wakes: A::U64,
    /// Waits that ended while spinning.
    pub(crate) spins: A::U64,
}

/// Line 7: how often this side's writer exchanged its ring, and what it has refused.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Exchanges<A: Atomics> {
    /// Times the ring was followed by a larger one.
    pub(crate) grown: A::U64,
    /// Times it was followed by a smaller one.
    pub(crate) shrunk: A::U64,
    /// Times it should have grown, and did not.
    pub(crate) refused: A::U64,
    /// The position that the peer's reader waited for when it was refused last.
    pub(crate) refused_for: A::U64,
    /// The limit that refused last: a number of `Limit`, or 0.
    pub(crate) limit: A::U32,
    /// Times that the peer's reader was refused. Stored after the two before it.
    pub(crate) answers: A::U32,
}

/// The header: one page.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header<A: Atomics> {
    pub(crate) preamble: Line<Preamble<A>>,
    pub(crate) published: Line<Published<A>>,
    pub(crate) consumed: Line<Consumed<A>>,
    /// Line 3: this side's reader sleeps until the peer's `tail` reaches this, or is awake
    /// ([`wake_word`]).
    pub(crate) wake_at_tail: Line<A::U64>,
    /// Line 4: this side's writer sleeps until the peer's `head` reaches this, or is awake.
    pub(crate) wake_at_head: Line<A::U64>,
    pub(crate) reading: Line<Counters<A>>,
    pub(crate) writing: Line<Counters<A>>,
    pub(crate) exchanges: Line<Exchanges<A>>,
}

impl<A: Atomics> Header<A> {
    /// The header of a stream on which nothing has happened yet.
    pub(crate) fn new(header_len: u32, first: RingId) -> Self {
        let counters = || {
            Line(Counters {
                sleeps: A::U64::new(0),
                wakes: A::U64::new(0),
                spins: A::U64::new(0),
            })
        };
        Header {
            preamble: Line(Preamble {
                magic: A::U64::new(MAGIC),
                version: A::U32::new(LAYOUT_VERSION),
                header_len: A::U32::new(header_len),
            }),
            published: Line(Published {
                tail: A::U64::new(0),
                ring: A::U64::new(first.to_word()),
                fin: A::U32::new(ended::OPEN),
                code: A::U32::new(0),
            }),
            consumed: Line(Consumed {
                head: A::U64::new(0),
                stop: A::U32::new(ended::OPEN),
                taken: A::U32::new(first.generation),
            }),
            wake_at_tail: Line(A::U64::new(wake_word::AWAKE)),
            wake_at_head: Line(A::U64::new(wake_word::AWAKE)),
            reading: counters(),
            writing: counters(),
            exchanges: Line(Exchanges {
                grown: A::U64::new(0),
                shrunk: A::U64::new(0),
                refused: A::U64::new(0),
                refused_for: A::U64::new(0),
                limit: A::U32::new(0),
                answers: A::U32::new(0),
            }),
        }
    }

    /// Ends both directions before there is a stream on this side, because this side refuses the
    /// memory or the descriptors that the peer has passed.
    pub(crate) fn refuse(&self) {
        // Release: as of any end; nothing comes before it.
        self.published
            .0
            .fin
            .store(ended::REFUSED, Ordering::Release);
        self.consumed
            .0
            .stop
            .store(ended::REFUSED, Ordering::Release);
    }
}

/// Loads a word of the peer's, so that everything it wrote before is visible too.
///
/// The peer's header is mapped read-only, where std allows relaxed loads alone (std::sync::atomic,
/// "Atomic accesses to read-only memory"); the fence after it makes the pair an acquire.
#[inline(always)]
pub(crate) fn load_peer<A: Atomics, T>(word: &impl Word<T>) -> T {
    let value = word.load(Ordering::Relaxed);
    A::fence(Ordering::Acquire);
    value
}

/// Adds one to a counter that only this thread writes.
#[inline]
pub(crate) fn count(counter: &impl Word<u64>) {
    // Relaxed: nothing is ordered by it, and a stale value in a tool's view does no harm. Wrapping:
    // a peer that may write here could have written anything.
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

const _: () = {
    type H = Header<Std>;
    assert!(offset_of!(H, preamble.0.magic) == 0x00);
    assert!(offset_of!(H, preamble.0.version) == 0x08);
    assert!(offset_of!(H, preamble.0.header_len) == 0x0c);
    assert!(offset_of!(H, published.0.tail) == 0x80);
    assert!(offset_of!(H, published.0.ring) == 0x88);
    assert!(offset_of!(H, published.0.fin) == 0x90);
    assert!(offset_of!(H, published.0.code) == 0x94);
    assert!(offset_of!(H, consumed.0.head) == 0x100);
    assert!(offset_of!(H, consumed.0.stop) == 0x108);
    assert!(offset_of!(H, consumed.0.taken) == 0x10c);
    assert!(offset_of!(H, wake_at_tail) == 0x180);
    assert!(offset_of!(H, wake_at_head) == 0x200);
    assert!(offset_of!(H, reading.0.sleeps) == 0x280);
    assert!(offset_of!(H, reading.0.wakes) == 0x288);
    assert!(offset_of!(H, reading.0.spins) == 0x290);
    assert!(offset_of!(H, writing.0.sleeps) == 0x300);
    assert!(offset_of!(H, writing.0.wakes) == 0x308);
    assert!(offset_of!(H, writing.0.spins) == 0x310);
    assert!(offset_of!(H, exchanges.0.grown) == 0x380);
    assert!(offset_of!(H, exchanges.0.shrunk) == 0x388);
    assert!(offset_of!(H, exchanges.0.refused) == 0x390);
    assert!(offset_of!(H, exchanges.0.refused_for) == 0x398);
    assert!(offset_of!(H, exchanges.0.limit) == 0x3a0);
    assert!(offset_of!(H, exchanges.0.answers) == 0x3a4);
    assert!(size_of::<H>() == 0x400);
    assert!(LINE == 128);
};
