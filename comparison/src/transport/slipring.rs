//! A slipring stream, all defaults but the spinning.

use std::{
    io::{self, BufRead, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
};

use ::slipring::{Options, Reader, Spin, Writer};

use super::{Link, Place, Transport, in_place::Lend, small_reads};

pub struct Slipring {
    pub spin: Spin,
}

pub struct Halves {
    reader: Reader,
    writer: Writer,
}

impl Slipring {
    /// All defaults but the spinning.
    pub fn new(spin: Spin) -> Self {
        Slipring { spin }
    }

    fn upgrade(&self, socket: UnixStream) -> io::Result<Halves> {
        let options = Options::new().spin(self.spin);
        let stream = options.upgrade(socket)?;
        let (reader, writer) = stream.into_split();
        Ok(Halves { reader, writer })
    }
}

impl Transport for Slipring {
    type Link = Halves;

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let listener = UnixListener::bind(place.directory.join("socket"))?;
        announce("")?;
        self.upgrade(listener.accept()?.0)
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        self.upgrade(UnixStream::connect(place.directory.join("socket"))?)
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

impl small_reads::Halves for Halves {
    fn halves(&mut self) -> (&mut impl BufRead, &mut impl Write) {
        (&mut self.reader, &mut self.writer)
    }
}

impl small_reads::IntoHalves for Halves {
    type Reader = Reader;
    type Writer = Writer;

    fn into_halves(self) -> (Reader, Writer) {
        (self.reader, self.writer)
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
