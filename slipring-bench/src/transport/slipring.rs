//! A slipring stream with a given spinning and capacity at both ends.

use std::io::{self, BufRead, Read, Write};

use ::slipring::{Options, Reader, Spin, Writer};

use super::{End, Link, Transport, in_place::Lend};

/// As large as `--capacity` offers; the library alone would stop a peer earlier.
const PEER_CAPACITY: usize = 1 << 30;

/// A slipring stream, all defaults but these.
#[derive(Clone, Copy)]
pub struct Slipring {
    /// of both ends
    pub spin: Spin,
    /// of each ring, in bytes; `None`: the default
    pub capacity: Option<usize>,
}

/// Both halves of a stream.
pub struct Halves {
    /// the bytes that come from the other end
    pub reader: Reader,
    /// the bytes that go there
    pub writer: Writer,
}

impl Slipring {
    pub(crate) fn options(self) -> Options {
        let options = Options::new()
            .protocol("slipring-bench/1")
            .max_peer_capacity(PEER_CAPACITY)
            .spin(self.spin);
        match self.capacity {
            Some(bytes) => options.capacity(bytes).max_capacity(bytes),
            None => options,
        }
    }
}

impl Transport for Slipring {
    type Link = Halves;

    /// A stream like any other, but made of a pair of sockets: a name for each would leave its lock
    /// file behind.
    fn open(&self, end: End) -> io::Result<Halves> {
        let stream = self.options().upgrade(end.socket)?;
        let (reader, writer) = stream.into_split();
        Ok(Halves { reader, writer })
    }
}

impl Link for Halves {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.writer.write_all(message)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buffer)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }

    fn send_batch(&mut self, messages: &[u8], size: usize) -> io::Result<()> {
        let mut batch = self.writer.batch();
        for message in messages.chunks_exact(size) {
            batch.write_all(message)?;
        }
        batch.flush()
    }
}

impl Lend for Halves {
    fn send_in_place(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let mut grant = self.writer.reserve(size)?;
        write(&mut grant);
        grant.commit(size);
        Ok(())
    }

    fn receive_in_place(&mut self, size: usize, read: impl FnOnce(&[u8])) -> io::Result<()> {
        read(&self.reader.fill_at_least(size)?[..size]);
        self.reader.consume(size);
        Ok(())
    }
}
