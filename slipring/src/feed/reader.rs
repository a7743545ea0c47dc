//! Reading records that may be overwritten meanwhile: copy, then look whether they were still
//! whole. Everything of the publisher's is checked before it is used.

use super::layout::{BLOCKS, Header, PART_OF_A_RECORD, RECORD_HEADER, TIMED, record_size};
use super::words::{RingWords, Words};
use crate::ring::{Atomics, Corrupt, Word, load_peer};
use std::sync::atomic::Ordering;

/// How often a reader that is overwritten looks for a record that is whole, before it says that
/// there is none for now. Each time the writer has to write a large part of the ring meanwhile. In
/// the models, which go through all of them, that is done once.
const ATTEMPTS: u32 = if cfg!(test) { 2 } else { 64 };

/// Where a subscriber begins.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the first record that is published from now on. The default.
    #[default]
    Newest,
    /// With the oldest record that the publisher has kept.
    Oldest,
    /// With the record of this number. If it is not kept any more, the first event is
    /// [`Lagged`](super::Lagged). If it is not published yet, with this one when it is.
    At(u64),
}

/// Records that were overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged {
    /// How many.
    pub missed: u64,
    /// The number of the record that comes next.
    pub next: u64,
}

/// What one poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing new.
    Empty,
    /// A record, whose payload was copied.
    Record {
        sequence: u64,
        /// Nanoseconds since 1970.
        time: Option<u64>,
        len: usize,
        skipped: u64,
    },
    /// Records are gone. The reader goes on with the oldest one that is whole.
    Lagged(Lagged),
}

/// The position of one reader.
#[derive(Debug)]
pub(crate) struct Reader {
    capacity: u64,
    max_record: u64,
    /// Where the next record begins.
    position: u64,
    /// Its number.
    next: u64,
    /// Records before this number are passed over.
    from: u64,
    /// How many were, since the last one that was not.
    skipped: u64,
}

/// The header of a record that is whole.
struct Found {
    sequence: u64,
    size: u64,
    len: usize,
    timed: bool,
}

impl Reader {
    /// Begins where `start` says. The records that are gone by then, if it names one of them.
    pub(crate) fn join<A: Atomics>(
        header: &Header<A>,
        words: &impl RingWords,
        max_record: u64,
        start: Start,
    ) -> Result<(Reader, Option<Lagged>), Corrupt> {
        let mut reader = Reader {
            capacity: words.capacity(),
            max_record,
            position: 0,
            next: 0,
            from: 0,
            skipped: 0,
        };
        let lagged = match start {
            Start::Newest => {
                reader.jump(header, words, &header.last.0)?;
                if let Some(found) = reader.find(header, words)? {
                    reader.pass(&found);
                }
                None
            }
            Start::Oldest => {
                reader.jump(header, words, &header.claimed.0.checkpoint)?;
                None
            }
            Start::At(number) => {
                reader.jump(header, words, &header.claimed.0.checkpoint)?;
                reader.from = number;
                (reader.next > number).then(|| Lagged {
                    missed: reader.next - number,
                    next: reader.next,
                })
            }
        };
        Ok((reader, lagged))
    }

    /// Where the next record begins.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether the writer's next claim leaves the next record whole, whatever it is. For a lossless
    /// reader that has just stored its position, with a fence behind it.
    pub(crate) fn is_safe<A: Atomics>(&self, header: &Header<A>) -> bool {
        let claim = load_peer::<A, _>(&header.claimed.0.claim);
        // The longest record, and what is claimed with it.
        let step = self.capacity / PART_OF_A_RECORD + 2 * (self.capacity / BLOCKS);
        claim.saturating_add(step) <= self.position.saturating_add(self.capacity)
    }

