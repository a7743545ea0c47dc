//! Several writes at once, on tokio.

use super::Writer;
use crate::stream::Grant;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::task::coop;

/// Several writes that are published at once; see [`Writer::batch`].
///
/// # Examples
///
/// ```
/// # use slipring::tokio::Stream;
/// # use tokio::io::AsyncWriteExt;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (mut left, mut right) = Stream::pair()?;
/// let mut batch = left.writer().batch();
/// batch.write_all(b"head, ").await?;
/// let mut grant = batch.reserve(4).await?;
/// grant.copy_from_slice(b"body");
/// grant.commit(4);
/// batch.flush().await?;
/// assert_eq!(right.reader().fill_at_least(1).await?, b"head, body");
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    writer: &'a mut Writer,
}

impl Writer {
    /// Several writes that are published at once; see [`crate::Writer::batch`].
    ///
    /// It publishes when it is flushed or dropped, after each 64 KiB, and whenever it has to wait
    /// for room. Until then the peer sees nothing of it, also while its task awaits something else.
    #[doc(alias = "MSG_MORE")]
    #[doc(alias = "cork")]
    pub fn batch(&mut self) -> Batch<'_> {
        Batch { writer: self }
    }
}

impl Batch<'_> {
    /// Like [`Writer::reserve`]; what is committed is published with the batch.
    ///
    /// # Errors
    ///
    /// As `Writer::reserve`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is written before the grant is committed.
    pub async fn reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.writer.reserve_room(n).await?;
        Ok(Grant::new(&mut self.writer.half, n, false))
    }

    /// Like [`Writer::try_reserve`]; what is committed is published with the batch.
    ///
    /// # Errors
    ///
    /// As `Writer::try_reserve`.
    pub fn try_reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.writer.try_reserve_room(n)?;
        Ok(Grant::new(&mut self.writer.half, n, false))
    }
}

impl AsyncWrite for Batch<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            match self.writer.half.try_stage(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.writer.poll_room(cx, buf.len()))?;
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
        self.writer.poll_put_vectored(cx, bufs, false)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Publishes what has been written so far.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.half.publish();
        Poll::Ready(Ok(()))
    }

    /// Publishes what has been written, and ends the direction.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.writer).poll_shutdown(cx)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.writer.half.publish();
    }
}
