//! The short way of the usual read: what is known to be there is not looked for.

use super::ReadHalf;

impl ReadHalf {
    /// Fills `buf`, which is not empty, if it is known that this can be done and nothing speaks
    /// against it. Or does nothing, and says so.
    #[inline(always)]
    pub(crate) fn take_at_once(&mut self, buf: &mut [u8]) -> bool {
        let known = self.has(buf.len());
        if known {
            self.take_known(buf);
        }
        known
    }

    /// Whether something is known to be there that can be lent with no more ado.
    #[inline(always)]
    pub(crate) fn lends_at_once(&self) -> bool {
        self.bounce.is_none() && self.has(1)
    }

    /// Lends all that is known to be there, after [`lends_at_once`](Self::lends_at_once).
    #[inline(always)]
    pub(crate) fn view_at_once(&self) -> &[u8] {
        debug_assert!(self.bounce.is_none(), "what is copied is lent by `view`");
        // SAFETY: as in `view`; there is no bounce, as `lends_at_once` has said.
        unsafe {
            self.endpoint
                .inbox
                .slice(self.ring.offset(), self.available())
        }
    }

    /// [`consume`](Self::consume), in fewer steps where some bytes are given back.
    #[inline(always)]
    pub(crate) fn consume_at_once(&mut self, n: usize) {
        if n.wrapping_sub(1) < self.available() && self.endpoint.birth.is_here() {
            self.consume_known(n);
        } else {
            self.consume(n);
        }
    }
}
