//! The reading half.

mod usual;
mod waiting;

pub(crate) use waiting::ReadWait;

use super::bounce::Bounce;
use super::messages::Messages;
use super::{PART, forked};
use crate::end::{End, EndReason, read_result};
use crate::endpoint::{Endpoint, local};
use crate::fail_points::{Point, point};
use crate::ring::{Consumer, Look, Std, count, ended, load_peer};
use crate::sys::clock::Tick;
use crate::sys::copy::is_in_the_way;
use crate::wait::Excuse;
use std::io::{self, IoSliceMut};
use std::sync::Arc;

/// Bytes that a reader copies at once while the writer is at the next part of a large write.
const STEP: usize = 4 * 1024;

/// What a look of a reader found.
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
    bounce: Option<Bounce>,
    end: Option<End>,
    /// When this half last looked at the link.
    looked: Tick,
    /// Nobody sleeps here, but the wake word says what for: a wait for more than was there was
    /// given up, or somebody polls.
    waits_on: bool,
    excuse: Excuse,
    pub(crate) messages: Messages,
}

impl ReadHalf {
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> ReadHalf {
        let mut ring = Consumer::new(endpoint.inbox.capacity() as u64);
        ring.set_excusable(endpoint.excusable);
        ReadHalf {
            excuse: Excuse::default(),
            messages: Messages::default(),
            ring,
            bounce: endpoint.copy_reads.then(Bounce::default),
            endpoint,
            end: None,
            looked: Tick::now(),
            waits_on: false,
        }
    }

