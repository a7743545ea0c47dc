//! A transport whose messages are written where they are sent from and read where they have
//! arrived.

use std::io;

use super::{End, Link, Transport};

/// A link that lends its own memory.
pub trait Lend: Link {
    /// Lends room for a message of `size` bytes to be written, and sends it.
    fn send_in_place(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()>;

    /// Lends the next message, of `size` bytes, to be read.
    fn receive_in_place(&mut self, size: usize, read: impl FnOnce(&[u8])) -> io::Result<()>;
}

/// A transport whose links lend.
pub struct InPlace<T>(pub T);

/// A link that uses the memory that another link lends.
pub struct Lent<L>(L);

impl<T: Transport<Link: Lend>> Transport for InPlace<T> {
    type Link = Lent<T::Link>;

    const THREADS: bool = T::THREADS;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        self.0.open(end).map(Lent)
    }
}

impl<L: Lend> Link for Lent<L> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.send(message)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.0.receive(buffer)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive_some(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn send_with(&mut self, memory: &mut [u8], write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        self.0.send_in_place(memory.len(), write)
    }

    fn receive_with(&mut self, memory: &mut [u8], read: impl FnOnce(&[u8])) -> io::Result<()> {
        self.0.receive_in_place(memory.len(), read)
    }
}
