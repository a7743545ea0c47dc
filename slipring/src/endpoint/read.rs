//! The reading half.

mod exchange;
mod exchange_state;
mod fast_path;
mod waiting;

pub(crate) use waiting::ReadWait;

use super::bounce::Bounce;
use super::end::{End, EndReason, read_result};
use super::end_state::EndState;
use super::messages::Messages;
use super::ring_memory::PeerRing;
use super::{Endpoint, forked, local, wake};
use crate::fail_points::{Point, point};
use crate::ring::{Consumer, RingId, Status, Std, count, ended};
use crate::sys::clock::CoarseInstant;
use crate::wait::WakeWord;
use exchange_state::Exchanges;
use std::io::{self, IoSliceMut};
use std::sync::Arc;

/// The outcome of a reader's poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readable {
    /// As many bytes as were asked for.
    Enough,
    /// The stream ended in order, with fewer.
    End,
}

#[derive(Debug)]
pub(crate) struct ReadHalf {
    endpoint: Arc<Endpoint>,
    ring: Consumer<Std>,
    /// Where the ring is.
    memory: PeerRing,
    exchanges: Exchanges,
    bounce: Option<Bounce>,
    end: EndState,
    /// When this half last checked the link.
    checked: CoarseInstant,
    wake_word: WakeWord,
    pub(crate) messages: Messages,
}

impl ReadHalf {
    /// `memory` is the peer's first ring.
    pub(crate) fn new(endpoint: Arc<Endpoint>, memory: PeerRing) -> ReadHalf {
        ReadHalf {
            ring: Consumer::new(RingId::new(0, memory.capacity() as u64)),
            memory,
            exchanges: Exchanges::new(endpoint.limits.of_peer),
            bounce: endpoint.copy_reads.then(Bounce::default),
            end: EndState::default(),
            checked: CoarseInstant::now(),
            wake_word: WakeWord::default(),
            messages: Messages::default(),
            endpoint,
        }
    }

