//! Messages that are lent where they lie.

use super::decode::Decoder;
use crate::endpoint::ReadHalf;
use std::fmt;
use std::io;
use std::ops::Deref;

/// A message, lent by a receiver as one contiguous slice: out of the ring itself, or, if it came in
/// parts, out of the memory in which they were put together.
///
/// It begins at an address that is a multiple of 8. Dropping it gives its room in the ring back to
/// the sender. (A message that is leaked, with [`std::mem::forget`], is received again.) Out of the
/// ring of a peer of the same user it is that peer's memory; see "Trust" in the [crate
/// documentation](crate).
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
///
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// sender.send(b"tick")?;
/// let message = receiver.recv()?.expect("a message");
/// assert_eq!(*message, *b"tick");
/// assert_eq!(message.as_ptr().addr() % 8, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a message that is dropped has been received"]
pub struct Message<'a> {
    half: &'a mut ReadHalf,
    decoder: &'a mut Decoder,
}

impl<'a> Message<'a> {
    /// The message that is ready.
    #[inline]
    pub(super) fn lend(
        half: &'a mut ReadHalf,
        decoder: &'a mut Decoder,
    ) -> io::Result<Message<'a>> {
        decoder.prepare(half);
        Ok(Message { half, decoder })
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.decoder.lent(self.half)
    }
}

impl AsRef<[u8]> for Message<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Message<'_> {
    #[inline]
    fn drop(&mut self) {
        self.decoder.free(self.half);
    }
}

/// The newest of the messages that were there, and how many older ones were let go for it; lent by
/// `latest`.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// for price in [1u8, 2, 3] {
///     sender.send(&[price])?;
/// }
/// let latest = receiver.latest()?.unwrap();
/// assert_eq!((latest.message[0], latest.skipped), (3, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Latest<'a> {
    /// The newest message.
    pub message: Message<'a>,
    /// How many older ones there were.
    pub skipped: u64,
}
