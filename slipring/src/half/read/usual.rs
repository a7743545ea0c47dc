//! Reading what is known to be there without asking at each byte whether it may be read.

use super::ReadHalf;
use crate::endpoint::local;
use crate::fail_points::{Point, point};
use crate::ring::MOST_KEPT;

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
        if self.is_usual() && self.ring.keep(buf.len() as u64) {
            self.copy_kept(buf);
            return true;
        }
        let known = self.has(buf.len());
        if known {
            if is_little(buf.len()) {
                self.take_little(buf);
            } else {
                self.take_known(buf);
            }
        }
        known
    }

    #[inline(never)]
    fn take_little(&mut self, buf: &mut [u8]) {
        self.copy_out(0, buf);
        self.consume_known(buf.len());
    }

    /// Copies the bytes that have just been consumed, and kept.
    #[inline(always)]
    fn copy_kept(&self, buf: &mut [u8]) {
        let position = self.ring.position() - buf.len() as u64;
        // The bytes have just been available, and what is kept lies within what is leased; that lies within a capacity of where
        // `place` was made, being what was available there; and the ring does not begin anew before all of it has been given back.
        match buf {
            // A copy of a length that is not known costs as much as all the rest.
            // SAFETY: the endpoint, and so the inbox, is alive; for the span see above.
            [byte] => unsafe { self.place.read(position, std::slice::from_mut(byte)) },
            // SAFETY: as above.
            _ => unsafe { self.place.read(position, buf) },
        }
        point(Point::Read);
    }

    /// Lends all that is leased, after [`is_usual`](Self::is_usual).
    #[inline(always)]
    pub(crate) fn view_usual(&self) -> &[u8] {
        let position = self.ring.position();
        // SAFETY: as in `view`, as nothing is leased with a bounce; and for the span as in `copy_kept`.
        unsafe { self.place.slice(position, (self.leased.until() - position) as usize) }
    }

    /// Gives `n` available bytes back, with what has been kept so far. Leases what is known to lie behind them, and keeps a little
    /// of it if this was little.
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
        if is_little(n) {
            self.ring.start_keeping(self.endpoint.headers());
        }
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

/// What does not pay for being given back at each read.
#[inline(always)]
fn is_little(n: usize) -> bool {
    n < MOST_KEPT as usize
}
