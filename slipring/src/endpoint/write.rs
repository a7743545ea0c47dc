//! The writing half.

mod demand;
mod exchange;
mod exchange_state;
mod fast_path;
mod large;
mod poll;
mod room;
mod waiting;

pub(crate) use room::{Room, Want};
pub(crate) use waiting::WriteWait;

use super::end::{End, EndReason, write_error};
use super::end_state::EndState;
use super::ring_memory::OwnRing;
use super::{Endpoint, forked, local, wake};
use crate::fail_points::{Point, point};
use crate::ring::{Producer, RingId, Status, Std, count, ended};
use crate::sys::clock::CoarseInstant;
use crate::wait::WakeWord;
use exchange_state::Exchanges;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

/// A large write is published in chunks of this many bytes, so that the reader's copy overlaps the
/// writer's.
pub(crate) const PUBLISH_CHUNK: usize = 64 * 1024;

/// In a flow of publications the clock is read after one of so many.
const PACED: u32 = 16;

/// A write from this length on is published in chunks.
const LARGE: usize = 32 * 1024;

#[derive(Debug)]
pub(crate) struct WriteHalf {
    endpoint: Arc<Endpoint>,
    ring: Producer<Std>,
    /// Where the ring is.
    memory: OwnRing,
    exchanges: Exchanges,
    end: EndState,
    /// When this half last checked the link.
    checked: CoarseInstant,
    /// When the clock was read last after a publication.
    paced: CoarseInstant,
    /// Publications from one check of the clock to the next that are not followed by one.
    pace: u32,
    /// How many of them are left.
    unchecked: u32,
    wake_word: WakeWord,
}

impl WriteHalf {
    /// `memory` is the first ring, and passed to the peer.
    pub(crate) fn new(endpoint: Arc<Endpoint>, memory: OwnRing) -> WriteHalf {
        let start = memory.capacity();
        let (most, limit) = endpoint.limits.of_own;
        WriteHalf {
            ring: Producer::new(RingId::new(0, start as u64)),
            memory,
            exchanges: Exchanges::new(endpoint.fork_guard, start, most, limit),
            end: EndState::default(),
            checked: CoarseInstant::now(),
            paced: CoarseInstant::now(),
            pace: 0,
            unchecked: 0,
            wake_word: WakeWord::default(),
            endpoint,
        }
    }

