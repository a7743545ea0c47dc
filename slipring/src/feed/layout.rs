//! The layout of a feed: the header of the publisher's memory, the page of a subscriber, and a
//! record.
//!
//! The publisher alone writes its header and ring, and each subscriber its page; the other side has
//! it mapped read-only. `docs/layout.md` describes it, and the assertions at the end of this file
//! hold it in place.

use crate::ring::{Atomics, Line, Std};
use crate::sys::mapping::Shared;
use std::mem::{offset_of, size_of};

/// The version of this layout and of everything that is done with it.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER: u64 = 16;

/// A record may have up to this part of the ring, its header included.
pub(crate) const PART_OF_A_RECORD: u64 = 4;

/// The ring is claimed in blocks. There are so many of them.
pub(crate) const BLOCKS: u64 = 64;

/// The record has the time of its publication, in the 8 bytes before its payload.
pub(crate) const TIMED: u64 = 1;

/// The bytes that a record has in the ring: header, time, payload, and padding to a multiple of 8.
#[inline(always)]
pub(crate) fn record_size(len: u64, timed: bool) -> u64 {
    RECORD_HEADER + 8 * u64::from(timed) + len.next_multiple_of(8)
}

/// The longest payload in a ring of this capacity.
pub(crate) fn longest(capacity: u64) -> u64 {
    capacity / PART_OF_A_RECORD - RECORD_HEADER - 8
}

/// Line 0 of either: what this memory is. Written before it is passed on.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Preamble<A: Atomics> {
    pub(crate) magic: A::U64,
    pub(crate) version: A::U32,
    pub(crate) header_len: A::U32,
    /// Bytes of the ring; of a subscriber's page 0.
    pub(crate) capacity: A::U64,
    /// A number that this publisher alone has; of a subscriber's page 0.
    pub(crate) epoch: A::U64,
    /// The longest payload that this publisher sends; of a subscriber's page 0.
    pub(crate) max_record: A::U64,
    /// 1 if this subscriber is lossless; of a publisher 1 if it admits such subscribers.
    pub(crate) lossless: A::U32,
    /// 1 if this subscriber never has to be woken; of a publisher 0.
    pub(crate) never_sleeps: A::U32,
}

/// Line 1 of a publisher: what may be read.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Published<A: Atomics> {
    /// Bytes ever published: where the next record will begin.
    pub(crate) tail: A::U64,
    /// How the feed ended ([`ended`](crate::ring::ended)).
    pub(crate) fin: A::U32,
    /// The code of an abort, stored before `fin`.
    pub(crate) code: A::U32,
}

/// Line 2 of a publisher: what may not be read any more.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Claimed<A: Atomics> {
    /// The publisher may have written up to here, so that everything before `claim - capacity` may
    /// be overwritten. Stored before the first byte is.
    pub(crate) claim: A::U64,
    /// Where the oldest record begins that is whole. Stored before `claim`.
    pub(crate) checkpoint: A::U64,
}

/// The first page of a publisher's memory.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header<A: Atomics> {
    pub(crate) preamble: Line<Preamble<A>>,
    pub(crate) published: Line<Published<A>>,
    pub(crate) claimed: Line<Claimed<A>>,
    /// Line 3: where the newest record begins; 0 before the first one. Stored after `tail`, and
    /// apart from it: readers that poll have taken that line away by then.
    pub(crate) last: Line<A::U64>,
    /// Line 4: whether a subscriber may sleep ([`calls`](super::calls)).
    pub(crate) calls: Line<A::U32>,
}

/// Line 2 of a subscriber's page: how far it has come.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Progress<A: Atomics> {
    /// It has read everything before this position. 2^64 - 1: it has not begun.
    pub(crate) read: A::U64,
    /// The number of the record that it expects next.
    pub(crate) next: A::U64,
    /// Records that it has missed so far.
    pub(crate) missed: A::U64,
}

/// What [`Progress::read`] says before the subscriber has begun.
pub(crate) const NOT_BEGUN: u64 = u64::MAX;

/// The page of a subscriber.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Page<A: Atomics> {
    pub(crate) preamble: Line<Preamble<A>>,
    /// Line 1: it sleeps until `tail` reaches this; 0 if it is awake.
    pub(crate) wake: Line<A::U64>,
    pub(crate) progress: Line<Progress<A>>,
}

// SAFETY: atomics alone: any bytes are valid, they may change while they are borrowed, and dropping
// them does nothing.
unsafe impl Shared for Header<Std> {}
// SAFETY: as above.
unsafe impl Shared for Page<Std> {}

const _: () = {
    type H = Header<Std>;
    assert!(offset_of!(H, preamble.0.magic) == 0x00);
    assert!(offset_of!(H, preamble.0.version) == 0x08);
    assert!(offset_of!(H, preamble.0.header_len) == 0x0c);
    assert!(offset_of!(H, preamble.0.capacity) == 0x10);
    assert!(offset_of!(H, preamble.0.epoch) == 0x18);
    assert!(offset_of!(H, preamble.0.max_record) == 0x20);
    assert!(offset_of!(H, preamble.0.lossless) == 0x28);
    assert!(offset_of!(H, preamble.0.never_sleeps) == 0x2c);
    assert!(offset_of!(H, published.0.tail) == 0x80);
    assert!(offset_of!(H, published.0.fin) == 0x88);
    assert!(offset_of!(H, published.0.code) == 0x8c);
    assert!(offset_of!(H, claimed.0.claim) == 0x100);
    assert!(offset_of!(H, claimed.0.checkpoint) == 0x108);
    assert!(offset_of!(H, last) == 0x180);
    assert!(offset_of!(H, calls) == 0x200);
    assert!(size_of::<H>() == 0x280);
    type P = Page<Std>;
    assert!(offset_of!(P, wake) == 0x80);
    assert!(offset_of!(P, progress.0.read) == 0x100);
    assert!(offset_of!(P, progress.0.next) == 0x108);
    assert!(offset_of!(P, progress.0.missed) == 0x110);
    assert!(size_of::<P>() == 0x180);
};

#[cfg(test)]
pub(crate) mod testing {
    //! Headers without a mapping.
    use super::*;
    use crate::ring::Word;

    fn preamble<A: Atomics>(capacity: u64, max_record: u64) -> Line<Preamble<A>> {
        Line(Preamble {
            magic: A::U64::new(0),
            version: A::U32::new(VERSION),
            header_len: A::U32::new(4096),
            capacity: A::U64::new(capacity),
            epoch: A::U64::new(0),
            max_record: A::U64::new(max_record),
            lossless: A::U32::new(0),
            never_sleeps: A::U32::new(0),
        })
    }

    pub(crate) fn header<A: Atomics>(capacity: u64, max_record: u64) -> Header<A> {
        Header {
            preamble: preamble::<A>(capacity, max_record),
            published: Line(Published {
                tail: A::U64::new(0),
                fin: A::U32::new(0),
                code: A::U32::new(0),
            }),
            claimed: Line(Claimed {
                claim: A::U64::new(0),
                checkpoint: A::U64::new(0),
            }),
            last: Line(A::U64::new(0)),
            calls: Line(A::U32::new(0)),
        }
    }

    pub(crate) fn page<A: Atomics>() -> Page<A> {
        Page {
            preamble: preamble::<A>(0, 0),
            wake: Line(A::U64::new(0)),
            progress: Line(Progress {
                read: A::U64::new(NOT_BEGUN),
                next: A::U64::new(0),
                missed: A::U64::new(0),
            }),
        }
    }
}
