//! The reader's side of a ring.

use super::{Atomics, Corrupt, Headers, Status, Word, ended, load_peer};
use crate::wait::wake_word;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// Reads from the ring of the peer's region: private indexes, and the peer's indexes as last seen.
#[derive(Debug)]
pub(crate) struct Consumer<A: Atomics> {
    capacity: u64,
    /// End of what has been consumed, and so given back to the writer. Never read back from the
    /// header.
    head: u64,
    /// The peer's `tail` as last seen.
    tail: u64,
    /// The peer's `base` that belongs to `tail`.
    base: u64,
    _atomics: PhantomData<fn() -> A>,
}

impl<A: Atomics> Consumer<A> {
    /// `capacity` is the peer's, a power of two.
    pub(crate) fn new(capacity: u64) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Consumer {
            capacity,
            head: 0,
            tail: 0,
            base: 0,
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
        // A lying `base` gives a wrong offset, never one outside the ring.
        (self.head.wrapping_sub(self.base) & (self.capacity - 1)) as usize
    }

    /// Loads and checks the peer's `tail`, and with news its `base`.
    #[inline(always)]
    pub(crate) fn refresh(&mut self, headers: Headers<'_, A>) -> Result<(), Corrupt> {
        // Acquire (in `load_peer`): the bytes below this tail are visible, and a `base` that was
        // stored before it.
        let tail = load_peer::<A, _>(&headers.peer.published.0.tail);
        if tail == self.tail {
            return Ok(());
        }
        // An honest writer goes forward, and no further from what has been given back to it than
        // the ring holds.
        if tail < self.tail || tail - self.head > self.capacity {
            return Err(Corrupt);
        }
        self.tail = tail;
        // Relaxed: ordered by that acquire. The layout allows a writer to store another `base` only
        // after it has seen `head == tail`, and this side stores such a `head` after this load.
        // This library's writers store 0 before they pass the header on, and never again.
        let base = headers.peer.published.0.base.load(Ordering::Relaxed);
        // A branch, and not simply a store: the address of the next byte then does not depend on
        // what arrives with the tail's cache line, so that the processor, which predicts the
        // branch, fetches the byte's line beside it and not after it. That is a quarter of a round
        // trip.
        if base != self.base {
            self.rebase(base);
        }
        Ok(())
    }

    /// Out of line, or the compiler would make a store of it again.
    #[cold]
    #[inline(never)]
    fn rebase(&mut self, base: u64) {
        self.base = base;
    }

    /// Polls for `want` readable bytes. `gone`: the hang-up as it was known *before* this call.
    #[inline(always)]
    pub(crate) fn poll(
        &mut self,
        headers: Headers<'_, A>,
        want: u64,
        gone: bool,
    ) -> Result<Status, Corrupt> {
        // The order matters: hang-up, fin, tail. `fin` was stored after the last tail, so a tail
        // that is loaded after `fin` was seen is the last one (acquire in `load_peer`); and an
        // orderly end stores `fin` before the link hangs up, so after a hang-up an open `fin` means
        // a death.
        let fin = load_peer::<A, _>(&headers.peer.published.0.fin);
        self.refresh(headers)?;
        Ok(if self.available() >= want {
            Status::Ready
        } else if fin != ended::OPEN {
            Status::Ended(fin)
        } else if gone {
            Status::PeerDied
        } else {
            Status::Pending
        })
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