    /// This half never sleeps from now on.
    pub(crate) fn never_sleep(&mut self) {
        // In a forked child the header is the parent's.
        if self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_tail.0;
            self.wake_word.never_sleep::<Std>(word);
        }
    }

    /// See [`WakeWord::allow_flow`].
    pub(crate) fn allow_flow(&mut self, yes: bool) {
        self.wake_word.allow_flow(yes);
    }

    /// Ends a flow of blocking calls; see [`WakeWord::leave_flow`].
    #[cfg(feature = "tokio")]
    pub(crate) fn leave_flow(&mut self) {
        if self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_tail.0;
            self.wake_word.leave_flow::<Std>(word);
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(crate) fn position(&self) -> u64 {
        self.ring.position()
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// Bytes known to be readable, without loading the peer's header.
    #[inline]
    pub(crate) fn available(&self) -> usize {
        self.ring.available() as usize
    }

    /// Whether `want` bytes are known to be there, and nothing on this side forbids to read them.
    #[inline(always)]
    pub(crate) fn has(&self, want: usize) -> bool {
        self.available() >= want && self.endpoint.local() == local::OPEN && self.endpoint.is_owner()
    }

    /// Polls for `want` bytes, at least one.
    #[inline(always)]
    pub(crate) fn poll(&mut self, want: usize) -> Option<io::Result<Readable>> {
        if self.has(want) {
            return Some(Ok(Readable::Enough));
        }
        if !self.endpoint.is_owner() {
            return Some(Err(forked()));
        }
        // An end stays, even if a closer on the other side ended the stream beside a write that was
        // still under way.
        if !self.end.is_open() || self.endpoint.local() != local::OPEN {
            return Some(self.ended(Status::Pending));
        }
        // The hang-up first; see `Consumer::poll`.
        let gone = self.endpoint.is_gone();
        match self.ring.poll(self.endpoint.headers(), want as u64, gone) {
            Ok(Status::Ready) => Some(Ok(Readable::Enough)),
            Ok(Status::Pending) if want > self.capacity() => self.refused(want).map(Err),
            Ok(Status::Pending) => None,
            found => self.poll_further(want, found),
        }
    }

    /// Remembers how the direction ended, and converts it for `std::io`.
    #[cold]
    fn ended(&mut self, status: Status) -> io::Result<Readable> {
        let position = self.ring.position() + self.ring.available();
        let finished = EndReason::Finished;
        let end = self
            .end
            .resolve(&self.endpoint, status, finished, true, position);
        read_result(end).map(|()| Readable::End)
    }

    /// Takes in news from the peer without waiting for any.
    #[inline]
    fn refresh(&mut self) {
        if !self.end.is_open() {
            return;
        }
        // An invalid header is reported by the next poll that has to load it.
        let _ = self.ring.refresh(self.endpoint.headers());
    }

    /// The error for an end that came before `n` bytes.
    #[cold]
    pub(crate) fn too_short(&self, n: usize) -> io::Error {
        // This side may have closed the stream with as many bytes there.
        let missing = n.saturating_sub(self.available());
        let text = format!("the stream ended {missing} bytes before the {n} that were asked for");
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }

    /// Moves the available bytes into `buf`, or fails with `WouldBlock`.
    pub(crate) fn try_take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.poll(1) {
            Some(Ok(Readable::Enough)) => Ok(self.take(buf)),
            Some(Ok(Readable::End)) => Ok(0),
            Some(Err(e)) => Err(e),
            None => {
                self.check_peer_if_due();
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Checks the peer once in a tick of the coarse clock. The kernel tells a sleeping half of a
    /// hang-up; a half that never waits has to check.
    pub(crate) fn check_peer_if_due(&mut self) {
        let now = CoarseInstant::now();
        if now != self.checked {
            self.checked = now;
            self.endpoint.check_peer();
        }
    }

    /// Bytes that can be read now. Once there are none any more, what the next read says to an end.
    pub(crate) fn count_available(&mut self) -> io::Result<usize> {
        self.check_peer_if_due();
        let news = self.poll(self.available().saturating_add(1));
        // No byte is readable once this side has ended the stream.
        if self.has(1) {
            return Ok(self.available());
        }
        news.unwrap_or(Ok(Readable::End)).map(|_| 0)
    }

    /// How many of `most` bytes can be read now; one at least is known to be there.
    #[cfg(feature = "tokio")]
    #[inline(always)]
    pub(crate) fn count_up_to(&mut self, most: usize) -> usize {
        if self.available() < most {
            self.refresh();
        }
        self.available().min(most)
    }

    /// Moves the available bytes into `buf`; there is at least one.
    #[inline(always)]
    pub(crate) fn take(&mut self, buf: &mut [u8]) -> usize {
        if self.available() < buf.len() {
            self.refresh();
            if self.available() < buf.len() {
                return self.take_available(buf);
            }
        }
        self.take_known(buf);
        buf.len()
    }

    /// Fills `buf`, which is not empty. The bytes for it are there, and this is the process that
    /// may read.
    #[inline(always)]
    fn take_known(&mut self, buf: &mut [u8]) {
        // Nothing here depends on the number of bytes, only on the fact that they suffice: see
        // `Consumer::refresh`.
        self.copy_out(0, buf);
        self.consume_known(buf.len());
    }

    /// Moves all available bytes into `buf`, which is longer.
    #[inline(never)]
    fn take_available(&mut self, buf: &mut [u8]) -> usize {
        let n = self.available();
        debug_assert!(n > 0);
        self.copy_out(0, &mut buf[..n]);
        self.consume(n);
        n
    }

    /// Moves the available bytes into all of `bufs` that they fill, and consumes once.
    pub(crate) fn take_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> usize {
        self.refresh();
        let mut done = 0;
        for buf in bufs {
            let n = (self.available() - done).min(buf.len());
            self.copy_out(done, &mut buf[..n]);
            done += n;
        }
        self.consume(done);
        done
    }

    /// Copies the next bytes out, without consuming them. `to` is no longer than `available`.
    #[inline(always)]
    pub(crate) fn copy_out(&self, skip: usize, to: &mut [u8]) {
        debug_assert!(skip + to.len() <= self.available());
        self.memory.read(self.ring.offset() + skip, to);
        point(Point::Read);
    }

    /// Lends all that is available, or with a bounce at least `want` bytes of it, which must be
    /// available.
    #[inline]
    pub(crate) fn view(&mut self, want: usize) -> &[u8] {
        let available = self.available();
        let offset = self.ring.offset();
        match &mut self.bounce {
            Some(bounce) => bounce.view(&self.memory, offset, available, want),
            // SAFETY: `available` bytes from `head` on have been published, and are consumed
            // through `&mut self` only, so not while the view is borrowed from it; `self` keeps the
            // ring mapped. Without a bounce the peer is trusted not
            // to rewrite published bytes: it is of this user, or root, and the options did not ask
            // for copies.
            None => unsafe { self.memory.slice(offset, available) },
        }
    }

    /// Lends the bytes that are known to be there, if this side may still read them; perhaps none.
    pub(crate) fn view_known(&mut self) -> io::Result<&[u8]> {
        if self.has(0) {
            return Ok(self.view(0));
        }
        // The bytes do not belong to this process, or this side has closed the stream.
        match self.poll(0) {
            Some(Err(e)) => Err(e),
            _ => Ok(&[]),
        }
    }

    /// Lends the available bytes; there is at least one.
    #[inline(never)]
    pub(crate) fn view_some(&mut self) -> &[u8] {
        self.view(1)
    }

    /// The bytes that [`view`](Self::view) lent last, `want` of them or more, as long as nothing
    /// has been polled for or consumed since.
    #[inline]
    pub(crate) fn lent(&self, want: usize) -> &[u8] {
        debug_assert!(want <= self.available());
        match &self.bounce {
            Some(bounce) => bounce.lent(),
            // SAFETY: as in `view`; while this borrow of the half lasts nothing is consumed.
            None => unsafe { self.memory.slice(self.ring.offset(), want) },
        }
    }

    /// Gives `n` available bytes back to the writer.
    #[inline(never)]
    pub(crate) fn consume(&mut self, n: usize) {
        // A reader that consumes nothing goes on waiting, if it waits.
        if n == 0 || !self.endpoint.is_owner() {
            return;
        }
        assert!(n <= self.available(), "more consumed than was available");
        self.consume_known(n);
    }

    /// Gives `n` bytes back. At least as many are available, and this is the process that may.
    #[inline(always)]
    fn consume_known(&mut self, n: usize) {
        if self.wake_word.is_left_armed() || self.bounce.is_some() {
            self.before_consuming(n);
        }
        let must_wake = self.ring.consume(self.endpoint.headers(), n as u64);
        point(Point::Consumed);
        if must_wake {
            self.wake_peer();
        }
    }

    /// The rare part of [`consume_known`](Self::consume_known).
    #[inline(never)]
    fn before_consuming(&mut self, n: usize) {
        self.disarm_stale();
        if let Some(bounce) = &mut self.bounce {
            bounce.consume(n);
        }
    }

    /// Disarms a wake word left set by a wait that was given up, or that goes on elsewhere.
    #[inline]
    pub(crate) fn disarm_stale(&mut self) {
        // In a forked child the header is the parent's.
        if self.wake_word.is_left_armed() && self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_tail.0;
            self.wake_word.disarm::<Std>(word);
        }
    }

    #[cold]
    fn wake_peer(&self) {
        count(&self.endpoint.headers().own.reading.0.wakes);
        wake(&self.endpoint.peer_doorbells.writer);
    }

    /// Tells the peer that this side no longer reads.
    pub(crate) fn stop(&mut self) {
        if self.endpoint.is_owner() {
            self.endpoint.end_reading(ended::CLOSED);
        }
        self.end.set(EndReason::Closed, self.ring.position());
        self.ring.forget();
        self.bounce = self.bounce.take().map(|_| Bounce::default());
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        if self.endpoint.is_owner() {
            self.endpoint.end_reading(ended::CLOSED);
        }
    }
}
