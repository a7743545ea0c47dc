//! The writing half of a stream.

use super::park::Blocking;
use super::{Closer, Grant, Readiness};
use crate::endpoint::{End, Endpoint, Room, Want, WriteHalf, WriteWait};
use crate::growth::GrowthRefused;
use crate::peer::Peer;
use crate::stats::WriterStats;
use crate::sys::watch::Watch;
use crate::wait::Spin;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// The writing half of a [`Stream`](crate::Stream): `Write`, and what only shared memory can do.
///
/// It is `Send` and can move to a thread of its own
/// ([`Stream::into_split`](crate::Stream::into_split)). Dropping it finishes the direction: the
/// peer reads to the end, then gets `Ok(0)`.
///
/// `write` blocks while the ring is full (back-pressure), writes what fits and publishes it before
/// it returns; a write of any size flows through a ring of any size with `write_all`.
///
/// # Ends
///
/// `BrokenPipe` if the peer's reader is gone, or its process, or this side has finished;
/// `ConnectionAborted` if the peer aborted; `InvalidData` if its header made no sense.
/// [`end`](Self::end) has the details. Bytes that were accepted may not have been read:
/// [`wait_consumed`](Self::wait_consumed) tells.
///
/// # Examples
///
/// ```
/// use slipring::Stream;
/// use std::io::{Read, Write};
///
/// let (left, mut right) = Stream::pair()?;
/// let (_reader, mut writer) = left.into_split();
/// let writing = std::thread::spawn(move || writer.write_all(&vec![7; 1_000_000]));
/// let mut all = Vec::new();
/// right.read_to_end(&mut all)?;
/// assert_eq!(all.len(), 1_000_000);
/// # writing.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    pub(crate) half: WriteHalf,
    blocking: Blocking,
}

impl Writer {
    pub(crate) fn new(mut half: WriteHalf, watch: Watch) -> Writer {
        let spin = half.endpoint().options.spin;
        if spin == Spin::Always {
            half.never_sleep();
        }
        let blocking = Blocking::new(half.endpoint(), watch, spin);
        half.allow_flow(blocking.ever_spins());
        Writer { half, blocking }
    }

    /// A half that has been in an event loop so far.
    #[cfg(feature = "tokio")]
    pub(crate) fn from_half(half: WriteHalf) -> crate::Result<Writer> {
        let endpoint = half.endpoint();
        let watch = Watch::new(&endpoint.own_doorbells.writer, endpoint.link.as_fd())?;
        Ok(Writer::new(half, watch))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn into_half(mut self) -> crate::Result<WriteHalf> {
        self.blocking.may_sleep()?;
        self.half.leave_flow();
        Ok(self.half)
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        self.half.endpoint()
    }

    fn wait(&mut self, want: Want) -> io::Result<Room> {
        // What is kept back could be what the reader waits for.
        self.half.publish();
        let mut wait = WriteWait {
            half: &mut self.half,
            want,
            armed: None,
        };
        self.blocking.wait(&mut wait, None)
    }

    /// Makes room for some of `len` bytes; says for how many.
    #[inline]
    pub(crate) fn make_room(&mut self, len: usize) -> io::Result<usize> {
        if let Some(room) = self.half.room(len) {
            return room;
        }
        self.wait(Want::Some(self.half.low_watermark(len)))?;
        Ok(self.half.free().min(len))
    }

    #[inline(never)]
    fn wait_for_room(&mut self, n: usize) -> io::Result<()> {
        self.wait(Want::Whole(n))?.enough_for(n)
    }

    /// Writes what there is room for, once there is some.
    #[inline(never)]
    pub(crate) fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.make_room(buf.len())?;
        self.half.put(&buf[..n]);
        Ok(n)
    }

