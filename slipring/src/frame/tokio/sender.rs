//! Sending on tokio.

use super::Receiver;
use crate::frame::Error;
use crate::frame::buffer::Buffer;
use crate::frame::encode::{Encoder, Publish, goes_in_parts};
use crate::stream::Closer;
use crate::tokio::{Stream, Writer};
use std::io;
use tokio::task::coop;

/// Sends messages over a [`Writer`], which carries nothing else from then on; the counterpart of
/// [`frame::Sender`](crate::frame::Sender).
///
/// # Cancel safety
///
/// A future of [`send`](Self::send) and its like that is dropped before it resolves has sent
/// nothing, or a message that will never be delivered: of one that goes in parts some may have
/// gone, and what is sent next takes them back. The sender can be used on.
///
/// # Examples
///
/// ```
/// use slipring::frame::tokio::split;
/// use slipring::tokio::Stream;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = split(left)?;
/// let (_, mut receiver) = split(right)?;
/// sender.send(b"a copy").await?;
/// sender.send_with(8, |place| place.copy_from_slice(&42u64.to_le_bytes())).await?;
/// assert_eq!(*receiver.recv().await?.unwrap(), *b"a copy");
/// assert_eq!(*receiver.recv().await?.unwrap(), 42u64.to_le_bytes());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    writer: Writer,
    encoder: Encoder,
}

impl Sender {
    /// Sends over this writer, from its position on.
    ///
    /// # Errors
    ///
    /// [`Error::Misaligned`] if that is no multiple of 8; the writer is dropped then.
    pub fn new(writer: Writer) -> Result<Sender, Error> {
        Ok(Sender {
            encoder: Encoder::new(&writer.half)?,
            writer,
        })
    }

    /// The writer, between two messages.
    ///
    /// A message that was interrupted is given up here, without blocking: the receiver never gets
    /// it, nor takes for a part of it what is sent or written next. Raw bytes that are written from
    /// then on lie behind all of this. So the peer goes over to raw bytes where its receiver has
    /// been told to: behind a message that says so.
    pub fn into_inner(mut self) -> Writer {
        self.encoder.leave(&mut self.writer.half);
        self.writer
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer`] says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe as [`Sender`] says: the message is sent in full or never delivered.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.put(message, Publish::Now).await
    }

    /// Sends a message of `len` bytes that `fill` writes in place; see
    /// [`frame::Sender::send_with`](crate::frame::Sender::send_with).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `OutOfMemory`.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send). `fill` is called when there is room; of a message that goes in
    /// parts at once.
    pub async fn send_with<R>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> io::Result<R> {
        self.put_with(len, Publish::Now, fill).await
    }

    /// Sends a message if that can be done without waiting.
    ///
    /// # Errors
    ///
    /// As [`frame::Sender::try_send`](crate::frame::Sender::try_send).
    pub fn try_send(&mut self, message: &[u8]) -> io::Result<()> {
        let len = message.len();
        if !self.encoder.is_whole(len) {
            let most = self.max_in_place();
            return Err(Error::NeedsParts { len, most }.into());
        }
        let room = self.encoder.room(len);
        match self.writer.half.room_for(room)? {
            Some(found) => found.enough_for(room)?,
            None => return Err(io::ErrorKind::WouldBlock.into()),
        }
        self.encoder
            .put(&mut self.writer.half, len, Publish::Now, |to| {
                to.copy_from_slice(message)
            });
        Ok(())
    }

    /// Sends a value as it lies in memory; see
    /// [`frame::Sender::send_pod`](crate::frame::Sender::send_pod).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "zerocopy")]
    pub async fn send_pod<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(
        &mut self,
        value: &T,
    ) -> io::Result<()> {
        self.send(value.as_bytes()).await
    }

    /// Several messages that are published at once.
    pub fn batch(&mut self) -> Batch<'_> {
        Batch { sender: self }
    }

    async fn put(&mut self, message: &[u8], publish: Publish) -> io::Result<()> {
        let len = message.len();
        if self.encoder.is_whole(len) && self.reserve_whole(len).await? {
            let fill = |to: &mut [u8]| to.copy_from_slice(message);
            self.encoder.put(&mut self.writer.half, len, publish, fill);
            return Ok(());
        }
        self.put_parts(message).await
    }

    /// Room for a message that goes at once. `false`: the ring does not grow for it.
    async fn reserve_whole(&mut self, len: usize) -> io::Result<bool> {
        // A receiver that is as fast as this must not keep the worker from its other tasks.
        coop::consume_budget().await;
        match self.writer.reserve_room(self.encoder.room(len)).await {
            Ok(()) => Ok(true),
            Err(e) if goes_in_parts(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn put_with<R>(
        &mut self,
        len: usize,
        publish: Publish,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> io::Result<R> {
        if self.encoder.is_whole(len) && self.reserve_whole(len).await? {
            return Ok(self.encoder.put(&mut self.writer.half, len, publish, fill));
        }
        let mut message = Buffer::zeroed(len)?;
        let filled = fill(message.bytes_mut());
        self.put_parts(message.bytes()).await?;
        Ok(filled)
    }

    async fn put_parts(&mut self, message: &[u8]) -> io::Result<()> {
        let mut left = message;
        while !left.is_empty() {
            coop::consume_budget().await;
            // The ring may be exchanged for it, so that the part is cut for the one that there is.
            self.writer.half.publish();
            let part = self.encoder.part(&self.writer.half, left, message.len());
            self.writer
                .reserve_room(self.encoder.room_for_part(&part))
                .await?;
            self.encoder.put_part(&mut self.writer.half, &part);
            left = &left[part.len()..];
        }
        Ok(())
    }

    /// Waits until the peer has taken everything out of the ring.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer::wait_consumed`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_consumed(&mut self) -> io::Result<()> {
        self.writer.wait_consumed().await
    }

    /// Ends the direction in order: the receiver gets every message, then `None`. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`crate::Writer::finish`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it resolves when it is first polled.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.writer.finish().await
    }

