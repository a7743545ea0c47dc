//! The details of how a stream ends. The traits of `std::io` give an [`io::ErrorKind`]; these types
//! give everything else.

use std::fmt;
use std::io;

/// Why a direction of a stream ended.
///
/// # Examples
///
/// ```
/// # use slipring::{EndReason, Stream};
/// # use std::io::{Read, Write};
/// let (left, mut right) = Stream::pair()?;
/// drop(left);
/// right.read(&mut [0; 8])?;
/// while right.write(b"x").is_ok() {}
/// assert_eq!(right.reader().end().unwrap().reason, EndReason::Finished);
/// assert_eq!(right.writer().end().unwrap().reason, EndReason::ReaderGone);
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// In order. A reader: the peer's writer finished or was dropped. A writer: this side finished.
    Finished,
    /// A writer: the peer's reader was dropped or shut down.
    ReaderGone,
    /// The peer aborted the stream with this code.
    Aborted {
        /// The code that the peer gave to `abort`; its meaning is the application's.
        code: u32,
    },
    /// The peer's process died, or left without dropping its stream.
    PeerDied,
    /// A reader: the peer dropped its stream, and had not read all that this side had written.
    Reset,
    /// The peer's header was invalid; this side has given the stream up.
    Corrupt,
    /// The peer gave the stream up: to it, this side's header was invalid.
    Rejected,
    /// The peer did not take the memory and descriptors that this side had passed in the last step
    /// of the handshake: it had no memory or no descriptors left, or found something wrong. Only
    /// the side that accepted can meet this: no byte was exchanged.
    Refused,
    /// This side ended it: by a `Closer`, by `shutdown`, or by `abort`.
    Closed,
}

/// How and where a direction of a stream ended.
///
/// [`Reader::end`](crate::Reader::end) and [`Writer::end`](crate::Writer::end) have it, and so has
/// the error of each call that met the end: [`End::of`].
///
/// # Examples
///
/// ```
/// use slipring::{End, EndReason, Stream};
/// use std::io::{self, Read, Write};
///
/// /// Code that is generic over `Read` and knows nothing of streams.
/// fn copy(mut from: impl Read) -> io::Result<u64> {
///     io::copy(&mut from, &mut io::sink())
/// }
///
/// let (mut left, right) = Stream::pair()?;
/// left.write_all(b"half of the ans")?;
/// left.writer().abort(17);
/// let error = copy(right).unwrap_err();
/// let end = End::of(&error).expect("an end of a stream");
/// assert_eq!(end.reason, EndReason::Aborted { code: 17 });
/// assert_eq!(end.position, 15);
/// # Ok::<(), io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// Bytes of the stream before the end: those that could be read, or those that had been
    /// written.
    pub position: u64,
}

impl End {
    /// The end inside an [`io::Error`] of a read or a write, if it is one that met an end.
    ///
    /// An error that was put into another one with [`io::Error::other`] is found as well.
    pub fn of(error: &io::Error) -> Option<End> {
        let inside = error.get_ref()?;
        match inside.downcast_ref() {
            Some(Ended(end)) => Some(*end),
            None => End::of(inside.downcast_ref()?),
        }
    }
}

/// A clause that goes before "after N bytes".
impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::Finished => f.write_str("the stream was finished"),
            EndReason::ReaderGone => f.write_str("the peer no longer reads"),
            EndReason::Aborted { code } => {
                write!(f, "the peer aborted the stream with code {code}")
            }
            EndReason::PeerDied => f.write_str("the peer died or left without closing the stream"),
            EndReason::Reset => f.write_str(
                "the peer dropped the stream without reading all that was written to it",
            ),
            EndReason::Corrupt => {
                f.write_str("the peer broke the protocol and the stream was given up")
            }
            EndReason::Rejected => f.write_str("the peer gave the stream up as corrupt"),
            EndReason::Refused => {
                f.write_str("the peer refused the stream in the last step of the handshake")
            }
            EndReason::Closed => f.write_str("the stream was closed on this side"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} bytes", self.reason, self.position)
    }
}

/// The error of a read or write that met the end; [`End::of`] takes it out.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
struct Ended(End);

/// A writer's error for an end.
pub(crate) fn write_error(end: End) -> io::Error {
    let kind = match end.reason {
        EndReason::Finished
        | EndReason::ReaderGone
        | EndReason::PeerDied
        | EndReason::Reset
        | EndReason::Closed => io::ErrorKind::BrokenPipe,
        EndReason::Aborted { .. } | EndReason::Rejected | EndReason::Refused => {
            io::ErrorKind::ConnectionAborted
        }
        EndReason::Corrupt => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, Ended(end))
}

/// The result of a read at an end once all bytes are read: `Ok` is an end of file.
pub(crate) fn read_result(end: End) -> io::Result<()> {
    let kind = match end.reason {
        EndReason::Finished | EndReason::Closed | EndReason::ReaderGone => return Ok(()),
        EndReason::PeerDied | EndReason::Reset => io::ErrorKind::ConnectionReset,
        EndReason::Aborted { .. } | EndReason::Rejected | EndReason::Refused => {
            io::ErrorKind::ConnectionAborted
        }
        EndReason::Corrupt => io::ErrorKind::InvalidData,
    };
    Err(io::Error::new(kind, Ended(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_found_inside_io_errors_and_no_other_error_is_one() {
        let end = End {
            reason: EndReason::PeerDied,
            position: 7,
        };
        let error = write_error(end);
        assert_eq!(End::of(&error), Some(end));
        let wrapped = io::Error::other(io::Error::other(error));
        assert_eq!(End::of(&wrapped), Some(end));
        assert_eq!(End::of(&read_result(end).unwrap_err()), Some(end));
        for other in [
            io::ErrorKind::BrokenPipe.into(),
            io::Error::other("something else"),
            io::Error::from_raw_os_error(32),
        ] {
            assert_eq!(End::of(&other), None, "{other}");
        }
    }
}
