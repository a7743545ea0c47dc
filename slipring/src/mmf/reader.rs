//! The end that consumes.

use super::error::Result;
use super::file::Way;
use super::indexes::Role;
use super::ring::Ring;
use super::waiting::Waiting;
use crate::wait::Spin;
use std::io::{self, BufRead, IoSliceMut, Read};
use std::path::Path;
use std::time::Duration;

/// The reading end of a ring in a file: `Read` and `BufRead`.
///
/// It goes on where the last reader of this file has stopped, whichever program that was. There is
/// one reader at a time: a second slipring is refused ([`Error::InUse`](super::Error::InUse)); a
/// program in C# takes no lock, and that there is none is for you to see to. Dropping it lets go of
/// the file and tells the writer nothing.
///
/// There is no end of file: the ring does not say whether anybody will ever write again.
///
/// # Examples
///
/// ```
/// use slipring::mmf::{Reader, Writer};
/// use std::io::{Read, Write};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("quotes");
///
/// // The end that comes first makes the file.
/// let mut writer = Writer::create_or_open(&path, 4096)?;
/// let mut reader = Reader::create_or_open(&path, 4096)?;
/// writer.write_all(b"EURUSD")?;
/// let mut buf = [0; 6];
/// reader.read_exact(&mut buf)?;
/// assert_eq!(&buf, b"EURUSD");
///
/// // Where they stand is in the file.
/// writer.write_all(b"unread")?;
/// drop(reader);
/// let mut reader = Reader::open(&path)?;
/// assert_eq!((reader.position(), reader.available()?), (6, 6));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    ring: Ring,
    waiting: Waiting,
}

impl Reader {
    /// Makes a new file of `size` bytes, 16 of them for the indexes, and reads from it. The file
    /// has the mode 0600.
    ///
    /// # Errors
    ///
    /// [`Exists`](super::Error::Exists), [`BadSize`](super::Error::BadSize),
    /// [`Os`](super::Error::Os).
    pub fn create(path: impl AsRef<Path>, size: u64) -> Result<Reader> {
        Reader::new(path.as_ref(), Way::Create(size))
    }

