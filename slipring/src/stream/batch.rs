//! Several writes at once.

use super::grant::Grant;
use super::writer::Writer;
use std::io::{self, IoSlice, Write};

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

impl Writer {
    /// Several writes that are published at once.
    ///
    /// A publication costs a fence, unless the peer spins for ever, and perhaps a wake-up of the
    /// peer; a batch pays for them once. It publishes at [`flush`](Write::flush), when dropped,
    /// after each 64 KiB, and whenever it has to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::Write;
    /// let (mut left, mut right) = Stream::pair()?;
    /// let mut batch = left.writer().batch();
    /// for price in 0..100u32 {
    ///     batch.write_all(&price.to_le_bytes())?;
    /// }
    /// assert_eq!(right.reader().available()?, 0);
    /// drop(batch);
    /// assert_eq!(right.reader().available()?, 400);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
