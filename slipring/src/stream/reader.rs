//! The reading half of a stream.

use super::park::Blocking;
use super::{Closer, Readiness};
use crate::endpoint::{End, Endpoint, ReadHalf, ReadWait, Readable};
use crate::peer::Peer;
use crate::stats::ReaderStats;
use crate::sys::watch::Watch;
use crate::wait::Spin;
use std::io::{self, BufRead, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The reading half of a [`Stream`](crate::Stream): `Read` and `BufRead`, and what only shared
/// memory can do.
///
/// It is `Send` and can move to a thread of its own
/// ([`Stream::into_split`](crate::Stream::into_split)). Dropping it tells the peer, whose writer
/// then gets `BrokenPipe`; bytes that were not read are lost.
///
/// # Room
///
/// Each read makes room for the peer's writer at once, be it a single byte. That costs a fence
/// for each read, or [`consume`](BufRead::consume). [`fill_buf`](BufRead::fill_buf) lends the
/// ring's own memory, so that one `consume` can be for many bytes. A program that reads single
/// bytes or short lines, and has no use for their room before 8 KiB have been read, puts a
/// [`BufReader`](std::io::BufReader) around it, as around a socket.
///
/// # Ends
///
/// Every byte that the peer published comes first, whatever happened. Then: `Ok(0)` if the peer
/// finished or dropped its writer, `ConnectionReset` if it died, `ConnectionAborted` if it aborted,
/// `InvalidData` if its header made no sense. The end stays: each further read says the same.
/// [`end`](Self::end) has the details.
///
/// # Examples
///
/// Lines and records are looked at where they lie, in the peer's memory:
///
/// ```
/// use slipring::Stream;
/// use std::io::{BufRead, Write};
///
/// let (mut left, mut right) = Stream::pair()?;
/// left.write_all(&[7, 0, 0, 0, 42, 0, 0, 0])?;
///
/// let reader = right.reader();
/// let record = reader.fill_at_least(8)?;
/// let key = u32::from_le_bytes(record[..4].try_into()?);
/// let value = u32::from_le_bytes(record[4..8].try_into()?);
/// assert_eq!((key, value), (7, 42));
/// reader.consume(8);
/// assert_eq!(reader.position(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    pub(crate) half: ReadHalf,
    blocking: Blocking,
}

impl Reader {
    pub(crate) fn new(mut half: ReadHalf, watch: Watch) -> Reader {
        let spin = half.endpoint().options.spin;
        if spin == Spin::Always {
            half.never_sleep();
        }
        let blocking = Blocking::new(half.endpoint(), watch, spin);
        half.allow_flow(blocking.ever_spins());
        Reader { half, blocking }
    }

    /// A half that has been in an event loop so far.
    #[cfg(feature = "tokio")]
    pub(crate) fn from_half(half: ReadHalf) -> crate::Result<Reader> {
        let endpoint = half.endpoint();
        let watch = Watch::new(&endpoint.own_doorbells.reader, endpoint.link.as_fd())?;
        Ok(Reader::new(half, watch))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn into_half(mut self) -> crate::Result<ReadHalf> {
        self.blocking.may_sleep()?;
        self.half.leave_flow();
        Ok(self.half)
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        self.half.endpoint()
    }

    /// Blocks until `want` bytes are there, or the stream ended in order before.
    #[inline]
    pub(crate) fn wait(&mut self, want: usize) -> io::Result<Readable> {
        if self.half.has(want) {
            return Ok(Readable::Enough);
        }
        let mut wait = ReadWait {
            half: &mut self.half,
            want,
        };
        self.blocking.wait(&mut wait, None)
    }

    /// [`wait`](Self::wait), for a call that waits several times and has to end by `deadline`, if
    /// it has one.
    #[inline]
    pub(crate) fn wait_until(
        &mut self,
        want: usize,
        deadline: Option<Instant>,
    ) -> io::Result<Readable> {
        if self.half.has(want) {
            return Ok(Readable::Enough);
        }
        let mut wait = ReadWait {
            half: &mut self.half,
            want,
        };
        self.blocking.wait(&mut wait, deadline)
    }

    /// When a call that begins now has to end.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.blocking.deadline()
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.blocking.is_nonblocking()
    }

    /// Blocks until something is there, or the end. `rest`: see [`Stream`](super::Stream).
    #[inline(never)]
    fn wait_for_some(&mut self, rest: impl FnMut() -> Option<Duration>) -> io::Result<Readable> {
        if self.half.has(1) {
            return Ok(Readable::Enough);
        }
        let mut wait = ReadWait {
            half: &mut self.half,
            want: 1,
        };
        self.blocking.wait_resting(&mut wait, None, rest)
    }

