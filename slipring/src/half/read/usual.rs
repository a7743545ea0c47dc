//! Reading what is known to be there without asking at each byte whether it may be read.

use super::ReadHalf;
use crate::endpoint::local;
use crate::fail_points::{Point, point};

impl ReadHalf {
    /// Whether the next byte is leased: it is known to be there, and nothing speaks against reading it.
    #[inline(always)]
    pub(crate) fn is_usual(&self) -> bool {
        self.leased.covers(self.ring.position())
    }

    /// Fills `buf`, which is not empty, if it is known that this can be done and nothing speaks against it. Or does
    /// nothing, and says so.
    #[inline(always)]
    pub(crate) fn take_at_once(&mut self, buf: &mut [u8]) -> bool {
        let known = self.has(buf.len());
        if known {
            self.take_known(buf);
        }
        known
    }

    /// Lends all that is leased, after [`is_usual`](Self::is_usual).
    #[inline(always)]
    pub(crate) fn view_usual(&self) -> &[u8] {
        let position = self.ring.position();
        // SAFETY: as in `view`, as nothing is leased with a bounce. The leased bytes were available
        // when `place` was made, and so lies within a capacity of where; and the ring does not
        // begin anew before all of it has been given back.
        unsafe { self.place.slice(position, (self.leased.until() - position) as usize) }
    }

    /// Gives `n` available bytes back, and leases what is known to lie behind them.
    pub(super) fn consume_known(&mut self, n: usize) {
        self.wait_no_more();
        if let Some(bounce) = &mut self.bounce {
            bounce.consume(n);
        }
        let end = self.ring.end();
        let renews = self.leased.until() < end && self.available() > n && self.bounce.is_none();
        if renews {
            self.place = self.endpoint.inbox.place(self.ring.offset(), self.ring.position());
        }
        let ring = if renews {
            let give_back = || {
                let ring = self.ring.consume_fenced(self.endpoint.headers(), n as u64);
                point(Point::Consumed);
                ring
            };
            let is_open = || self.endpoint.local() == local::OPEN;
            self.leased.renew(end, give_back, is_open)
        } else {
            let ring = self.ring.consume(self.endpoint.headers(), n as u64);
            point(Point::Consumed);
            ring
        };
        if ring {
            self.ring_peer();
        }
    }

    /// Before a look for more than is known: the next view is of all there is then, not of what has been leased.
    #[inline(always)]
    pub(super) fn lease_no_more(&mut self) {
        if self.leased.until() > self.ring.position() {
            self.leased.revoke();
        }
    }
}
