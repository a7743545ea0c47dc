//! A link made of anything that reads and anything that writes.

use std::io::{self, BufWriter, Read, Write};

use super::Link;

/// Both directions of a connection.
pub struct Duplex<R, W> {
    /// the bytes that come from the other end
    pub reader: R,
    /// the bytes that go there
    pub writer: W,
}

impl<R: Read, W: Write> Link for Duplex<R, W> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.writer.write_all(message)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buffer)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }

    /// Gathers them, and writes once.
    fn send_batch(&mut self, messages: &[u8], size: usize) -> io::Result<()> {
        let mut gathered = BufWriter::with_capacity(messages.len(), &mut self.writer);
        for message in messages.chunks_exact(size) {
            gathered.write_all(message)?;
        }
        gathered.flush()
    }
}
