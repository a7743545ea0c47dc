//! The halves of a shared-memory stream.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use slipring::{End, EndReason, Reader, Stream, Writer};

use super::{Duplex, Fault, Filled, ReadHalf, StepError, WriteHalf};
use crate::session::Session;

/// The most that is lent to a source at once. More gains nothing, and keeps the peer waiting.
const CHUNK: usize = 64 << 10;

/// How often a writer that waits for room sees whether it is to stop. Waking it by closing the
/// stream would not do: the peer would take that for a clean end.
const LOOK_UP: Duration = Duration::from_millis(100);

impl Duplex {
    pub fn slip(stream: Stream) -> Self {
        let peer = match stream.peer().pid {
            Some(pid) => format!("process {pid} of user {}", stream.peer().uid),
            None => format!("a process of user {}", stream.peer().uid),
        };
        let closer = stream.closer();
        let (reader, mut writer) = stream.into_split();
        // Only a timeout of zero is refused.
        let _ = writer.set_timeout(Some(LOOK_UP));
        Self {
            reader: Box::new(SlipReader { reader }),
            writer: Box::new(SlipWriter { writer }),
            closer: Some(closer),
            peer,
        }
    }
}

struct SlipReader {
    reader: Reader,
}

impl SlipReader {
    /// Why nothing more comes; `Ok` if the peer finished.
    fn ending(&self, error: Option<&io::Error>) -> Result<(), Fault> {
        match (self.reader.end(), error) {
            (
                Some(End {
                    reason: EndReason::Finished,
                    ..
                }),
                _,
            )
            | (None, None) => Ok(()),
            (Some(end), _) => Err(fault(end, "had arrived")),
            (None, Some(error)) => Err(Fault::failed("read from the stream", error)),
        }
    }
}

impl ReadHalf for SlipReader {
    fn transfer(
        &mut self,
        sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return self.ending(None).map(|()| 0).map_err(StepError::Source),
                Ok(data) => {
                    let count = sink.write(data, session).map_err(StepError::Sink)?;
                    self.reader.consume(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return self
                        .ending(Some(&error))
                        .map(|()| 0)
                        .map_err(StepError::Source);
                }
            }
        }
    }

    fn stop(&mut self, _link: &Session) {
        self.reader.shutdown();
    }

    fn abort(&mut self) {
        self.reader.shutdown();
    }
}

struct SlipWriter {
    writer: Writer,
}

impl SlipWriter {
    /// The consequence of an error for the caller; `Ok` if it is to try again.
    fn again(&self, error: &io::Error, session: &Session) -> Result<(), Fault> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock if session.is_stopped() => Err(Fault::Stopped),
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(self.fault(error)),
        }
    }

    fn fault(&self, error: &io::Error) -> Fault {
        match self.writer.end() {
            Some(end) => fault(end, "had been sent"),
            None if error.kind() == io::ErrorKind::BrokenPipe => Fault::NotReading,
            None => Fault::failed("write to the stream", error),
        }
    }
}

impl WriteHalf for SlipWriter {
    fn write(&mut self, data: &[u8], session: &Session) -> Result<usize, Fault> {
        loop {
            match self.writer.write(data) {
                Ok(count) => return Ok(count),
                Err(error) => self.again(&error, session)?,
            }
        }
    }

    fn write_with(
        &mut self,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
        session: &Session,
    ) -> Result<Filled, StepError> {
        // A quarter of the ring at most, which grows if that is too little: asking for all of it
        // would wait until the peer has drained it, so that the two sides would take turns instead
        // of working side by side.
        let mut chunk = CHUNK.min(self.writer.capacity() / 4).max(1);
        loop {
            match self.writer.reserve(chunk) {
                Ok(mut grant) => {
                    let filled = fill(&mut grant).map_err(StepError::Source)?;
                    if let Filled::Bytes(count) = filled {
                        grant.commit(count);
                    }
                    return Ok(filled);
                }
                // The peer waits for more bytes than are in the ring, and we for more room. Less
                // room suffices for us, and filling it may be just what the peer needs.
                Err(error) if error.kind() == io::ErrorKind::Deadlock => {
                    let room = self
                        .writer
                        .space()
                        .map_err(|error| StepError::Sink(self.fault(&error)))?;
                    chunk = chunk.min(room.max(1));
                }
                Err(error) => self.again(&error, session).map_err(StepError::Sink)?,
            }
        }
    }

    fn check(&mut self) -> Result<(), Fault> {
        match self.writer.space() {
            Err(error) => Err(self.fault(&error)),
            Ok(_) => match self.writer.end() {
                Some(end) => Err(fault(end, "had been sent")),
                None => Ok(()),
            },
        }
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.writer.finish().map_err(|error| self.fault(&error))
    }

    fn abort(&mut self, code: u32) {
        self.writer.abort(code);
    }
}

/// Puts the end of a direction into words. `bytes_did` completes "N bytes ...".
fn fault(
    End {
        reason, position, ..
    }: End,
    bytes_did: &str,
) -> Fault {
    let lost = |what: &str, code| Fault::Lost {
        why: format!("{what} after {position} bytes {bytes_did}"),
        code,
    };
    match reason {
        EndReason::Finished | EndReason::ReaderGone => Fault::NotReading,
        EndReason::Closed => Fault::Stopped,
        EndReason::Aborted { code } => lost(&format!("it aborted with code {code}"), Some(code)),
        EndReason::PeerDied => lost("it died, or left without closing the stream,", None),
        EndReason::Corrupt => lost("it damaged the shared memory", None),
        EndReason::Rejected => lost("it found the shared memory damaged and gave up", None),
        other => lost(
            &format!("it ended in a way unknown to this version ({other:?})"),
            None,
        ),
    }
}
