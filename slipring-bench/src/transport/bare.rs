//! The bare exchange: a counter in shared memory, and the message beside it. Nothing that moves
//! messages between two processes, and copies them in and out, can do with less, whether it spins
//! or is woken.
//!
//! One message at a time: the next may be sent when the answer has come.

use std::{hint::spin_loop, io};

use super::{End, Link, Transport, shared_memory::SharedMemory};

/// Two cache lines: the processor may fetch them as a pair.
const LINE: usize = 128;

/// Bytes that a cache line has beside the counter.
pub const INSIDE: usize = 56;

/// The bare exchange that spins on the counter.
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
    fn wake(&self, memory: &SharedMemory, offset: usize) -> io::Result<()>;

    /// Waits until the counter at `offset` is no longer `seen`.
    fn wait(&self, memory: &SharedMemory, offset: usize, seen: u64) -> io::Result<()>;
}

/// Loads the counter again and again.
pub struct Spinning;

impl Wake for Spinning {
    fn wake(&self, _memory: &SharedMemory, _offset: usize) -> io::Result<()> {
        Ok(())
    }

    fn wait(&self, memory: &SharedMemory, offset: usize, seen: u64) -> io::Result<()> {
        while memory.load(offset) == seen {
            spin_loop();
        }
        Ok(())
    }
}

/// One end of a bare exchange.
pub struct Exchange<W> {
    memory: SharedMemory,
    outbox: usize,
    inbox: usize,
    /// from the counter to the message
    distance: usize,
    sent: u64,
    received: u64,
    wake: W,
}

impl Transport for Bare {
    type Link = Exchange<Spinning>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        Ok(Exchange {
            distance: match self {
                Bare::Beside => LINE,
                Bare::Inside => 8,
            },
            ..Exchange::open(&end, Spinning)?
        })
    }
}

impl<W> Exchange<W> {
    /// The two ends write to one half of the memory each.
    pub fn open(end: &End, wake: W) -> io::Result<Self> {
        let slot = LINE + end.size.next_multiple_of(LINE);
        let (outbox, inbox) = if end.host { (0, slot) } else { (slot, 0) };
        Ok(Exchange {
            memory: SharedMemory::open(end, 2 * slot)?,
            outbox,
            inbox,
            distance: LINE,
            sent: 0,
            received: 0,
            wake,
        })
    }
}

impl<W: Wake> Link for Exchange<W> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.memory.copy_in(self.outbox + self.distance, message);
        self.sent += 1;
        self.memory.store(self.outbox, self.sent);
        self.wake.wake(&self.memory, self.outbox)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.wake.wait(&self.memory, self.inbox, self.received)?;
        self.received += 1;
        self.memory.copy_out(self.inbox + self.distance, buffer);
        Ok(())
    }

    fn receive_some(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
