//! Two rings, one each way.

use super::error::Result;
use super::reader::Reader;
use super::writer::Writer;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::path::Path;

/// Both directions: a file to read from and a file to write into. The peer has them the other way
/// round.
///
/// # Examples
///
/// ```
/// use slipring::mmf::Duplex;
/// use std::io::{Read, Write};
/// # let directory = tempfile::tempdir()?;
/// # let (orders, quotes) = (directory.path().join("orders"), directory.path().join("quotes"));
///
/// let mut engine = Duplex::create_or_open(&orders, &quotes, 65536)?;
/// let mut panel = Duplex::create_or_open(&quotes, &orders, 65536)?;
/// panel.write_all(b"buy")?;
/// let mut order = [0; 3];
/// engine.read_exact(&mut order)?;
/// assert_eq!(&order, b"buy");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Duplex {
    reader: Reader,
    writer: Writer,
}

impl Duplex {
    /// Of two ends; they can be of different sizes, and made in different ways.
    pub fn new(reader: Reader, writer: Writer) -> Duplex {
        Duplex { reader, writer }
    }

    /// Makes both files, of `size` bytes each. If the second cannot be made, the first stays.
    ///
    /// # Errors
    ///
    /// As [`Reader::create`] and [`Writer::create`].
    pub fn create(
        incoming: impl AsRef<Path>,
        outgoing: impl AsRef<Path>,
        size: u64,
    ) -> Result<Duplex> {
        Ok(Duplex::new(
            Reader::create(incoming, size)?,
            Writer::create(outgoing, size)?,
        ))
    }

    /// Opens both files, which are there.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`] and [`Writer::open`].
    pub fn open(incoming: impl AsRef<Path>, outgoing: impl AsRef<Path>) -> Result<Duplex> {
        Ok(Duplex::new(
            Reader::open(incoming)?,
            Writer::open(outgoing)?,
        ))
    }

    /// Opens both files, and makes those that are not there, of `size` bytes each.
    ///
    /// # Errors
    ///
    /// As [`Reader::create_or_open`] and [`Writer::create_or_open`].
    pub fn create_or_open(
        incoming: impl AsRef<Path>,
        outgoing: impl AsRef<Path>,
        size: u64,
    ) -> Result<Duplex> {
        let reader = Reader::create_or_open(incoming, size)?;
        Ok(Duplex::new(reader, Writer::create_or_open(outgoing, size)?))
    }

    /// The reading end.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The writing end.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Both ends, borrowed: each can be used by a scoped thread of its own.
    #[doc(alias = "split")]
    pub fn halves(&mut self) -> (&mut Reader, &mut Writer) {
        (&mut self.reader, &mut self.writer)
    }

    /// Both ends, owned: each can move to a thread of its own.
    pub fn into_split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

impl Read for Duplex {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.reader.read_vectored(bufs)
    }
}

impl BufRead for Duplex {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

impl Write for Duplex {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
