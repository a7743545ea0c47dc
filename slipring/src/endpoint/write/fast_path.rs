//! The fast path of writing: no check is repeated whose result is known.

use super::{LARGE, PUBLISH_CHUNK, WriteHalf};
use crate::endpoint::local;
use crate::fail_points::{Point, point};

impl WriteHalf {
    /// Whether `n` bytes may be written at once: nothing forbids it, and they are known to fit.
    #[inline(always)]
    fn is_fast(&self, n: usize) -> bool {
        self.free() >= n
            && !self.wake_word.is_left_armed()
            && self.end.is_open()
            && self.endpoint.local() == local::OPEN
            && self.endpoint.is_owner()
    }

    /// Copies `bytes`, for which there is room, after [`is_fast`](Self::is_fast).
    #[inline(always)]
    fn copy_fast(&self, bytes: &[u8]) {
        point(Point::WriteBegun);
        // SAFETY: as in `copy_in`; `is_fast` says that the span is free.
        unsafe { self.memory.write(self.ring.offset(), bytes) };
        point(Point::Copied);
    }

    /// Copies and publishes `bytes`, some and not too many. Otherwise does nothing, and returns
    /// `false`.
    ///
    /// It does the same as [`room`](Self::room) and [`put`](Self::put), in fewer steps: the steps
    /// before the store of the tail are part of every round trip.
    #[inline(always)]
    pub(crate) fn try_put_fast(&mut self, bytes: &[u8]) -> bool {
        if bytes.len().wrapping_sub(1) >= LARGE - 1
            || self.unpublished() > 0
            || !self.is_fast(bytes.len())
        {
            return false;
        }
        self.copy_fast(bytes);
        let must_wake = self
            .ring
            .advance_and_publish(self.endpoint.headers(), bytes.len() as u64);
        point(Point::Published);
        self.expect_another(bytes.len());
        if must_wake {
            self.wake_peer();
        }
        self.check_peer_paced();
        true
    }

    /// Whether `n` bytes are free to be written in place, at once.
    #[inline(always)]
    pub(crate) fn can_lend_fast(&self, n: usize) -> bool {
        let yes = self.is_fast(n);
        if yes {
            point(Point::WriteBegun);
        }
        yes
    }

    /// Copies `bytes`, and leaves it to a later call to publish them. Otherwise does nothing, and
    /// returns `false`.
    #[inline(always)]
    pub(crate) fn try_stage_fast(&mut self, bytes: &[u8]) -> bool {
        if self.unpublished() + bytes.len() >= PUBLISH_CHUNK || !self.is_fast(bytes.len()) {
            return false;
        }
        self.copy_fast(bytes);
        self.ring.advance_known(bytes.len() as u64);
        true
    }
}
