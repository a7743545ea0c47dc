//! The short way of the usual write: what is known to be well is not asked again.

use super::{LARGE, PART, WriteHalf};
use crate::endpoint::local;
use crate::fail_points::{Point, point};

impl WriteHalf {
    /// Whether `n` bytes may be written with no more ado: nothing speaks against it, and they are
    /// known to fit.
    #[inline(always)]
    fn is_usual(&self, n: usize) -> bool {
        self.free() >= n
            && !self.waits_on
            && self.end.is_none()
            && self.endpoint.local() == local::OPEN
            && self.endpoint.birth.is_here()
    }

    /// Copies `bytes`, for which there is room, after [`is_usual`](Self::is_usual).
    #[inline(always)]
    fn copy_usual(&self, bytes: &[u8]) {
        point(Point::WriteBegun);
        // SAFETY: as in `copy_in`; `is_usual` says that the span is free.
        unsafe { self.endpoint.outbox.write(self.ring.offset(), bytes) };
        point(Point::Copied);
    }

    /// The usual write: copies and publishes `bytes`, some and not too many. Or does nothing, and
    /// says so.
    ///
    /// It is what [`room`](Self::room) and [`put`](Self::put) would do, in fewer steps: those
    /// before the tail is stored are part of every round trip.
    #[inline(always)]
    pub(crate) fn put_at_once(&mut self, bytes: &[u8]) -> bool {
        if bytes.len().wrapping_sub(1) >= LARGE - 1
            || self.unpublished() > 0
            || !self.is_usual(bytes.len())
        {
            return false;
        }
        self.copy_usual(bytes);
        let ring = self
            .ring
            .advance_and_publish(self.endpoint.headers(), bytes.len() as u64);
        point(Point::Published);
        if ring {
            self.ring_peer();
        }
        self.look_around();
        true
    }

    /// Whether `n` bytes are free to be written in place, with no more ado.
    #[inline(always)]
    pub(crate) fn lends_at_once(&self, n: usize) -> bool {
        let yes = self.is_usual(n);
        if yes {
            point(Point::WriteBegun);
        }
        yes
    }

    /// The usual write in a batch: copies `bytes`, and leaves it to another one to publish them. Or
    /// does nothing, and says so.
    #[inline(always)]
    pub(crate) fn keep_at_once(&mut self, bytes: &[u8]) -> bool {
        if self.unpublished() + bytes.len() >= PART || !self.is_usual(bytes.len()) {
            return false;
        }
        self.copy_usual(bytes);
        self.ring.advance_known(bytes.len() as u64);
        true
    }
}
