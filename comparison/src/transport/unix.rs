//! A Unix stream socket.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
};

use super::{Place, Transport, duplex::Duplex};

pub struct Unix;

impl Transport for Unix {
    type Link = Duplex<UnixStream, UnixStream>;

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let listener = UnixListener::bind(place.directory.join("socket"))?;
        announce("")?;
        both_ways(listener.accept()?.0)
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        both_ways(UnixStream::connect(place.directory.join("socket"))?)
    }
}

fn both_ways(socket: UnixStream) -> io::Result<Duplex<UnixStream, UnixStream>> {
    Ok(Duplex {
        reader: socket.try_clone()?,
        writer: socket,
    })
}
