//! Messages as a sequence (features `tokio` and `bytes`).

use super::Receiver;
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The messages of a [`Receiver`], for whatever takes a [`futures_core::Stream`]. It ends with the
/// direction; an error is its last item.
///
/// # Cancel safety
///
/// A `next()` that is dropped before it resolves has taken nothing.
///
/// # Examples
///
/// ```
/// use futures_util::StreamExt;
/// use slipring::frame::tokio::split;
/// use slipring::tokio::Stream;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = split(left)?;
/// let (_, receiver) = split(right)?;
/// sender.send(b"one").await?;
/// sender.send(b"two").await?;
/// sender.finish().await?;
/// let lengths = receiver.into_messages().map(|message| message.unwrap().len());
/// let lengths: Vec<usize> = lengths.collect().await;
/// assert_eq!(lengths, [3, 3]);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Messages {
    receiver: Receiver,
    ended: bool,
}

impl Receiver {
    /// The messages as a sequence of [`Bytes`].
    pub fn into_messages(self) -> Messages {
        Messages {
            receiver: self,
            ended: false,
        }
    }
}

impl Messages {
    /// The receiver, after what has been taken.
    pub fn into_inner(self) -> Receiver {
        self.receiver
    }
}

impl Stream for Messages {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.receiver.poll_recv_owned(cx)).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl FusedStream for Messages {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
