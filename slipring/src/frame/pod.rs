//! Messages that are plain old data (feature `zerocopy`).

use super::decode::Decoder;
use super::error::Error;
use super::header::HEADER;
use super::message::Message;
use crate::endpoint::ReadHalf;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A value that is looked at where it lies, lent by `recv_pod`. Dropping it gives its room in the
/// ring back to the sender.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Quote {
///     price: u64,
///     size: u32,
///     venue: u32,
/// }
///
/// let (left, right) = Stream::pair()?;
/// let (mut sender, _) = frame::split(left)?;
/// let (_, mut receiver) = frame::split(right)?;
/// sender.send_pod(&Quote { price: 101, size: 7, venue: 2 })?;
/// let quote = receiver.recv_pod::<Quote>()?.expect("a quote");
/// assert_eq!((quote.price, quote.size, quote.venue), (101, 7, 2));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a value that is dropped has been received"]
pub struct Pod<'a, T> {
    message: Message<'a>,
    /// Nobody else looks at the value while this lends it, so it goes to other threads where a `T`
    /// of its own would.
    _type: PhantomData<T>,
}

impl<'a, T: FromBytes + KnownLayout + Immutable> Pod<'a, T> {
    /// The message that is ready, if it has the right size; it stays where it is otherwise.
    pub(super) fn lend(half: &'a mut ReadHalf, decoder: &'a mut Decoder) -> io::Result<Pod<'a, T>> {
        const { assert!(align_of::<T>() <= HEADER, "messages are aligned to 8 bytes") };
        let (len, expected) = (decoder.len(), size_of::<T>());
        if len != expected {
            return Err(Error::WrongSize { len, expected }.into());
        }
        Ok(Pod {
            message: Message::lend(half, decoder)?,
            _type: PhantomData,
        })
    }
}

impl<T: FromBytes + KnownLayout + Immutable> Deref for Pod<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match T::ref_from_bytes(&self.message) {
            Ok(value) => value,
            Err(_) => unreachable!("size and alignment were checked when it was lent"),
        }
    }
}

impl<T: FromBytes + KnownLayout + Immutable + fmt::Debug> fmt::Debug for Pod<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pod").field(&**self).finish()
    }
}