    /// Like [`write_some`](Self::write_some), of a batch.
    #[inline(never)]
    pub(crate) fn keep_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.make_room(buf.len())?;
        self.half.stage(&buf[..n]);
        Ok(n)
    }

    /// Like [`keep_some`](Self::keep_some), until nothing is left.
    #[inline(never)]
    pub(crate) fn keep_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.keep_some(buf)?;
            buf = &buf[n..];
        }
        Ok(())
    }

    /// Writes what fits, without blocking.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the ring is full; otherwise as [`Writer`] says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Options, Stream};
    /// # use std::io::ErrorKind;
    /// let options = Options::new().capacity(64 * 1024).max_capacity(64 * 1024);
    /// let (mut left, _right) = options.pair()?;
    /// let writer = left.writer();
    /// assert_eq!(writer.try_write(&[1; 100_000])?, 64 * 1024);
    /// assert_eq!(writer.try_write(b"more").unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "send")]
    #[doc(alias = "MSG_DONTWAIT")]
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.half.try_put(buf)
    }

    /// Blocks until `n` bytes are free, and lends them to be written in place.
    ///
    /// The slice is contiguous and holds old bytes of this ring. Nothing of it is visible to the
    /// peer before [`Grant::commit`]; dropping the grant publishes nothing.
    ///
    /// # Errors
    ///
    /// * [`GrowthRefused`](crate::GrowthRefused) if the ring has to grow for it and does not:
    ///   `InvalidInput` if `n` is more than [`max_capacity`](Self::max_capacity), `OutOfMemory` if
    ///   the process or the system allows no more.
    /// * `Deadlock` if the peer's reader waits for more bytes than are in the ring while this waits
    ///   for more room than there is, and the ring cannot grow to hold both: neither could ever go
    ///   on. Write less at a time, or use a larger
    ///   [`max_capacity`](crate::Options::max_capacity) than the two together.
    /// * `WouldBlock` after the timeout or in non-blocking mode.
    /// * Otherwise as [`Writer`] says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// let mut grant = left.writer().reserve(100)?;
    /// grant[..5].copy_from_slice(b"hello");
    /// grant.commit(5);
    /// let mut buf = [0; 5];
    /// right.read_exact(&mut buf)?;
    /// assert_eq!(&buf, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.reserve_room(n, true)?;
        Ok(Grant::new(&mut self.half, n, true))
    }

    /// Like [`reserve`](Self::reserve), without blocking.
    ///
    /// # Errors
    ///
    /// As `reserve`; `WouldBlock` if fewer than `n` bytes are free.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Options, Stream};
    /// # use std::io::ErrorKind;
    /// let (mut left, _right) = Options::new().capacity(4096).pair()?;
    /// left.writer().try_reserve(4000)?.commit(4000);
    /// assert_eq!(left.writer().try_reserve(100).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.reserve_room(n, false)?;
        Ok(Grant::new(&mut self.half, n, true))
    }

    #[inline]
    pub(crate) fn reserve_room(&mut self, n: usize, block: bool) -> io::Result<()> {
        if self.half.can_lend_fast(n) {
            return Ok(());
        }
        self.make_room_for(n, block)
    }

    #[inline(never)]
    fn make_room_for(&mut self, n: usize, block: bool) -> io::Result<()> {
        match self.half.room_for(n)? {
            Some(room) => room.enough_for(n),
            None if block => self.wait_for_room(n),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Ends this direction in order: the peer reads every byte, then gets `Ok(0)`. The other
    /// direction goes on.
    ///
    /// Does not block, and can be called again. Writing afterwards is `BrokenPipe`. Dropping the
    /// writer does the same; a process that leaves without either (`process::exit`, a signal) has
    /// died, as far as its peer can see.
    ///
    /// # Errors
    ///
    /// If the direction had ended otherwise before, so that the peer may not get everything.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"the last word")?;
    /// left.writer().finish()?;
    /// let mut text = String::new();
    /// right.read_to_string(&mut text)?;
    /// assert_eq!(text, "the last word");
    /// assert_eq!(left.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "shutdown")]
    #[doc(alias = "SHUT_WR")]
    pub fn finish(&mut self) -> io::Result<()> {
        self.half.finish_checked()
    }

    /// Blocks until the peer has consumed everything written so far.
    ///
    /// Consumed means read out of the ring, not acted upon. May be called after
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// * `BrokenPipe` if the peer's reader goes before it has consumed everything.
    /// * `Deadlock` if the peer's reader waits for more bytes than are in the ring.
    /// * `WouldBlock` after the timeout or in non-blocking mode.
    /// * Otherwise as [`Writer`] says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"work")?;
    /// let reading = std::thread::spawn(move || right.read_exact(&mut [0; 4]));
    /// left.writer().wait_consumed()?;
    /// # reading.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "SIOCOUTQ")]
    pub fn wait_consumed(&mut self) -> io::Result<()> {
        self.wait(Want::Drained)?.enough_to_drain()
    }

    /// Bytes that can be written now without blocking.
    ///
    /// There may be more a moment later. There are fewer only after the ring has shrunk, which it
    /// does after a write, on [`shrink`](Self::shrink), and while its stream waits to read. It may
    /// grow by this call, for a peer that waits for more than it holds.
    ///
    /// # Errors
    ///
    /// As [`Writer`] says, if the direction has ended.
    pub fn space(&mut self) -> io::Result<usize> {
        self.half.space()
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.half.position()
    }

    /// Ends the stream, both ways, with a code of the application's own.
    ///
    /// The peer reads what was published before and then gets `ConnectionAborted`; its writer gets
    /// that at once. On this side reads return `Ok(0)`, and writes `BrokenPipe`. Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"half of the ans")?;
    /// left.writer().abort(3);
    /// let mut text = String::new();
    /// let error = right.read_to_string(&mut text).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&mut self, code: u32) {
        self.half.abort(code);
    }

    /// How and where this direction ended, once a write has met the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{EndReason, Stream};
    /// # use std::io::Write;
    /// let (mut left, right) = Stream::pair()?;
    /// drop(right);
    /// while left.write_all(b"x").is_ok() {}
    /// assert_eq!(left.writer().end().unwrap().reason, EndReason::ReaderGone);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end(&self) -> Option<End> {
        self.half.end()
    }

    /// Who is at the other end.
    #[doc(alias = "peer_cred")]
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer(&self) -> &Peer {
        &self.half.endpoint().peer
    }

    /// The size of the ring that this half writes into now, in bytes.
    ///
    /// It grows up to [`max_capacity`](Self::max_capacity), and shrinks; see
    /// [`Options::max_capacity`](crate::Options::max_capacity).
    pub fn capacity(&self) -> usize {
        self.half.capacity()
    }

    /// How far the ring may grow, in bytes, as both sides allow: the most that
    /// [`reserve`](Self::reserve) can ask for.
    pub fn max_capacity(&self) -> usize {
        self.half.max_capacity()
    }

    /// Gives back what the ring has grown by, and says how large it is now, in bytes.
    ///
    /// It stays as large as it is if more bytes are unread than half the ring that it began with,
    /// if the peer has not taken the last exchange of rings in yet, or if it has shrunk less than a
    /// second ago. The peer gives its part back when it reads next, or at once if it sleeps in a
    /// read. Does not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::Read;
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.writer().reserve(100_000)?.commit(1);
    /// right.read_exact(&mut [0])?;
    /// assert_eq!(left.writer().shrink(), 16 << 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shrink(&mut self) -> usize {
        self.half.shrink();
        self.half.capacity()
    }

    /// The state and the counts of this half. Does not block.
    pub fn stats(&self) -> WriterStats {
        self.half.stats()
    }

    /// Lets blocking writes fail with `WouldBlock` after `timeout`. `None`, the default, waits for
    /// ever.
    ///
    /// It is the time of one call of this writer, [`wait_consumed`](Self::wait_consumed) included.
    /// As with a socket, `write_all` has it for each of its writes, that of a
    /// [`batch`](Self::batch) included. Rounded up to whole milliseconds when it has to sleep.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    #[doc(alias = "set_write_timeout")]
    #[doc(alias = "SO_SNDTIMEO")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.blocking.set_timeout(timeout)
    }

    /// The timeout that was set.
    pub fn timeout(&self) -> Option<Duration> {
        self.blocking.timeout()
    }

    /// Lets writes that would block fail with `WouldBlock` at once.
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.blocking.set_nonblocking(yes);
        self.half.allow_flow(!yes && self.blocking.ever_spins());
    }

    /// Prepares for polling this writer's descriptor until `n` bytes are free, or the direction has
    /// ended; see [`Readiness`]. The larger `n`, the fewer wake-ups: half the
    /// [`capacity`](Self::capacity) is a good choice for a long write. All of it means that the
    /// peer has consumed everything.
    ///
    /// A peer that waits for more bytes than there are makes it `Ready` with less room, if there is
    /// any: [`try_write`](Self::try_write) writes what fits, [`try_reserve`](Self::try_reserve)
    /// fails with `Deadlock`.
    ///
    /// A successful write takes it back, and so does [`disarm`](Self::disarm).
    ///
    /// # Errors
    ///
    /// [`GrowthRefused`](crate::GrowthRefused) as [`reserve`](Self::reserve), if `n` is more than
    /// the [`capacity`](Self::capacity): the ring grows for it. `Unsupported`
    /// ([`Error::NeverSleeps`](crate::Error::NeverSleeps)) with [`Spin::Always`]; what the system
    /// says if the epoll set cannot be asked. An end is `Ready`: the next write tells it.
    pub fn arm(&mut self, n: usize) -> io::Result<Readiness> {
        self.half.can_hold(n)?;
        self.half.allow_flow(false);
        // What is kept back could be what the reader waits for.
        self.half.publish();
        let want = self.half.want(n);
        if want == Want::Whole(n)
            && let Some(Err(e)) = self.half.poll_whole(n)
            && GrowthRefused::of(&e).is_some()
        {
            return Err(e);
        }
        self.blocking.arm(&mut WriteWait {
            half: &mut self.half,
            want,
            armed: None,
        })
    }

    /// Takes back an [`arm`](Self::arm) that was `Pending`, if this writer is not going to be
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

/// The descriptor to poll after [`Writer::arm`]: *readable* means that it is time to write, or to
/// arm, again. For `poll` only; nothing can be written to it.
impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.blocking.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Writer {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Write for Writer {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.half.try_put_fast(buf) {
            return Ok(buf.len());
        }
        self.write_some(buf)
    }

    /// Gathers all of `bufs` that fit and publishes once.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        self.make_room(first.len())?;
        Ok(self.half.put_vectored(bufs, true))
    }

    /// Does nothing: every write has been published when it returns.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
