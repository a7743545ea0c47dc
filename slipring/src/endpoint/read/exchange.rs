//! How a ring is followed by another one: what the reader does.
//!
//! The writer has announced the ring in its header and has passed the descriptor before, so it lies
//! in the link. Word, message and memory are the peer's: they are checked as in the handshake. The
//! writer's half of it is in `write/exchange.rs`.

use super::{ReadHalf, Readable};
use crate::endpoint::passed::{self, Unfit};
use crate::endpoint::ring_memory::{PeerRing, is_capacity};
use crate::endpoint::wake;
use crate::error::Error;
use crate::fail_points::{Point, point};
use crate::growth::{GrowthRefused, Limit};
use crate::ring::{RingId, Status, Std, Turn, load_peer};
use crate::stats::ReaderStats;
use crate::sys::closing::{self, Parcel, Passed};
use crate::sys::errno::Errno;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Why the ring that was announced cannot be taken.
enum Fault {
    /// The peer breaks the protocol.
    Theirs,
    /// This process lacks something. Nothing is lost: the next poll tries again.
    Mine(Error),
}

impl ReadHalf {
    /// The largest capacity that the peer's ring may have.
    pub(crate) fn max_capacity(&self) -> usize {
        self.exchanges.most
    }

    /// The rare outcomes of [`poll`](Self::poll) for `want` bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_further(
        &mut self,
        want: usize,
        found: Result<Status, Turn>,
    ) -> Option<io::Result<Readable>> {
        let fault = match found {
            Ok(status) => return Some(self.ended(status)),
            Err(Turn::Moved(word)) => match self.take_ring(word) {
                Ok(()) => return self.poll(want),
                Err(fault) => fault,
            },
            Err(Turn::Corrupt) => Fault::Theirs,
        };
        Some(match fault {
            Fault::Mine(error) => Err(error.into()),
            Fault::Theirs => {
                self.endpoint.poison();
                self.ended(Status::Pending)
            }
        })
    }

    /// Goes over to the ring that the peer has announced by `word`.
    fn take_ring(&mut self, word: u64) -> Result<(), Fault> {
        let next = self.ring.next_ring(word).ok_or(Fault::Theirs)?;
        let capacity = usize::try_from(next.capacity()).unwrap_or(usize::MAX);
        let fits = is_capacity(capacity)
            && capacity <= self.exchanges.most
            && self.ring.available() <= next.capacity();
        if !fits {
            return Err(Fault::Theirs);
        }
        // Others that it has announced before are of no use any more.
        while self.exchanges.received.wrapping_add(1) != next.generation {
            let (parcel, _) = self.peek_ring()?;
            if parcel.generation != self.exchanges.received.wrapping_add(1) {
                return Err(Fault::Theirs);
            }
            self.take_parcel()?;
        }
        let (parcel, passed) = self.peek_ring()?;
        if parcel != next {
            return Err(Fault::Theirs);
        }
        let fd = passed::memory(passed, next.capacity()).map_err(|unfit| match unfit {
            Unfit::Theirs(_) => Fault::Theirs,
            Unfit::Mine(error) => Fault::Mine(error),
        })?;
        let memory = PeerRing::map(fd.as_fd(), capacity).map_err(Fault::Mine)?;
        // Until here it was left where it is, so that all of this can be tried again.
        self.take_parcel()?;
        point(Point::RingMapped);
        let must_wake = self.ring.take(self.endpoint.headers(), next);
        self.memory = memory;
        self.exchanges.taken += 1;
        point(Point::RingTaken);
        if must_wake {
            wake(&self.endpoint.peer_doorbells.writer);
        }
        Ok(())
    }

    /// The ring whose descriptor comes next in the link, and a copy of that.
    fn peek_ring(&self) -> Result<(RingId, Passed), Fault> {
        let want = Error::os("receiving the peer's next ring");
        match closing::peek_parcel(self.endpoint.link.as_fd()) {
            Ok(Parcel::Whole(word, passed)) => RingId::from_word(u64::from_le_bytes(word))
                .map(|ring| (ring, passed))
                .ok_or(Fault::Theirs),
            Ok(Parcel::NoRoom) => Err(Fault::Mine(want(Errno::MFILE))),
            Ok(Parcel::None) => Err(Fault::Theirs),
            Err(e) => Err(Fault::Mine(want(e))),
        }
    }

    /// Takes away what [`peek_ring`](Self::peek_ring) has found.
    fn take_parcel(&mut self) -> Result<(), Fault> {
        if !self.exchanges.is_allowed() {
            return Err(Fault::Theirs);
        }
        closing::take_parcel::<8>(self.endpoint.link.as_fd()).map_err(|_| Fault::Theirs)?;
        self.exchanges.received = self.exchanges.received.wrapping_add(1);
        Ok(())
    }

    pub(crate) fn stats(&self) -> ReaderStats {
        let own = &self.endpoint.headers().own.reading.0;
        ReaderStats {
            read: self.position(),
            capacity: self.capacity(),
            max_capacity: self.max_capacity(),
            exchanged: self.exchanges.taken,
            // Relaxed: written by this half alone.
            sleeps: own.sleeps.load(Ordering::Relaxed),
            wakes: own.wakes.load(Ordering::Relaxed),
        }
    }

    /// Whether `n` bytes could ever be there at once.
    pub(crate) fn can_hold(&self, n: usize) -> io::Result<()> {
        if n <= self.max_capacity() {
            return Ok(());
        }
        Err(self.refusal(n, self.exchanges.limit))
    }

    #[cold]
    fn refusal(&self, needed: usize, limit: Limit) -> io::Error {
        let capacity = self.capacity();
        GrowthRefused {
            needed,
            capacity,
            limit,
        }
        .into_error()
    }

    /// The answer of a peer whose ring does not grow to hold `want` bytes, if one has come.
    #[cold]
    pub(super) fn refused(&self, want: usize) -> Option<io::Error> {
        let peer = &self.endpoint.headers().peer.exchanges.0;
        // Acquire: the two words below were stored before it.
        let answers = load_peer::<Std, _>(&peer.answers);
        if answers == self.exchanges.answers {
            return None;
        }
        // Relaxed: ordered by that acquire. A newer answer does no harm.
        let (position, limit) = (
            peer.refused_for.load(Ordering::Relaxed),
            peer.limit.load(Ordering::Relaxed),
        );
        // An answer to an earlier call, which gave up, says nothing about this one.
        if position != self.ring.wake_at(want as u64) {
            return None;
        }
        let limit = Limit::from_wire(limit).unwrap_or(Limit::System);
        Some(self.refusal(want, limit))
    }

    /// A call tells its caller this error. If it is a refusal, the next call asks the peer again. A
    /// call that only polls, such as `arm`, leaves the answer to the one that follows.
    #[cold]
    pub(crate) fn told(&mut self, error: io::Error) -> io::Error {
        if GrowthRefused::of(&error).is_some() {
            self.forget_refusal();
        }
        error
    }

    fn forget_refusal(&mut self) {
        let peer = &self.endpoint.headers().peer.exchanges.0;
        // Relaxed: the number alone counts.
        self.exchanges.answers = peer.answers.load(Ordering::Relaxed);
    }
}
