//! Memory of a half's own, from which messages are sent and to which they are received.
//!
//! How long a copy takes depends on where its source and its target lie in their pages (a load that
//! follows a store to the same place of another page waits for it, and `rep movsb` has good and bad
//! places of its own). An allocator gives each program some place and keeps to it, so that the
//! order of the contenders would be an accident of the layout (Mytkowicz et al., "Producing Wrong
//! Data Without Doing Anything Obviously Wrong!", 2009). So the messages lie at another place in
//! each round, the same one for all contenders. (Not those of many streams, where the memory of
//! each counts, of tokio, of small reads, and of memcpy.)

use std::ops::{Deref, DerefMut};

const PAGE: usize = 4096;
/// From one round to the next: about a golden section of a page, so that a few rounds lie far from
/// each other, and an odd multiple of the 16 bytes by which allocators align, so that they come to
/// every such place.
const STEP: usize = 2544;
/// Where malloc puts blocks that are larger than some 100 KiB.
const FIRST: usize = 16;

pub(crate) struct Buffer {
    memory: Box<[u8]>,
    size: usize,
    start: usize,
}

impl Buffer {
    pub(crate) fn new(size: usize, moves: bool) -> Buffer {
        let room = if moves { 2 * PAGE } else { 0 };
        Buffer {
            memory: vec![0; size + room].into(),
            size,
            start: 0,
        }
    }

    /// Moves on to the place of this round.
    pub(crate) fn move_to(&mut self, round: usize) {
        if self.memory.len() > self.size {
            let offset = (FIRST + round * STEP) % PAGE;
            self.start = self.memory.as_ptr().align_offset(PAGE) + offset;
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.size]
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_to_every_place_of_a_page_and_has_all_its_bytes() {
        for size in [64, 2 * PAGE] {
            let mut buffer = Buffer::new(size, true);
            let mut places = Vec::new();
            for round in 0..PAGE / 16 {
                buffer.move_to(round);
                assert_eq!(buffer.len(), size);
                buffer.fill(round as u8);
                places.push(buffer.as_ptr() as usize % PAGE);
            }
            let lines: Vec<_> = places[..4].iter().map(|place| place % 64).collect();
            assert_eq!(lines, [16, 0, 48, 32]);
            places.sort();
            assert!(places.iter().copied().eq((0..PAGE).step_by(16)));
        }
    }

    #[test]
    fn stays_where_it_is_if_it_has_to() {
        let mut buffer = Buffer::new(64, false);
        let place = buffer.as_ptr();
        buffer.move_to(3);
        assert_eq!(buffer.as_ptr(), place);
        assert_eq!(buffer.len(), 64);
    }
}