    /// Reads what is there, once something is. The wait and what comes after it are one piece of
    /// code.
    #[inline(never)]
    fn read_some(
        &mut self,
        buf: &mut [u8],
        rest: impl FnMut() -> Option<Duration>,
    ) -> io::Result<usize> {
        let mut wait = ReadWait {
            half: &mut self.half,
            want: 1,
        };
        match self.blocking.wait_resting(&mut wait, None, rest)? {
            Readable::Enough => Ok(self.half.take(buf)),
            Readable::End => Ok(0),
        }
    }

    /// `Read::read`; `rest` is called before it sleeps.
    #[inline(always)]
    pub(super) fn read_resting(
        &mut self,
        buf: &mut [u8],
        rest: impl FnMut() -> Option<Duration>,
    ) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.half.try_take_fast(buf) {
            return Ok(buf.len());
        }
        self.read_some(buf, rest)
    }

    /// `BufRead::fill_buf`; `rest` is called before it sleeps.
    #[inline(always)]
    pub(super) fn fill_buf_resting(
        &mut self,
        rest: impl FnMut() -> Option<Duration>,
    ) -> io::Result<&[u8]> {
        if self.half.can_lend_fast() {
            return Ok(self.half.view_fast());
        }
        match self.wait_for_some(rest)? {
            Readable::Enough => Ok(self.half.view_some()),
            Readable::End => Ok(&[]),
        }
    }

    /// Reads what is there, without blocking.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there yet; at the end as [`Reader`] says (`Ok(0)` included).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// let mut buf = [0; 16];
    /// assert_eq!(right.reader().try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// left.write_all(b"tick")?;
    /// assert_eq!(right.reader().try_read(&mut buf)?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "recv")]
    #[doc(alias = "MSG_DONTWAIT")]
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.half.try_take(buf)
    }

    /// Blocks until at least `n` bytes can be read, and lends everything that is there as one
    /// slice, without consuming it.
    ///
    /// The slice is contiguous, wherever in the ring the bytes lie. It is the peer's memory itself,
    /// unless the peer is another user or [`copy_reads`](crate::Options::copy_reads) asked for a
    /// copy; see "Trust" in the [crate documentation](crate). `n = 0` does not block and may lend
    /// an empty slice.
    ///
    /// # Errors
    ///
    /// * [`GrowthRefused`](crate::GrowthRefused) if the peer's ring has to grow for it and does
    ///   not: `InvalidInput` at once if `n` is more than
    ///   [`max_peer_capacity`](Self::max_peer_capacity), `OutOfMemory` if the peer's process allows
    ///   no more. Bytes that came stay, and can be read.
    /// * `UnexpectedEof` if the stream ends in order before; what is left can still be read.
    /// * `WouldBlock` after the timeout or in non-blocking mode. Nothing is consumed; bytes that
    ///   came stay.
    /// * Otherwise as at any end; see [`Reader`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{BufRead, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"5:hello")?;
    /// let reader = right.reader();
    /// assert_eq!(reader.fill_at_least(2)?, b"5:hello");
    /// assert_eq!(&reader.fill_at_least(2 + 5)?[2..7], b"hello");
    /// reader.consume(7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "peek")]
    #[doc(alias = "MSG_PEEK")]
    #[doc(alias = "MSG_WAITALL")]
    pub fn fill_at_least(&mut self, n: usize) -> io::Result<&[u8]> {
        self.half.can_hold(n)?;
        if n == 0 {
            return self.half.view_known();
        }
        match self.wait(n) {
            Ok(Readable::Enough) => Ok(self.half.view(n)),
            Ok(Readable::End) => Err(self.half.too_short(n)),
            Err(e) => Err(self.half.told(e)),
        }
    }

    /// Bytes that can be read now without blocking.
    ///
    /// There may be more a moment later, never fewer: nobody else can take them away.
    ///
    /// # Errors
    ///
    /// Once nothing is left to be read, as [`Reader`] says of a read; `Ok(0)` at an end in order.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::Write;
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"tick")?;
    /// assert_eq!(right.reader().available()?, 4);
    /// assert_eq!(left.writer().space()?, left.capacity() - 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "FIONREAD")]
    pub fn available(&mut self) -> io::Result<usize> {
        self.half.count_available()
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.half.position()
    }

    /// How and where the stream ended, once a read has met the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{EndReason, Stream};
    /// # use std::io::{ErrorKind, Read};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.writer().abort(17);
    /// assert_eq!(right.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    /// let end = right.reader().end().unwrap();
    /// assert_eq!((end.reason, end.position), (EndReason::Aborted { code: 17 }, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end(&self) -> Option<End> {
        self.half.end()
    }

    /// Ends this direction: the peer's writer gets `BrokenPipe`, further reads here `Ok(0)`.
    ///
    /// Bytes that were not read are lost. Does not block; dropping the reader does the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// right.reader().shutdown();
    /// let mut failed = Ok(());
    /// while failed.is_ok() {
    ///     failed = left.write_all(b"unheard");
    /// }
    /// assert_eq!(failed.unwrap_err().kind(), ErrorKind::BrokenPipe);
    /// right.write_all(b"the other direction goes on")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&mut self) {
        self.half.stop();
    }

    /// Who is at the other end.
    #[doc(alias = "peer_cred")]
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer(&self) -> &Peer {
        &self.half.endpoint().peer
    }

    /// The size of the ring that this half reads from now, in bytes.
    ///
    /// It grows up to [`max_peer_capacity`](Self::max_peer_capacity), and shrinks, as the peer's
    /// writer needs it.
    pub fn peer_capacity(&self) -> usize {
        self.half.capacity()
    }

    /// How far the peer's ring may grow, in bytes, as both sides allow: the most that
    /// [`fill_at_least`](Self::fill_at_least) can ask for.
    pub fn max_peer_capacity(&self) -> usize {
        self.half.max_capacity()
    }

    /// The state and the counts of this half. Does not block.
    pub fn stats(&self) -> ReaderStats {
        self.half.stats()
    }

    /// Lets blocking reads fail with `WouldBlock` after `timeout`. `None`, the default, waits for
    /// ever.
    ///
    /// It is the time of one call of this reader, [`fill_at_least`](Self::fill_at_least) included.
    /// As with a socket, calls of `std::io` that read several times (`read_exact`, `read_line`)
    /// have it for each. Rounded up to whole milliseconds when it has to sleep.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    #[doc(alias = "set_read_timeout")]
    #[doc(alias = "SO_RCVTIMEO")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.blocking.set_timeout(timeout)
    }

    /// The timeout that was set.
    pub fn timeout(&self) -> Option<Duration> {
        self.blocking.timeout()
    }

    /// Lets reads that would block fail with `WouldBlock` at once.
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.blocking.set_nonblocking(yes);
        self.half.allow_flow(!yes && self.blocking.ever_spins());
    }

    /// Prepares for polling this reader's descriptor until `n` bytes can be read, or the stream has
    /// ended; see [`Readiness`].
    ///
    /// A successful read takes it back, and so does [`disarm`](Self::disarm).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `n` is more than [`max_peer_capacity`](Self::max_peer_capacity);
    /// `Unsupported`
    /// ([`Error::NeverSleeps`](crate::Error::NeverSleeps)) with [`Spin::Always`]; what the system
    /// says if the epoll set
    /// cannot be asked. An end of the stream is `Ready`: the next read tells it.
    pub fn arm(&mut self, n: usize) -> io::Result<Readiness> {
        self.half.can_hold(n)?;
        self.half.allow_flow(false);
        self.blocking.arm(&mut ReadWait {
            half: &mut self.half,
            want: n,
        })
    }

    /// Takes back an [`arm`](Self::arm) that was `Pending`, if this reader is not going to be
    /// polled after all. Without it the peer wakes once more than it needs to.
    pub fn disarm(&mut self) {
        // A forked child's copy is not armed, and what its header says is the parent's.
        self.half.disarm_stale();
    }

    /// A handle that ends the stream from any thread.
    #[doc(alias = "shutdown")]
    pub fn closer(&self) -> Closer {
        Closer::new(self.half.endpoint())
    }
}

/// The descriptor to poll after [`Reader::arm`]: readable means that it is time to read, or to arm,
/// again. For `poll` only; nothing can be read from it.
impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.blocking.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Reader {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Read for Reader {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_resting(buf, || None)
    }

    /// Fills all of `bufs` that it can and consumes once.
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        match self.wait(1)? {
            Readable::Enough => Ok(self.half.take_vectored(bufs)),
            Readable::End => Ok(0),
        }
    }
}

impl BufRead for Reader {
    /// Lends what is there, without a copy; blocks while nothing is.
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill_buf_resting(|| None)
    }

    /// Gives `n` bytes back to the writer.
    ///
    /// # Panics
    ///
    /// If fewer than `n` bytes have been lent.
    #[inline]
    fn consume(&mut self, n: usize) {
        self.half.consume_fast(n);
    }
}
