//! The way back from a ring that goes one way only.

use std::{io, os::fd::AsFd};

use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fd::OwnedFd;

use super::{Fault, Filled, ReadHalf, StepError, WriteHalf};
use crate::session::{Session, Woken};

/// As a source it has nothing, until the other direction has ended; as a sink nobody reads from it.
pub(super) struct Nothing {
    /// Never ready.
    event: OwnedFd,
}

impl Nothing {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Self { event })
    }
}

impl ReadHalf for Nothing {
    fn transfer(
        &mut self,
        _sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        while !session.other_ended() {
            match session.wait(self.event.as_fd(), PollFlags::IN) {
                Ok(Woken::Stopped) => return Err(StepError::Source(Fault::Stopped)),
                Ok(Woken::Tick | Woken::Ready) => {}
                Err(error) => return Err(StepError::Source(Fault::failed("wait", &error))),
            }
        }
        Ok(0)
    }

    fn has_more(&mut self) -> bool {
        false
    }

    fn stop(&mut self, _link: &Session) {}

    fn abort(&mut self) {}
}

impl WriteHalf for Nothing {
    fn write(&mut self, _data: &[u8], _link: &Session) -> Result<usize, Fault> {
        Err(Fault::NotReading)
    }

    fn write_with(
        &mut self,
        _fill: &mut dyn FnMut(&mut [u8]) -> Result<Filled, Fault>,
        _link: &Session,
    ) -> Result<Filled, StepError> {
        Err(StepError::Sink(Fault::NotReading))
    }

    fn check(&mut self) -> Result<(), Fault> {
        Err(Fault::NotReading)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn abort(&mut self, _code: u32) {}
}
