//! What a half tells of itself.

use crate::growth::Limit;

/// The state and the counts of a writer: [`Writer::stats`](crate::Writer::stats).
///
/// # Examples
///
/// ```
/// use slipring::Stream;
///
/// let (mut left, _right) = Stream::pair()?;
/// left.writer().reserve(100_000)?.commit(100_000);
/// let stats = left.writer().stats();
/// assert_eq!((stats.written, stats.grown, stats.shrunk), (100_000, 1, 0));
/// assert_eq!(stats.capacity, 128 << 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStats {
    /// Bytes written so far, published or not.
    pub written: u64,
    /// The size of the ring now, in bytes.
    pub capacity: usize,
    /// How far it may grow, in bytes: as both sides allow.
    pub max_capacity: usize,
    /// How often it was followed by a larger ring.
    pub grown: u64,
    /// How often it was followed by a smaller ring.
    pub shrunk: u64,
    /// How often it should have grown, and did not.
    pub refused: u64,
    /// What kept it from growing last.
    pub refused_by: Option<Limit>,
    /// How often this writer went to sleep.
    pub sleeps: u64,
    /// How often it woke the peer's reader.
    pub wakes: u64,
}

/// The state and the counts of a reader: [`Reader::stats`](crate::Reader::stats).
///
/// # Examples
///
/// ```
/// use slipring::Stream;
/// use std::io::{Read, Write};
///
/// let (mut left, mut right) = Stream::pair()?;
/// left.write_all(b"tick")?;
/// right.read_exact(&mut [0; 4])?;
/// let stats = right.reader().stats();
/// assert_eq!((stats.read, stats.capacity), (4, 16 << 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderStats {
    /// Bytes consumed so far.
    pub read: u64,
    /// The size of the ring that is read, in bytes.
    pub capacity: usize,
    /// How far it may grow, in bytes: as both sides allow.
    pub max_capacity: usize,
    /// How often this reader went over to another ring.
    pub exchanged: u64,
    /// How often this reader went to sleep.
    pub sleeps: u64,
    /// How often it woke the peer's writer.
    pub wakes: u64,
}
