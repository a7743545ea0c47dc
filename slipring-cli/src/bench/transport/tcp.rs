//! A TCP connection over the loopback interface, without Nagle's delay.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use super::{Transport, duplex::Duplex, exactly, invite};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

pub struct Tcp;

impl Transport for Tcp {
    type Link = Duplex<TcpStream, TcpStream>;

    fn open(
        &self,
        channel: &Channel,
        _size: usize,
        _gone: &Arc<Gone>,
    ) -> Result<Self::Link, Failure> {
        // Both ends are made here, where connecting cannot go wrong half way.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let there = TcpStream::connect(listener.local_addr()?)?;
        let (here, from) = listener.accept()?;
        if from != there.local_addr()? {
            return Err(Failure::failed(format!(
                "{from} connected to the benchmark"
            )));
        }
        invite(channel, &[there.as_fd()])?;
        Ok(both_ways(here)?)
    }

    fn join(&self, descriptors: Vec<OwnedFd>, _size: usize) -> Result<Self::Link, Failure> {
        let [socket] = exactly(descriptors)?;
        Ok(both_ways(TcpStream::from(socket))?)
    }
}

fn both_ways(socket: TcpStream) -> io::Result<Duplex<TcpStream, TcpStream>> {
    socket.set_nodelay(true)?;
    Ok(Duplex {
        reader: socket.try_clone()?,
        writer: socket,
    })
}
