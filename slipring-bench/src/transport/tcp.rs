//! TCP over the loopback interface, without Nagle's delay.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use super::{End, Transport, duplex::Duplex};

/// A TCP connection over the loopback interface.
pub struct Tcp;

impl Transport for Tcp {
    type Link = Duplex<TcpStream, TcpStream>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        let socket = if end.host {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            end.tell(&listener.local_addr()?.to_string())?;
            let expected = end.hear()?;
            let (socket, from) = listener.accept()?;
            if from.to_string() != expected {
                return Err(io::Error::other(format!(
                    "{from} connected to the benchmark"
                )));
            }
            socket
        } else {
            let socket = TcpStream::connect(end.hear()?)?;
            end.tell(&socket.local_addr()?.to_string())?;
            socket
        };
        socket.set_nodelay(true)?;
        Ok(Duplex {
            reader: socket.try_clone()?,
            writer: socket,
        })
    }
}
