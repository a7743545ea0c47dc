//! Private memory that borrowed views are copied through, where the peer is not trusted to leave
//! published bytes alone.

use crate::endpoint::ring_memory::PeerRing;

/// The number of bytes that are copied ahead for a view.
const AHEAD: usize = 64 * 1024;

/// A view is aligned as the ring is, up to this.
const ALIGN: usize = 8;

/// A copy of the next bytes of the peer's ring.
#[derive(Debug, Default)]
pub(crate) struct Bounce {
    /// All initialised; the copy is `start..end`.
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Bounce {
    /// The next `want` bytes or more, of `available` ones that begin at `offset` in the ring. They
    /// begin at a multiple of 8 if `offset` is one.
    pub(crate) fn view(
        &mut self,
        peer_ring: &PeerRing,
        offset: usize,
        available: usize,
        want: usize,
    ) -> &[u8] {
        // `want` may be 0: then the bytes that are copied already suffice, unless there are none.
        if self.end - self.start < want.max(1) {
            let len = available.min(want.max(AHEAD));
            let with_slack = len + 2 * ALIGN;
            if self.memory.len() < with_slack {
                self.memory.resize(with_slack, 0);
            }
            self.start = self.memory.as_ptr().align_offset(ALIGN) + offset % ALIGN;
            self.end = self.start + len;
            peer_ring.read(offset, &mut self.memory[self.start..self.end]);
        }
        self.lent()
    }

    /// The bytes lent last, without those consumed since.
    pub(crate) fn lent(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// Follows the reader by `n` bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ring_memory::{OwnRing, min_capacity};
    use std::os::fd::AsFd;

    #[test]
    fn a_view_is_aligned_as_the_ring_is() {
        let capacity = min_capacity();
        let (own_ring, fd) = OwnRing::create(capacity).unwrap();
        let peer_ring = PeerRing::map(fd.as_fd(), capacity).unwrap();
        let bytes: Vec<u8> = (0..capacity).map(|i| (i % 251) as u8).collect();
        // SAFETY: this test is the one writer and holds no slice.
        unsafe { own_ring.write(0, &bytes) };
        for first in 0..16 {
            let mut bounce = Bounce::default();
            let mut at = first;
            for step in [1, 3, 8, 0, 100, 1000] {
                let view = bounce.view(&peer_ring, at, capacity - at, step);
                assert_eq!(view[..step], bytes[at..at + step]);
                assert_eq!(view.as_ptr().addr() % ALIGN, at % ALIGN);
                bounce.consume(step);
                at += step;
            }
        }
    }
}
