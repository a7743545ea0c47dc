//! What is compared, each in a file of its own.
//!
//! A new peer implements `Transport` and is listed in `contender/peers.rs`.

pub mod bare;
#[cfg(feature = "cloudtoid")]
pub mod cloudtoid;
#[cfg(feature = "tokio")]
pub mod crowd_on_tokio;
pub mod duplex;
pub mod eventfd;
pub mod futex;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx2;
pub mod in_place;
#[cfg(feature = "ipc-channel")]
pub mod ipc_channel;
pub mod memcpy;
#[cfg(feature = "tokio")]
pub mod on_tokio;
pub mod pipe;
pub mod plain_ring;
pub mod region;
#[cfg(feature = "ringfire")]
pub mod ringfire;
#[cfg(feature = "rtrb")]
pub mod rtrb;
pub mod shared_file;
#[cfg(feature = "shmipc")]
pub mod shmipc;
pub mod slipring;
pub mod small_reads;
#[cfg(feature = "tachyon")]
pub mod tachyon;
pub mod tcp;
pub mod unix;

use std::{io, path::PathBuf};

/// One end of a connection.
pub trait Link {
    /// Sends a whole message: copies it in.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Lets all that was sent be received, if `send` does not.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Receives exactly as much as the buffer holds: copies it out.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()>;

    /// Receives what there is, up to the buffer's size, or one message.
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

/// Where a connection is made, and for what.
pub struct Place {
    /// of this measurement alone, in memory, removed afterwards
    pub directory: PathBuf,
    /// bytes of a message
    pub size: usize,
}

pub trait Transport: Send + Sync {
    type Link: Link;

    /// The two ends are two threads of one process. `connect` comes after `host` then.
    const THREADS: bool = false;

    /// Makes one end. Announces, once it can be found, where; the other process is started then.
    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link>;

    /// Makes the other end, in the other process.
    fn connect(&self, place: &Place, address: &str) -> io::Result<Self::Link>;
}
