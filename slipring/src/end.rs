//! How a stream ends, in detail. The traits of `std::io` say it by an [`io::ErrorKind`]; this says the rest.

use std::io;

/// Why a direction of a stream ended.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// In order. A reader: the peer's writer finished or was dropped. A writer: this side finished.
    Finished,
    /// A writer: the peer's reader was dropped or shut down.
    ReaderGone,
    /// The peer aborted the stream with this code.
    Aborted {
        /// What the peer gave to `abort`; its meaning is the application's.
        code: u32,
    },
    /// The peer's process died, or left without dropping its stream.
    PeerDied,
    /// The peer's header made no sense; this side has given the stream up.
    Corrupt,
    /// The peer gave the stream up: to it, this side's header made no sense.
    Rejected,
    /// This side ended it: by a `Closer`, by `shutdown`, or by `abort`.
    Closed,
}

/// How and where a direction of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// Bytes of the stream before the end: what could be read, or what had been written.
    pub position: u64,
}

/// The error of a read or write that met the end; `get_ref` of the [`io::Error`] has it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{} after {} bytes", self.what(), self.end.position)]
pub(crate) struct Ended {
    end: End,
}

impl Ended {
    fn what(&self) -> String {
        match self.end.reason {
            EndReason::Finished => "the stream was finished on this side".into(),
            EndReason::ReaderGone => "the peer does not read any more".into(),
            EndReason::Aborted { code } => format!("the peer aborted the stream with code {code}"),
            EndReason::PeerDied => "the peer's process died, or left without closing the stream,".into(),
            EndReason::Corrupt => "the peer broke the protocol; the stream was given up".into(),
            EndReason::Rejected => "the peer gave the stream up as corrupt".into(),
            EndReason::Closed => "the stream was closed on this side".into(),
        }
    }
}

/// A writer's error for an end.
pub(crate) fn write_error(end: End) -> io::Error {
    let kind = match end.reason {
        EndReason::Finished | EndReason::ReaderGone | EndReason::PeerDied | EndReason::Closed => {
            io::ErrorKind::BrokenPipe
        }
        EndReason::Aborted { .. } | EndReason::Rejected => io::ErrorKind::ConnectionAborted,
        EndReason::Corrupt => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, Ended { end })
}

/// What a reader returns at an end once all bytes are read: `Ok` is an end of file.
pub(crate) fn read_result(end: End) -> io::Result<()> {
    let kind = match end.reason {
        EndReason::Finished | EndReason::Closed | EndReason::ReaderGone => return Ok(()),
        EndReason::PeerDied => io::ErrorKind::ConnectionReset,
        EndReason::Aborted { .. } | EndReason::Rejected => io::ErrorKind::ConnectionAborted,
        EndReason::Corrupt => io::ErrorKind::InvalidData,
    };
    Err(io::Error::new(kind, Ended { end }))
}
