//! Putting messages into a ring, without any waiting.

use super::error::Error;
use super::header::{HEADER, Header, frame_len};
use crate::endpoint::{PUBLISH_CHUNK, WriteHalf};
use crate::growth::GrowthRefused;
use std::io;

/// When a frame is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    Now,
    /// With others; but like a batch of bytes after each 64 KiB.
    Later,
}

/// What a sender knows besides its half.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The largest frame that is sent at once. Two fit into the largest ring, so that one is
    /// written while the other is read.
    whole: usize,
    /// A message has been begun that was not completed. There is room to give it up then, always.
    under_way: bool,
}

impl Encoder {
    pub(super) fn new(half: &WriteHalf) -> Result<Encoder, Error> {
        // The place is a multiple if the position is one.
        let (position, place) = (half.position(), half.offset());
        if !position.is_multiple_of(HEADER as u64) {
            return Err(Error::Misaligned { position, place });
        }
        Ok(Encoder {
            whole: half.max_capacity() / 2,
            under_way: false,
        })
    }

    /// The largest payload that goes at once.
    pub(super) fn max_whole(&self) -> usize {
        self.whole - HEADER
    }

    /// Whether a message of `len` bytes goes at once.
    #[inline]
    pub(super) fn is_whole(&self, len: usize) -> bool {
        len <= self.max_whole()
    }

    /// Room that the next frame needs, if its payload has `len` bytes.
    #[inline]
    pub(super) fn room(&self, len: usize) -> usize {
        frame_len(len) + if self.under_way { HEADER } else { 0 }
    }

    /// Writes a message in place. [`room`](Self::room) is free.
    #[inline]
    pub(super) fn put<R>(
        &mut self,
        half: &mut WriteHalf,
        len: usize,
        publish: Publish,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        self.give_up(half);
        let filled = put_frame(half, Header::last(len), fill);
        if publish == Publish::Now || half.unpublished() >= PUBLISH_CHUNK {
            half.publish();
        }
        filled
    }

    /// The next part of a message that does not go at once: `left` of its `len` bytes are still to
    /// be sent. A message begun before is given up with the first.
    pub(super) fn part<'m>(&self, half: &WriteHalf, left: &'m [u8], len: usize) -> Part<'m> {
        // A ring is a page at least, and four parts fit, with what gives the message up. The ring
        // may have grown since the last part.
        let most = half.capacity() / 4 - 2 * HEADER;
        Part {
            bytes: &left[..left.len().min(most)],
            first: left.len() == len,
            last: left.len() <= most,
        }
    }

    /// Room that a part needs. If others follow, it leaves room for what gives the message up: so
    /// that never has to be waited for.
    pub(super) fn room_for_part(&self, part: &Part<'_>) -> usize {
        let len = part.bytes.len();
        let room = if part.first {
            self.room(len)
        } else {
            frame_len(len)
        };
        room + if part.last { 0 } else { HEADER }
    }

    /// Writes and publishes a part. Its room is free.
    pub(super) fn put_part(&mut self, half: &mut WriteHalf, part: &Part<'_>) {
        if part.first {
            self.give_up(half);
        }
        let len = part.bytes.len();
        let header = if part.last {
            Header::last(len)
        } else {
            Header::more(len)
        };
        put_frame(half, header, |to| to.copy_from_slice(part.bytes));
        self.under_way = !part.last;
        half.publish();
    }

    /// Leaves the direction between two messages, to the next one that writes there. Waits for
    /// nothing.
    pub(super) fn leave(&mut self, half: &mut WriteHalf) {
        // A direction that has ended, or a forked child's copy of it, carries nothing more anyway.
        if self.under_way && half.begin().is_ok() {
            self.give_up(half);
            half.publish();
        }
    }

    /// Tells the receiver that what it has of a message is all that there will be of it.
    #[inline]
    fn give_up(&mut self, half: &mut WriteHalf) {
        if self.under_way {
            self.under_way = false;
            put_frame(half, Header::GIVE_UP, |_| ());
        }
    }
}

/// Whether a message that did not go at once goes in parts: the ring does not grow for it.
#[cold]
pub(super) fn goes_in_parts(error: &io::Error) -> bool {
    GrowthRefused::of(error).is_some()
}

/// A part of a large message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'m> {
    bytes: &'m [u8],
    first: bool,
    last: bool,
}

impl Part<'_> {
    /// Bytes of payload.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes one frame, for which there is room, and publishes nothing. If `fill` panics nothing has
/// been written.
#[inline]
fn put_frame<R>(half: &mut WriteHalf, header: Header, fill: impl FnOnce(&mut [u8]) -> R) -> R {
    let len = header.frame_len();
    let frame = half.grant(len);
    // The padding; or the header, if there is no payload. The payload may come over it.
    frame[len - HEADER..].fill(0);
    frame[..HEADER].copy_from_slice(&header.to_bytes());
    let filled = fill(&mut frame[HEADER..HEADER + header.len()]);
    half.advance(len);
    filled
}
