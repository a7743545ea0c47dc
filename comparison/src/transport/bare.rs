//! The bare exchange: both processes spin on a counter in shared memory, the message lies beside it.
//! Nothing that moves messages between two cores, and copies them in and out, can do with less.
//!
//! One message at a time: the next may be sent when the answer has come.

use std::{hint::spin_loop, io};

use super::{Link, Place, Transport, shared_file::SharedFile};

/// Two cache lines: the processor may fetch them as a pair.
const LINE: usize = 128;

/// Bytes that a cache line has beside the counter.
pub const INSIDE: usize = 56;

/// Where the message lies.
#[derive(Clone, Copy)]
pub enum Bare {
    /// in lines of its own
    Beside,
    /// in the counter's line
    Inside,
}

impl Bare {
    /// From the counter to the message.
    fn distance(self) -> usize {
        match self {
            Bare::Beside => LINE,
            Bare::Inside => 8,
        }
    }
}

pub struct Exchange {
    file: SharedFile,
    outbox: usize,
    inbox: usize,
    distance: usize,
    sent: u64,
    received: u64,
}

impl Transport for Bare {
    type Link = Exchange;

    fn host(&self, place: &Place, announce: impl FnOnce(&str) -> io::Result<()>) -> io::Result<Exchange> {
        let slot = LINE + place.size.next_multiple_of(LINE);
        let file = SharedFile::create(&place.directory.join("exchange"), 2 * slot)?;
        announce("")?;
        Ok(Exchange::new(file, 0, slot, self.distance()))
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Exchange> {
        let file = SharedFile::open(&place.directory.join("exchange"))?;
        let slot = file.len() / 2;
        Ok(Exchange::new(file, slot, 0, self.distance()))
    }
}

impl Exchange {
    fn new(file: SharedFile, outbox: usize, inbox: usize, distance: usize) -> Self {
        Exchange {
            file,
            outbox,
            inbox,
            distance,
            sent: 0,
            received: 0,
        }
    }
}

impl Link for Exchange {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.file.copy_in(self.outbox + self.distance, message);
        self.sent += 1;
        self.file.store(self.outbox, self.sent);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while self.file.load(self.inbox) == self.received {
            spin_loop();
        }
        self.received += 1;
        self.file.copy_out(self.inbox + self.distance, buffer);
        Ok(())
    }

    fn receive_some(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
