//! TCP over the loopback interface, without Nagle's delay.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use super::{Place, Transport, duplex::Duplex};

pub struct Tcp;

impl Transport for Tcp {
    type Link = Duplex<TcpStream, TcpStream>;

    fn host(
        &self,
        _place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        announce(&listener.local_addr()?.to_string())?;
        both_ways(listener.accept()?.0)
    }

    fn connect(&self, _place: &Place, address: &str) -> io::Result<Self::Link> {
        both_ways(TcpStream::connect(address)?)
    }
}

fn both_ways(socket: TcpStream) -> io::Result<Duplex<TcpStream, TcpStream>> {
    socket.set_nodelay(true)?;
    Ok(Duplex {
        reader: socket.try_clone()?,
        writer: socket,
    })
}
