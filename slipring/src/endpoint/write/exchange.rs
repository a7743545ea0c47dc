//! How a ring is followed by another one: what the writer does.
//!
//! The order is that of `ring`: the bytes that are unread are copied, the descriptor is passed over
//! the link, the ring is announced, and only then comes the next publication. The peer's half of it
//! is in `read/exchange.rs`.

use super::WriteHalf;
use super::exchange_state::Obstacle;
use crate::endpoint::ring_memory::{OwnRing, is_capacity};
use crate::error::Error;
use crate::fail_points::{Point, point};
use crate::growth::{GrowthRefused, Limit};
use crate::memory_limit;
use crate::ring::{MOST_UNTAKEN, Std, count};
use crate::stats::WriterStats;
use crate::sys::clock::CoarseInstant;
use crate::sys::errno::Errno;
use crate::sys::socket;
use crate::wait::wake_word;
use std::mem;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From one request to shrink to the next.
const REQUESTS: Duration = Duration::from_secs(1);

impl WriteHalf {
    /// The largest capacity that the ring may have.
    pub(crate) fn max_capacity(&self) -> usize {
        self.exchanges.demand.most()
    }

    /// A call that has `len` bytes to write found too little room.
    #[inline(never)]
    pub(super) fn is_cramped(&mut self, len: usize) {
        if self.exchanges.demand.cramped(len, self.capacity()) {
            // Then the next publication is followed by a look.
            self.unchecked = 0;
        }
    }

