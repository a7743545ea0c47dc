//! A pair of connected Unix stream sockets.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use super::{Transport, duplex::Duplex, exactly, invite};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

pub struct Unix;

impl Transport for Unix {
    type Link = Duplex<UnixStream, UnixStream>;

    fn open(
        &self,
        channel: &Channel,
        _size: usize,
        _gone: &Arc<Gone>,
    ) -> Result<Self::Link, Failure> {
        let (here, there) = UnixStream::pair()?;
        invite(channel, &[there.as_fd()])?;
        Ok(both_ways(here)?)
    }

    fn join(&self, descriptors: Vec<OwnedFd>, _size: usize) -> Result<Self::Link, Failure> {
        let [socket] = exactly(descriptors)?;
        Ok(both_ways(UnixStream::from(socket))?)
    }
}

fn both_ways(socket: UnixStream) -> io::Result<Duplex<UnixStream, UnixStream>> {
    Ok(Duplex {
        reader: socket.try_clone()?,
        writer: socket,
    })
}