    /// This half never sleeps from now on.
    pub(crate) fn never_sleep(&mut self) {
        // In a forked child the header is the parent's.
        if self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_head.0;
            self.wake_word.never_sleep::<Std>(word);
        }
    }

    /// Ends a flow of blocking calls; see [`WakeWord::leave_flow`].
    #[cfg(feature = "tokio")]
    pub(crate) fn leave_flow(&mut self) {
        if self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_head.0;
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

    /// Whether nothing has ended the direction, as far as this half knows.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_open() && self.endpoint.local() == local::OPEN
    }

    pub(crate) fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// The memory of the ring.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> &OwnRing {
        &self.memory
    }

    /// Where in the ring the next byte goes.
    pub(crate) fn offset(&self) -> usize {
        self.ring.offset()
    }

    /// Bytes known to be free, without loading the peer's header.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.ring.free() as usize
    }

    #[inline]
    pub(crate) fn unpublished(&self) -> usize {
        self.ring.unpublished() as usize
    }

    /// To be called before bytes are written: fails if the direction has ended.
    #[inline]
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        if !self.endpoint.is_owner() {
            return Err(forked());
        }
        if !self.end.is_open() || self.endpoint.local() != local::OPEN {
            return self.ended(Status::Pending);
        }
        point(Point::WriteBegun);
        Ok(())
    }

    /// Checks the peer once in a tick of the coarse clock: a writer that never fills its ring never
    /// polls. Called after a publication, where the time for it costs no latency; the next write
    /// reports what it finds.
    #[inline]
    fn check_peer_if_due(&mut self) {
        let now = CoarseInstant::now();
        if now != self.checked {
            self.checked = now;
            self.endpoint.check_peer();
            let _ = self.poll(0);
        }
    }

    /// [`check_peer_if_due`](Self::check_peer_if_due) after a publication. To read the clock takes
    /// longer than to publish a short message. So it is read once in [`PACED`] publications while
    /// that many take less than a tick, and after each one where a tick lies in between.
    #[inline(always)]
    fn check_peer_paced(&mut self) {
        match self.unchecked.checked_sub(1) {
            Some(less) => self.unchecked = less,
            None => self.check_peer_and_pace(),
        }
    }

    #[inline(never)]
    fn check_peer_and_pace(&mut self) {
        let now = CoarseInstant::now();
        // Apart from `checked`, which other calls move on, too.
        let ticked = mem::replace(&mut self.paced, now) != now;
        self.check_peer_if_due();
        self.pace = if ticked || self.endpoint.is_gone() {
            0
        } else {
            (2 * self.pace + 1).min(PACED - 1)
        };
        self.unchecked = self.pace;
        if self.pace == PACED - 1 {
            self.enter_flow();
        }
        if ticked || self.is_asked() {
            self.adapt(now);
        }
    }

    /// Lets the peer leave out its fences until this half arms. A writer that publishes again and
    /// again needs no waking now, whether it has had to wait for room or not.
    pub(crate) fn enter_flow(&mut self) {
        // In a forked child the header is the parent's.
        if self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_head.0;
            self.wake_word.enter_flow::<Std>(word);
        }
    }

    /// See [`WakeWord::allow_flow`].
    pub(crate) fn allow_flow(&mut self, yes: bool) {
        self.wake_word.allow_flow(yes);
    }

    /// The number of bytes, of `len`, for which there is room; `None` if the ring is full.
    #[inline]
    pub(crate) fn room(&mut self, len: usize) -> Option<io::Result<usize>> {
        if let Err(e) = self.begin() {
            return Some(Err(e));
        }
        if self.free() < len {
            self.publish();
            // Loads the room that the reader has freed.
            if let Some(Err(e)) = self.poll(len) {
                return Some(Err(e));
            }
            if self.free() < len || len > self.capacity() / 2 {
                self.is_cramped(len);
            }
        }
        match self.free().min(len) {
            0 => {
                self.check_peer_if_due();
                None
            }
            n => Some(Ok(n)),
        }
    }

    /// The room that a writer waits for that has `len` bytes to write. It is not woken for every
    /// byte, but once half the ring is free, or once the remaining bytes fit. A reader that starves
    /// wakes it before.
    pub(crate) fn low_watermark(&self, len: usize) -> usize {
        len.min(self.capacity() / 2)
    }

    /// How to wait for `n` bytes of room, for a caller that may take fewer if the reader waits for
    /// more bytes.
    pub(crate) fn want(&self, n: usize) -> Want {
        if n <= self.capacity() {
            Want::Some(n)
        } else {
            Want::Whole(n)
        }
    }

    /// Whether `n` bytes could ever be free at once.
    #[inline]
    pub(crate) fn can_hold(&self, n: usize) -> io::Result<()> {
        if n <= self.max_capacity() {
            return Ok(());
        }
        Err(self.beyond_limit(n))
    }

    /// Room for `n` bytes at once; `None` if it has to be waited for.
    #[inline]
    pub(crate) fn room_for(&mut self, n: usize) -> io::Result<Option<Room>> {
        self.begin()?;
        if self.free() >= n {
            return Ok(Some(Room::Enough));
        }
        self.publish();
        let room = self.poll_whole(n).transpose()?;
        if room != Some(Room::Enough) {
            self.is_cramped(n);
        }
        Ok(room)
    }

    /// Copies `bytes`, for which there is room, and publishes them, in chunks if they are many.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() >= LARGE {
            return self.put_large(bytes);
        }
        self.copy_in(bytes);
        self.publish();
    }

    /// The number of bytes, of `len`, for which there is room, or `WouldBlock`.
    fn room_now(&mut self, len: usize) -> io::Result<usize> {
        self.room(len)
            .unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Writes the bytes that fit, or fails with `WouldBlock`.
    pub(crate) fn try_put(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.try_put_fast(buf) {
            return Ok(buf.len());
        }
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.room_now(buf.len())?;
        self.put(&buf[..n]);
        Ok(n)
    }

    /// Like [`try_put`](Self::try_put), but leaves it to a later call to publish.
    #[cfg(feature = "tokio")]
    pub(crate) fn try_stage(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.try_stage_fast(buf) {
            return Ok(buf.len());
        }
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.room_now(buf.len())?;
        self.stage(&buf[..n]);
        Ok(n)
    }

    /// Like [`try_put`](Self::try_put) for several buffers, published at once, or by a later call.
    #[cfg(feature = "tokio")]
    pub(crate) fn try_put_vectored(
        &mut self,
        bufs: &[IoSlice<'_>],
        publish: bool,
    ) -> io::Result<usize> {
        match self.room(bufs.iter().map(|buf| buf.len()).sum()) {
            Some(room) => {
                room?;
                Ok(self.put_vectored(bufs, publish))
            }
            None if bufs.iter().all(|buf| buf.is_empty()) => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Copies the bytes of `bufs` that fit, and publishes them at the end, or now and then on the
    /// way.
    pub(crate) fn put_vectored(&mut self, bufs: &[IoSlice<'_>], publish: bool) -> usize {
        let mut done = 0;
        for buf in bufs {
            if self.free() < buf.len() {
                self.publish_part();
                // Loads the room that the reader has freed; the next write reports an end.
                let _ = self.poll(buf.len());
            }
            let n = self.free().min(buf.len());
            self.stage(&buf[..n]);
            done += n;
            if n < buf.len() {
                break;
            }
        }
        if publish {
            self.publish();
        }
        done
    }

    /// Copies `bytes`, for which there is room, and publishes only when they make up a chunk.
    #[inline]
    pub(crate) fn stage(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(PUBLISH_CHUNK) {
            self.copy_in(chunk);
            if self.unpublished() >= PUBLISH_CHUNK {
                self.publish_part();
            }
        }
    }

    /// Bytes that are free now.
    pub(crate) fn space(&mut self) -> io::Result<usize> {
        self.check_peer_if_due();
        self.begin()?;
        if let Some(Err(e)) = self.poll(self.capacity()) {
            return Err(e);
        }
        Ok(self.free())
    }

    /// Copies `bytes` into the ring, where they have room, without publishing them.
    #[inline]
    pub(crate) fn copy_in(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.free(), "more written than was free");
        // SAFETY: this half is the one writer of the ring, and slices of it (`grant`) borrow this
        // half.
        unsafe { self.memory.write(self.ring.offset(), bytes) };
        self.ring.advance(bytes.len() as u64);
        point(Point::Copied);
    }

    /// The next `len` free bytes, to be written in place and then taken by
    /// [`advance`](Self::advance).
    #[inline]
    pub(crate) fn grant(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= self.free(), "more granted than was free");
        // SAFETY: this half is the one writer of the ring; the span is free; the slice borrows
        // this half exclusively, and `self` keeps it alive.
        unsafe { self.memory.slice_mut(self.ring.offset(), len) }
    }

    /// The bytes that [`grant`](Self::grant) would lend, to be read.
    #[inline]
    pub(crate) fn granted(&self, len: usize) -> &[u8] {
        assert!(len <= self.free(), "more granted than was free");
        // SAFETY: this half is the one writer of the ring, and writes through `&mut self` only,
        // so not while the slice is borrowed from it; the span is free; `self` keeps it alive.
        unsafe { self.memory.slice(self.ring.offset(), len) }
    }

    /// Fails in a forked child. The room may have been found in the parent, and bytes that the
    /// child wrote would go into the parent's ring, unknown to the parent.
    #[inline]
    pub(crate) fn assert_here(&self) {
        assert!(
            self.endpoint.is_owner(),
            "this grant belongs to the process that forked this one"
        );
    }

    /// Takes `n` bytes that were written through a grant of at least that size.
    #[inline]
    pub(crate) fn advance(&mut self, n: usize) {
        self.ring.advance_known(n as u64);
        point(Point::Committed);
    }

    /// Makes everything written visible, and wakes a reader that waits for it. The ring may be
    /// exchanged afterwards: the caller has no more bytes to write for which it has found room.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if self.publish_part() {
            self.check_peer_paced();
        }
    }

    /// [`publish`](Self::publish) in the middle of a call: the ring stays. Says whether there was
    /// anything.
    #[inline(always)]
    pub(crate) fn publish_part(&mut self) -> bool {
        if self.unpublished() == 0 || !self.endpoint.is_owner() {
            return false;
        }
        self.disarm_stale();
        let len = self.unpublished();
        let must_wake = self.ring.publish(self.endpoint.headers());
        point(Point::Published);
        self.expect_another(len);
        if must_wake {
            self.wake_peer();
        }
        true
    }

    /// Prepares for a message like the one of `len` bytes that has just been published.
    #[inline(always)]
    fn expect_another(&self, len: usize) {
        self.memory.expect_write(self.ring.offset(), len);
    }

    /// Disarms a wake word left set by a wait that goes on elsewhere: a writer that publishes has
    /// had room.
    #[inline]
    pub(crate) fn disarm_stale(&mut self) {
        // In a forked child the header is the parent's.
        if self.wake_word.is_left_armed() && self.endpoint.is_owner() {
            let word = &self.endpoint.headers().own.wake_at_head.0;
            self.wake_word.disarm::<Std>(word);
        }
    }

    #[cold]
    fn wake_peer(&mut self) {
        // A reader that slept may have done so for long: a large ring may be given back.
        if self.is_grown() {
            self.unchecked = 0;
        }
        count(&self.endpoint.headers().own.writing.0.wakes);
        wake(&self.endpoint.peer_doorbells.reader);
    }

    /// Ends the direction in order.
    pub(crate) fn finish(&mut self) {
        self.publish();
        if self.endpoint.is_owner() {
            self.endpoint.end_writing(ended::CLOSED);
        }
        self.end.set(EndReason::Finished, self.ring.position());
    }

    /// [`finish`](Self::finish), which fails if the direction had ended otherwise before.
    pub(crate) fn finish_checked(&mut self) -> io::Result<()> {
        let before = self
            .end
            .get()
            .filter(|end| !matches!(end.reason, EndReason::Finished | EndReason::Closed));
        self.finish();
        before.map_or(Ok(()), |end| Err(write_error(end)))
    }

    /// Ends the stream with a code.
    pub(crate) fn abort(&mut self, code: u32) {
        self.publish();
        if self.endpoint.is_owner() {
            self.endpoint.abort(code);
        }
        self.end.set(EndReason::Closed, self.ring.position());
    }

    /// Whether the peer has consumed everything that was published, as last seen.
    pub(crate) fn drained(&self) -> bool {
        self.ring.drained()
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.publish();
        if self.endpoint.is_owner() {
            self.endpoint.end_dropped_writing();
        }
    }
}
