//! The ring of C# programs, one each way, with a given spinning at both ends: whoever waits polls.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use slipring::{
    Spin,
    mmf::{Reader, Writer},
};

use super::{Link, Transport, exactly, invite};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

/// As much data as a stream has by default, and the indexes.
const SIZE: u64 = (256 << 10) + 16;

/// How often a wait sees whether the other process is still there. No ring tells.
const LOOK_UP: Duration = Duration::from_millis(100);

pub struct Mmf {
    pub spin: Spin,
}

impl Mmf {
    /// Files without a name, in memory like those in `/dev/shm`, that nobody has to remove.
    fn ends(
        &self,
        incoming: &OwnedFd,
        outgoing: &OwnedFd,
        gone: &Arc<Gone>,
    ) -> Result<Rings, Failure> {
        let path = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut reader = Reader::open(path(incoming))?;
        let mut writer = Writer::open(path(outgoing))?;
        reader.set_spin(self.spin);
        writer.set_spin(self.spin);
        reader.set_timeout(Some(LOOK_UP))?;
        writer.set_timeout(Some(LOOK_UP))?;
        Ok(Rings {
            reader,
            writer,
            gone: Arc::clone(gone),
        })
    }
}

impl Transport for Mmf {
    type Link = Rings;

    fn open(&self, channel: &Channel, _size: usize, gone: &Arc<Gone>) -> Result<Rings, Failure> {
        let (incoming, outgoing) = (file()?, file()?);
        invite(channel, &[outgoing.as_fd(), incoming.as_fd()])?;
        self.ends(&incoming, &outgoing, gone)
    }

    fn join(&self, descriptors: Vec<OwnedFd>, _size: usize) -> Result<Rings, Failure> {
        let [incoming, outgoing] = exactly(descriptors)?;
        // Never set: the kernel ends this process with its parent.
        self.ends(&incoming, &outgoing, &Arc::default())
    }
}

fn file() -> io::Result<OwnedFd> {
    let file = memfd_create("bench-ring", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, SIZE)?;
    Ok(file)
}

pub struct Rings {
    reader: Reader,
    writer: Writer,
    gone: Arc<Gone>,
}

impl Rings {
    /// Whether to try again after this error.
    fn again(&self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock if !self.gone.is_set() => Ok(()),
            io::ErrorKind::WouldBlock => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Err(error),
        }
    }
}

impl Link for Rings {
    fn send(&mut self, mut message: &[u8]) -> io::Result<()> {
        while !message.is_empty() {
            match self.writer.write(message) {
                Ok(count) => message = &message[count..],
                Err(error) => self.again(error)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let count = self.receive_some(buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) => self.again(error)?,
            }
        }
    }
}
