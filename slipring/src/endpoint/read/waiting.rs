//! How a reader waits.

use super::{ReadHalf, Readable};
use crate::fail_points::{Point, point};
use crate::ring::{Std, count};
use crate::wait::PollHalf;
use std::io;

/// A reader that waits for `want` bytes.
#[derive(Debug)]
pub(crate) struct ReadWait<'a> {
    pub(crate) half: &'a mut ReadHalf,
    pub(crate) want: usize,
}

impl ReadHalf {
    /// To be called after a call that asked for `want` bytes without waiting for them, and may ask
    /// again.
    pub(crate) fn give_up(&mut self, want: usize) {
        ReadWait { half: self, want }.give_up();
    }
}

impl PollHalf for ReadWait<'_> {
    type News = Readable;

    #[inline(always)]
    fn poll(&mut self) -> Option<io::Result<Readable>> {
        self.half.poll(self.want)
    }

    fn arm(&mut self) {
        let at = self.half.ring.wake_at(self.want as u64);
        let word = &self.half.endpoint.headers().own.wake_at_tail.0;
        self.half.wake_word.arm::<Std>(word, at);
        point(Point::ReaderArmed);
    }

    fn enter_flow(&mut self) {
        // In a forked child the header is the parent's.
        if self.half.endpoint.is_owner() {
            let word = &self.half.endpoint.headers().own.wake_at_tail.0;
            self.half.wake_word.enter_flow::<Std>(word);
        }
    }

    fn is_in_doubt(&mut self) -> bool {
        self.half.wake_word.is_in_doubt()
    }

    fn settle(&mut self) {
        self.half.wake_word.settle();
    }

    fn advertise(&mut self) {
        let at = self.half.ring.wake_at(self.want as u64);
        let word = &self.half.endpoint.headers().own.wake_at_tail.0;
        self.half.wake_word.advertise::<Std>(word, at);
        point(Point::ReaderArmed);
    }

    fn disarm(&mut self) {
        let word = &self.half.endpoint.headers().own.wake_at_tail.0;
        self.half.wake_word.disarm::<Std>(word);
        point(Point::ReaderDisarmed);
    }

    fn leave_armed(&mut self) {
        self.half.wake_word.leave_armed();
    }

    #[cfg(feature = "tokio")]
    fn disarm_stale(&mut self) {
        self.half.disarm_stale();
    }

    fn wake_starved_peer(&mut self) {
        if self.half.ring.blocks_writer(self.half.endpoint.headers()) {
            self.half.wake_peer();
        }
    }

    fn check_peer(&mut self) -> io::Result<()> {
        self.half.endpoint.check_peer();
        Ok(())
    }

    fn check_peer_if_due(&mut self) {
        self.half.check_peer_if_due();
    }

    fn give_up(&mut self) {
        // If nothing is there, the writer has all the room it can want. If something is there, but
        // too little, the writer may wait for room that this reader does not make before it has
        // more. The writer loads the wake word to see that, so the word stays set.
        if self.half.available() > 0 {
            self.advertise();
            self.leave_armed();
            self.wake_starved_peer();
        }
    }

    fn progress(&self) -> u64 {
        self.half.position() + self.half.available() as u64
    }

    fn answers(&self) -> Option<u64> {
        Some(self.half.endpoint.answers())
    }

    fn count_sleep(&self) {
        count(&self.half.endpoint.headers().own.reading.0.sleeps);
    }

    #[inline]
    fn count_spin(&self) {
        count(&self.half.endpoint.headers().own.reading.0.spins);
    }
}
