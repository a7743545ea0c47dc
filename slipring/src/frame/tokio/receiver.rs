//! Receiving on tokio.

use crate::frame::decode::{Decoder, Step};
use crate::frame::{DEFAULT_MAX, Error, Latest, Message};
use crate::stream::Closer;
use crate::tokio::Reader;
use std::io;
#[cfg(feature = "bytes")]
use std::task::{Context, Poll, ready};
use tokio::task::coop;

/// Receives messages over a [`Reader`], which carries nothing else from then on; the counterpart of
/// [`frame::Receiver`](crate::frame::Receiver), whose ends and errors it has.
///
/// # Cancel safety
///
/// All methods are cancel safe: a future that is dropped before it resolves has received nothing,
/// and the next call gets the message that it would have got. Parts that it had put together are
/// kept.
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
/// tokio::spawn(async move { sender.send(&vec![7; 1_000_000]).await });
/// assert!(*receiver.recv().await?.unwrap() == vec![7; 1_000_000]);
/// assert!(receiver.recv().await?.is_none());
/// # Ok::<(), std::io::Error>(())
/// # })?;
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

    /// Receives messages of up to `bytes` bytes; see
    /// [`frame::Receiver::with_max`](crate::frame::Receiver::with_max).
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

    /// Waits until a message is there; `false`: the end came before. What it takes meanwhile is
    /// kept in the decoder.
    async fn ready(&mut self) -> io::Result<bool> {
        loop {
            let want = match self.decoder.step(&mut self.reader.half)? {
                Step::Ready => return Ok(true),
                Step::Wait(want) => want,
                Step::Again => {
                    coop::consume_budget().await;
                    continue;
                }
            };
            let found = self.reader.wait(want).await;
            if !self.decoder.found(&mut self.reader.half, found)? {
                return Ok(false);
            }
        }
    }

    /// Waits until a message is there, and lends it; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`frame::Receiver::recv`](crate::frame::Receiver::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is received when the [`Message`] is dropped, not before.
    pub async fn recv(&mut self) -> io::Result<Option<Message<'_>>> {
        // A sender that is as fast as this must not keep the worker from its other tasks.
        coop::consume_budget().await;
        if !self.ready().await? {
            return Ok(None);
        }
        Message::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Lends the next message if it is there.
    ///
    /// # Errors
    ///
    /// As [`frame::Receiver::try_recv`](crate::frame::Receiver::try_recv).
    pub fn try_recv(&mut self) -> io::Result<Option<Message<'_>>> {
        if !self.decoder.try_step(&mut self.reader.half)? {
            return Ok(None);
        }
        Message::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Receives a message into `to`; see
    /// [`frame::Receiver::recv_into`](crate::frame::Receiver::recv_into).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: `to` is as it was until the message is there in full.
    pub async fn recv_into(&mut self, to: &mut Vec<u8>) -> io::Result<Option<usize>> {
        coop::consume_budget().await;
        if !self.ready().await? {
            return Ok(None);
        }
        self.decoder.take_into(&mut self.reader.half, to).map(Some)
    }

    /// Receives a message that can be kept; see
    /// [`frame::Receiver::recv_owned`](crate::frame::Receiver::recv_owned).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    #[cfg(feature = "bytes")]
    pub async fn recv_owned(&mut self) -> io::Result<Option<bytes::Bytes>> {
        coop::consume_budget().await;
        if !self.ready().await? {
            return Ok(None);
        }
        self.decoder.take_owned(&mut self.reader.half).map(Some)
    }

    /// As [`recv_owned`](Self::recv_owned). One task at a time.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[cfg(feature = "bytes")]
    pub fn poll_recv_owned(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<bytes::Bytes>>> {
        let budget = ready!(coop::poll_proceed(cx));
        let there = loop {
            let want = match self.decoder.step(&mut self.reader.half)? {
                Step::Ready => break true,
                Step::Wait(want) => want,
                Step::Again => {
                    ready!(coop::poll_proceed(cx)).made_progress();
                    continue;
                }
            };
            let found = ready!(self.reader.poll_wait(cx, want));
            if !self.decoder.found(&mut self.reader.half, found)? {
                break false;
            }
        };
        budget.made_progress();
        Poll::Ready(if there {
            self.decoder.take_owned(&mut self.reader.half).map(Some)
        } else {
            Ok(None)
        })
    }

    /// Lends a message as a value; see
    /// [`frame::Receiver::recv_pod`](crate::frame::Receiver::recv_pod).
    ///
    /// # Errors
    ///
    /// As [`frame::Receiver::recv_pod`](crate::frame::Receiver::recv_pod).
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    #[cfg(feature = "zerocopy")]
    pub async fn recv_pod<T>(&mut self) -> io::Result<Option<crate::frame::Pod<'_, T>>>
    where
        T: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable,
    {
        coop::consume_budget().await;
        if !self.ready().await? {
            return Ok(None);
        }
        crate::frame::Pod::lend(&mut self.reader.half, &mut self.decoder).map(Some)
    }

    /// Lends the newest message that is there in full, and lets go of all older ones; see
    /// [`frame::Receiver::latest`](crate::frame::Receiver::latest).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: older messages are let go only as it resolves.
    pub async fn latest(&mut self) -> io::Result<Option<Latest<'_>>> {
        coop::consume_budget().await;
        if !self.ready().await? {
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

    /// A handle that ends the stream from any thread or task.
    pub fn closer(&self) -> Closer {
        self.reader.closer()
    }
}
