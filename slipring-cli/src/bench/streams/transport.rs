//! The transports, on tokio: what is made of a connected Unix socket.

use std::{future::Future, io, time::Duration};

use ::slipring::Options;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::options::PEER_CAPACITY;

pub trait Transport: Clone + Send + 'static {
    type Reader: AsyncRead + Unpin + Send + 'static;
    type Writer: AsyncWrite + Unpin + Send + 'static;

    /// Makes one end of a connection; the other process does the same with the other end of the
    /// socket.
    fn open(
        &self,
        socket: UnixStream,
    ) -> impl Future<Output = io::Result<(Self::Reader, Self::Writer)>> + Send;
}

#[derive(Clone)]
pub struct Unix;

impl Transport for Unix {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    async fn open(&self, socket: UnixStream) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
        Ok(socket.into_split())
    }
}

#[derive(Clone)]
pub struct Slipring {
    pub poll_spin: Duration,
    /// of each ring, in bytes
    pub capacity: usize,
}

impl Transport for Slipring {
    type Reader = ::slipring::tokio::Reader;
    type Writer = ::slipring::tokio::Writer;

    async fn open(&self, socket: UnixStream) -> io::Result<(Self::Reader, Self::Writer)> {
        let options = Options::new()
            .protocol("slipring-bench/1")
            .capacity(self.capacity)
            .max_peer_capacity(PEER_CAPACITY)
            .poll_spin(self.poll_spin);
        let stream = ::slipring::tokio::Stream::upgrade_with(&options, socket).await?;
        Ok(stream.into_split())
    }
}
