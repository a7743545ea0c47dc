//! A pair of connected Unix stream sockets.

use std::{io, os::unix::net::UnixStream};

use super::{End, Transport, duplex::Duplex};

/// A Unix stream socket.
pub struct Unix;

impl Transport for Unix {
    type Link = Duplex<UnixStream, UnixStream>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        Ok(Duplex {
            reader: end.socket.try_clone()?,
            writer: end.socket,
        })
    }
}
