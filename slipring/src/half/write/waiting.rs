//! How a writer waits.

use super::{Room, WriteHalf};
use crate::fail_points::{Point, point};
use crate::half::Waiting;
use crate::ring::count;
use std::io;

/// A writer that waits for `want` bytes of room.
#[derive(Debug)]
pub(crate) struct WriteWait<'a> {
    pub(crate) half: &'a mut WriteHalf,
    pub(crate) want: usize,
    /// Waits until the peer has consumed everything, rather than for room.
    pub(crate) drained: bool,
}

impl WriteWait<'_> {
    /// What to ask to be rung for.
    fn wake_at(&self) -> u64 {
        let want = if self.drained {
            self.half.capacity()
        } else {
            self.want
        };
        self.half.ring.wake_at(want as u64)
    }
}

impl Waiting for WriteWait<'_> {
    type News = Room;

    #[inline]
    fn look(&mut self) -> Option<io::Result<Room>> {
        if self.drained {
            self.half.look_drained()
        } else {
            self.half.look(self.want)
        }
    }

    fn arm(&mut self) {
        let at = self.wake_at();
        self.half
            .excuse
            .arm(&self.half.endpoint.headers().own.wake_at_head.0, at);
        point(Point::WriterArmed);
    }

    fn announce(&mut self) {
        let at = self.wake_at();
        self.half
            .excuse
            .announce(&self.half.endpoint.headers().own.wake_at_head.0, at);
        point(Point::WriterArmed);
    }

    fn disarm(&mut self) {
        self.half.waits_on = false;
        self.half
            .excuse
            .disarm(&self.half.endpoint.headers().own.wake_at_head.0);
        point(Point::WriterDisarmed);
    }

    fn nudge(&mut self) {
        // A starving reader is seen by `look`; there is nobody else to wake.
    }

    fn look_at_link(&mut self) {
        self.half.endpoint.look_at_link();
    }

    fn look_around(&mut self) {
        self.half.look_around();
    }

    fn stay_armed(&mut self) {
        self.half.waits_on = true;
    }

    fn done(&self) -> u64 {
        self.half.endpoint.done()
    }

    fn reach(&self) -> u64 {
        self.half.position().saturating_add(self.half.free() as u64)
    }

    fn missing(&self) -> u64 {
        let want = if self.drained {
            self.half.capacity()
        } else {
            self.want
        };
        (want as u64).saturating_sub(self.half.free() as u64)
    }

    fn count_sleep(&self) {
        count(&self.half.endpoint.headers().own.writing.0.sleeps);
    }

    #[inline]
    fn count_spin(&self) {
        count(&self.half.endpoint.headers().own.writing.0.spins);
    }
}
