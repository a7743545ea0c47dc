//! The reader's side of a ring.

use super::{Atomics, Headers, RingId, Status, Word, ended, load_peer};
use crate::wait::wake_word;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// The most rings that a writer announces before the reader takes one.
pub(crate) const MOST_UNTAKEN: u32 = 8;

/// Why a reader cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An index of the peer's that no honest peer can show.
    Corrupt,
    /// The bytes lie in another ring, which the peer has announced by this word. Nothing has been
    /// taken in, and the bytes that were known to be there still lie in the ring before it.
    Moved(u64),
}

/// Reads from the peer's ring: private indexes, and the peer's indexes as last seen.
#[derive(Debug)]
pub(crate) struct Consumer<A: Atomics> {
    capacity: u64,
    /// End of what has been consumed, and so given back to the writer. Never read back from the
    /// header.
    head: u64,
    /// The peer's `tail` as last seen.
    tail: u64,
    /// The word of the ring that is read.
    ring: u64,
    _atomics: PhantomData<fn() -> A>,
}

impl<A: Atomics> Consumer<A> {
    /// `first` is the peer's.
    pub(crate) fn new(first: RingId) -> Self {
        Consumer {
            capacity: first.capacity(),
            head: 0,
            tail: 0,
            ring: first.to_word(),
            _atomics: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes consumed so far.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.head
    }

    /// Bytes that are known to be readable. There may be more by now: [`refresh`](Self::refresh).
    #[inline(always)]
    pub(crate) fn available(&self) -> u64 {
        self.tail - self.head
    }

    /// Where in the ring the next byte lies.
    #[inline(always)]
    pub(crate) fn offset(&self) -> usize {
        (self.head & (self.capacity - 1)) as usize
    }

    /// Loads and checks the peer's `tail`, and with news its `ring`.
    #[inline(always)]
    pub(crate) fn refresh(&mut self, headers: Headers<'_, A>) -> Result<(), Turn> {
        // Acquire (in `load_peer`): the bytes below this tail are visible, and a `ring` that was
        // stored before it.
        let tail = load_peer::<A, _>(&headers.peer.published.0.tail);
        if tail == self.tail {
            return Ok(());
        }
        // A branch, and not a value that the address of the next byte depends on: that address then
        // does not wait for what arrives with the tail's cache line, and the processor, which
        // predicts the branch, fetches the byte's line beside it and not after it. That is a
        // quarter of a round trip.
        self.check_ring(headers)?;
        // An honest writer goes forward, and no further from what has been given back to it than
        // the ring holds.
        if tail < self.tail || tail - self.head > self.capacity {
            return Err(Turn::Corrupt);
        }
        self.tail = tail;
        Ok(())
    }

    /// Whether the ring that is read is still the one that the writer writes.
    #[inline(always)]
    fn check_ring(&self, headers: Headers<'_, A>) -> Result<(), Turn> {
        // Relaxed: the load of `tail` before it orders it. One that is newer than that tail does no
        // harm: the new ring holds the bytes before the tail too.
        let ring = headers.peer.published.0.ring.load(Ordering::Relaxed);
        if ring == self.ring {
            return Ok(());
        }
        // Acquire: the descriptor was passed before the word was stored.
        A::fence(Ordering::Acquire);
        Err(Turn::Moved(ring))
    }

    /// The ring that `word` announces, if it follows the one that is read, at once or after some
    /// others.
    pub(crate) fn next_ring(&self, word: u64) -> Option<RingId> {
        let now = RingId::from_word(self.ring)?;
        let next = RingId::from_word(word)?;
        let ahead = next.generation.wrapping_sub(now.generation);
        (1..=MOST_UNTAKEN).contains(&ahead).then_some(next)
    }

    /// Goes over to the next ring, which is mapped and holds all that is known to be readable, and
    /// says so. Returns whether the peer's writer has to be woken.
    #[must_use]
    pub(crate) fn take(&mut self, headers: Headers<'_, A>, next: RingId) -> bool {
        debug_assert!(self.available() <= next.capacity());
        self.capacity = next.capacity();
        self.ring = next.to_word();
        // Release: this side's loads from the ring before come before anything that the writer does
        // about it. The writer does not write there any more; it only counts the descriptors that
        // are under way.
        let taken = &headers.own.consumed.0.taken;
        taken.store(next.generation, Ordering::Release);
        wake_word::is_armed::<A>(&headers.peer.wake_at_head.0)
    }

    /// Polls for `want` readable bytes. `gone`: the hang-up as it was known *before* this call.
    #[inline(always)]
    pub(crate) fn poll(
        &mut self,
        headers: Headers<'_, A>,
        want: u64,
        gone: bool,
    ) -> Result<Status, Turn> {
        // The order matters: hang-up, fin, tail. `fin` was stored after the last tail, so a tail
        // that is loaded after `fin` was seen is the last one (acquire in `load_peer`); and an
        // orderly end stores `fin` before the link hangs up, so after a hang-up an open `fin` means
        // a death.
        let fin = load_peer::<A, _>(&headers.peer.published.0.fin);
        self.refresh(headers)?;
        if self.available() >= want {
            return Ok(Status::Ready);
        }
        if fin != ended::OPEN {
            return Ok(Status::Ended(fin));
        }
        if gone {
            return Ok(Status::PeerDied);
        }
        // Without a new tail as well: the writer may give a large ring back and write no more.
        self.check_ring(headers)?;
        Ok(Status::Pending)
    }

    /// Gives `n` bytes back to the writer; at least one, and no more than are available. Returns
    /// whether the peer's writer has to be woken.
    #[inline(always)]
    #[must_use]
    pub(crate) fn consume(&mut self, headers: Headers<'_, A>, n: u64) -> bool {
        debug_assert!(0 < n && n <= self.available());
        let old = self.head;
        self.head += n;
        // Release: this side's loads of the bytes come before the writer may write over them.
        headers
            .own
            .consumed
            .0
            .head
            .store(self.head, Ordering::Release);
        wake_word::must_wake::<A>(&headers.peer.wake_at_head.0, old, self.head)
    }

    /// Drops the bytes that are available, without giving them back.
    pub(crate) fn forget(&mut self) {
        self.tail = self.head;
    }

    /// After arming: whether the peer's writer sleeps for room that this reader is not going to
    /// make. The writer has to be woken, so that it publishes the bytes that fit.
    #[inline]
    pub(crate) fn blocks_writer(&self, headers: Headers<'_, A>) -> bool {
        // Relaxed: ordered by the fence of arming; see `Producer::poll`.
        wake_word::is_beyond(
            headers.peer.wake_at_head.0.load(Ordering::Relaxed),
            self.head,
        )
    }

    /// The peer's tail that makes `want` bytes readable: the index to arm for. Never 0, as `want`
    /// is not.
    #[inline]
    pub(crate) fn wake_at(&self, want: u64) -> u64 {
        // A stream does not live to 2^64 bytes, but a peer may claim so.
        self.head.saturating_add(want).min(wake_word::UNFENCED - 1)
    }
}
