//! How a writer waits.

use super::{Room, Want, WriteHalf};
use crate::fail_points::{Point, point};
use crate::ring::{Std, count};
use crate::wait::PollHalf;
use std::io;

/// A writer that waits.
#[derive(Debug)]
pub(crate) struct WriteWait<'a> {
    pub(crate) half: &'a mut WriteHalf,
    pub(crate) want: Want,
    pub(crate) armed: Armed,
}

/// The capacity for which the half has armed; `None`: it has not.
pub(crate) type Armed = Option<usize>;

impl WriteWait<'_> {
    /// The index to be woken at.
    fn wake_at(&self) -> u64 {
        let capacity = self.half.capacity();
        let want = match self.want {
            Want::Some(n) => n,
            // Where the ring is too small, this half waits until the reader has taken it: any wake
            // word will do.
            Want::Whole(n) => n.min(capacity),
            Want::Drained => capacity,
        };
        self.half.ring.wake_at(want as u64).max(1)
    }
}

impl PollHalf for WriteWait<'_> {
    type News = Room;

    #[inline]
    fn poll(&mut self) -> Option<io::Result<Room>> {
        let outcome = match self.want {
            Want::Some(n) => self.half.poll(n),
            Want::Whole(n) => self.half.poll_whole(n),
            Want::Drained => self.half.poll_drained(),
        };
        // The wake word is that of the ring before: it is renewed, and what came meanwhile is
        // looked for.
        if outcome.is_none()
            && self
                .armed
                .is_some_and(|armed| armed != self.half.capacity())
        {
            self.arm();
            return self.poll();
        }
        outcome
    }

    fn arm(&mut self) {
        self.armed = Some(self.half.capacity());
        let at = self.wake_at();
        let word = &self.half.endpoint.headers().own.wake_at_head.0;
        self.half.wake_word.arm::<Std>(word, at);
        point(Point::WriterArmed);
    }

    fn enter_flow(&mut self) {
        self.half.enter_flow();
    }

    fn is_in_doubt(&mut self) -> bool {
        self.half.wake_word.is_in_doubt()
    }

    fn settle(&mut self) {
        self.half.wake_word.settle();
    }

    fn advertise(&mut self) {
        let at = self.wake_at();
        let word = &self.half.endpoint.headers().own.wake_at_head.0;
        self.half.wake_word.advertise::<Std>(word, at);
        point(Point::WriterArmed);
    }

    fn disarm(&mut self) {
        self.armed = None;
        let word = &self.half.endpoint.headers().own.wake_at_head.0;
        self.half.wake_word.disarm::<Std>(word);
        point(Point::WriterDisarmed);
    }

    fn leave_armed(&mut self) {
        self.half.wake_word.leave_armed();
    }

    #[cfg(feature = "tokio")]
    fn disarm_stale(&mut self) {
        self.half.disarm_stale();
    }

    // `poll` sees a starving reader: there is no other peer to wake.

    fn check_peer(&mut self) -> io::Result<()> {
        self.half.endpoint.check_peer();
        Ok(())
    }

    fn check_peer_if_due(&mut self) {
        self.half.check_peer_if_due();
    }

    fn progress(&self) -> u64 {
        self.half.position().saturating_add(self.half.free() as u64)
    }

    fn answers(&self) -> Option<u64> {
        Some(self.half.endpoint.answers())
    }

    fn count_sleep(&self) {
        count(&self.half.endpoint.headers().own.writing.0.sleeps);
    }

    #[inline]
    fn count_spin(&self) {
        count(&self.half.endpoint.headers().own.writing.0.spins);
    }
}
