//! The bare exchange with a futex: a side sleeps in the kernel on the counter, and is woken at each
//! message.

use std::io;

use rustix::{
    io::Errno,
    thread::futex::{self, Flags},
};

use super::{
    End, Transport,
    bare::{Exchange, Wake},
    shared_memory::SharedMemory,
};

/// The bare exchange with a futex.
pub struct Futex;

/// Sleeps on the counter itself.
pub struct OnCounter;

impl Wake for OnCounter {
    fn wake(&self, memory: &SharedMemory, offset: usize) -> io::Result<()> {
        futex::wake(memory.low_half(offset), Flags::empty(), 1)?;
        Ok(())
    }

    fn wait(&self, memory: &SharedMemory, offset: usize, seen: u64) -> io::Result<()> {
        while memory.load(offset) == seen {
            // The kernel compares the low half, so it is cut off here, too.
            match futex::wait(memory.low_half(offset), Flags::empty(), seen as u32, None) {
                // It has moved meanwhile, or a signal came.
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Transport for Futex {
    type Link = Exchange<OnCounter>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        Exchange::open(&end, OnCounter)
    }
}