    /// Whether a call has found too little room since `adapt` was called last, or the last ring is
    /// still on its way.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.exchanges.demand.is_asked() || self.exchanges.in_flight.is_any()
    }

    /// Exchanges the ring if it should be larger or smaller. Called after a publication, between
    /// two calls of the half's user.
    pub(super) fn adapt(&mut self, now: CoarseInstant) {
        let demand = &self.exchanges.demand;
        if demand.start() == demand.most() || !self.endpoint.is_owner() {
            return;
        }
        if self.exchanges.in_flight.is_any() && self.untaken() > 0 {
            // It counts for the whole process: the next publication looks again.
            self.unchecked = 0;
        }
        let (capacity, position, sleeps) = (self.capacity(), self.position(), self.sleeps());
        let pressed = self.exchanges.pressed != memory_limit::pressed();
        let demand = &mut self.exchanges.demand;
        if demand.take_asked() {
            if let Some(larger) = demand.step(capacity, position, sleeps) {
                self.grow_by_choice(larger);
            }
        } else if capacity > demand.start() && demand.is_calm(now, position, pressed) {
            self.shrink_if_possible();
        }
    }

    /// Whether the ring is larger than the first one.
    #[inline]
    pub(super) fn is_grown(&self) -> bool {
        self.capacity() > self.exchanges.demand.start()
    }

    /// To be called while the stream waits for other things: a ring that has been calm for long
    /// enough shrinks. Otherwise, after how much time this is worth being called again.
    #[inline]
    pub(crate) fn rest(&mut self) -> Option<Duration> {
        if self.is_grown() && self.is_open() {
            self.rest_now()
        } else {
            None
        }
    }

    #[cold]
    fn rest_now(&mut self) -> Option<Duration> {
        let now = CoarseInstant::now();
        if self.unpublished() == 0 && self.exchanges.demand.is_new(now) {
            self.adapt(now);
        }
        let calm_in = self.exchanges.demand.calm_in(now);
        // A ring that cannot shrink now, for the bytes in it, does so at a later call.
        (self.is_grown() && !calm_in.is_zero()).then_some(calm_in)
    }

    fn grow_by_choice(&mut self, capacity: usize) {
        if self.untaken() > 0 {
            return;
        }
        let outcome = if self.exchanges.in_flight.are_too_many() {
            Err(Obstacle::Refused(Limit::DescriptorsInFlight))
        } else {
            self.try_to_grow(capacity)
        };
        let _ = self.note(outcome);
    }

    /// Grows so that the ring holds `needed` bytes at once.
    pub(super) fn grow_to_hold(&mut self, needed: usize) -> Result<(), Obstacle> {
        if needed <= self.capacity() {
            return Ok(());
        }
        // What is unread stays beside it, if the limits allow that.
        let (_, unread) = self.ring.unread();
        let outcome = match self.try_to_grow(needed.saturating_add(unread as usize)) {
            Err(Obstacle::Refused(_)) if unread > 0 => self.try_to_grow(needed),
            outcome => outcome,
        };
        self.note(outcome)
    }

    /// Grows to `bytes` or more, what is unread included.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), Obstacle> {
        let outcome = self.try_to_grow(bytes);
        self.note(outcome)
    }

    /// The same, and leaves it to the caller to [`note`](Self::note) a refusal.
    fn try_to_grow(&mut self, bytes: usize) -> Result<(), Obstacle> {
        if bytes > self.max_capacity() {
            return Err(Obstacle::Refused(self.exchanges.limit));
        }
        if self.untaken() >= MOST_UNTAKEN {
            return Err(Obstacle::NotTaken);
        }
        self.exchange(bytes.next_power_of_two()).map_err(|limit| {
            // A ring cannot be passed to a peer that is gone: that is no lack of anything.
            if self.endpoint.check_peer() {
                Obstacle::Gone
            } else {
                Obstacle::Refused(limit)
            }
        })
    }

    /// Counts a refusal. One by the options, of a call that asks for too much, says nothing about
    /// the steps that other calls ask for.
    fn note(&mut self, outcome: Result<(), Obstacle>) -> Result<(), Obstacle> {
        if let Err(Obstacle::Refused(limit)) = outcome {
            if !matches!(limit, Limit::MaxCapacity | Limit::MaxPeerCapacity) {
                self.exchanges.demand.refused();
            }
            self.count_refusal(limit);
        }
        outcome
    }

    /// Grows for a reader that waits for the position `word`.
    pub(super) fn grow_for_reader(&mut self, word: u64) -> Result<(), Obstacle> {
        // A writer that polls all the time asks for memory once in a tick.
        let now = CoarseInstant::now();
        if let Some((answered, at, limit)) = self.exchanges.answered
            && (answered, at) == (word, now)
        {
            return Err(Obstacle::Refused(limit));
        }
        let (head, _) = self.ring.unread();
        let outcome = self.grow_to_hold(usize::try_from(word - head).unwrap_or(usize::MAX));
        if let Err(Obstacle::Refused(limit)) = outcome {
            self.exchanges.answered = Some((word, now, limit));
        }
        outcome
    }

    /// The error of a call that needs `needed` bytes at once.
    #[cold]
    pub(super) fn refusal(&self, needed: usize, limit: Limit) -> std::io::Error {
        let capacity = self.capacity();
        GrowthRefused {
            needed,
            capacity,
            limit,
        }
        .into_error()
    }

    /// The same for more than any ring here may hold.
    #[cold]
    pub(super) fn beyond_limit(&self, needed: usize) -> std::io::Error {
        self.refusal(needed, self.exchanges.limit)
    }

    /// Tells the peer's reader, which waits for the position `word`, that the ring does not grow
    /// for it.
    pub(super) fn refuse_reader(&mut self, word: u64) {
        let headers = self.endpoint.headers();
        let exchanges = &headers.own.exchanges.0;
        // Relaxed: published by the release below.
        exchanges.refused_for.store(word, Ordering::Relaxed);
        let answers = exchanges.answers.load(Ordering::Relaxed);
        // Release: a reader that sees the new number sees what was refused, and by which limit.
        let next = answers.wrapping_add(1);
        exchanges.answers.store(next, Ordering::Release);
        if wake_word::is_armed::<Std>(&headers.peer.wake_at_tail.0) {
            self.wake_peer();
        }
    }

    /// Counts a refusal, and says which limit it was.
    fn count_refusal(&mut self, limit: Limit) {
        let exchanges = &self.endpoint.headers().own.exchanges.0;
        // Relaxed: see `refuse_reader`.
        exchanges.limit.store(limit.to_wire(), Ordering::Relaxed);
        count(&exchanges.refused);
    }

    /// How many rings the peer has not taken yet.
    fn untaken(&mut self) -> u32 {
        match self.ring.untaken(self.endpoint.headers()) {
            Ok(untaken) => {
                self.exchanges.in_flight.set(untaken);
                untaken
            }
            // The next poll tells it.
            Err(_) => {
                self.endpoint.poison();
                MOST_UNTAKEN
            }
        }
    }

    /// Gives back what the ring has grown by, unless the unread bytes need it, or the peer has not
    /// taken the last ring yet.
    fn shrink_if_possible(&mut self) {
        self.exchanges.pressed = memory_limit::pressed();
        let start = self.exchanges.demand.start();
        // An invalid head is reported by the next poll that has to load it.
        let _ = self.ring.refresh(self.endpoint.headers());
        let (_, unread) = self.ring.unread();
        let headers = self.endpoint.headers();
        let fits =
            unread as usize <= start / 2 && !self.ring.is_wanted_beyond(headers, start as u64);
        if self.capacity() == start || !fits || self.untaken() > 0 {
            return;
        }
        if let Err(limit) = self.exchange(start) {
            self.count_refusal(limit);
        }
    }

    /// The same on request, once a second.
    pub(crate) fn shrink(&mut self) {
        let now = CoarseInstant::now();
        let recently = self
            .exchanges
            .shrunk
            .is_some_and(|at| now.since(at) < REQUESTS);
        if !recently && self.endpoint.is_owner() && self.is_open() {
            self.shrink_if_possible();
        }
    }

    /// Exchanges the ring for one of `capacity`, which holds what is unread. If it fails nothing
    /// has changed.
    fn exchange(&mut self, capacity: usize) -> Result<(), Limit> {
        debug_assert!(is_capacity(capacity) && capacity != self.capacity());
        let grown = capacity > self.capacity();
        let start = self.exchanges.demand.start();
        let charged = self.exchanges.charge.bytes();
        if grown && !self.exchanges.charge.set((capacity - start) as u64) {
            return Err(Limit::ProcessMemory);
        }
        let passed = self.pass_copy(capacity).map_err(|errno| {
            let _ = self.exchanges.charge.set(charged);
            Limit::of_errno(errno)
        })?;
        let before = mem::replace(&mut self.memory, passed);
        let next = self.ring.ring().followed_by(capacity as u64);
        let must_wake = self.ring.announce(self.endpoint.headers(), next);
        point(Point::RingAnnounced);
        if must_wake {
            self.wake_peer();
        }
        drop(before);
        self.untaken();
        let counters = &self.endpoint.headers().own.exchanges.0;
        if grown {
            count(&counters.grown);
            self.memory.populate();
        } else {
            count(&counters.shrunk);
            let _ = self.exchanges.charge.set((capacity - start) as u64);
            self.exchanges.shrunk = Some(CoarseInstant::now());
        }
        let (position, sleeps) = (self.position(), self.sleeps());
        self.exchanges.demand.exchanged(grown, position, sleeps);
        Ok(())
    }

    /// Makes a ring with a copy of what is unread, and passes its descriptor to the peer.
    fn pass_copy(&mut self, capacity: usize) -> Result<OwnRing, Errno> {
        let (memory, fd) = OwnRing::create(capacity).map_err(errno_of)?;
        point(Point::RingMade);
        let (from, len) = self.ring.unread();
        // SAFETY: this half is the one writer of its ring, and writes nothing while this borrow of
        // it lasts.
        let unread = unsafe { self.memory.slice(from as usize, len as usize) };
        // SAFETY: nobody else has the new ring yet.
        unsafe { memory.write(from as usize, unread) };
        let next = self.ring.ring().followed_by(capacity as u64);
        let word = next.to_word().to_le_bytes();
        loop {
            match socket::send(self.endpoint.link.as_fd(), &word, &[fd.as_fd()]) {
                // The kernel takes so few bytes at once or not at all.
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        point(Point::RingPassed);
        Ok(memory)
    }

    pub(crate) fn stats(&self) -> WriterStats {
        let own = self.endpoint.headers().own;
        // Relaxed: written by this half alone.
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let counters = &own.exchanges.0;
        WriterStats {
            written: self.position(),
            capacity: self.capacity(),
            max_capacity: self.max_capacity(),
            grown: load(&counters.grown),
            shrunk: load(&counters.shrunk),
            refused: load(&counters.refused),
            refused_by: Limit::from_wire(counters.limit.load(Ordering::Relaxed)),
            sleeps: load(&own.writing.0.sleeps),
            wakes: load(&own.writing.0.wakes),
        }
    }

    fn sleeps(&self) -> u64 {
        let own = self.endpoint.headers().own;
        // Relaxed: written by this half alone.
        own.writing.0.sleeps.load(Ordering::Relaxed)
    }
}

fn errno_of(error: Error) -> Errno {
    let raw = error.raw_os_error();
    raw.map_or(Errno::NOSYS, Errno::from_raw_os_error)
}
