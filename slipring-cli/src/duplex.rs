//! A two-way byte stream of any kind, seen by the code that copies between two of them.
//!
//! Copying goes in steps. The source decides how a step is done: one that can lend the bytes it has
//! (shared memory) hands them to the sink's `write`; one that cannot (a descriptor) lets the sink
//! lend room and reads right into it. So bytes are copied once between a stream and a descriptor.

mod command;
mod descriptor;
mod mmf;
mod null;
mod slip;

use std::{io, os::fd::OwnedFd};

use slipring::Closer;

use crate::session::Session;

/// Abort codes that a slipring peer gets to see from this command.
pub mod abort_code {
    /// The side behind us was lost.
    pub const LOST: u32 = 1;
    /// The side behind us could not be reached.
    pub const UNREACHABLE: u32 = 2;
    /// Something failed in the process at this end.
    pub const FAILED: u32 = 3;
    /// The user broke it off by Ctrl-C.
    pub const INTERRUPTED: u32 = 130;
}

/// Why a half can go no further.
#[derive(Debug)]
pub enum Fault {
    /// The reader of this sink has gone; an orderly end.
    NotReading,
    /// The other end died, aborted, was reset, or vanished.
    Lost { why: String, code: Option<u32> },
    /// An operation of this process failed.
    Failed(String),
    /// The connection's [`Session`] was stopped.
    Stopped,
}

impl Fault {
    fn failed(doing: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {doing}: {error}"))
    }
}

/// Which half of a step went wrong.
#[derive(Debug)]
pub enum StepError {
    Source(Fault),
    Sink(Fault),
}

/// The outcome of lending a sink's room to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    Bytes(usize),
    /// The source has nothing just now.
    Nothing,
    End,
}

pub trait ReadHalf: Send {
    /// Waits until bytes are there and moves some of them into `sink`; 0 at the end.
    fn transfer(&mut self, sink: &mut dyn WriteHalf, session: &Session)
    -> Result<usize, StepError>;

    /// Is there something that was not moved? Only asked when the sink takes nothing more.
    fn has_more(&mut self) -> bool {
        true
    }

    /// The bytes from here are no longer wanted: tells the other end, as far as it can be told.
    fn stop(&mut self, session: &Session);

    /// As `stop`, but not as an orderly end.
    fn abort(&mut self);
}

pub trait WriteHalf: Send {
    /// Waits for room and writes at least one byte of `data`.
    fn write(&mut self, data: &[u8], session: &Session) -> Result<usize, Fault>;

    /// Waits for room, lets `fill` put bytes there, and writes them.
    fn write_with(
        &mut self,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
        session: &Session,
    ) -> Result<Filled, StepError>;

    /// Is anyone still there to take bytes? Never blocks.
    fn check(&mut self) -> Result<(), Fault>;

    /// A descriptor that tells when nobody reads from this sink any more, if it is worth polling
    /// while there is nothing to write.
    fn output(&self) -> Option<io::Result<OwnedFd>> {
        None
    }

    /// Ends this direction; the other end reads the written bytes, and then the end.
    fn finish(&mut self) -> Result<(), Fault>;

    /// Ends the connection as a failure, as far as this kind of stream can say so.
    fn abort(&mut self, code: u32);
}

/// Both halves of a connection, and the means to wake them where a [`Session`] cannot.
pub struct Duplex {
    pub reader: Box<dyn ReadHalf>,
    pub writer: Box<dyn WriteHalf>,
    pub closer: Option<Closer>,
    /// The name of the other end, for people.
    pub peer: String,
}

impl Duplex {
    /// Ends a connection that was never served.
    pub fn abort(mut self, code: u32) {
        self.writer.abort(code);
        self.reader.abort();
    }
}

/// The most that is taken from a source at once.
const CHUNK: usize = 64 << 10;

/// [`WriteHalf::write_with`] for a sink that has no room of its own to lend: by way of `buffer`.
fn write_through(
    writer: &mut dyn WriteHalf,
    buffer: &mut Vec<u8>,
    fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
    session: &Session,
) -> Result<Filled, StepError> {
    buffer.resize(CHUNK, 0);
    let filled = fill(buffer).map_err(StepError::Source)?;
    if let Filled::Bytes(count) = filled {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = writer.write(rest, session).map_err(StepError::Sink)?;
            rest = &rest[written..];
        }
    }
    Ok(filled)
}
