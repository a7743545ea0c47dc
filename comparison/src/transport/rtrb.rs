//! rtrb: a ring between two threads of one process. What slipring would be without the border.

use std::{
    hint::spin_loop,
    io,
    sync::{Mutex, PoisonError},
};

use ::rtrb::{Consumer, Producer, RingBuffer};

use super::{Link, Place, Transport};

/// As much as a slipring stream has by default.
const CAPACITY: usize = 256 << 10;

#[derive(Default)]
pub struct Rtrb {
    /// what `host` has made for `connect`
    other: Mutex<Option<Rings>>,
}

pub struct Rings {
    producer: Producer<u8>,
    consumer: Consumer<u8>,
}

impl Transport for Rtrb {
    type Link = Rings;

    const THREADS: bool = true;

    fn host(&self, _place: &Place, _announce: impl FnOnce(&str) -> io::Result<()>) -> io::Result<Rings> {
        let (producer, there) = RingBuffer::new(CAPACITY);
        let (back, consumer) = RingBuffer::new(CAPACITY);
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rings {
            producer: back,
            consumer: there,
        });
        Ok(Rings { producer, consumer })
    }

    fn connect(&self, _place: &Place, _address: &str) -> io::Result<Rings> {
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner).take();
        other.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Link for Rings {
    fn send(&mut self, mut message: &[u8]) -> io::Result<()> {
        loop {
            message = self.producer.push_partial_slice(message).1;
            if message.is_empty() {
                return Ok(());
            }
            spin_loop();
        }
    }

    fn receive(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let length = self.receive_some(buffer)?;
            buffer = &mut buffer[length..];
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.consumer.pop_partial_slice(buffer).0.len();
            if length > 0 {
                return Ok(length);
            }
            spin_loop();
        }
    }
}
