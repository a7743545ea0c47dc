//! A slipring stream, all defaults but the spinning.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
};

use ::slipring::{Options, Reader, Spin, Writer};

use super::{Place, Transport, duplex::Duplex};

pub struct Slipring(pub Spin);

impl Slipring {
    fn upgrade(&self, socket: UnixStream) -> io::Result<Duplex<Reader, Writer>> {
        let stream = Options::new().spin(self.0).upgrade(socket)?;
        let (reader, writer) = stream.into_split();
        Ok(Duplex { reader, writer })
    }
}

impl Transport for Slipring {
    type Link = Duplex<Reader, Writer>;

    fn host(&self, place: &Place, announce: impl FnOnce(&str) -> io::Result<()>) -> io::Result<Self::Link> {
        let listener = UnixListener::bind(place.directory.join("socket"))?;
        announce("")?;
        self.upgrade(listener.accept()?.0)
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        self.upgrade(UnixStream::connect(place.directory.join("socket"))?)
    }
}
