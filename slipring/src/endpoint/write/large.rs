//! Large writes, which are published in chunks so that the reader's copy overlaps the writer's.
//!
//! In a flow of large writes a chunk is [`PUBLISH_CHUNK`] long: each chunk costs the reader a poll
//! of a line that the writer is about to store to, and the reader is behind anyhow. If a reader has
//! nothing left and polls at this very moment, it is better served with the beginning of a write as
//! soon as there is some of it (docs/experiments/large-writes.md). An early beginning is of no use
//! to a reader that sleeps, as it wakes up after the write is done; on a core that both share it
//! would take turns with the writer for each chunk.

use super::{LARGE, PUBLISH_CHUNK, WriteHalf};
use std::mem;

/// The length of the first chunks of a write that a reader polls for.
const FIRST_CHUNK: usize = LARGE / 2;

impl WriteHalf {
    /// Copies `bytes`, of which there are [`LARGE`] at least, and for which there is room, and
    /// publishes them in chunks.
    #[inline(never)]
    pub(super) fn put_large(&mut self, bytes: &[u8]) {
        let (mut first, rest) = bytes.split_at(bytes.len().min(PUBLISH_CHUNK));
        if self.ring.is_polled_for(self.endpoint.headers()) {
            // A reader that has fallen asleep meanwhile is woken once for the rest.
            while first.len() > FIRST_CHUNK && !self.ring.is_slept_on(self.endpoint.headers()) {
                let (chunk, left) = first.split_at(FIRST_CHUNK);
                self.put_chunk(chunk);
                first = left;
            }
        }
        for chunk in rest.chunks(PUBLISH_CHUNK) {
            self.put_chunk(mem::replace(&mut first, chunk));
        }
        self.copy_in(first);
        self.publish();
    }

    #[inline]
    fn put_chunk(&mut self, chunk: &[u8]) {
        self.copy_in(chunk);
        self.publish_part();
    }
}
