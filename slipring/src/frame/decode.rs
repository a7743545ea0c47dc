//! Taking messages out of a ring, without any waiting: what is there, what has to be waited for,
//! what is wrong.
//!
//! A header is copied out once, checked, and used from the copy. Its length is
//! believed as far as the ring and the maximum go, and memory is taken for what has arrived, not
//! for what is announced.

use super::buffer::Buffer;
use super::error::Error;
use super::header::{Bounds, HEADER, Header};
use super::limit::Limit;
#[cfg(feature = "bytes")]
use super::pool::Pool;
use crate::endpoint::{Begun, PUBLISH_CHUNK, ReadHalf, Readable};
use crate::endpoint::{End, EndReason};
use std::any::Any;
use std::io;

/// What a receiver has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait until this many bytes can be read.
    Wait(usize),
    /// Take the next step; much has come that was no whole message, and this may go on for ever.
    Again,
    /// A message is there.
    Ready,
}

/// A message that comes in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// There is none.
    None,
    /// Some are there, in `Decoder::parts`.
    UnderWay,
    /// All are there.
    Complete,
    /// An earlier receiver of this direction has taken some. The others are let go of.
    PassedOver,
}

/// What a receiver knows besides its half.
#[derive(Debug)]
pub(super) struct Decoder {
    max: usize,
    /// The header of the frame that comes next in the ring, once it has been checked.
    frame: Option<Header>,
    state: Parts,
    parts: Buffer,
    /// Bytes of a message that is passed over, which have come.
    passed: usize,
    #[cfg(feature = "bytes")]
    pool: Pool,
}

/// The error of a direction that [failed](Decoder::fail) before.
#[cold]
fn again(fault: &dyn Any) -> io::Error {
    let error: &Error = fault.downcast_ref().expect("`fail` stores an `Error`");
    (*error).into()
}

impl Decoder {
    pub(super) fn new(half: &ReadHalf, max: usize) -> Result<Decoder, Error> {
        let position = half.position();
        if !position.is_multiple_of(HEADER as u64) {
            // Where in the wake it lies is the peer's matter: looked at with each view.
            let place = position as usize % HEADER;
            return Err(Error::Misaligned { position, place });
        }
        let (state, passed) = match half.messages.begun {
            None => (Parts::None, 0),
            Some(Begun {
                arrived,
                position: left,
            }) if left == position => (Parts::PassedOver, arrived),
            Some(Begun { position: left, .. }) => {
                return Err(Error::InsideMessage { left, position });
            }
        };
        Ok(Decoder {
            max,
            frame: None,
            state,
            parts: Buffer::default(),
            passed,
            #[cfg(feature = "bytes")]
            pool: Pool::new(max),
        })
    }

    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        #[cfg(feature = "bytes")]
        {
            self.pool = Pool::new(max);
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Takes what is there until it is a message. May be called again when it was one; nothing of
    /// it is lost.
    #[inline]
    pub(super) fn step(&mut self, half: &mut ReadHalf) -> io::Result<Step> {
        if let Some(fault) = &half.messages.fault {
            return Err(again(fault.as_ref()));
        }
        let start = half.position();
        loop {
            if self.state == Parts::Complete {
                return Ok(Step::Ready);
            }
            let header = match self.frame {
                Some(header) => header,
                None if !half.has(HEADER) => return Ok(Step::Wait(HEADER)),
                None => match self.header_at(half, 0, self.arrived()) {
                    Ok(header) => *self.frame.insert(header),
                    Err(error) => return Err(self.fail(half, error)),
                },
            };
            let len = header.frame_len();
            if !half.has(len) {
                return Ok(Step::Wait(len));
            }
            if self.state == Parts::None && !header.has_more() {
                return Ok(Step::Ready);
            }
            if half.position() - start >= PUBLISH_CHUNK as u64 {
                return Ok(Step::Again);
            }
            self.take_part(half, header)?;
        }
    }

    /// Adds a part, which is there, to the message under way.
    #[cold]
    fn take_part(&mut self, half: &mut ReadHalf, header: Header) -> io::Result<()> {
        let ends = header.gives_up() || !header.has_more();
        if header.gives_up() || self.state == Parts::PassedOver && ends {
            self.discard_parts();
        } else if self.state == Parts::PassedOver {
            self.passed = self.passed.saturating_add(header.len());
        } else {
            #[cfg(feature = "bytes")]
            if self.parts.capacity() == 0 {
                self.parts = self.pool.take_largest();
            }
            half.copy_out(HEADER, self.parts.extend(header.len(), self.max)?);
            self.state = if ends {
                Parts::Complete
            } else {
                Parts::UnderWay
            };
        }
        self.frame = None;
        half.consume(header.frame_len());
        half.messages.begun = (!ends).then(|| Begun {
            arrived: self.arrived(),
            position: half.position(),
        });
        Ok(())
    }

    fn discard_parts(&mut self) {
        self.parts.clear();
        self.passed = 0;
        self.state = Parts::None;
    }

    /// Bytes of the message under way that have come in parts.
    #[inline]
    fn arrived(&self) -> usize {
        self.parts.len() + self.passed
    }

    /// Copies and checks the header `at` bytes from here, of a message of which `arrived` bytes
    /// have come. It is there.
    #[inline]
    fn header_at(&self, half: &ReadHalf, at: usize, arrived: usize) -> Result<Header, Error> {
        let mut bytes = [0; HEADER];
        half.copy_out(at, &mut bytes);
        let bounds = Bounds {
            position: half.position() + at as u64,
            arrived,
            ring: half.max_capacity(),
            // Nothing is kept of what is passed over, so it may be as long as it likes.
            max: if self.passed > 0 {
                usize::MAX
            } else {
                self.max
            },
        };
        Header::check(bytes, bounds)
    }

    /// Takes what is there without waiting: `true`, a message is ready; `false`, the stream has
    /// ended between two messages.
    pub(super) fn try_step(&mut self, half: &mut ReadHalf) -> io::Result<bool> {
        let limit = Limit::at_once(half);
        loop {
            let step = self.step(half)?;
            if step == Step::Ready {
                return Ok(true);
            }
            if limit.is_over(half) {
                return Err(Self::not_yet(half, step));
            }
            if let Step::Wait(want) = step {
                let found = half.poll(want).unwrap_or_else(|| {
                    half.check_peer_if_due();
                    Err(Self::not_yet(half, step))
                });
                if !self.found(half, found)? {
                    return Ok(false);
                }
            }
        }
    }

    /// The error of a call that ends at this step, and may be repeated.
    #[cold]
    pub(super) fn not_yet(half: &mut ReadHalf, step: Step) -> io::Error {
        if let Step::Wait(want) = step {
            half.give_up(want);
        }
        io::ErrorKind::WouldBlock.into()
    }

    /// What waiting has found: `true`, go on; `false`, the stream has ended between two messages.
    pub(super) fn found(
        &mut self,
        half: &mut ReadHalf,
        found: io::Result<Readable>,
    ) -> io::Result<bool> {
        match (found, half.end()) {
            (Ok(Readable::Enough), _) => Ok(true),
            (_, Some(end)) if self.is_torn(half, end) => {
                let in_ring = self
                    .frame
                    .map_or(0, |_| half.available().saturating_sub(HEADER));
                let arrived = (self.arrived() + in_ring) as u64;
                let reason = end.reason;
                Err(self.fail(half, Error::Torn { arrived, reason }))
            }
            (Ok(Readable::End), _) => Ok(false),
            (Err(e), _) => Err(e),
        }
    }

    /// Whether the end came inside a message. A direction that this side has closed itself is not
    /// torn.
    fn is_torn(&self, half: &ReadHalf, end: End) -> bool {
        end.reason != EndReason::Closed
            && (self.frame.is_some()
                || matches!(self.state, Parts::UnderWay | Parts::PassedOver)
                || half.available() > 0)
    }

    /// Remembers an error for good, frees what had come, and tells the sender that nobody reads any
    /// more.
    #[cold]
    fn fail(&mut self, half: &mut ReadHalf, error: Error) -> io::Error {
        half.messages.fault = Some(Box::new(error));
        self.frame = None;
        self.parts = Buffer::default();
        half.stop();
        error.into()
    }

    /// Makes sure that the message which is [`Ready`](Step::Ready) can be [`lent`](Self::lent).
    #[inline]
    pub(super) fn prepare(&mut self, half: &mut ReadHalf) {
        let Some(header) = self.frame else {
            return;
        };
        half.view(header.frame_len());
    }

    /// The message that is there, [prepared](Self::prepare).
    #[inline]
    pub(super) fn lent<'a>(&'a self, half: &'a ReadHalf) -> &'a [u8] {
        match self.frame {
            Some(header) => &half.lent(header.frame_len())[HEADER..HEADER + header.len()],
            None => self.parts.bytes(),
        }
    }

    /// Length of the message that is there.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.frame.map_or(self.parts.len(), Header::len)
    }

