//! The memory of a feed, in a model.

use super::Flaw;
use super::mutant::weakly;
use crate::feed::layout::{Header, Page, testing};
use crate::feed::words::{RingWords, Words};
use crate::feed::writer::Writer;
use crate::ring::{Atomics, Word};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest payload here: one word.
pub(super) const MAX_RECORD: u64 = 8;

/// Header, ring, and the page of one subscriber.
pub(super) struct Memory<A: Atomics> {
    pub(super) header: Header<A>,
    pub(super) page: Page<A>,
    ring: Vec<A::U64>,
    pub(super) flaw: Flaw,
}

impl<A: Atomics> Memory<A> {
    pub(super) fn new(capacity: u64, flaw: Flaw) -> Arc<Memory<A>> {
        Arc::new(Memory {
            header: testing::header(capacity, MAX_RECORD),
            page: testing::page(),
            ring: (0..capacity / 8).map(|_| A::U64::new(0)).collect(),
            flaw,
        })
    }

    /// Writes the next record, and publishes it.
    pub(super) fn publish(&self, writer: &mut Writer) {
        let record = payload(writer.next());
        weakly(self.flaw.in_feed_write(), || {
            writer.write(&self.header, self, None, &record)
        });
        weakly(self.flaw.in_feed_publish(), || writer.publish(&self.header));
    }
}

/// The payload of the record of this number: no other one's, and not zero.
pub(super) fn payload(sequence: u64) -> [u8; 8] {
    (sequence + 0x1000).to_le_bytes()
}

impl<A: Atomics> RingWords for Memory<A> {
    fn capacity(&self) -> u64 {
        self.ring.len() as u64 * 8
    }
}

impl<A: Atomics> Words for Memory<A> {
    fn load(&self, at: u64) -> u64 {
        self.ring[(at / 8) as usize % self.ring.len()].load(Ordering::Relaxed)
    }

    fn store(&self, at: u64, word: u64) {
        self.ring[(at / 8) as usize % self.ring.len()].store(word, Ordering::Relaxed);
    }
}
