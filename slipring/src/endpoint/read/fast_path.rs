//! The fast path of reading: bytes that are known to be there are not polled for.

use super::ReadHalf;

impl ReadHalf {
    /// Fills `buf`, which is not empty, if the bytes for it are known to be there and nothing
    /// forbids to read them. Otherwise does nothing, and returns `false`.
    #[inline(always)]
    pub(crate) fn try_take_fast(&mut self, buf: &mut [u8]) -> bool {
        let known = self.has(buf.len());
        if known {
            self.take_known(buf);
        }
        known
    }

    /// Whether bytes are known to be there that can be lent at once.
    #[inline(always)]
    pub(crate) fn can_lend_fast(&self) -> bool {
        self.bounce.is_none() && self.has(1)
    }

    /// Lends all bytes that are known to be there, after [`can_lend_fast`](Self::can_lend_fast).
    #[inline(always)]
    pub(crate) fn view_fast(&self) -> &[u8] {
        debug_assert!(self.bounce.is_none(), "`view` lends the bytes of a bounce");
        // SAFETY: as in `view`; there is no bounce, as `can_lend_fast` has said.
        unsafe { self.memory.slice(self.ring.offset(), self.available()) }
    }

    /// [`consume`](Self::consume), in fewer steps where some bytes are given back.
    #[inline(always)]
    pub(crate) fn consume_fast(&mut self, n: usize) {
        if n.wrapping_sub(1) < self.available() && self.endpoint.is_owner() {
            self.consume_known(n);
        } else {
            self.consume(n);
        }
    }
}
