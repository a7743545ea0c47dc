//! Reading from a descriptor, right into the room that a sink lends.

use std::sync::Arc;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionread, read},
    net::{Shutdown, shutdown},
};

use super::{CHUNK, Descriptor, Kind};
use crate::{
    duplex::{Fault, Filled, ReadHalf, StepError, WriteHalf},
    session::{Session, Woken},
};

pub(super) struct DescriptorReader(Arc<Descriptor>);

impl DescriptorReader {
    pub(super) fn new(descriptor: Arc<Descriptor>) -> Self {
        Self(descriptor)
    }

    pub(super) fn read(&self, room: &mut [u8]) -> Result<Filled, Fault> {
        loop {
            return match read(self.0.as_fd(), &mut *room) {
                Ok(0) if self.0.is_reset() => Err(self.0.lost("the connection was reset")),
                Ok(0) => Ok(Filled::End),
                Ok(count) => Ok(Filled::Bytes(count)),
                Err(Errno::AGAIN) => Ok(Filled::Nothing),
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) if self.0.kind == Kind::Command => Ok(Filled::End),
                Err(errno) => Err(self.0.fault(format_args!("read {}", self.0.what), errno)),
            };
        }
    }

    /// TCP cannot say "I read no more" while the other way goes on. So that the peer does not get
    /// stuck sending, and never come to read what still flows to it, its bytes are taken and
    /// dropped until the other direction has ended too.
    fn discard(&self, session: &Session) {
        let mut bin = vec![0; CHUNK];
        while !session.other_ended() {
            match self.read(&mut bin) {
                Ok(Filled::Bytes(_)) => {}
                Ok(Filled::Nothing) if self.0.wait(PollFlags::IN, session).is_ok() => {}
                _ => return,
            }
        }
    }
}

impl ReadHalf for DescriptorReader {
    fn transfer(
        &mut self,
        sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        // A blocking descriptor is only read when it has something, so that nothing but the wait
        // can block here, and the wait can be ended. The others are tried first.
        let mut try_first = self.0.kind != Kind::Inherited;
        loop {
            if !try_first {
                match self
                    .0
                    .wait(PollFlags::IN, session)
                    .map_err(StepError::Source)?
                {
                    Woken::Ready => {}
                    Woken::Tick | Woken::Stopped => {
                        sink.check().map_err(StepError::Sink)?;
                        continue;
                    }
                }
            } else if session.is_stopped() {
                return Err(StepError::Source(Fault::Stopped));
            }
            try_first = false;
            match sink.write_with(&mut |room| self.read(room), session)? {
                Filled::Bytes(count) => return Ok(count),
                Filled::End => return Ok(0),
                Filled::Nothing => {}
            }
        }
    }

    fn has_more(&mut self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let readable = poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0);
        readable
            && match ioctl_fionread(self.0.as_fd()) {
                Ok(count) => count > 0,
                // A device, which only a read can ask. Nobody else waits for just this byte of it.
                Err(_) => matches!(self.read(&mut [0]), Ok(Filled::Bytes(_))),
            }
    }

    fn stop(&mut self, session: &Session) {
        match self.0.kind {
            // Dropping the last handle tells a pipe's writer; standard input stays as it is.
            Kind::Inherited | Kind::Pipe => {}
            Kind::Unix | Kind::Command => {
                let _ = shutdown(self.0.as_fd(), Shutdown::Read);
                // Nothing more can come; but closing with bytes unread would reset the connection,
                // after all that the peer has to read (`unix_release_sock` in Linux'
                // net/unix/af_unix.c).
                let mut bin = vec![0; CHUNK];
                while let Ok(Filled::Bytes(_)) = self.read(&mut bin) {}
            }
            Kind::Tcp => self.discard(session),
        }
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}
