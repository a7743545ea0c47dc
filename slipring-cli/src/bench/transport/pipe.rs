//! Two pipes, one for each direction.

use std::{
    fs::File,
    io::pipe,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use super::{Transport, duplex::Duplex, exactly, invite};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

pub struct Pipe;

impl Transport for Pipe {
    type Link = Duplex<File, File>;

    fn open(
        &self,
        channel: &Channel,
        _size: usize,
        _gone: &Arc<Gone>,
    ) -> Result<Self::Link, Failure> {
        let (reader_there, writer) = pipe()?;
        let (reader, writer_there) = pipe()?;
        invite(channel, &[reader_there.as_fd(), writer_there.as_fd()])?;
        Ok(Duplex {
            reader: File::from(OwnedFd::from(reader)),
            writer: File::from(OwnedFd::from(writer)),
        })
    }

    fn join(&self, descriptors: Vec<OwnedFd>, _size: usize) -> Result<Self::Link, Failure> {
        let [reader, writer] = exactly(descriptors)?;
        Ok(Duplex {
            reader: File::from(reader),
            writer: File::from(writer),
        })
    }
}
