//! The bare exchange: a counter in shared memory, and the message beside it. Nothing that moves
//! messages between two processes, and copies them in and out, can do with less, whether it spins
//! or is woken.
//!
//! One message at a time: the next may be sent when the answer has come.

use std::{hint::spin_loop, io};

use super::{Link, Place, Transport, shared_file::SharedFile};

/// Two cache lines: the processor may fetch them as a pair.
const LINE: usize = 128;

/// Bytes that a cache line has beside the counter.
pub const INSIDE: usize = 56;

/// Spins on the counter.
#[derive(Clone, Copy)]
pub enum Bare {
    /// The message lies in lines of its own.
    Beside,
    /// The message lies in the counter's line.
    Inside,
}

/// How one side learns that the other's counter has moved.
pub trait Wake {
    /// The counter at `offset` has moved.
    fn wake(&self, file: &SharedFile, offset: usize) -> io::Result<()>;

    /// Waits until the counter at `offset` is no longer `seen`.
    fn wait(&self, file: &SharedFile, offset: usize, seen: u64) -> io::Result<()>;
}

pub struct Spinning;

impl Wake for Spinning {
    fn wake(&self, _file: &SharedFile, _offset: usize) -> io::Result<()> {
        Ok(())
    }

    fn wait(&self, file: &SharedFile, offset: usize, seen: u64) -> io::Result<()> {
        while file.load(offset) == seen {
            spin_loop();
        }
        Ok(())
    }
}

pub struct Exchange<W> {
    file: SharedFile,
    outbox: usize,
    inbox: usize,
    /// from the counter to the message
    distance: usize,
    sent: u64,
    received: u64,
    wake: W,
}

impl Bare {
    fn distance(self) -> usize {
        match self {
            Bare::Beside => LINE,
            Bare::Inside => 8,
        }
    }
}

impl Transport for Bare {
    type Link = Exchange<Spinning>;

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let file = Exchange::<Spinning>::create(place)?;
        announce("")?;
        Ok(Exchange {
            distance: self.distance(),
            ..Exchange::host(file, Spinning)
        })
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        Ok(Exchange {
            distance: self.distance(),
            ..Exchange::connect(place, Spinning)?
        })
    }
}

impl<W> Exchange<W> {
    pub fn create(place: &Place) -> io::Result<SharedFile> {
        let slot = LINE + place.size.next_multiple_of(LINE);
        SharedFile::create(&place.directory.join("exchange"), 2 * slot)
    }

    pub fn host(file: SharedFile, wake: W) -> Self {
        let slot = file.len() / 2;
        Exchange::new(file, 0, slot, wake)
    }

    pub fn connect(place: &Place, wake: W) -> io::Result<Self> {
        let file = SharedFile::open(&place.directory.join("exchange"))?;
        let slot = file.len() / 2;
        Ok(Exchange::new(file, slot, 0, wake))
    }

    fn new(file: SharedFile, outbox: usize, inbox: usize, wake: W) -> Self {
        Exchange {
            file,
            outbox,
            inbox,
            distance: LINE,
            sent: 0,
            received: 0,
            wake,
        }
    }
}

impl<W: Wake> Link for Exchange<W> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.file.copy_in(self.outbox + self.distance, message);
        self.sent += 1;
        self.file.store(self.outbox, self.sent);
        self.wake.wake(&self.file, self.outbox)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.wake.wait(&self.file, self.inbox, self.received)?;
        self.received += 1;
        self.file.copy_out(self.inbox + self.distance, buffer);
        Ok(())
    }

    fn receive_some(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