    /// Reads from the ring in a file that is there. One of no size is waited for for a second:
    /// somebody is just making it.
    ///
    /// # Errors
    ///
    /// [`NotThere`](super::Error::NotThere), [`TooShort`](super::Error::TooShort),
    /// [`NotAFile`](super::Error::NotAFile), [`InUse`](super::Error::InUse),
    /// [`Indexes`](super::Error::Indexes), [`Os`](super::Error::Os): a file that cannot be written
    /// among them, since a reader writes its index.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::new(path.as_ref(), Way::Open)
    }

    /// Reads from the ring in this file, and makes it if it is not there: for programs that may
    /// come first or last.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`BadSize`](super::Error::BadSize),
    /// [`WrongSize`](super::Error::WrongSize) if the file is there and has another size, and
    /// [`DanglingLink`](super::Error::DanglingLink) for a symbolic link to a file that is not
    /// there: nothing is made where somebody else's link leads.
    pub fn create_or_open(path: impl AsRef<Path>, size: u64) -> Result<Reader> {
        Reader::new(path.as_ref(), Way::CreateOrOpen(size))
    }

    pub(super) fn new(path: &Path, way: Way) -> Result<Reader> {
        let ring = Ring::open(path, way, Role::Reader)?;
        Ok(Reader {
            waiting: Waiting::new(ring.fork_guard()),
            ring,
        })
    }

    /// Waits for the first byte.
    #[inline]
    fn wait(&mut self) -> io::Result<()> {
        self.waiting.wait(&mut self.ring, |ring| ring.filled() > 0)
    }

    /// Takes the bytes that are there, as far as they fit; there are some.
    #[inline]
    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.ring.filled() as usize);
        self.ring.get(0, &mut buf[..n]);
        self.ring.moved(n as u64)?;
        Ok(n)
    }

    /// Reads the bytes that are there, without blocking.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing; otherwise as [`read`](Read::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::mmf::Duplex;
    /// # use std::io::{ErrorKind, Write};
    /// # let directory = tempfile::tempdir()?;
    /// # let (left, right) = (directory.path().join("left"), directory.path().join("right"));
    /// # let mut engine = Duplex::create_or_open(&left, &right, 4096)?;
    /// # let mut panel = Duplex::create_or_open(&right, &left, 4096)?;
    /// let mut buf = [0; 16];
    /// assert_eq!(engine.reader().try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// panel.write_all(b"buy")?;
    /// assert_eq!(engine.reader().try_read(&mut buf)?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.available()? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.take(buf)
    }

    /// Blocks until there is something, and lends all of it where it lies: one piece, or two if it
    /// goes over the end of the data. The second piece is empty otherwise.
    /// [`consume`](BufRead::consume) gives back from the front.
    ///
    /// # Errors
    ///
    /// As [`read`](Read::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::mmf::{Reader, Writer};
    /// use std::io::{BufRead, Read, Write};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("ring");
    ///
    /// // Ten bytes of data.
    /// let mut writer = Writer::create(&path, 26)?;
    /// let mut reader = Reader::open(&path)?;
    /// writer.write_all(b"01234567")?;
    /// reader.read_exact(&mut [0; 8])?;
    /// writer.write_all(b"abcd")?;
    /// assert_eq!(reader.fill_pieces()?, [&b"ab"[..], b"cd"]);
    /// reader.consume(3);
    /// assert_eq!(reader.fill_pieces()?, [&b"d"[..], b""]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fill_pieces(&mut self) -> io::Result<[&[u8]; 2]> {
        self.wait()?;
        self.ring.refresh()?;
        Ok(self.ring.lend())
    }

    /// Bytes that can be read now without blocking. There may be more a moment later.
    ///
    /// # Errors
    ///
    /// As [`read`](Read::read), without `WouldBlock`.
    pub fn available(&mut self) -> io::Result<usize> {
        self.ring.check_if_due()?;
        self.ring.refresh()?;
        Ok(self.ring.filled() as usize)
    }

    /// Bytes that were ever consumed from this file: its head.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// The most bytes that the ring can hold: the size of the file without the 16 of the indexes.
    pub fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        self.ring.path()
    }

    /// How long blocked calls spin before they yield and sleep.
    pub fn set_spin(&mut self, spin: Spin) {
        self.waiting.set_spin(spin);
    }

    /// The longest time that a blocked call sleeps before it polls again: 10 ms by default, at
    /// least 10 µs. Shorter answers sooner and costs more CPU while nothing happens.
    pub fn set_longest_sleep(&mut self, longest: Duration) {
        self.waiting.set_longest_sleep(longest);
    }

    /// Lets blocking reads fail with `WouldBlock` after `timeout`. `None`, the default, waits for
    /// ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.waiting.set_timeout(timeout)
    }

    /// The timeout that was set.
    pub fn timeout(&self) -> Option<Duration> {
        self.waiting.timeout()
    }

    /// Lets reads that would block fail with `WouldBlock` at once.
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.waiting.set_nonblocking(yes);
    }
}

impl Read for Reader {
    /// Blocks until there is something, takes the part that fits, and gives it back to the writer
    /// at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the timeout or in non-blocking mode; `InvalidData` with
    /// [`Error::Indexes`](super::Error) or [`Error::Resized`](super::Error) inside if the ring has
    /// been damaged, from then on.
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.wait()?;
        // The number last loaded may be less than the number of bytes that are there by now.
        if (self.ring.filled() as usize) < buf.len() {
            self.ring.refresh()?;
        }
        self.take(buf)
    }

    /// Fills all of `bufs` that it can, and gives it back at once.
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let there = self
            .fill_pieces()?
            .iter()
            .map(|piece| piece.len())
            .sum::<usize>();
        let mut taken = 0;
        for buf in bufs {
            let n = buf.len().min(there - taken);
            self.ring.get(taken, &mut buf[..n]);
            taken += n;
        }
        self.ring.moved(taken as u64)?;
        Ok(taken)
    }
}

impl BufRead for Reader {
    /// Lends the bytes that are there up to the end of the data, where they lie; blocks while there
    /// are none. Bytes that lie at the start of the data come with the next call;
    /// [`fill_pieces`](Reader::fill_pieces) lends both.
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.wait()?;
        let [first, _] = self.ring.lend();
        Ok(first)
    }

    /// Gives `n` bytes back to the writer. If that shows that the ring has been damaged, the next
    /// read says so.
    ///
    /// # Panics
    ///
    /// If fewer than `n` bytes have been lent.
    #[inline]
    fn consume(&mut self, n: usize) {
        assert!(
            n as u64 <= self.ring.filled(),
            "more is consumed than was lent"
        );
        // Bytes that were lent before a fork are the parent's to give back.
        if self.ring.is_owner() {
            // It stays damaged.
            let _ = self.ring.moved(n as u64);
        }
    }
}
