//! Memory of a half's own, from which messages are sent and to which they are received.
//!
//! How long a copy takes depends on where its source and its target lie in their pages (a load that follows a store to
//! the same place of another page waits for it, and `rep movsb` has good and bad places of its own). An allocator
//! gives each program some place and keeps to it, so that who is ahead of whom would be an accident of the layout
//! (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", 2009). So the messages lie at
//! another place in each round, the same one for all contenders.

use std::ops::{Deref, DerefMut};

const PAGE: usize = 4096;
/// From one round to the next: a golden section of a page, so that a few rounds lie far from each other; and as
/// allocators align, by 16 bytes.
const STEP: usize = 2528;
/// Where malloc has large memory.
const FIRST: usize = 16;

pub struct Buffer {
    memory: Box<[u8]>,
    size: usize,
    start: usize,
}

impl Buffer {
    pub fn new(size: usize) -> Buffer {
        // What is smaller than a page need not move, and many streams would each pay for the room.
        let room = if size < PAGE { 0 } else { 2 * PAGE };
        Buffer {
            memory: vec![0; size + room].into(),
            size,
            start: 0,
        }
    }

    /// Moves on to the place of this round.
    pub fn move_to(&mut self, round: usize) {
        if self.size >= PAGE {
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
    fn lies_elsewhere_in_each_round_and_has_all_its_bytes() {
        let mut buffer = Buffer::new(2 * PAGE);
        let mut places = Vec::new();
        for round in 0..5 {
            buffer.move_to(round);
            assert_eq!(buffer.len(), 2 * PAGE);
            places.push(buffer.as_ptr() as usize % PAGE);
        }
        assert_eq!(places, [16, 2544, 976, 3504, 1936]);
        buffer.fill(7);
        assert!(buffer.iter().all(|byte| *byte == 7));
    }
}
