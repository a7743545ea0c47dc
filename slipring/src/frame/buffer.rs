//! Private memory that begins at a multiple of 8, as the ring does.

use super::header::HEADER;
use std::io;

/// Bytes that begin at an address that is a multiple of 8, whatever the allocator gives.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// All initialised; what is in use begins at `start`.
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> io::Result<Buffer> {
        let mut buffer = Buffer::default();
        buffer.extend(len, len)?;
        Ok(buffer)
    }

    /// Bytes that fit without another allocation.
    pub(super) fn capacity(&self) -> usize {
        self.memory.len() - self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Empties it, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }

    /// Makes it longer by `n` bytes, and lends those to be written. It doubles its memory as it
    /// grows, but for no more than `max` bytes.
    pub(super) fn extend(&mut self, n: usize, max: usize) -> io::Result<&mut [u8]> {
        let (old, new) = (self.len, self.len + n);
        if new > self.capacity() {
            self.grow(new.max(self.capacity().saturating_mul(2).min(max)))?;
        }
        self.len = new;
        Ok(&mut self.memory[self.start..][old..new])
    }

    #[cold]
    fn grow(&mut self, capacity: usize) -> io::Result<()> {
        let Some(with_slack) = capacity.checked_add(HEADER - 1) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        // Not `reserve`, which would abort the process for the sake of a message.
        self.memory
            .try_reserve_exact(with_slack - self.memory.len())
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.memory.resize(with_slack, 0);
        let start = self.memory.as_ptr().align_offset(HEADER);
        // The new memory may be aligned otherwise than the old one was.
        if start != self.start {
            self.memory
                .copy_within(self.start..self.start + self.len, start);
            self.start = start;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_buffer_grows_in_place_and_stays_aligned() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.bytes(), []);
        let mut expected = Vec::new();
        for round in 0..200 {
            let piece = [round as u8; 123];
            buffer
                .extend(piece.len(), usize::MAX)
                .unwrap()
                .copy_from_slice(&piece);
            expected.extend_from_slice(&piece);
            assert!(buffer.bytes() == expected);
            assert!(buffer.bytes().as_ptr().cast::<u64>().is_aligned());
        }
        let capacity = buffer.capacity();
        buffer.clear();
        assert_eq!((buffer.len(), buffer.capacity()), (0, capacity));
    }

    #[test]
    fn a_message_buffer_grows_with_its_bytes_up_to_the_maximum() {
        let mut buffer = Buffer::default();
        for _ in 0..10 {
            buffer.extend(1000, 10_000).unwrap();
            assert!(buffer.capacity() <= (2 * buffer.len()).min(10_000) + HEADER);
        }
        assert_eq!(buffer.len(), 10_000);
    }

    #[test]
    fn a_message_that_no_memory_could_hold_is_an_error() {
        for len in [usize::MAX, isize::MAX as usize] {
            assert_eq!(
                Buffer::zeroed(len).unwrap_err().kind(),
                io::ErrorKind::OutOfMemory
            );
        }
    }
}
