//! Writing to a descriptor.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use rustix::{
    event::PollFlags,
    io::{Errno, write},
    net::{Shutdown, shutdown, sockopt},
};

use super::{Descriptor, Kind};
use crate::{
    duplex::{Fault, Filled, StepError, WriteHalf, write_through},
    session::Session,
};

pub(super) struct DescriptorWriter {
    descriptor: Arc<Descriptor>,
    /// Room lent to a source; allocated only for sources that need it.
    buffer: Vec<u8>,
}

impl DescriptorWriter {
    pub(super) fn new(descriptor: Arc<Descriptor>) -> Self {
        Self {
            descriptor,
            buffer: Vec::new(),
        }
    }
}

impl WriteHalf for DescriptorWriter {
    fn write(&mut self, data: &[u8], session: &Session) -> Result<usize, Fault> {
        let descriptor = &*self.descriptor;
        loop {
            match write(descriptor.as_fd(), data) {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => {
                    descriptor.wait(PollFlags::OUT, session)?;
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(
                        descriptor.fault(format_args!("write to {}", descriptor.what), errno)
                    );
                }
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
        let descriptor = &*self.descriptor;
        if !descriptor.is_hung_up() {
            return Ok(());
        }
        if !descriptor.is_socket() {
            return Err(Fault::NotReading);
        }
        match sockopt::socket_error(descriptor.as_fd()) {
            Ok(Err(errno)) => Err(descriptor.fault("use the socket", errno)),
            _ if descriptor.kind == Kind::Tcp => Err(descriptor.lost("the connection was reset")),
            _ => Err(Fault::NotReading),
        }
    }

    fn output(&self) -> Option<io::Result<OwnedFd>> {
        let descriptor = &*self.descriptor;
        (descriptor.kind == Kind::Inherited).then(|| descriptor.as_fd().try_clone_to_owned())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let descriptor = &*self.descriptor;
        if !descriptor.is_socket() {
            // Dropping the last handle tells a pipe's reader.
            return Ok(());
        }
        descriptor.finished.store(true, SeqCst);
        match shutdown(descriptor.as_fd(), Shutdown::Write) {
            // The other end is gone altogether; the half that reads from it finds out why.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(errno) => Err(descriptor.fault("close the socket", errno)),
        }
    }

    fn abort(&mut self, _code: u32) {
        self.descriptor.abort();
    }
}