    /// The largest message that goes at once; see
    /// [`frame::Sender::max_in_place`](crate::frame::Sender::max_in_place).
    pub fn max_in_place(&self) -> usize {
        self.encoder.max_whole()
    }

    /// The writer below, to be looked at.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// A handle that ends the stream from any thread or task.
    pub fn closer(&self) -> Closer {
        self.writer.closer()
    }
}

/// Several messages that are published at once; see [`frame::Batch`](crate::frame::Batch).
///
/// # Examples
///
/// ```
/// # use slipring::frame::tokio::split;
/// # use slipring::tokio::Stream;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # let (left, right) = Stream::pair()?;
/// # let (mut sender, _) = split(left)?;
/// # let (_, mut receiver) = split(right)?;
/// let mut batch = sender.batch();
/// for price in 100..200u64 {
///     batch.send(&price.to_le_bytes()).await?;
/// }
/// drop(batch);
/// let newest = receiver.latest().await?.expect("a price");
/// assert_eq!((&newest.message[..], newest.skipped), (&199u64.to_le_bytes()[..], 99));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    sender: &'a mut Sender,
}

impl Batch<'_> {
    /// As [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As `Sender::send`.
    ///
    /// # Cancel safety
    ///
    /// As `Sender::send`; messages that were sent before stay in the batch.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.sender.put(message, Publish::Later).await
    }

    /// As [`Sender::send_with`].
    ///
    /// # Errors
    ///
    /// As `Sender::send_with`.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_with<R>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> io::Result<R> {
        self.sender.put_with(len, Publish::Later, fill).await
    }

    /// As [`Sender::send_pod`].
    ///
    /// # Errors
    ///
    /// As `Sender::send_pod`.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "zerocopy")]
    pub async fn send_pod<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(
        &mut self,
        value: &T,
    ) -> io::Result<()> {
        self.send(value.as_bytes()).await
    }

    /// Publishes what has been sent so far.
    pub fn publish(&mut self) {
        self.sender.writer.half.publish();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.publish();
    }
}

/// Both directions of a stream for messages.
///
/// # Errors
///
/// [`Error::Misaligned`] if something that is no multiple of 8 bytes has gone over it before.
///
/// # Examples
///
/// See the [module](super).
pub fn split(stream: Stream) -> Result<(Sender, Receiver), Error> {
    let (reader, writer) = stream.into_split();
    Ok((Sender::new(writer)?, Receiver::new(reader)?))
}
