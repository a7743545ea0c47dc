//! The writer's side of a ring.

use super::{Atomics, Corrupt, Headers, RingId, Status, Word, ended, load_peer};
use crate::wait::wake_word;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// Writes into this side's ring: private indexes, and their publication.
#[derive(Debug)]
pub(crate) struct Producer<A: Atomics> {
    capacity: u64,
    /// End of the bytes that have been written, published or not.
    tail: u64,
    /// The value of `tail` in the header. Never read back from there.
    published: u64,
    /// The peer's `head` as last seen.
    head: u64,
    ring: RingId,
    /// The generation that the peer's reader had taken, as last seen.
    taken: u32,
    _atomics: PhantomData<fn() -> A>,
}

impl<A: Atomics> Producer<A> {
    /// `first` is what the header announces.
    pub(crate) fn new(first: RingId) -> Self {
        Producer {
            capacity: first.capacity(),
            tail: 0,
            published: 0,
            head: 0,
            ring: first,
            taken: first.generation,
            _atomics: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes written so far, published or not.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.tail
    }

    /// Bytes written and not yet published.
    #[inline]
    pub(crate) fn unpublished(&self) -> u64 {
        self.tail - self.published
    }

    /// Bytes that are known to be free. There may be more by now: [`refresh`](Self::refresh).
    #[inline]
    pub(crate) fn free(&self) -> u64 {
        // `head` was checked to lie within `capacity` of `tail` when it was loaded.
        self.capacity - (self.tail - self.head)
    }

    /// Where in the ring the next byte goes.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        (self.tail & (self.capacity - 1)) as usize
    }

    /// Takes `n` bytes that have been written at [`offset`](Self::offset). `n <= free()`.
    #[inline]
    pub(crate) fn advance(&mut self, n: u64) {
        assert!(n <= self.free(), "more written than was free");
        self.tail += n;
    }

    /// Loads and checks the peer's `head`.
    #[inline]
    pub(crate) fn refresh(&mut self, headers: Headers<'_, A>) -> Result<(), Corrupt> {
        // Acquire (in `load_peer`): the reader's loads of the bytes happened before it published
        // this head, so writing over them now cannot be seen by it.
        let head = load_peer::<A, _>(&headers.peer.consumed.0.head);
        // An honest reader goes forward, and never beyond what has been published to it.
        if head < self.head || head > self.published {
            return Err(Corrupt);
        }
        self.head = head;
        Ok(())
    }