    /// Passes over the next record, if there is one.
    pub(crate) fn skip_one<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
    ) -> Result<bool, Corrupt> {
        let found = self.find(header, words)?;
        if let Some(found) = &found {
            self.pass(found);
        }
        Ok(found.is_some())
    }

    /// The next record, if there is one and it is whole.
    fn find<A: Atomics>(
        &self,
        header: &Header<A>,
        words: &impl Words,
    ) -> Result<Option<Found>, Corrupt> {
        let tail = self.tail(header)?;
        if tail == self.position {
            return Ok(None);
        }
        let found = self.parse(words, tail);
        match (self.is_whole(header), found) {
            (true, None) => Err(Corrupt),
            (true, found) => Ok(found),
            (false, _) => Ok(None),
        }
    }

    /// Copies the next record into `buffer`, which grows if it has to.
    #[inline]
    pub(crate) fn poll<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
        buffer: &mut Vec<u8>,
    ) -> Result<Polled, Corrupt> {
        let tail = self.tail(header)?;
        loop {
            if tail == self.position {
                return Ok(Polled::Empty);
            }
            let Some(found) = self.parse(words, tail) else {
                return if self.is_whole(header) {
                    Err(Corrupt)
                } else {
                    self.lapped(header, words)
                };
            };
            if found.sequence < self.from {
                if !self.is_whole(header) {
                    return self.lapped(header, words);
                }
                self.pass(&found);
                continue;
            }
            if buffer.len() < found.len {
                buffer.resize(found.len, 0);
            }
            let at = self.position + RECORD_HEADER;
            let to = &mut buffer[..found.len];
            // A branch, and not an offset: where the payload lies then does not depend on what
            // arrives with the first line of the record, so that the processor, which predicts the
            // branch, fetches the second line beside it and not after it.
            let time = if found.timed {
                copy_timed(words, at, to)
            } else {
                words.copy_out(at, to);
                None
            };
            if !self.is_whole(header) {
                return self.lapped(header, words);
            }
            self.pass(&found);
            return Ok(Polled::Record {
                sequence: found.sequence,
                time,
                len: found.len,
                skipped: std::mem::take(&mut self.skipped),
            });
        }
    }

    /// Goes on to the newest record, if there is any. The next poll finds it, and says how many
    /// were skipped: those in between, and `more`.
    pub(crate) fn pass_to_newest<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
        more: u64,
    ) -> Result<bool, Corrupt> {
        let last = load_peer::<A, _>(&header.last.0);
        if last > self.position {
            let next = self.next;
            self.jump(header, words, &header.last.0)?;
            self.skipped += self.next.checked_sub(next).ok_or(Corrupt)?;
        } else if self.tail(header)? == self.position {
            return Ok(false);
        }
        self.skipped += more;
        Ok(true)
    }

    /// `tail`, which never goes back.
    #[inline]
    fn tail<A: Atomics>(&self, header: &Header<A>) -> Result<u64, Corrupt> {
        let tail = load_peer::<A, _>(&header.published.0.tail);
        if tail < self.position || !tail.is_multiple_of(8) {
            return Err(Corrupt);
        }
        Ok(tail)
    }

    /// The header at the position; `None` if no such record can be there. It may be torn.
    #[inline]
    fn parse(&self, words: &impl Words, tail: u64) -> Option<Found> {
        let found = parse_at(words, self.position, tail, self.max_record)?;
        (found.sequence == self.next).then_some(found)
    }

    /// Whether everything from the position on was still whole when it was loaded.
    #[inline]
    fn is_whole<A: Atomics>(&self, header: &Header<A>) -> bool {
        is_whole(header, self.position, self.capacity)
    }

    #[inline]
    fn pass(&mut self, found: &Found) {
        self.position += found.size;
        self.next = found.sequence + 1;
    }

    /// Goes on with the oldest record that is whole.
    #[cold]
    fn lapped<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
    ) -> Result<Polled, Corrupt> {
        let (position, next) = (self.position, self.next);
        if !self.try_jump(header, words, &header.claimed.0.checkpoint)? {
            return Ok(Polled::Empty);
        }
        // A position that is overwritten lies before the checkpoint.
        if self.position <= position || self.next <= next {
            return Err(Corrupt);
        }
        Ok(Polled::Lagged(Lagged {
            missed: self.next - next,
            next: self.next,
        }))
    }

    /// Goes to the record at `word`, or to the beginning if there is no record yet.
    fn jump<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
        word: &A::U64,
    ) -> Result<(), Corrupt> {
        for _ in 0..ATTEMPTS {
            if self.try_jump(header, words, word)? {
                return Ok(());
            }
        }
        // No writer is that fast, as each attempt takes it a large part of the ring.
        Err(Corrupt)
    }

    /// The same. `false` if the writer has overwritten the record again and again.
    fn try_jump<A: Atomics>(
        &mut self,
        header: &Header<A>,
        words: &impl Words,
        word: &A::U64,
    ) -> Result<bool, Corrupt> {
        for _ in 0..ATTEMPTS {
            let at = load_peer::<A, _>(word);
            let tail = load_peer::<A, _>(&header.published.0.tail);
            if tail == 0 {
                return Ok(true);
            }
            let in_range = at < tail && at.is_multiple_of(8) && tail.is_multiple_of(8);
            let found = in_range
                .then(|| parse_at(words, at, tail, self.max_record))
                .flatten();
            if !is_whole(header, at, self.capacity) {
                continue;
            }
            let found = found.ok_or(Corrupt)?;
            (self.position, self.next) = (at, found.sequence);
            return Ok(true);
        }
        Ok(false)
    }
}

/// The header of the record at `at`; `None` if no record can be there. It may be torn.
#[inline]
fn parse_at(words: &impl Words, at: u64, tail: u64, max_record: u64) -> Option<Found> {
    let (sequence, rest) = (words.load(at), words.load(at + 8));
    let (len, flags) = (rest & u64::from(u32::MAX), rest >> 32);
    if len > max_record || flags > TIMED {
        return None;
    }
    let timed = flags == TIMED;
    let size = record_size(len, timed);
    // The number of a record that comes after 2^64 others is nonsense.
    (size <= tail - at && sequence < u64::MAX).then_some(Found {
        sequence,
        size,
        len: len as usize,
        timed,
    })
}

/// Copies the payload of a record with a time, and returns that. Out of line, or the compiler would
/// make an offset of the branch again.
#[cold]
#[inline(never)]
fn copy_timed(words: &impl Words, at: u64, to: &mut [u8]) -> Option<u64> {
    let time = words.load(at);
    words.copy_out(at + 8, to);
    Some(time)
}

/// Whether everything from `position` on was still whole when it was loaded: behind the loads.
#[inline]
fn is_whole<A: Atomics>(header: &Header<A>, position: u64, capacity: u64) -> bool {
    // Pairs with the fence of the writer: see `writer`.
    A::fence(Ordering::Acquire);
    // Relaxed: the fence before it makes it late enough.
    header.claimed.0.claim.load(Ordering::Relaxed) <= position.saturating_add(capacity)
}
