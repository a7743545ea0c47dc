//! Ending a stream from another thread.

use crate::endpoint::Endpoint;
use std::sync::{Arc, Weak};

/// Ends a stream from any thread: blocked reads return `Ok(0)`, blocked writes `BrokenPipe`.
///
/// After [`close`](Self::close) the peer sees what it would see if both halves were dropped: every
/// byte written before, then the end of the stream. A closer does not keep the stream alive; on a
/// stream that is gone it does nothing.
///
/// # Examples
///
/// ```
/// use slipring::Stream;
/// use std::io::Read;
///
/// let (left, right) = Stream::pair()?;
/// let closer = right.closer();
/// let reading = std::thread::spawn({
///     let mut right = right;
///     move || right.read(&mut [0; 16])
/// });
/// closer.close();
/// assert_eq!(reading.join().unwrap()?, 0);
/// # drop(left);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Closer {
    endpoint: Weak<Endpoint>,
}

impl Closer {
    pub(crate) fn new(endpoint: &Arc<Endpoint>) -> Closer {
        Closer {
            endpoint: Arc::downgrade(endpoint),
        }
    }

    /// Ends both directions of the stream with a code, as [`Writer::abort`](crate::Writer::abort)
    /// does: the peer gets `ConnectionAborted` after the last byte. Does not block.
    pub fn abort(&self, code: u32) {
        if let Some(endpoint) = self.endpoint.upgrade() {
            endpoint.abort(code);
        }
    }

    /// Ends both directions of the stream in order. Does not block.
    pub fn close(&self) {
        if let Some(endpoint) = self.endpoint.upgrade() {
            endpoint.close();
        }
    }
}
