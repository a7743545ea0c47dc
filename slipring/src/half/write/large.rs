//! Large writes, which are published in parts so that the reader's copy overlaps the writer's.
//!
//! In a flow of them a part is [`PART`] long: each costs the reader a look at a line that the
//! writer is about to store to, and it is behind anyhow. A reader that has nothing left and looks
//! for more at this very moment is better served with the beginning of a write as soon as there is
//! some of it: a round trip of 64 KiB takes three quarters of the time (docs/performance.md). To
//! one that sleeps it would be no use, as it wakes up later than the write is done; on a core that
//! both share it would take turns with the writer for each piece.

use super::{PART, WriteHalf};

/// Of the first part of a write that is waited for.
const STEP: usize = 16 * 1024;

/// A write from this length on is in steps, or in parts.
pub(super) const LARGE: usize = 2 * STEP;

/// The most writes between two looks whether the reader waits.
const SELDOM: u32 = 15;

/// Whether it is worth looking if the reader waits. A look takes the line of `head` away from a
/// reader at work, so while it does not wait, few writes are worth it.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    /// Writes until the next look.
    left: u32,
    /// How many lie between two looks now.
    every: u32,
}

impl Expectation {
    fn is_due(&mut self) -> bool {
        let due = self.left == 0;
        self.left = if due { self.every } else { self.left - 1 };
        due
    }

    fn met(&mut self, yes: bool) {
        self.every = if yes {
            0
        } else {
            (2 * self.every + 1).min(SELDOM)
        };
        self.left = self.every;
    }
}

impl WriteHalf {
    /// Copies `bytes`, of which there are [`LARGE`] at least, and for which there is room, and
    /// publishes them in parts.
    #[inline(never)]
    pub(super) fn put_large(&mut self, bytes: &[u8]) {
        let (mut part, others) = bytes.split_at(bytes.len().min(PART));
        if self.expectation.is_due() {
            // What it has to load from the reader's header comes while the copy is under way.
            let waited_for = self.ring.is_waited_for(self.endpoint.headers());
            self.expectation.met(waited_for);
            part = self.copy_step(part);
            if waited_for {
                self.publish();
                // Whoever has fallen asleep meanwhile is woken once for the rest, not for each
                // step.
                while part.len() > STEP && !self.ring.is_slept_on(self.endpoint.headers()) {
                    part = self.copy_step(part);
                    self.publish();
                }
            }
        }
        for bytes in [part].into_iter().chain(others.chunks(PART)) {
            self.copy_in(bytes);
            self.publish();
        }
    }

    /// Copies the first [`STEP`] of `bytes`, and leaves it to the next publication. Returns the
    /// rest.
    #[inline]
    fn copy_step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (step, rest) = bytes.split_at(STEP);
        self.copy_in(step);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_write_looks_rarely_while_nobody_waits_and_always_while_somebody_does() {
        let mut expectation = Expectation::default();
        let mut looks = |writes: u32, waits: bool| {
            let looks = (0..writes).filter(|_| {
                let due = expectation.is_due();
                if due {
                    expectation.met(waits);
                }
                due
            });
            looks.count() as u32
        };
        assert_eq!(looks(100, true), 100);
        assert_eq!(looks(1 + 2 + 4 + 8 + 16 * 100, false), 4 + 100);
        // It is noticed at the next look, within 16 writes.
        assert_eq!(looks(16 + 100, true), 1 + 100);
    }
}
