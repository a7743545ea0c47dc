//! What can be wrong with messages.

use crate::endpoint::{End, EndReason, read_result};
use std::io;

/// Length of a header, and what every header and payload is aligned to.
pub(super) const HEADER: usize = 8;

/// Why a direction does not carry messages, or a message cannot be had.
///
/// The methods of this module return [`io::Error`]s; such an error, if it is about messages and not
/// about the stream below them, has one of these inside, which [`Error::of`] takes out.
///
/// # Examples
///
/// ```
/// use slipring::{Stream, frame};
/// use std::io::Write;
///
/// let (mut left, right) = Stream::pair()?;
/// // Not a header.
/// left.write_all(&[0xff; 8])?;
/// let (_, mut receiver) = frame::split(right)?;
/// let error = receiver.recv().unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// assert!(matches!(frame::Error::of(&error), Some(frame::Error::UnknownFlags { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Messages cannot begin here. `InvalidInput`.
    #[error(
        "messages begin at a position, and at a place in the ring, that are multiples of {HEADER}; \
         this direction is at position {position}, place {place}. Pad what goes before the \
         messages, or send messages from the start"
    )]
    Misaligned {
        /// Bytes that this half has read or written so far.
        position: u64,
        /// Where in the ring the next byte lies, as far as this side knows.
        place: usize,
    },

    /// A receiver was taken away inside a message, and bytes were read since. `InvalidInput`.
    #[error(
        "a receiver has left this direction inside a message, at position {left}, and bytes up to \
         {position} have been read since: where a message begins is not known any more. Make the \
         next receiver before anything is read"
    )]
    InsideMessage {
        /// Where the receiver has left the direction.
        left: u64,
        /// Where the direction stands now.
        position: u64,
    },

    /// A header has flags that this version does not know. `InvalidData`.
    #[error(
        "the header at position {position} has the flags {flags:#x}. Either the peer does not send \
         messages, or it is of a newer version"
    )]
    UnknownFlags {
        /// The flags.
        flags: u32,
        /// Where the header is.
        position: u64,
    },

    /// A header that can be none of a part at this place. `InvalidData`.
    #[error(
        "the header at position {position} (length {len}, flags {flags:#x}) cannot stand there. \
         The peer does not send messages"
    )]
    BadPart {
        /// The length that it claims.
        len: u32,
        /// The flags.
        flags: u32,
        /// Where the header is.
        position: u64,
    },

    /// A header claims more than the peer's ring could ever hold at once. `InvalidData`.
    #[error(
        "the header at position {position} claims {len} bytes, and the peer's ring has {capacity}. \
         The peer does not send messages"
    )]
    NeverFits {
        /// The length that it claims.
        len: u32,
        /// The size of the ring.
        capacity: usize,
        /// Where the header is.
        position: u64,
    },

    /// A message is larger than this receiver takes. `InvalidData`.
    #[error(
        "a message has {len} bytes or more, and this receiver takes at most {max}. Allow more \
            with `with_max`"
    )]
    TooLarge {
        /// Its length, as far as its headers have told.
        len: u64,
        /// The most that this receiver takes.
        max: u64,
    },

    /// The stream ended inside a message, of which nothing is delivered. `UnexpectedEof`, or the
    /// kind of the end.
    #[error("{reason}, {arrived} bytes into a message, of which nothing is delivered")]
    Torn {
        /// How many of its bytes had come.
        arrived: u64,
        /// How the stream ended.
        reason: EndReason,
    },

    /// A message is not of the size of the type that it was to be received as. `InvalidData`. The
    /// message is still there.
    #[error(
        "a message has {len} bytes, and what was to be received has {expected}. Receive it as \
            bytes, or as another type"
    )]
    WrongSize {
        /// Its length.
        len: usize,
        /// The size of the type.
        expected: usize,
    },

    /// A message that has to go in parts, which cannot be done without waiting. `InvalidInput`.
    #[error(
        "a message of {len} bytes goes in parts, which needs waiting; without it {most} bytes are \
            the most. Use `send`"
    )]
    NeedsParts {
        /// Its length.
        len: usize,
        /// The most that goes at once; see `max_in_place`.
        most: usize,
    },
}

impl Error {
    /// The error about messages inside an [`io::Error`], if it is one.
    pub fn of(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// The kind that an [`io::Error`] made of this has.
    pub fn kind(&self) -> io::ErrorKind {
        match *self {
            Error::Misaligned { .. } | Error::InsideMessage { .. } | Error::NeedsParts { .. } => {
                io::ErrorKind::InvalidInput
            }
            Error::Torn { arrived, reason } => {
                let end = End {
                    reason,
                    position: arrived,
                };
                read_result(end).map_or_else(|e| e.kind(), |()| io::ErrorKind::UnexpectedEof)
            }
            _ => io::ErrorKind::InvalidData,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_errors_have_their_kinds_and_are_found_inside_io_errors() {
        let torn = |reason| Error::Torn { arrived: 7, reason };
        let cases = [
            (
                Error::Misaligned {
                    position: 3,
                    place: 3,
                },
                io::ErrorKind::InvalidInput,
            ),
            (
                Error::InsideMessage {
                    left: 8,
                    position: 16,
                },
                io::ErrorKind::InvalidInput,
            ),
            (
                Error::TooLarge { len: 9, max: 8 },
                io::ErrorKind::InvalidData,
            ),
            (torn(EndReason::Finished), io::ErrorKind::UnexpectedEof),
            (torn(EndReason::PeerDied), io::ErrorKind::ConnectionReset),
            (
                torn(EndReason::Aborted { code: 1 }),
                io::ErrorKind::ConnectionAborted,
            ),
        ];
        for (error, kind) in cases {
            let outer = io::Error::from(error);
            assert_eq!(outer.kind(), kind);
            assert_eq!(Error::of(&outer), Some(&error));
        }
        assert_eq!(Error::of(&io::ErrorKind::WouldBlock.into()), None);
    }
}
