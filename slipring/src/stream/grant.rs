//! Writing in place, and several writes at once.

use crate::endpoint::{PUBLISH_CHUNK, WriteHalf};
use crate::stream::Writer;
use std::io::{self, IoSlice, Write};
use std::ops::{Deref, DerefMut};

/// Free bytes of the ring, lent by [`Writer::reserve`] to be written in place.
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
    /// Of a grant from a [`Batch`] they are published with the batch.
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

/// Several writes that are published at once; see [`Writer::batch`].
///
/// # Examples
///
/// ```
/// use slipring::Stream;
/// use std::io::Write;
///
/// let (mut left, mut right) = Stream::pair()?;
/// let mut batch = left.writer().batch();
/// batch.write_all(b"head, ")?;
/// let mut grant = batch.reserve(4)?;
/// grant.copy_from_slice(b"body");
/// grant.commit(4);
/// batch.flush()?;
/// assert_eq!(right.reader().available()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    writer: &'a mut Writer,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(writer: &'a mut Writer) -> Batch<'a> {
        Batch { writer }
    }

    /// Like [`Writer::reserve`]; what is committed is published with the batch.
    ///
    /// # Errors
    ///
    /// As `Writer::reserve`.
    #[inline]
    pub fn reserve(&mut self, n: usize) -> io::Result<Grant<'_>> {
        self.writer.reserve_room(n, true)?;
        Ok(Grant::new(&mut self.writer.half, n, false))
    }
}

impl Write for Batch<'_> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.writer.half.try_stage_fast(buf) {
            return Ok(buf.len());
        }
        self.writer.keep_some(buf)
    }

    #[inline]
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        if self.writer.half.try_stage_fast(buf) {
            return Ok(());
        }
        self.writer.keep_all(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        self.writer.make_room(first.len())?;
        Ok(self.writer.half.put_vectored(bufs, false))
    }

    /// Publishes what has been written so far.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        self.writer.half.publish();
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.writer.half.publish();
    }
}
