//! Writing in place.

use crate::endpoint::{PUBLISH_CHUNK, WriteHalf};
use std::ops::{Deref, DerefMut};

/// Free bytes of the ring, lent by [`Writer::reserve`](crate::Writer::reserve) to be written in
/// place.
///
/// Dropping it publishes nothing.
///
/// # Panics
///
/// A grant that a process had when it was forked is the parent's: the child cannot look at it, nor
/// write into it.
///
/// # Examples
///
/// ```
/// use slipring::Stream;
/// use std::io::Read;
///
/// let (mut left, mut right) = Stream::pair()?;
/// let mut grant = left.writer().reserve(64)?;
/// let line = format!("{:.4}", 1.0842);
/// grant[..line.len()].copy_from_slice(line.as_bytes());
/// grant.commit(line.len());
/// let mut got = [0; 6];
/// right.read_exact(&mut got)?;
/// assert_eq!(&got, b"1.0842");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "what is written into a grant is published by `commit`"]
#[derive(Debug)]
pub struct Grant<'a> {
    half: &'a mut WriteHalf,
    len: usize,
    publish: bool,
}

impl<'a> Grant<'a> {
    /// `len` bytes are free.
    pub(crate) fn new(half: &'a mut WriteHalf, len: usize, publish: bool) -> Grant<'a> {
        Grant { half, len, publish }
    }

    /// Publishes the first `n` bytes; the others are free again.
    ///
    /// Of a grant from a [`Batch`](crate::Batch) they are published with the batch.
    ///
    /// # Panics
    ///
    /// If `n` is more than was reserved.
    #[inline]
    pub fn commit(self, n: usize) {
        assert!(
            n <= self.len,
            "commit of {n} bytes out of a grant of {}",
            self.len
        );
        self.half.advance(n);
        if self.publish || self.half.unpublished() >= PUBLISH_CHUNK {
            self.half.publish();
        }
    }
}

impl Deref for Grant<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.half.assert_here();
        self.half.granted(self.len)
    }
}

impl DerefMut for Grant<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.half.assert_here();
        self.half.grant(self.len)
    }
}
