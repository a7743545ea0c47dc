//! The bare exchange with a futex: the kernel puts to sleep on the counter who waits, and wakes him
//! at each message.

use std::io;

use rustix::{
    io::Errno,
    thread::futex::{self, Flags},
};

use super::{
    Place, Transport,
    bare::{Exchange, Wake},
    shared_file::SharedFile,
};

pub struct Futex;

pub struct OnCounter;

impl Wake for OnCounter {
    fn wake(&self, file: &SharedFile, offset: usize) -> io::Result<()> {
        futex::wake(file.low_half(offset), Flags::empty(), 1)?;
        Ok(())
    }

    fn wait(&self, file: &SharedFile, offset: usize, seen: u64) -> io::Result<()> {
        while file.load(offset) == seen {
            // The low half is what the kernel compares, so it is cut off here, too.
            match futex::wait(file.low_half(offset), Flags::empty(), seen as u32, None) {
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

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let file = Self::Link::create(place)?;
        announce("")?;
        Ok(Exchange::host(file, OnCounter))
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        Exchange::connect(place, OnCounter)
    }
}
