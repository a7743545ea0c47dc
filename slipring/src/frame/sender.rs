//! Sending, blocking.

use super::encode::{Encoder, Publish, goes_in_parts};
use super::error::Error;
use crate::stream::Closer;
use crate::stream::Stream;
use crate::stream::Writer;
use std::io;
use std::time::Duration;

/// Sends messages over a [`Writer`], which carries nothing else from then on.
///
/// A message of up to [`max_in_place`](Self::max_in_place) bytes is written into the ring once and
/// published once. A larger one goes in parts while it is received; there is no limit but the
/// receiver's. Dropping the sender finishes the direction.
///
/// Sending blocks while there is no room. The timeout and the non-blocking mode of the writer apply
/// to each message that goes at once and to each part; if a message fails half-way, what was sent
/// of it is taken back by the next one, and never delivered.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
///
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// sender.send(b"a copy")?;
/// sender.send_with(8, |place| place.copy_from_slice(&42u64.to_le_bytes()))?;
/// assert_eq!(*receiver.recv()?.unwrap(), *b"a copy");
/// assert_eq!(*receiver.recv()?.unwrap(), 42u64.to_le_bytes());
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
    /// As [`Writer`] says; `WouldBlock` after the timeout or in non-blocking mode.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.put(message, Publish::Now)
    }

    /// Sends a message of `len` bytes that `fill` writes in place, and returns what `fill` returns.
    ///
    /// The slice holds old bytes of this ring, or, if the message is too large to go at once, zeros
    /// outside it; it begins at a multiple of 8. If `fill` panics nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `OutOfMemory`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// sender.send_with(8, |bytes| bytes.copy_from_slice(&42u64.to_le_bytes()))?;
    /// assert_eq!(*receiver.recv()?.unwrap(), 42u64.to_le_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn send_with<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> io::Result<R> {
        self.put_with(len, Publish::Now, fill)
    }

    /// Sends a message if that can be done without blocking.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; [`Error::NeedsParts`] for more than
    /// [`max_in_place`](Self::max_in_place) bytes; [`GrowthRefused`](crate::GrowthRefused) if the
    /// ring would have to grow for it and does not; otherwise as [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// # use std::io::ErrorKind;
    /// let full = loop {
    ///     if let Err(full) = sender.try_send(&[7; 1000]) {
    ///         break full;
    ///     }
    /// };
    /// assert_eq!(full.kind(), ErrorKind::WouldBlock);
    /// assert_eq!(receiver.recv()?.unwrap().len(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send(&mut self, message: &[u8]) -> io::Result<()> {
        let len = message.len();
        if !self.encoder.is_whole(len) {
            let most = self.max_in_place();
            return Err(Error::NeedsParts { len, most }.into());
        }
        self.writer.reserve_room(self.encoder.room(len), false)?;
        self.encoder
            .put(&mut self.writer.half, len, Publish::Now, |to| {
                to.copy_from_slice(message)
            });
        Ok(())
    }

    /// Sends a value as it lies in memory. The receiver views it in place:
    /// [`Receiver::recv_pod`](super::Receiver::recv_pod).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "zerocopy")]
    pub fn send_pod<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(
        &mut self,
        value: &T,
    ) -> io::Result<()> {
        self.send(value.as_bytes())
    }

    /// Several messages that are published at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// let mut batch = sender.batch();
    /// for price in [1u8, 2, 3] {
    ///     batch.send(&[price])?;
    /// }
    /// drop(batch);
    /// assert_eq!(*receiver.recv()?.unwrap(), [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&mut self) -> Batch<'_> {
        Batch { sender: self }
    }

    #[inline]
    fn put(&mut self, message: &[u8], publish: Publish) -> io::Result<()> {
        let len = message.len();
        if self.encoder.is_whole(len) && self.reserve_whole(len)? {
            let fill = |to: &mut [u8]| to.copy_from_slice(message);
            self.encoder.put(&mut self.writer.half, len, publish, fill);
            return Ok(());
        }
        self.put_parts(message)
    }

    /// Room for a message that goes at once. `false`: the ring does not grow for it.
    #[inline]
    fn reserve_whole(&mut self, len: usize) -> io::Result<bool> {
        match self.writer.reserve_room(self.encoder.room(len), true) {
            Ok(()) => Ok(true),
            Err(e) if goes_in_parts(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    #[inline]
    fn put_with<R>(
        &mut self,
        len: usize,
        publish: Publish,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> io::Result<R> {
        if self.encoder.is_whole(len) && self.reserve_whole(len)? {
            return Ok(self.encoder.put(&mut self.writer.half, len, publish, fill));
        }
        let mut message = super::buffer::Buffer::zeroed(len)?;
        let filled = fill(message.bytes_mut());
        self.put_parts(message.bytes())?;
        Ok(filled)
    }

    #[cold]
    fn put_parts(&mut self, message: &[u8]) -> io::Result<()> {
        let mut left = message;
        while !left.is_empty() {
            // The ring may be exchanged for it, so that the part is cut for the one that there is.
            self.writer.half.publish();
            let part = self.encoder.part(&self.writer.half, left, message.len());
            self.writer
                .reserve_room(self.encoder.room_for_part(&part), true)?;
            self.encoder.put_part(&mut self.writer.half, &part);
            left = &left[part.len()..];
        }
        Ok(())
    }

    /// Blocks until the peer has taken everything out of the ring; see [`Writer::wait_consumed`].
    ///
    /// # Errors
    ///
    /// As `Writer::wait_consumed`.
    pub fn wait_consumed(&mut self) -> io::Result<()> {
        self.writer.wait_consumed()
    }

    /// Ends the direction in order: the receiver gets every message, then `None`.
    ///
    /// # Errors
    ///
    /// As [`Writer::finish`].
    pub fn finish(&mut self) -> io::Result<()> {
        self.writer.finish()
    }

    /// The largest message that goes at once: half the largest ring
    /// ([`Options::max_capacity`](crate::Options::max_capacity)), without the header. If the ring
    /// cannot grow that far, it goes in parts.
    pub fn max_in_place(&self) -> usize {
        self.encoder.max_whole()
    }

    /// The writer below, to be looked at.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// See [`Writer::set_timeout`]. It is the time of each wait for room: one for a message that
    /// goes at once, and one for each part of a larger one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.writer.set_timeout(timeout)
    }

    /// See [`Writer::set_nonblocking`].
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.writer.set_nonblocking(yes);
    }

    /// A handle that ends the stream from any thread.
    pub fn closer(&self) -> Closer {
        self.writer.closer()
    }
}

/// Several messages that are published at once, when it is dropped or [`publish`](Self::publish)ed.
///
/// Like a [`Batch`](crate::Batch) of bytes it is published after each 64 KiB, and whenever it has
/// to wait, as well; so it is by each part of a message that goes in parts.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
///
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// let mut batch = sender.batch();
/// for price in 100..200u64 {
///     batch.send(&price.to_le_bytes())?;
/// }
/// drop(batch);
/// let newest = receiver.latest()?.expect("a price");
/// assert_eq!(*newest.message, 199u64.to_le_bytes());
/// assert_eq!(newest.skipped, 99);
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
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.sender.put(message, Publish::Later)
    }

    /// As [`Sender::send_with`].
    ///
    /// # Errors
    ///
    /// As `Sender::send_with`.
    #[inline]
    pub fn send_with<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> io::Result<R> {
        self.sender.put_with(len, Publish::Later, fill)
    }

    /// As [`Sender::send_pod`].
    ///
    /// # Errors
    ///
    /// As `Sender::send_pod`.
    #[cfg(feature = "zerocopy")]
    pub fn send_pod<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(
        &mut self,
        value: &T,
    ) -> io::Result<()> {
        self.send(value.as_bytes())
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
pub fn split(stream: Stream) -> Result<(Sender, super::Receiver), Error> {
    let (reader, writer) = stream.into_split();
    Ok((Sender::new(writer)?, super::Receiver::new(reader)?))
}
