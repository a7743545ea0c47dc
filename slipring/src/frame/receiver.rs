//! Receiving, blocking.

use super::DEFAULT_MAX;
use super::decode::{Decoder, Step};
use super::error::Error;
use super::limit::Limit;
use super::message::{Latest, Message};
use crate::stream::Closer;
use crate::stream::Reader;
use std::io;
use std::time::Duration;

/// Receives messages over a [`Reader`], which carries nothing else from then on.
///
/// [`recv`](Self::recv) lends a message where it lies; [`recv_into`](Self::recv_into) and
/// `recv_owned` (feature `bytes`) copy it out; [`latest`](Self::latest) is for a reader that has
/// fallen behind. A message that is larger than half the peer's ring comes in parts, which are put
/// together in memory that grows with what has arrived, up to [a maximum](Self::with_max).
///
/// # Ends
///
/// Between two messages: `Ok(None)` after an orderly end, otherwise the errors of [`Reader`].
/// Inside a message: [`Error::Torn`], and nothing of that message is delivered. All messages that
/// are there in full come first.
///
/// What cannot be a message is an [`Error`] of kind `InvalidData`; so is one that is larger than
/// the maximum. Both are final: the receiver says the same from then on, and the sender gets
/// `BrokenPipe`.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
///
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// std::thread::spawn(move || {
///     sender.send(b"small")?;
///     sender.send(&vec![7; 10_000_000]) // through a ring of 256 KiB
/// });
/// assert_eq!(*receiver.recv()?.unwrap(), *b"small");
/// assert!(*receiver.recv()?.unwrap() == vec![7; 10_000_000]);
/// assert!(receiver.recv()?.is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Receiver {
    reader: Reader,
    decoder: Decoder,
}

impl Receiver {
    /// Receives from this reader, from its position on, messages of up to [`DEFAULT_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Misaligned`] if that is no multiple of 8, [`Error::InsideMessage`] if an earlier
    /// receiver has left the direction inside a message and bytes have been read since; the reader
    /// is dropped then.
    pub fn new(reader: Reader) -> Result<Receiver, Error> {
        Ok(Receiver {
            decoder: Decoder::new(&reader.half, DEFAULT_MAX)?,
            reader,
        })
    }

    /// Receives messages of up to `bytes` bytes. So much memory is taken for one message at most,
    /// and kept in idle buffers at most; a larger message is [`Error::TooLarge`].
    pub fn with_max(mut self, bytes: usize) -> Receiver {
        self.decoder.set_max(bytes);
        self
    }

    /// The reader, after what has been received.
    ///
    /// If parts of a message had come, these are lost. A receiver that is made of the reader passes
    /// over the others, and receives the next message; of a message that has not come in parts
    /// nothing is lost. Bytes that are read here are those behind what was received, frames of a
    /// message under way among them. An [`Error`] that is final stays that of the direction.
    pub fn into_inner(self) -> Reader {
        self.reader
    }

    /// Blocks until a message is there; `false`: the end came before.
    #[inline]
    fn ready(&mut self) -> io::Result<bool> {
        let mut limit = None;
        loop {
            let step = self.decoder.step(&mut self.reader.half)?;
            if step == Step::Ready {
                return Ok(true);
            }
            let limit = match &limit {
                None => limit.insert(Limit::of(&self.reader)),
                Some(limit) if limit.is_over(&self.reader.half) => {
                    return Err(Decoder::not_yet(&mut self.reader.half, step));
                }
                Some(limit) => limit,
            };
            if let Step::Wait(want) = step {
                let found = self.reader.wait_until(want, limit.deadline());
                if !self.decoder.found(&mut self.reader.half, found)? {
                    return Ok(false);
                }
            }
        }
    }

