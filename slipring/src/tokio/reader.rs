//! The reading half on tokio.

use super::registered::{LinkFd, Registered, Side, Until};
use crate::endpoint::End;
use crate::endpoint::Endpoint;
use crate::endpoint::{ReadHalf, ReadWait, Readable};
use crate::peer::Peer;
use crate::stats::ReaderStats;
use crate::stream::Closer;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::task::coop;

/// The reading half of a [`Stream`](super::Stream): `AsyncRead` and `AsyncBufRead`, the latter
/// without a copy.
///
/// Ends are those of [`crate::Reader`].
///
/// # Cancel safety
///
/// Every method and the traits' futures are cancel safe in this sense: a future that is dropped
/// before it resolves has consumed nothing. Those of `tokio::io::AsyncReadExt` that read several
/// times (`read_exact`, `read_to_end`) keep what they have read so far in their buffer, as with any
/// reader.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use slipring::tokio::Stream;
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
///
/// let (mut left, right) = Stream::pair()?;
/// let (reader, _writer) = right.into_split();
/// left.write_all(b"one\ntwo\n").await?;
/// drop(left);
/// let mut lines = reader.lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{line}");
/// }
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    pub(crate) half: ReadHalf,
    registered: Registered,
}

impl Reader {
    pub(super) fn new(half: ReadHalf, link: LinkFd) -> io::Result<Reader> {
        Ok(Reader {
            registered: Registered::register(half.endpoint(), link, Side::Reader)?,
            half,
        })
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        self.half.endpoint()
    }

