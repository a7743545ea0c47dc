//! Buffers of messages that are held longer than a view: they come back when the last clone is
//! dropped.

use super::buffer::Buffer;
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many idle buffers are kept.
const IDLE: usize = 16;

/// The smallest buffer that is made.
const SMALLEST: usize = 256;

/// Idle buffers. Clones are the same pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Idle>>);

#[derive(Debug, Default)]
struct Idle {
    buffers: Vec<Buffer>,
    bytes: usize,
    /// The most that `bytes` may be.
    limit: usize,
}

impl Idle {
    fn take(&mut self, at: usize) -> Buffer {
        let mut buffer = self.buffers.swap_remove(at);
        self.bytes -= buffer.capacity();
        buffer.clear();
        buffer
    }
}

impl Pool {
    /// A pool that keeps buffers of up to `limit` bytes in all.
    pub(super) fn new(limit: usize) -> Pool {
        Pool(Arc::new(Mutex::new(Idle {
            limit,
            ..Idle::default()
        })))
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer for `len` bytes: the smallest idle one that has room, or a new one.
    pub(super) fn take(&self, len: usize) -> io::Result<Buffer> {
        let mut idle = self.idle();
        let fits = |(_, buffer): &(usize, &Buffer)| buffer.capacity() >= len;
        let best = idle
            .buffers
            .iter()
            .enumerate()
            .filter(fits)
            .min_by_key(|(_, b)| b.capacity());
        if let Some((at, _)) = best {
            return Ok(idle.take(at));
        }
        drop(idle);
        let mut buffer = Buffer::zeroed(len.next_power_of_two().max(SMALLEST))?;
        buffer.clear();
        Ok(buffer)
    }

    /// The largest idle buffer, empty, for what may become large; one without memory, if there is
    /// none.
    pub(super) fn take_largest(&self) -> Buffer {
        let mut idle = self.idle();
        let largest = idle
            .buffers
            .iter()
            .enumerate()
            .max_by_key(|(_, b)| b.capacity());
        match largest.map(|(at, _)| at) {
            Some(at) => idle.take(at),
            None => Buffer::default(),
        }
    }

    fn give(&self, buffer: Buffer) {
        let mut idle = self.idle();
        let bytes = idle.bytes + buffer.capacity();
        if bytes <= idle.limit && idle.buffers.len() < IDLE {
            idle.bytes = bytes;
            idle.buffers.push(buffer);
        }
    }

    /// The contents of `buffer`, which comes back to the pool when they are not used any more.
    pub(super) fn lend(&self, buffer: Buffer) -> Bytes {
        Bytes::from_owner(Lent {
            buffer,
            pool: self.clone(),
        })
    }
}

/// What is inside such a `Bytes`.
struct Lent {
    buffer: Buffer,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.bytes()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_messages_give_their_buffers_back() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.take(1000).unwrap();
        buffer.extend(3, 1000).unwrap().copy_from_slice(b"abc");
        let bytes = pool.lend(buffer);
        let clone = bytes.slice(1..);
        drop(bytes);
        assert_eq!(pool.idle().buffers.len(), 0);
        assert_eq!(&clone[..], b"bc");
        let address = clone.as_ptr().addr() - 1;
        drop(clone);
        assert_eq!(pool.idle().buffers.len(), 1);
        let mut again = pool.take(10).unwrap();
        assert_eq!(again.extend(1, 10).unwrap().as_ptr().addr(), address);
        assert_eq!(pool.idle().bytes, 0);
        assert_eq!(pool.take_largest().capacity(), 0);
        drop(pool.lend(Buffer::zeroed(10).unwrap()));
        drop(pool.lend(Buffer::zeroed(20).unwrap()));
        assert!(pool.take_largest().capacity() >= 20);
    }

    #[test]
    fn a_pool_of_buffers_keeps_no_more_than_allowed() {
        let pool = Pool::new(10_000);
        for len in [9_000, 3_000, 600] {
            drop(pool.lend(Buffer::zeroed(len).unwrap()));
        }
        assert_eq!(pool.idle().buffers.len(), 2);
        for _ in 0..100 {
            drop(pool.lend(Buffer::zeroed(1).unwrap()));
            let held: Vec<Bytes> = (0..30).map(|_| pool.lend(pool.take(1).unwrap())).collect();
            drop(held);
            assert!(pool.idle().buffers.len() <= IDLE);
        }
    }
}
