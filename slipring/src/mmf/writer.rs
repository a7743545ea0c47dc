//! The end that produces.

use super::error::Result;
use super::file::Way;
use super::indexes::Role;
use super::ring::Ring;
use super::waiting::Waiting;
use crate::wait::Spin;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::time::Duration;

/// The writing end of a ring in a file: `Write`.
///
/// It goes on where the last writer of this file has stopped, whichever program that was; nobody
/// needs to be there to read. There is one writer at a time: a second slipring is refused
/// ([`Error::InUse`](super::Error::InUse)); a program in C# takes no lock, and that there is none
/// is for you to see to.
///
/// # What a write is
///
/// As in those programs: a write of up to [`capacity`](Self::capacity) bytes waits until all of it
/// fits, and becomes visible at once. A larger one could never fit; it flows through in parts while
/// the peer reads, so `write_all` takes messages of any size. Dropping the writer lets go of the
/// file and tells the reader nothing: bytes that were written are still there for it, and there is
/// no end of file.
///
/// # Examples
///
/// ```
/// use slipring::mmf::Writer;
/// use std::io::{ErrorKind, Write};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("orders");
///
/// let mut writer = Writer::create_or_open(&path, 4096)?;
/// assert_eq!(writer.capacity(), 4080);
/// writer.write_all(b"buy 100")?; // before anybody reads
/// assert_eq!((writer.position(), writer.space()?), (7, 4073));
/// assert_eq!(writer.try_write(&[0; 4080]).unwrap_err().kind(), ErrorKind::WouldBlock);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    ring: Ring,
    waiting: Waiting,
}

impl Writer {
    /// Makes a new file of `size` bytes, 16 of them for the indexes, and writes into it. The file
    /// has the mode 0600.
    ///
    /// # Errors
    ///
    /// [`Exists`](super::Error::Exists), [`BadSize`](super::Error::BadSize),
    /// [`Os`](super::Error::Os).
    pub fn create(path: impl AsRef<Path>, size: u64) -> Result<Writer> {
        Writer::new(path.as_ref(), Way::Create(size))
    }

    /// Writes into the ring in a file that is there. One of no size is waited for for a second:
    /// somebody is just making it.
    ///
    /// # Errors
    ///
    /// [`NotThere`](super::Error::NotThere), [`TooShort`](super::Error::TooShort),
    /// [`NotAFile`](super::Error::NotAFile), [`InUse`](super::Error::InUse),
    /// [`Indexes`](super::Error::Indexes), [`Os`](super::Error::Os).
    pub fn open(path: impl AsRef<Path>) -> Result<Writer> {
        Writer::new(path.as_ref(), Way::Open)
    }

    /// Writes into the ring in this file, and makes it if it is not there: for programs that may
    /// come first or last.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`BadSize`](super::Error::BadSize),
    /// [`WrongSize`](super::Error::WrongSize) if the file is there and has another size, and
    /// [`DanglingLink`](super::Error::DanglingLink) for a symbolic link to a file that is not
    /// there: nothing is made where somebody else's link leads.
    pub fn create_or_open(path: impl AsRef<Path>, size: u64) -> Result<Writer> {
        Writer::new(path.as_ref(), Way::CreateOrOpen(size))
    }

    pub(super) fn new(path: &Path, way: Way) -> Result<Writer> {
        let ring = Ring::open(path, way, Role::Writer)?;
        Ok(Writer {
            waiting: Waiting::new(ring.fork_guard()),
            ring,
        })
    }

    /// The room that a write of `len` bytes waits for.
    #[inline]
    fn needs(&self, len: usize) -> u64 {
        let len = len as u64;
        if len <= self.ring.capacity() { len } else { 1 }
    }

    /// Blocks until `n` bytes are free.
    #[inline]
    fn wait(&mut self, n: u64) -> io::Result<()> {
        self.waiting.wait(&mut self.ring, |ring| free(ring) >= n)
    }

    /// Writes the part of `buf` that fits.
    #[inline]
    fn put(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(free(&self.ring) as usize);
        self.ring.put(0, &buf[..n]);
        self.ring.moved(n as u64)?;
        Ok(n)
    }

    /// Writes all of `buf` without blocking. If it is longer than [`capacity`](Self::capacity)
    /// bytes, writes the part that fits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room for it, and nothing was written; otherwise as
    /// [`write`](Write::write).
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if (self.space()? as u64) < self.needs(buf.len()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.put(buf)
    }

    /// Blocks until the peer has consumed everything that is in the ring.
    ///
    /// # Errors
    ///
    /// As [`write`](Write::write).
    pub fn wait_consumed(&mut self) -> io::Result<()> {
        self.waiting.wait(&mut self.ring, |ring| ring.filled() == 0)
    }

    /// Bytes that can be written now without blocking. There may be more a moment later.
    ///
    /// # Errors
    ///
    /// As [`write`](Write::write), without `WouldBlock`.
    pub fn space(&mut self) -> io::Result<usize> {
        self.ring.check_if_due()?;
        self.ring.refresh()?;
        Ok(free(&self.ring) as usize)
    }

    /// Bytes that were ever written into this file: its tail.
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

    /// Lets blocking writes fail with `WouldBlock` after `timeout`. `None`, the default, waits for
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

    /// Lets writes that would block fail with `WouldBlock` at once.
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.waiting.set_nonblocking(yes);
    }
}

/// Bytes that are free, by the index last loaded.
#[inline]
fn free(ring: &Ring) -> u64 {
    ring.capacity() - ring.filled()
}

impl Write for Writer {
    /// Writes all of `buf`, or a part of it if it is larger than the ring; see [`Writer`]. Blocks
    /// until there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the timeout or in non-blocking mode, and nothing was written;
    /// `InvalidData` with [`Error::Indexes`](super::Error) or [`Error::Resized`](super::Error)
    /// inside if the ring has been damaged, from then on.
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.wait(self.needs(buf.len()))?;
        self.put(buf)
    }

    /// Writes all of `bufs`, which become visible at once. If they are larger than the ring, writes
    /// the part that fits.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = bufs
            .iter()
            .map(|buf| buf.len())
            .fold(0, usize::saturating_add);
        if len == 0 {
            return Ok(0);
        }
        self.wait(self.needs(len))?;
        let room = free(&self.ring) as usize;
        let mut written = 0;
        for buf in bufs {
            let n = buf.len().min(room - written);
            self.ring.put(written, &buf[..n]);
            written += n;
        }
        self.ring.moved(written as u64)?;
        Ok(written)
    }

    /// Does nothing: every write has been published when it returns.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
