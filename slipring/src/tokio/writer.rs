//! The writing half on tokio.

use super::registered::{LinkFd, Registered, Side, Until};
use crate::endpoint::End;
use crate::endpoint::Endpoint;
use crate::endpoint::{Room, Want, WriteHalf, WriteWait};
use crate::peer::Peer;
use crate::stats::WriterStats;
use crate::stream::Closer;
use crate::stream::Grant;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::task::coop;

/// The writing half of a [`Stream`](super::Stream): `AsyncWrite`, and writing in place.
///
/// Dropping it finishes the direction. Ends are those of [`crate::Writer`].
///
/// # Cancel safety
///
/// A future of one write that is dropped before it resolves has written nothing. `write_all` may
/// have written a part, as with any writer.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use slipring::tokio::Stream;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let (left, mut right) = Stream::pair()?;
/// let (_reader, mut writer) = left.into_split();
/// tokio::spawn(async move { writer.write_all(&vec![7; 1_000_000]).await });
/// let mut all = Vec::new();
/// right.read_to_end(&mut all).await?;
/// assert_eq!(all.len(), 1_000_000);
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    pub(crate) half: WriteHalf,
    registered: Registered,
}

impl Writer {
    pub(super) fn new(half: WriteHalf, link: LinkFd) -> io::Result<Writer> {
        Ok(Writer {
            registered: Registered::register(half.endpoint(), link, Side::Writer)?,
            half,
        })
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        self.half.endpoint()
    }

    /// The same half for blocking use. It waits as [`Options::spin`](crate::Options::spin) says.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) if the process is out of descriptors; the half is dropped
    /// then.
    pub fn into_blocking(mut self) -> crate::Result<crate::Writer> {
        // What a poll has left that was pending, and is not going to be repeated.
        self.half.disarm_stale();
        crate::Writer::from_half(self.half)
    }

    async fn wait(&mut self, want: Want) -> io::Result<Room> {
        self.half.publish();
        Until {
            registered: &mut self.registered,
            half: WriteWait {
                half: &mut self.half,
                want,
                armed: None,
            },
        }
        .await
    }

    /// Waits until there is room to write, or the direction has ended.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer`] says, if the direction has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn writable(&mut self) -> io::Result<()> {
        match self.half.room(1) {
            Some(room) => room.map(|_| ()),
            None => self.wait(Want::Some(1)).await.map(|_| ()),
        }
    }

    /// Writes what fits, without waiting.
    ///
    /// What it publishes takes back the wake-up of a poll that was pending before. A task that
    /// mixes both polls again after this.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the ring is full; otherwise as [`crate::Writer::try_write`].
    #[doc(alias = "send")]
    #[doc(alias = "MSG_DONTWAIT")]
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.half.try_put(buf)
    }

    /// Waits until `n` bytes are free, and lends them to be written in place.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer::reserve`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is written before the grant is committed.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::AsyncReadExt;
    /// let (mut left, mut right) = Stream::pair()?;
    /// let mut grant = left.writer().reserve(64).await?;
    /// grant[..5].copy_from_slice(b"hello");
    /// grant.commit(5);
    /// right.read_exact(&mut [0; 5]).await?;
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.reserve_room(n).await?;
        Ok(Grant::new(&mut self.half, n, true))
    }

    /// Like [`reserve`](Self::reserve), without waiting.
    ///
    /// # Errors
    ///
    /// As `reserve`; `WouldBlock` if fewer than `n` bytes are free.
    pub fn try_reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.try_reserve_room(n)?;
        Ok(Grant::new(&mut self.half, n, true))
    }

    pub(super) fn try_reserve_room(&mut self, n: usize) -> io::Result<()> {
        match self.half.room_for(n)? {
            Some(room) => room.enough_for(n),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Waits until `n` bytes are free.
    pub(crate) async fn reserve_room(&mut self, n: usize) -> io::Result<()> {
        let room = match self.half.room_for(n)? {
            Some(room) => {
                // Also a stream that never has to be waited for lets other tasks run.
                coop::consume_budget().await;
                room
            }
            None => self.wait(Want::Whole(n)).await?,
        };
        room.enough_for(n)
    }

    /// Ends this direction in order; see [`crate::Writer::finish`]. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer::finish`].
    #[expect(
        clippy::unused_async,
        reason = "the counterpart of AsyncWriteExt::shutdown"
    )]
    #[doc(alias = "shutdown")]
    #[doc(alias = "SHUT_WR")]
    pub async fn finish(&mut self) -> io::Result<()> {
        self.half.finish_checked()
    }

    /// Waits until the peer has consumed everything written so far.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer::wait_consumed`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"work").await?;
    /// tokio::spawn(async move { right.read_exact(&mut [0; 4]).await });
    /// left.writer().wait_consumed().await?;
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "SIOCOUTQ")]
    pub async fn wait_consumed(&mut self) -> io::Result<()> {
        self.wait(Want::Drained).await?.enough_to_drain()
    }

    /// Bytes that can be written now without waiting.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer`] says, if the direction has ended.
    pub fn space(&mut self) -> io::Result<usize> {
        self.half.space()
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.half.position()
    }

    /// Ends the stream, both ways, with a code; see [`crate::Writer::abort`].
    pub fn abort(&mut self, code: u32) {
        self.half.abort(code);
    }

    /// How and where this direction ended, once a write has met the end.
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
    pub fn shrink(&mut self) -> usize {
        self.half.shrink();
        self.half.capacity()
    }

    /// The state and the counts of this half. Does not block.
    pub fn stats(&self) -> WriterStats {
        self.half.stats()
    }

    /// See [`Reader::set_poll_spin`](super::Reader::set_poll_spin).
    pub fn set_poll_spin(&mut self, time: Duration) {
        self.registered.set_poll_spin(time);
    }

    /// A handle that ends the stream from any thread or task.
    #[doc(alias = "shutdown")]
    pub fn closer(&self) -> Closer {
        Closer::new(self.half.endpoint())
    }

    pub(super) fn poll_put_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        publish: bool,
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            match self.half.try_put_vectored(bufs, publish) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let len = bufs.iter().map(|buf| buf.len()).sum();
                    ready!(self.poll_room(cx, len))?;
                }
                outcome => {
                    budget.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    /// Waits for room for some of `len` bytes, in a call that has its part of the budget.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<()>> {
        let want = self.half.low_watermark(len);
        let mut wait = WriteWait {
            half: &mut self.half,
            want: Want::Some(want),
            armed: None,
        };
        self.registered.poll_within(cx, &mut wait).map_ok(|_| ())
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A peer that reads as fast as this writes must not keep the worker from its other tasks.
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            match self.half.try_put(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_room(cx, buf.len()))?
                }
                outcome => {
                    budget.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_put_vectored(cx, bufs, true)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing to do: every write has been published when it returns.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the direction. As with a socket it is no error that it had ended before;
    /// [`finish`](Writer::finish) tells.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half.finish();
        Poll::Ready(Ok(()))
    }
}
