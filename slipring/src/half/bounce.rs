//! Private memory that borrowed views are copied through, where the peer is not trusted to leave published bytes
//! alone.

use crate::sys::memory::Inbox;

/// How much is copied ahead for a view.
const AHEAD: usize = 64 * 1024;

/// A copy of the next bytes of an inbox.
#[derive(Debug, Default)]
pub(crate) struct Bounce {
    bytes: Vec<u8>,
    start: usize,
}

impl Bounce {
    /// The next `want` bytes or more, of `available` ones that begin at `offset` in the ring.
    pub(crate) fn view(&mut self, inbox: &Inbox, offset: usize, available: usize, want: usize) -> &[u8] {
        // `want` may be 0: what is copied already does then, unless it is nothing.
        if self.bytes.len() - self.start < want.max(1) {
            let len = available.min(want.max(AHEAD));
            self.bytes.resize(len, 0);
            inbox.read(offset, &mut self.bytes);
            self.start = 0;
        }
        &self.bytes[self.start..]
    }

    /// Follows the reader by `n` bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.bytes.len());
    }
}