    /// This half never sleeps from now on.
    pub(crate) fn never_sleeps(&mut self) {
        // What the header of a forked child's copy says is the parent's.
        if self.endpoint.birth.is_here() {
            self.excuse
                .give(&self.endpoint.headers().own.wake_at_tail.0);
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(crate) fn position(&self) -> u64 {
        self.ring.position()
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// Bytes known to be readable, without a look at the peer's header.
    #[inline]
    pub(crate) fn available(&self) -> usize {
        self.ring.available() as usize
    }

    /// Whether `want` bytes are known to be there, and nothing on this side speaks against reading
    /// them.
    #[inline(always)]
    pub(crate) fn has(&self, want: usize) -> bool {
        self.available() >= want
            && self.endpoint.local() == local::OPEN
            && self.endpoint.birth.is_here()
    }

    /// Looks for `want` bytes, at least one.
    #[inline(always)]
    pub(crate) fn look(&mut self, want: usize) -> Option<io::Result<Readable>> {
        if self.has(want) {
            return Some(Ok(Readable::Enough));
        }
        if !self.endpoint.birth.is_here() {
            return Some(Err(forked()));
        }
        // An end stays, even if a closer on the other side ended the stream beside a write that was
        // still under way.
        if self.end.is_some() || self.endpoint.local() != local::OPEN {
            return Some(self.ended(Look::Pending));
        }
        // The hang-up first; see `Consumer::look`.
        let gone = self.endpoint.is_gone();
        match self.ring.look(self.endpoint.headers(), want as u64, gone) {
            Ok(Look::Ready) => Some(Ok(Readable::Enough)),
            Ok(Look::Pending) => None,
            Ok(look) => Some(self.ended(look)),
            Err(_) => {
                self.endpoint.poison();
                Some(self.ended(Look::Pending))
            }
        }
    }

    /// Remembers how the stream ended, and puts it into the words of `std::io`.
    #[cold]
    fn ended(&mut self, look: Look) -> io::Result<Readable> {
        let end = *self.end.get_or_insert_with(|| {
            let reason = match (look, self.endpoint.local()) {
                (_, local::CLOSED | local::ABORTED) => EndReason::Closed,
                (_, local::CORRUPT) => EndReason::Corrupt,
                (Look::Ended(ended::CLOSED), _) => EndReason::Finished,
                (Look::Ended(ended::ABORTED), _) => EndReason::Aborted {
                    code: load_peer::<Std, _>(&self.endpoint.headers().peer.published.0.code),
                },
                (Look::Ended(ended::POISONED), _) => EndReason::Rejected,
                (Look::Ended(ended::REFUSED), _) => EndReason::Refused,
                (Look::Ended(ended::RESET), _) => EndReason::Reset,
                // A `fin` that no version of this protocol stores.
                (Look::Ended(_), _) => {
                    self.endpoint.poison();
                    EndReason::Corrupt
                }
                _ => EndReason::PeerDied,
            };
            End {
                reason,
                position: self.ring.position() + self.ring.available(),
            }
        });
        read_result(end).map(|()| Readable::End)
    }

    /// Takes in news from the peer without waiting for any.
    #[inline]
    fn refresh(&mut self) {
        if self.end.is_some() {
            return;
        }
        // A header that makes no sense is reported by the next look that has to go there.
        let _ = self.ring.refresh(self.endpoint.headers());
    }

    /// Whether `n` bytes could ever be there at once.
    pub(crate) fn can_hold(&self, n: usize) -> io::Result<()> {
        if n <= self.capacity() {
            return Ok(());
        }
        let text = format!(
            "{n} bytes can never be there at once: the peer's ring has a capacity of {}",
            self.capacity()
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The error for an end that came before `n` bytes.
    #[cold]
    pub(crate) fn too_short(&self, n: usize) -> io::Error {
        // This side may have closed the stream with as many bytes there.
        let missing = n.saturating_sub(self.available());
        let text = format!("the stream ended {missing} bytes before the {n} that were asked for");
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }

    /// Moves what is there into `buf`, or fails with `WouldBlock`.
    pub(crate) fn try_take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.look(1) {
            Some(Ok(Readable::Enough)) => Ok(self.take(buf)),
            Some(Ok(Readable::End)) => Ok(0),
            Some(Err(e)) => Err(e),
            None => {
                self.look_around();
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Whoever only tries never sleeps, and so is never told of a hang-up.
    pub(crate) fn look_around(&mut self) {
        let now = Tick::now();
        if now != self.looked {
            self.looked = now;
            self.endpoint.look_at_link();
        }
    }

    /// Bytes that can be read now.
    pub(crate) fn count_available(&mut self) -> usize {
        self.look_around();
        // An end is left for the next read to report.
        let _ = self.look(self.available().saturating_add(1));
        // Nothing is read any more once this side has ended the stream.
        if self.has(0) { self.available() } else { 0 }
    }

    /// Moves what is there into `buf`; at least one byte is.
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

    /// Fills `buf`, which is not empty: as many bytes are there, and this is the process that may
    /// read.
    #[inline(always)]
    fn take_known(&mut self, buf: &mut [u8]) {
        // Nothing here depends on how much is there, only that it is enough: see
        // `Consumer::refresh`.
        self.copy_out(0, buf);
        self.consume_known(buf.len());
    }

    /// Moves all that is there into `buf`, which is longer.
    #[inline(never)]
    fn take_available(&mut self, buf: &mut [u8]) -> usize {
        let n = self.available();
        debug_assert!(n > 0);
        // About a part of a large write: the writer is at the next one, and gets on faster if it is
        // not read at full speed behind it (docs/performance.md, "Behind a writer of much").
        let step = if (PART / 2..=PART).contains(&n) && is_in_the_way() {
            STEP
        } else {
            n
        };
        for (number, part) in buf[..n].chunks_mut(step).enumerate() {
            self.endpoint
                .inbox
                .read(self.ring.offset() + number * step, part);
        }
        point(Point::Read);
        self.consume(n);
        n
    }

    /// Moves what is there into all of `bufs` that it fills, and consumes once.
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

    /// Copies the next bytes out, without consuming them. `to` is no longer than what is available.
    #[inline(always)]
    pub(crate) fn copy_out(&self, skip: usize, to: &mut [u8]) {
        debug_assert!(skip + to.len() <= self.available());
        self.endpoint.inbox.read(self.ring.offset() + skip, to);
        point(Point::Read);
    }

    /// Lends all that is available, or with a bounce at least `want` bytes of it, which must be
    /// available.
    #[inline]
    pub(crate) fn view(&mut self, want: usize) -> &[u8] {
        let available = self.available();
        let offset = self.ring.offset();
        match &mut self.bounce {
            Some(bounce) => bounce.view(&self.endpoint.inbox, offset, available, want),
            // SAFETY: `available` bytes from `head` on have been published, and are consumed
            // through `&mut self` only, so not while the view is borrowed from it; `self` keeps the
            // endpoint, and so the inbox, alive. Without a bounce the peer is trusted not to
            // rewrite published bytes: it is of this user, or root, and the options did not ask for
            // copies.
            None => unsafe { self.endpoint.inbox.slice(offset, available) },
        }
    }

    /// Lends what is known to be there, if this side may still read it; perhaps nothing.
    pub(crate) fn view_known(&mut self) -> io::Result<&[u8]> {
        if self.has(0) {
            return Ok(self.view(0));
        }
        // The bytes are not this process's to look at, or this side has closed the stream.
        match self.look(0) {
            Some(Err(e)) => Err(e),
            _ => Ok(&[]),
        }
    }

    /// Lends what there is; something is.
    #[inline(never)]
    pub(crate) fn view_some(&mut self) -> &[u8] {
        self.view(1)
    }

    /// What [`view`](Self::view) lent last, `want` bytes or more, as long as nothing has been
    /// looked for or consumed since.
    #[inline]
    pub(crate) fn lent(&self, want: usize) -> &[u8] {
        debug_assert!(want <= self.available());
        match &self.bounce {
            Some(bounce) => bounce.lent(),
            // SAFETY: as in `view`; while this borrow of the half lasts nothing is consumed.
            None => unsafe { self.endpoint.inbox.slice(self.ring.offset(), want) },
        }
    }

    /// Gives `n` available bytes back to the writer.
    #[inline(never)]
    pub(crate) fn consume(&mut self, n: usize) {
        // Whoever consumes nothing goes on waiting, if it waits.
        if n == 0 || !self.endpoint.birth.is_here() {
            return;
        }
        assert!(n <= self.available(), "more consumed than was available");
        self.consume_known(n);
    }

    /// Gives `n` bytes back, of which there are as many; this is the process that may.
    #[inline(always)]
    fn consume_known(&mut self, n: usize) {
        if self.waits_on || self.bounce.is_some() {
            self.pass(n);
        }
        let ring = self.ring.consume(self.endpoint.headers(), n as u64);
        point(Point::Consumed);
        if ring {
            self.ring_peer();
        }
    }

    /// What is rare in [`consume_known`](Self::consume_known).
    #[inline(never)]
    fn pass(&mut self, n: usize) {
        self.wait_no_more();
        if let Some(bounce) = &mut self.bounce {
            bounce.consume(n);
        }
    }

    /// Takes back what a wait that was given up, or goes on elsewhere, has left.
    #[inline]
    pub(crate) fn wait_no_more(&mut self) {
        if self.waits_on {
            self.waits_on = false;
            self.excuse
                .disarm(&self.endpoint.headers().own.wake_at_tail.0);
        }
    }

    #[cold]
    fn ring_peer(&self) {
        count(&self.endpoint.headers().own.reading.0.rings);
        self.endpoint.peer_bells.writer.ring();
    }

    /// Tells the peer that nobody reads any more.
    pub(crate) fn stop(&mut self) {
        if self.endpoint.birth.is_here() {
            self.endpoint.end_reading(ended::CLOSED);
        }
        self.end.get_or_insert(End {
            reason: EndReason::Closed,
            position: self.ring.position(),
        });
        self.ring.forget();
        self.bounce = self.bounce.take().map(|_| Bounce::default());
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        if self.endpoint.birth.is_here() {
            self.endpoint.end_reading(ended::CLOSED);
        }
    }
}
