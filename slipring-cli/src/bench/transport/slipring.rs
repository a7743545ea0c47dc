//! A slipring stream with a given spinning and capacity at both ends.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use ::slipring::{Options, Reader, Spin, Stream, Writer};

use super::{Transport, duplex::Duplex, exactly, invite};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
    options::PEER_CAPACITY,
};

pub struct Slipring {
    pub spin: Spin,
    /// of each ring, in bytes; `None`: the default
    pub capacity: Option<usize>,
}

impl Slipring {
    /// A stream like any other, but made of a pair of sockets: a name for each would leave its lock
    /// file behind.
    fn upgrade(&self, socket: UnixStream) -> Result<Duplex<Reader, Writer>, Failure> {
        let mut options = Options::new()
            .protocol("slipring-bench/1")
            .spin(self.spin)
            .max_peer_capacity(PEER_CAPACITY);
        if let Some(bytes) = self.capacity {
            options = options.capacity(bytes);
        }
        let stream: Stream = options.upgrade(socket)?;
        let (reader, writer) = stream.into_split();
        Ok(Duplex { reader, writer })
    }
}

impl Transport for Slipring {
    type Link = Duplex<Reader, Writer>;

    fn open(
        &self,
        channel: &Channel,
        _size: usize,
        _gone: &Arc<Gone>,
    ) -> Result<Self::Link, Failure> {
        let (here, there) = UnixStream::pair()?;
        invite(channel, &[there.as_fd()])?;
        // The only other end has to be the peer's, or its death would go unnoticed.
        drop(there);
        self.upgrade(here)
    }

    fn join(&self, descriptors: Vec<OwnedFd>, _size: usize) -> Result<Self::Link, Failure> {
        let [socket] = exactly(descriptors)?;
        self.upgrade(UnixStream::from(socket))
    }
}
