//! The ring of C# programs, one each way, with a given spinning at both ends: a wait polls.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use ::slipring::{
    Spin,
    mmf::{Reader, Writer},
};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::{End, Transport, duplex::Duplex};

/// As many bytes of data as a stream has by default, and the indexes.
const SIZE: u64 = (256 << 10) + 16;

/// The ring of C# programs.
pub struct Mmf {
    /// of both ends
    pub spin: Spin,
}

impl Transport for Mmf {
    type Link = Duplex<Reader, Writer>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        let [incoming, outgoing] = if end.host {
            let files = [file()?, file()?];
            end.pass(&[files[1].as_fd(), files[0].as_fd()])?;
            files
        } else {
            end.take()?
        };
        // Files without a name, in memory like those in `/dev/shm`, that nobody has to remove.
        let path = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut reader = Reader::open(path(&incoming)).map_err(io::Error::other)?;
        let mut writer = Writer::open(path(&outgoing)).map_err(io::Error::other)?;
        reader.set_spin(self.spin);
        writer.set_spin(self.spin);
        Ok(Duplex { reader, writer })
    }
}

fn file() -> io::Result<OwnedFd> {
    let file = memfd_create("bench-ring", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, SIZE)?;
    Ok(file)
}
