//! How a reader waits.

use super::{ReadHalf, Readable};
use crate::fail_points::{Point, point};
use crate::half::Waiting;
use crate::ring::count;
use std::io;

/// A reader that waits for `want` bytes.
#[derive(Debug)]
pub(crate) struct ReadWait<'a> {
    pub(crate) half: &'a mut ReadHalf,
    pub(crate) want: usize,
}

impl ReadWait<'_> {
    /// What to ask to be rung for.
    fn wake_at(&self) -> u64 {
        self.half.ring.wake_at(self.want as u64)
    }
}

impl ReadHalf {
    /// To be called by whoever has asked for `want` bytes without waiting for them, and may ask
    /// again.
    pub(crate) fn give_up(&mut self, want: usize) {
        ReadWait { half: self, want }.give_up();
    }
}

impl Waiting for ReadWait<'_> {
    type News = Readable;

    #[inline(always)]
    fn look(&mut self) -> Option<io::Result<Readable>> {
        self.half.look(self.want)
    }

    fn arm(&mut self) {
        let at = self.wake_at();
        self.half
            .excuse
            .arm(&self.half.endpoint.headers().own.wake_at_tail.0, at);
        point(Point::ReaderArmed);
    }

    fn announce(&mut self) {
        let at = self.wake_at();
        self.half
            .excuse
            .announce(&self.half.endpoint.headers().own.wake_at_tail.0, at);
        point(Point::ReaderArmed);
    }

    fn disarm(&mut self) {
        self.half.waits_on = false;
        self.half
            .excuse
            .disarm(&self.half.endpoint.headers().own.wake_at_tail.0);
        point(Point::ReaderDisarmed);
    }

    fn nudge(&mut self) {
        if self.half.ring.blocks_writer(self.half.endpoint.headers()) {
            self.half.ring_peer();
        }
    }

    fn look_at_link(&mut self) {
        self.half.endpoint.look_at_link();
    }

    fn look_around(&mut self) {
        self.half.look_around();
    }

    fn give_up(&mut self) {
        // With nothing there, the writer has all the room it can want. With something, too little,
        // it may wait for room that this reader does not make before it has more; it looks at the
        // wake word to see that, so the word stays set.
        if self.half.available() > 0 {
            self.announce();
            self.stay_armed();
            self.nudge();
        }
    }

    fn stay_armed(&mut self) {
        self.half.waits_on = true;
    }

    fn done(&self) -> u64 {
        self.half.endpoint.done()
    }

    fn reach(&self) -> u64 {
        self.half.position() + self.half.available() as u64
    }

    fn missing(&self) -> u64 {
        (self.want as u64).saturating_sub(self.half.available() as u64)
    }

    fn count_sleep(&self) {
        count(&self.half.endpoint.headers().own.reading.0.sleeps);
    }

    #[inline]
    fn count_spin(&self) {
        count(&self.half.endpoint.headers().own.reading.0.spins);
    }
}