    /// Blocks until a message is there, and lends it; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Receiver`] says; `WouldBlock` after the timeout, whatever has come meanwhile, or in
    /// non-blocking mode, `OutOfMemory`: nothing is lost then, and the next call goes on.
    #[inline]
    pub fn recv(&mut self) -> io::Result<Option<Message<'_>>> {
        if !self.ready()? {
            return Ok(None);
        }
        Message::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Lends the next message if it is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not there in full, or if as much as a ring holds was taken out of it
    /// that is no whole message; otherwise as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// # use std::io::ErrorKind;
    /// assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// sender.send(b"now")?;
    /// assert_eq!(*receiver.try_recv()?.unwrap(), *b"now");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&mut self) -> io::Result<Option<Message<'_>>> {
        if !self.decoder.try_step(&mut self.reader.half)? {
            return Ok(None);
        }
        Message::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Receives a message into `to`, in place of what that holds, and returns its length; `None` at
    /// the end, with `to` as it was.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// sender.send(b"one")?;
    /// sender.finish()?;
    /// let mut message = Vec::new();
    /// while receiver.recv_into(&mut message)?.is_some() {
    ///     assert_eq!(message, b"one");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_into(&mut self, to: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if !self.ready()? {
            return Ok(None);
        }
        self.decoder.take_into(&mut self.reader.half, to).map(Some)
    }

    /// Receives a message that can be kept and passed on. Its memory comes from a pool of this
    /// receiver's, to which it returns when the last clone is dropped, and begins at a multiple of
    /// 8.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// sender.send(b"one")?;
    /// sender.send(b"two")?;
    /// let one = receiver.recv_owned()?.unwrap();
    /// let two = receiver.recv_owned()?.unwrap();
    /// assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "bytes")]
    pub fn recv_owned(&mut self) -> io::Result<Option<bytes::Bytes>> {
        if !self.ready()? {
            return Ok(None);
        }
        self.decoder.take_owned(&mut self.reader.half).map(Some)
    }

    /// Lends a message as a value; see [`Pod`](super::Pod).
    ///
    /// # Errors
    ///
    /// [`Error::WrongSize`] if the message is not of the size of `T`: it is still there to be
    /// received otherwise. Otherwise as [`recv`](Self::recv).
    #[cfg(feature = "zerocopy")]
    pub fn recv_pod<T>(&mut self) -> io::Result<Option<super::Pod<'_, T>>>
    where
        T: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable,
    {
        if !self.ready()? {
            return Ok(None);
        }
        super::Pod::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Lends the newest message that is there in full, and lets go of all older ones. Blocks only
    /// while there is none; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Something wrong behind a good message is said when its turn comes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Stream, frame};
    /// # let (left, right) = Stream::pair()?;
    /// # let (mut sender, _) = frame::split(left)?;
    /// # let (_, mut receiver) = frame::split(right)?;
    /// for frame in 0..60u8 {
    ///     sender.send(&[frame; 100])?;
    /// }
    /// let latest = receiver.latest()?.unwrap();
    /// assert_eq!((latest.message[0], latest.skipped), (59, 59));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn latest(&mut self) -> io::Result<Option<Latest<'_>>> {
        if !self.ready()? {
            return Ok(None);
        }
        let skipped = self.decoder.skip(&mut self.reader.half);
        // The newest is there; unless somebody has closed the stream just now.
        if skipped > 0 && !self.decoder.try_step(&mut self.reader.half)? {
            return Ok(None);
        }
        let message = Message::lend(&mut self.reader.half, &mut self.decoder)?;
        Ok(Some(Latest { message, skipped }))
    }

    /// The most that a message may have.
    pub fn max(&self) -> usize {
        self.decoder.max()
    }

    /// The reader below, to be looked at.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// See [`Reader::set_timeout`]. It is the time of one call, however many parts come meanwhile.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.reader.set_timeout(timeout)
    }

    /// See [`Reader::set_nonblocking`].
    pub fn set_nonblocking(&mut self, yes: bool) {
        self.reader.set_nonblocking(yes);
    }

    /// A handle that ends the stream from any thread.
    pub fn closer(&self) -> Closer {
        self.reader.closer()
    }
}
