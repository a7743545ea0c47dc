//! How a writer polls: for some room, for all that it needs at once, or for an empty ring.

use super::exchange_state::Obstacle;
use super::{Room, WriteHalf};
use crate::endpoint::end::{EndReason, write_error};
use crate::endpoint::{forked, local};
use crate::ring::Status;
use std::io;

impl WriteHalf {
    /// Polls for `want` bytes of room. Everything written has been published, if `want` is not 0.
    #[inline]
    pub(crate) fn poll(&mut self, want: usize) -> Option<io::Result<Room>> {
        self.poll_or_grow(want, true)
    }

    /// The same. `grows`: a larger ring is of use to this half's caller.
    #[inline]
    fn poll_or_grow(&mut self, want: usize, grows: bool) -> Option<io::Result<Room>> {
        if !self.endpoint.is_owner() {
            return Some(Err(forked()));
        }
        if !self.end.is_open() || self.endpoint.local() != local::OPEN {
            return Some(self.ended(Status::Pending));
        }
        let gone = self.endpoint.is_gone();
        match self.ring.poll(self.endpoint.headers(), want as u64, gone) {
            Ok(Status::Ready) => Some(Ok(Room::Enough)),
            Ok(Status::Pending) => None,
            Ok(status) => self.poll_further(want, grows, status),
            Err(_) => {
                self.endpoint.poison();
                Some(self.ended(Status::Pending))
            }
        }
    }

    /// The rare outcomes of [`poll`](Self::poll).
    #[inline(never)]
    fn poll_further(
        &mut self,
        want: usize,
        grows: bool,
        status: Status,
    ) -> Option<io::Result<Room>> {
        match status {
            // A dead reader's wake word still says what it waited for. A reader that left in order
            // has stored an end before it hung up, perhaps after the poll that found none: so the
            // next poll, which knows of the hang-up, decides.
            Status::Starving | Status::Cramped(_) if self.endpoint.check_peer() => {
                self.poll_or_grow(want, grows)
            }
            Status::Cramped(word) if grows => {
                match self.grow_for_reader(word) {
                    Ok(()) => return self.poll(want),
                    Err(Obstacle::NotTaken) => return None,
                    Err(Obstacle::Gone) => return self.poll(0),
                    Err(Obstacle::Refused(_)) => self.refuse_reader(word),
                }
                // It makes do with what fits.
                (self.free() > 0).then_some(Ok(Room::Starving))
            }
            Status::Starving | Status::Cramped(_) => Some(Ok(Room::Starving)),
            status => Some(self.ended(status)),
        }
    }

    /// Polls for `n` bytes of room at once. The ring grows if it cannot hold them, or holds too
    /// little for both sides.
    pub(crate) fn poll_whole(&mut self, n: usize) -> Option<io::Result<Room>> {
        loop {
            let grown = if n > self.capacity() {
                // An end comes first.
                if let Some(Err(e)) = self.poll(0) {
                    return Some(Err(e));
                }
                self.grow_to_hold(n)
            } else {
                match self.poll(n) {
                    Some(Ok(Room::Starving)) => self.grow_to(n + self.ring.unread().1 as usize),
                    outcome => return outcome,
                }
            };
            match grown {
                Ok(()) => {}
                Err(Obstacle::NotTaken) => return None,
                Err(Obstacle::Gone) => return self.poll(0),
                Err(Obstacle::Refused(limit)) if n > self.capacity() => {
                    return Some(Err(self.refusal(n, limit)));
                }
                Err(Obstacle::Refused(_)) => return Some(Ok(Room::Starving)),
            }
        }
    }

    /// Remembers how the direction ended, and converts it for `std::io`.
    #[cold]
    pub(super) fn ended<T>(&mut self, status: Status) -> io::Result<T> {
        let position = self.ring.position();
        let gone = EndReason::ReaderGone;
        let end = self
            .end
            .resolve(&self.endpoint, status, gone, false, position);
        Err(write_error(end))
    }

    /// Like [`poll`](Self::poll) for an empty ring, also after `finish`.
    pub(crate) fn poll_drained(&mut self) -> Option<io::Result<Room>> {
        if !self.endpoint.is_owner() {
            return Some(Err(forked()));
        }
        if self.drained() {
            return Some(Ok(Room::Enough));
        }
        let finished = self.end.take_finished();
        // The last bytes may have been consumed by a reader that is gone by now.
        let outcome = match self.poll_or_grow(self.capacity(), false) {
            Some(Err(e))
                if self.ring.refresh(self.endpoint.headers()).is_ok() && self.drained() =>
            {
                drop(e);
                Some(Ok(Room::Enough))
            }
            // A reader that waits for more finds the end instead: it has been woken for it.
            Some(Ok(Room::Starving)) if finished.is_some() => None,
            other => other,
        };
        if let Some(end) = finished {
            self.end.restore(end);
        }
        outcome
    }
}
