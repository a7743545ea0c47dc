//! How two ends of a connection move bytes, each transport in a file of its own.

pub mod bare;
pub mod duplex;
pub mod eventfd;
pub mod futex;
pub mod in_place;
pub mod mmf;
pub mod pipe;
pub mod region;
pub mod shared_memory;
pub mod slipring;
pub mod tcp;
pub mod unix;

use std::{
    io::{self, Read, Write},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
};

use crate::channel;

/// One end of a connection.
pub trait Link {
    /// Sends a whole message: copies it in.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Lets all that was sent be received, if `send` does not.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Receives exactly as many bytes as the buffer holds: copies them out.
    #[inline]
    fn receive(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.receive_some(buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => buffer = &mut buffer[length..],
            }
        }
        Ok(())
    }

    /// Receives the bytes that are there, up to the buffer's size, or one message; 0 at the end.
    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends messages of `size` bytes that lie one after the other: one by one, but published
    /// together.
    fn send_batch(&mut self, messages: &[u8], size: usize) -> io::Result<()> {
        let _ = (messages, size);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets a message be written, and sends it. In memory of its own, if it is not overridden.
    fn send_with(&mut self, memory: &mut [u8], write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        write(memory);
        self.send(memory)
    }

    /// Lets a message be read that has been received. In memory of its own, if it is not
    /// overridden.
    fn receive_with(&mut self, memory: &mut [u8], read: impl FnOnce(&[u8])) -> io::Result<()> {
        self.receive(memory)?;
        read(memory);
        Ok(())
    }
}

/// Makes connections.
pub trait Transport: Send + Sync {
    /// One end of a connection.
    type Link: Link;

    /// The two ends are two threads of one process. The host opens first then.
    const THREADS: bool = false;

    /// Makes one end of a connection, while another process makes the other end.
    fn open(&self, end: End) -> io::Result<Self::Link>;
}

/// Which end of a connection is to be made, where, and for what.
pub struct End {
    /// Sends first; the other end answers or receives.
    pub host: bool,
    /// connected to the other end
    pub socket: UnixStream,
    /// bytes of a message
    pub size: usize,
    /// In memory, of this connection alone, and removed afterwards. There is none but for a
    /// contender that has asked for files.
    pub directory: PathBuf,
}

impl End {
    /// Waits until the other end has come here, too.
    pub fn meet(&self) -> io::Result<()> {
        (&self.socket).write_all(&[0])?;
        (&self.socket).read_exact(&mut [0])
    }

    /// Lets the host make something first, and the other end then.
    pub fn in_turn<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.host {
            self.meet()?;
        }
        let made = make()?;
        if self.host {
            self.meet()?;
        }
        Ok(made)
    }

    /// Tells the other end a text, which it has to `hear`.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        (&self.socket).write_all(&length.to_le_bytes())?;
        (&self.socket).write_all(text.as_bytes())
    }

    /// The text that the other end tells.
    pub fn hear(&self) -> io::Result<String> {
        let mut length = [0; 2];
        (&self.socket).read_exact(&mut length)?;
        let mut text = vec![0; u16::from_le_bytes(length).into()];
        (&self.socket).read_exact(&mut text)?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// Passes descriptors to the other end, which has to `take` as many.
    pub fn pass(&self, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel::send(&self.socket, &[0], descriptors)
    }

    /// The descriptors that the other end passes.
    pub fn take<const N: usize>(&self) -> io::Result<[OwnedFd; N]> {
        let taken = channel::receive(&self.socket, &mut [0])?;
        let taken = taken.ok_or(io::ErrorKind::UnexpectedEof)?;
        <[OwnedFd; N]>::try_from(taken).map_err(|wrong| {
            io::Error::other(format!("{} descriptors came instead of {N}", wrong.len()))
        })
    }
}