    /// Lets go of the message that is there.
    #[inline]
    pub(super) fn free(&mut self, half: &mut ReadHalf) {
        match self.frame.take() {
            Some(header) => half.consume(header.frame_len()),
            None => self.discard_parts(),
        }
    }

    /// Moves the message that is there into `to`, in place of what that holds.
    pub(super) fn take_into(&mut self, half: &mut ReadHalf, to: &mut Vec<u8>) -> io::Result<usize> {
        let len = self.len();
        to.try_reserve(len.saturating_sub(to.len()))
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        if self.frame.is_some() {
            // What is there already need not be zeroed.
            to.resize(len, 0);
            half.copy_out(HEADER, to);
        } else {
            to.clear();
            to.extend_from_slice(self.parts.bytes());
        }
        self.free(half);
        Ok(len)
    }

    /// Moves the message that is there into memory of the pool.
    #[cfg(feature = "bytes")]
    pub(super) fn take_owned(&mut self, half: &mut ReadHalf) -> io::Result<bytes::Bytes> {
        let buffer = match self.frame {
            Some(header) => {
                let mut buffer = self.pool.take(header.len())?;
                half.copy_out(HEADER, buffer.extend(header.len(), self.max)?);
                buffer
            }
            None => std::mem::take(&mut self.parts),
        };
        self.free(half);
        Ok(self.pool.lend(buffer))
    }

    /// Lets go of all messages but the newest that is there in full, and says of how many. One is
    /// there; afterwards [`step`](Self::step) finds the newest without waiting.
    pub(super) fn skip(&mut self, half: &mut ReadHalf) -> u64 {
        // An end is the next step's to report.
        let available = half.count_available().unwrap_or(0);
        let mut at = self.frame.map_or(0, Header::frame_len);
        // The message that begins at `start` goes up to `at`; `arrived` bytes of it have been
        // passed.
        let (mut start, mut arrived) = (at, 0);
        let (mut newest, mut skipped) = (0, 0);
        while at + HEADER <= available {
            // What is wrong is said when its turn comes.
            let Ok(header) = self.header_at(half, at, arrived) else {
                break;
            };
            at += header.frame_len();
            if at > available {
                break;
            }
            arrived += header.len();
            if header.has_more() {
                continue;
            }
            if !header.gives_up() {
                newest = start;
                skipped += 1;
            }
            (start, arrived) = (at, 0);
        }
        if skipped > 0 {
            self.frame = None;
            self.discard_parts();
            half.consume(newest);
        }
        skipped
    }
}