    /// The same half for blocking use, not a byte lost. It waits as [`Options::spin`] says.
    ///
    /// [`Options::spin`]: crate::Options::spin
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) if the process is out of descriptors; the half is dropped
    /// then.
    pub fn into_blocking(mut self) -> crate::Result<crate::Reader> {
        // What a poll has left that was pending, and is not going to be repeated.
        self.half.disarm_stale();
        crate::Reader::from_half(self.half)
    }

    pub(crate) async fn wait(&mut self, want: usize) -> io::Result<Readable> {
        if self.half.has(want) {
            // A poll before this one may have waited for more.
            self.half.disarm_stale();
            // Also a stream that never has to be waited for lets other tasks run.
            coop::consume_budget().await;
            return Ok(Readable::Enough);
        }
        Until {
            registered: &mut self.registered,
            half: ReadWait {
                half: &mut self.half,
                want,
            },
        }
        .await
    }

    #[cfg(feature = "bytes")]
    pub(crate) fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        want: usize,
    ) -> Poll<io::Result<Readable>> {
        let mut wait = ReadWait {
            half: &mut self.half,
            want,
        };
        self.registered.poll(cx, &mut wait)
    }

    /// Waits for something to read, or the end. What is known to be there is not polled for.
    #[inline(always)]
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readable>> {
        // A peer that writes as fast as this reads must not keep the worker from its other tasks.
        let budget = ready!(coop::poll_proceed(cx));
        let outcome = match self.half.poll(1) {
            Some(outcome) => outcome,
            None => ready!(self.wait_for_some(cx)),
        };
        // A poll before this one may have waited.
        self.half.disarm_stale();
        budget.made_progress();
        Poll::Ready(outcome)
    }

    #[inline(never)]
    fn wait_for_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readable>> {
        let mut wait = ReadWait {
            half: &mut self.half,
            want: 1,
        };
        self.registered.wait(cx, &mut wait)
    }

    /// Waits until there is something to read, or the end.
    ///
    /// # Errors
    ///
    /// As at any end that is not in order; see [`crate::Reader`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.wait(1).await.map(|_| ())
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there yet; otherwise as [`crate::Reader::try_read`].
    #[doc(alias = "recv")]
    #[doc(alias = "MSG_DONTWAIT")]
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.half.try_take(buf)
    }

    /// Waits until at least `n` bytes can be read, and lends everything that is there as one slice,
    /// without consuming it.
    ///
    /// # Errors
    ///
    /// As [`crate::Reader::fill_at_least`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed, and the peer is told that nobody waits any more.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::tokio::Stream;
    /// # use tokio::io::AsyncWriteExt;
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(&[7, 0, 0, 0, 42, 0, 0, 0]).await?;
    /// let reader = right.reader();
    /// let record = reader.fill_at_least(8).await?;
    /// assert_eq!((record[0], record[4]), (7, 42));
    /// reader.consume(8);
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "peek")]
    #[doc(alias = "MSG_PEEK")]
    #[doc(alias = "MSG_WAITALL")]
    pub async fn fill_at_least(&mut self, n: usize) -> io::Result<&[u8]> {
        self.half.can_hold(n)?;
        if n == 0 {
            return self.half.view_known();
        }
        match self.wait(n).await {
            Ok(Readable::Enough) => Ok(self.half.view(n)),
            Ok(Readable::End) => Err(self.half.too_short(n)),
            Err(e) => Err(self.half.told(e)),
        }
    }

    /// Gives `n` bytes that were lent back to the writer.
    ///
    /// # Panics
    ///
    /// If fewer than `n` bytes have been lent.
    pub fn consume(&mut self, n: usize) {
        self.half.consume(n);
    }

    /// Bytes that can be read now without waiting.
    ///
    /// There may be more a moment later, never fewer: nobody else can take them away.
    ///
    /// # Errors
    ///
    /// Once nothing is left to be read, as [`crate::Reader`] says of a read; `Ok(0)` at an end in
    /// order.
    #[doc(alias = "FIONREAD")]
    pub fn available(&mut self) -> io::Result<usize> {
        self.half.count_available()
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.half.position()
    }

    /// How and where the stream ended, once a read has met the end.
    pub fn end(&self) -> Option<End> {
        self.half.end()
    }

    /// Ends this direction; see [`crate::Reader::shutdown`].
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

    /// Changes what [`Options::poll_spin`](crate::Options::poll_spin) says, for this half as long
    /// as it is on tokio.
    pub fn set_poll_spin(&mut self, time: Duration) {
        self.registered.set_poll_spin(time);
    }

    /// A handle that ends the stream from any thread or task.
    #[doc(alias = "shutdown")]
    pub fn closer(&self) -> Closer {
        Closer::new(self.half.endpoint())
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if ready!(self.poll_some(cx))? == Readable::Enough {
            // Memory that nothing is read into need not be initialised.
            let n = self.half.count_up_to(buf.remaining());
            self.half.take(buf.initialize_unfilled_to(n));
            buf.advance(n);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Reader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(this.poll_some(cx))? {
            Readable::Enough => Ok(this.half.view(1)),
            Readable::End => Ok(&[]),
        })
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        self.half.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stream;
    use super::*;
    use std::sync::atomic::Ordering;
    use std::task::Waker;

    /// The reader's wake word, as the peer sees it.
    fn armed_at(stream: &mut Stream) -> u64 {
        let headers = stream.reader().half.endpoint().headers();
        headers.own.wake_at_tail.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_read_that_need_not_wait_takes_back_what_a_pending_one_has_left() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut left, mut right) = Stream::pair().unwrap();
        for lends in [true, false] {
            let mut buf = [0; 4];
            let mut buf = ReadBuf::new(&mut buf);
            assert!(Pin::new(&mut right).poll_read(cx, &mut buf).is_pending());
            assert_ne!(armed_at(&mut right), 0);
            assert_eq!(left.try_write(b"tick").unwrap(), 4);
            if lends {
                let Poll::Ready(lent) = Pin::new(&mut right).poll_fill_buf(cx) else {
                    panic!("nothing is lent");
                };
                assert_eq!(lent.unwrap(), b"tick");
                assert_eq!(armed_at(&mut right), 0);
                right.reader().consume(4);
            } else {
                assert!(Pin::new(&mut right).poll_read(cx, &mut buf).is_ready());
                assert_eq!(buf.filled(), b"tick");
            }
            assert_eq!(armed_at(&mut right), 0);
        }
    }

    #[test]
    fn only_memory_that_is_read_into_is_initialised() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut left, mut right) = Stream::pair().unwrap();
        left.try_write(b"tick").unwrap();
        let mut memory = [std::mem::MaybeUninit::uninit(); 64];
        let mut buf = ReadBuf::uninit(&mut memory);
        assert!(Pin::new(&mut right).poll_read(cx, &mut buf).is_ready());
        assert_eq!((buf.filled(), buf.initialized().len()), (&b"tick"[..], 4));
    }
}