    /// Polls for `want` bytes of room. `gone`: the hang-up as it was known *before* this call.
    ///
    /// Everything written must have been published. Otherwise a reader that waits for bytes which
    /// this writer keeps back would not be seen to starve.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        headers: Headers<'_, A>,
        want: u64,
        gone: bool,
    ) -> Result<Status, Corrupt> {
        // Acquire: an abort's code was stored before its `stop`.
        let stop = load_peer::<A, _>(&headers.peer.consumed.0.stop);
        if stop != ended::OPEN {
            return Ok(Status::Ended(stop));
        }
        if gone {
            return Ok(Status::PeerDied);
        }
        self.refresh(headers)?;
        if self.free() >= want {
            return Ok(Status::Ready);
        }
        // A reader that waits for more bytes than have been published takes precedence over this
        // writer's wish for more room. Once this half is armed, the fence of arming stands between
        // its own wake word and this load, as the reader's fence stands between the reader's wake
        // word and its load of this half's wake word; so one of the two sees the other. Before this
        // half is armed, the load is a hint that the next poll repeats. Acquire (in `load_peer`):
        // the reader gave back the bytes that it had read before it armed, with a release, so the
        // head below is at least that one.
        let word = load_peer::<A, _>(&headers.peer.wake_at_tail.0);
        if !wake_word::is_beyond(word, self.published) {
            return Ok(Status::Pending);
        }
        // The head above may be older than that wake word: a reader that drained the ring in
        // between does not starve.
        self.refresh(headers)?;
        Ok(if self.free() >= want {
            Status::Ready
        } else if wake_word::is_beyond(word, self.head.saturating_add(self.capacity)) {
            Status::Cramped(word)
        } else if self.free() == 0 {
            Status::Pending
        } else {
            Status::Starving
        })
    }

    /// The ring that is written.
    #[inline]
    pub(crate) fn ring(&self) -> RingId {
        self.ring
    }

    /// How many rings were announced that the peer's reader has not taken.
    pub(crate) fn untaken(&mut self, headers: Headers<'_, A>) -> Result<u32, Corrupt> {
        // Relaxed: only a number is compared; the writer touches no ring of before.
        let taken = headers.peer.consumed.0.taken.load(Ordering::Relaxed);
        let untaken = self.ring.generation.wrapping_sub(taken);
        // An honest reader goes forward, and never beyond what has been announced.
        if untaken > self.ring.generation.wrapping_sub(self.taken) {
            return Err(Corrupt);
        }
        self.taken = taken;
        Ok(untaken)
    }

    /// Whether the peer's reader waits for more than a ring of `capacity` holds, as far as can be
    /// seen.
    pub(crate) fn is_wanted_beyond(&self, headers: Headers<'_, A>, capacity: u64) -> bool {
        // Relaxed: a hint.
        let word = headers.peer.wake_at_tail.0.load(Ordering::Relaxed);
        wake_word::is_beyond(word, self.head.saturating_add(capacity))
    }

    /// The bytes that the next ring has to hold: their position, and how many they are.
    pub(crate) fn unread(&self) -> (u64, u64) {
        (self.head, self.tail - self.head)
    }

    /// Announces the next ring, which holds everything that is [`unread`](Self::unread) and was
    /// passed on. Returns whether the peer's reader has to be woken.
    #[must_use]
    pub(crate) fn announce(&mut self, headers: Headers<'_, A>, next: RingId) -> bool {
        debug_assert!(self.tail - self.head <= next.capacity());
        self.ring = next;
        self.capacity = next.capacity();
        // Release: a reader that sees it finds the descriptor in the link. The store of the next
        // `tail`, a release as well, keeps it in front of that.
        let ring = &headers.own.published.0.ring;
        ring.store(next.to_word(), Ordering::Release);
        wake_word::is_armed::<A>(&headers.peer.wake_at_tail.0)
    }

    /// Publishes the bytes that have been written. Returns whether the peer's reader has to be
    /// woken.
    #[inline]
    #[must_use]
    pub(crate) fn publish(&mut self, headers: Headers<'_, A>) -> bool {
        if self.published == self.tail {
            return false;
        }
        self.publish_tail(headers)
    }

    /// [`advance`](Self::advance) without the check, for a caller that has just learnt from
    /// [`free`](Self::free) that `n` bytes are free: to check again costs as much as everything
    /// else between the copy and the publication.
    #[inline(always)]
    pub(crate) fn advance_known(&mut self, n: u64) {
        debug_assert!(n <= self.free());
        self.tail += n;
    }

    /// [`advance_known`](Self::advance_known) and [`publish`](Self::publish) in one, of at least
    /// one byte.
    #[inline(always)]
    #[must_use]
    pub(crate) fn advance_and_publish(&mut self, headers: Headers<'_, A>, n: u64) -> bool {
        self.advance_known(n);
        self.publish_tail(headers)
    }

    #[inline(always)]
    fn publish_tail(&mut self, headers: Headers<'_, A>) -> bool {
        let old = self.published;
        // Release: a reader that sees this tail sees the bytes.
        headers
            .own
            .published
            .0
            .tail
            .store(self.tail, Ordering::Release);
        self.published = self.tail;
        wake_word::must_wake::<A>(&headers.peer.wake_at_tail.0, old, self.tail)
    }

    /// Whether the reader has nothing left, and polls for more instead of sleeping, as far as can
    /// be seen. Only a hint, on which nothing depends but how soon it gets the first bytes of many.
    #[inline]
    pub(crate) fn is_polled_for(&mut self, headers: Headers<'_, A>) -> bool {
        // An invalid head is reported by the next poll that has to load it.
        let seen = self.refresh(headers);
        seen.is_ok() && self.drained() && !self.is_slept_on(headers)
    }

    /// Whether the reader sleeps until more than this has been published, as far as can be seen.
    /// Only a hint.
    #[inline]
    pub(crate) fn is_slept_on(&self, headers: Headers<'_, A>) -> bool {
        // Relaxed: a hint.
        wake_word::is_beyond(
            headers.peer.wake_at_tail.0.load(Ordering::Relaxed),
            self.published,
        )
    }

    /// Whether the peer has consumed everything published, as last seen.
    #[inline]
    pub(crate) fn drained(&self) -> bool {
        self.head == self.published
    }

    /// The peer's head that makes `want` bytes free: the index to arm for. Never 0 while they are
    /// not free.
    #[inline]
    pub(crate) fn wake_at(&self, want: u64) -> u64 {
        (self.tail + want).saturating_sub(self.capacity)
    }
}
