//! The rings of C# programs, which have no end and no doorbell.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use slipring::mmf::{Reader, Writer};

use super::{Duplex, Fault, Filled, ReadHalf, StepError, WriteHalf, null::Nothing, write_through};
use crate::session::Session;

/// How often a wait sees whether it is to stop, and whether its sink is still there: nobody could
/// wake it.
const LOOK_UP: Duration = Duration::from_millis(100);

impl Duplex {
    /// One ring each way; without one, that direction carries nothing.
    pub fn mmf(reader: Option<Reader>, writer: Option<Writer>) -> io::Result<Self> {
        let paths: Vec<String> = [
            reader.as_ref().map(Reader::path),
            writer.as_ref().map(Writer::path),
        ]
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string())
        .collect();
        let reader: Box<dyn ReadHalf> = match reader {
            Some(mut reader) => {
                reader.set_timeout(Some(LOOK_UP))?;
                Box::new(MmfReader(reader))
            }
            None => Box::new(Nothing::new()?),
        };
        let writer: Box<dyn WriteHalf> = match writer {
            Some(mut writer) => {
                writer.set_timeout(Some(LOOK_UP))?;
                Box::new(MmfWriter {
                    // So that the other side can empty one half while the other is filled.
                    part: (writer.capacity() / 2).max(1),
                    writer,
                    buffer: Vec::new(),
                })
            }
            None => Box::new(Nothing::new()?),
        };
        Ok(Self {
            reader,
            writer,
            closer: None,
            peer: format!("the program that uses {}", paths.join(" and ")),
        })
    }
}

struct MmfReader(Reader);

impl ReadHalf for MmfReader {
    fn transfer(
        &mut self,
        sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        loop {
            match self.0.fill_buf() {
                Ok(data) => {
                    let count = sink.write(data, session).map_err(StepError::Sink)?;
                    self.0.consume(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if session.is_stopped() {
                        return Err(StepError::Source(Fault::Stopped));
                    }
                    sink.check().map_err(StepError::Sink)?;
                }
                Err(error) => {
                    return Err(StepError::Source(Fault::failed(
                        "read from the ring",
                        &error,
                    )));
                }
            }
        }
    }

    fn has_more(&mut self) -> bool {
        self.0.available().is_ok_and(|bytes| bytes > 0)
    }

    /// There is no way to say so in this ring: it stays full.
    fn stop(&mut self, _link: &Session) {}

    fn abort(&mut self) {}
}

struct MmfWriter {
    writer: Writer,
    /// The most that is written at once.
    part: usize,
    /// Room lent to a source; allocated only for sources that need it.
    buffer: Vec<u8>,
}

impl WriteHalf for MmfWriter {
    fn write(&mut self, data: &[u8], session: &Session) -> Result<usize, Fault> {
        let part = &data[..data.len().min(self.part)];
        loop {
            match self.writer.write(part) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if session.is_stopped() {
                        return Err(Fault::Stopped);
                    }
                }
                Err(error) => return Err(Fault::failed("write to the ring", &error)),
            }
        }
    }

    fn write_with(
        &mut self,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
        session: &Session,
    ) -> Result<Filled, StepError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let filled = write_through(self, &mut buffer, fill, session);
        self.buffer = buffer;
        filled
    }

    fn check(&mut self) -> Result<(), Fault> {
        match self.writer.space() {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::failed("write to the ring", &error)),
        }
    }

    /// This ring has no end: its reader waits for more.
    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn abort(&mut self, _code: u32) {}
}
