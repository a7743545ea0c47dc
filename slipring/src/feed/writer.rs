//! Claiming, writing and publishing records.
//!
//! ```text
//! writer                                    reader
//! ------                                    ------
//! W1  checkpoint.store(oldest whole, Rel.)  R1  tail.load, Acquire
//! W2  claim.store(new, Release)             R2  copies the record, Relaxed
//! W3  fence(Release)                        R3  fence(Acquire)
//! W4  writes the record, Relaxed            R4  claim.load: is the record still whole?
//! W5  tail.store(new, Release)
//! W6  last.store(record, Release)
//! ```
//!
//! *No torn record.* If a word that R2 loads was stored by W4, R3 pairs with W3, and R4 finds the
//! claim of W2 or a later one. That one says that the record was overwritten, and the copy is
//! thrown away. A record that R4 finds whole was copied before anything was written over it.
//!
//! *No half record.* R1 pairs with W5, so R2 loads what W4 stored, or something later.
//!
//! *A writer that dies* between W1 and W5 leaves `tail` as it was: nobody reads what was claimed,
//! and everything before `claim - capacity` counts as overwritten, whether it was or not.
//!
//! W1 to W3 are done once for a block, a 64th of the ring, and not for each record: so `claim` is a
//! line that readers have in their caches while they load it for each record.

use super::layout::{BLOCKS, Header, PART_OF_A_RECORD, RECORD_HEADER, TIMED, record_size};
use super::words::Words;
use crate::fail_points::{Point, point};
use crate::ring::{Atomics, Word};
use std::sync::atomic::Ordering;

/// No record begins in a block.
const NONE: u64 = u64::MAX;

/// The writer of a feed. It is not sent over anything: it only moves positions and bytes.
#[derive(Debug)]
pub(crate) struct Writer {
    capacity: u64,
    /// log2 of the size of a block.
    block: u32,
    /// Where the next record begins.
    end: u64,
    /// The part of it that is published.
    published: u64,
    /// Where the last record begins.
    last: u64,
    claim: u64,
    /// The number of the next record.
    next: u64,
    /// Where the first record of each block begins, by the number of the block modulo `BLOCKS`.
    starts: [u64; BLOCKS as usize],
}

impl Writer {
    /// For a ring on which nothing has happened yet.
    pub(crate) fn new(capacity: u64) -> Writer {
        Writer {
            capacity,
            block: (capacity / BLOCKS).ilog2(),
            end: 0,
            published: 0,
            last: 0,
            claim: 0,
            next: 0,
            starts: [NONE; BLOCKS as usize],
        }
    }

    /// The number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Where everything that is published ends.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Whether a record of that size has to wait for those that are written to be published. They
    /// must not overwrite each other.
    #[inline]
    pub(crate) fn is_full(&self, len: usize, timed: bool) -> bool {
        let end = self.end + record_size(len as u64, timed);
        self.end > self.published && end - self.published > self.capacity / PART_OF_A_RECORD
    }

    /// Where everything that is written ends.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// If such a record needs another claim: which one.
    #[inline]
    pub(crate) fn next_claim(&self, len: usize, timed: bool) -> Option<u64> {
        let end = self.end + record_size(len as u64, timed);
        (end > self.claim).then(|| end.next_multiple_of(1 << self.block))
    }

    /// Writes a record, to be published. Its size has been checked.
    #[inline]
    pub(crate) fn write<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
        time: Option<u64>,
        payload: &[u8],
    ) -> u64 {
        let timed = time.is_some();
        let (at, len) = (self.end, payload.len() as u64);
        let end = at + record_size(len, timed);
        self.note_start(at);
        if end > self.claim {
            self.claim(header, end);
        }
        words.store(at, self.next);
        words.store(at + 8, len | u64::from(timed) << 32);
        let mut payload_at = at + RECORD_HEADER;
        if let Some(time) = time {
            words.store(payload_at, time);
            payload_at += 8;
        }
        words.copy_in(payload_at, payload);
        point(Point::RecordWritten);
        const { assert!(TIMED == 1) };
        (self.last, self.end) = (at, end);
        self.next += 1;
        self.next - 1
    }

    /// Publishes everything that is written.
    #[inline]
    pub(crate) fn publish<A: Atomics>(&mut self, header: &Header<A>) {
        self.published = self.end;
        // Release: a reader that finds this position finds the bytes before it.
        header.published.0.tail.store(self.end, Ordering::Release);
        // Release: a reader that finds this record finds that `tail` is beyond it.
        header.last.0.store(self.last, Ordering::Release);
        point(Point::RecordPublished);
    }

    /// Notes that a record begins here, if it is the first one of its block.
    #[inline]
    fn note_start(&mut self, at: u64) {
        let start = &mut self.starts[((at >> self.block) % BLOCKS) as usize];
        if *start == NONE || *start >> self.block != at >> self.block {
            *start = at;
        }
    }

    /// Says that the ring is going to be overwritten up to `end`, in whole blocks.
    #[cold]
    fn claim<A: Atomics>(&mut self, header: &Header<A>, end: u64) {
        self.claim = end.next_multiple_of(1 << self.block);
        let kept = self.claim.saturating_sub(self.capacity);
        let claimed = &header.claimed.0;
        // Release: a reader that finds this record finds that `tail` is beyond it.
        claimed
            .checkpoint
            .store(self.first_start_from(kept), Ordering::Release);
        // Release: a reader that sees this claim behind an acquire sees the checkpoint before it.
        // One that does not, yet, validates again.
        claimed.claim.store(self.claim, Ordering::Release);
        // Pairs with the fence of a reader that has loaded a word which is stored after this.
        A::fence(Ordering::Release);
        point(Point::Claimed);
    }

    /// Where the first record begins that begins at `kept`, the start of a block, or behind it.
    fn first_start_from(&self, kept: u64) -> u64 {
        let blocks = kept >> self.block..=self.end >> self.block;
        let start_of = |block: u64| {
            let start = self.starts[(block % BLOCKS) as usize];
            (start != NONE && start >> self.block == block).then_some(start)
        };
        // The record that is being written begins in one of them.
        blocks
            .clone()
            .find_map(start_of)
            .expect("a record that begins")
    }
}
