//! rtrb: a ring between two threads of one process. What slipring would be without the border.

use std::{
    hint::spin_loop,
    io, slice,
    sync::{Mutex, PoisonError},
};

use ::rtrb::{Consumer, CopyToUninit, Producer, RingBuffer, chunks::WriteChunkUninit};

use slipring_bench::transport::{End, Link, Transport, in_place::Lend};

/// As much as a slipring stream has by default.
const CAPACITY: usize = 256 << 10;

#[derive(Default)]
pub struct Rtrb {
    /// what the host has made for its peer
    other: Mutex<Option<Rings>>,
}

pub struct Rings {
    producer: Producer<u8>,
    consumer: Consumer<u8>,
}

impl Transport for Rtrb {
    type Link = Rings;

    const THREADS: bool = true;

    fn open(&self, end: End) -> io::Result<Rings> {
        let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        if !end.host {
            return other
                .take()
                .ok_or_else(|| io::ErrorKind::NotConnected.into());
        }
        let (producer, there) = ring();
        let (back, consumer) = ring();
        *other = Some(Rings {
            producer: back,
            consumer: there,
        });
        Ok(Rings { producer, consumer })
    }
}

/// Every byte of which has been written once, so that it can be lent.
fn ring() -> (Producer<u8>, Consumer<u8>) {
    let (mut producer, mut consumer) = RingBuffer::new(CAPACITY);
    let zeros = vec![0; CAPACITY];
    let _ = producer.push_partial_slice(&zeros);
    let _ = consumer.pop_partial_slice(&mut vec![1; CAPACITY]);
    (producer, consumer)
}

impl Rings {
    fn room(&mut self, size: usize) -> WriteChunkUninit<'_, u8> {
        while self.producer.cached_slots() < size && self.producer.slots() < size {
            spin_loop();
        }
        let room = self.producer.write_chunk_uninit(size);
        room.expect("nobody else takes the room that there is")
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

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.consumer.pop_partial_slice(buffer).0.len();
            if length > 0 {
                return Ok(length);
            }
            spin_loop();
        }
    }

    fn send_batch(&mut self, messages: &[u8], size: usize) -> io::Result<()> {
        let mut room = self.room(messages.len());
        let (first, rest) = room.as_mut_slices();
        // The capacity is a multiple of the size, and so is what was sent before.
        let places = first
            .chunks_exact_mut(size)
            .chain(rest.chunks_exact_mut(size));
        for (message, place) in messages.chunks_exact(size).zip(places) {
            message.copy_to_uninit(place);
        }
        // SAFETY: all of it has been written.
        unsafe { room.commit_all() };
        Ok(())
    }
}

impl Lend for Rings {
    fn send_in_place(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let mut room = self.room(size);
        let (place, rest) = room.as_mut_slices();
        // The capacity is a multiple of the size, and so is what was sent before.
        assert!(rest.is_empty());
        let (start, length) = (place.as_mut_ptr().cast(), place.len());
        // SAFETY: the memory of `place`, which is not used otherwise meanwhile; `ring` has
        // initialised it.
        write(unsafe { slice::from_raw_parts_mut(start, length) });
        // SAFETY: initialised, as above.
        unsafe { room.commit_all() };
        Ok(())
    }

    fn receive_in_place(&mut self, size: usize, read: impl FnOnce(&[u8])) -> io::Result<()> {
        while self.consumer.cached_slots() < size && self.consumer.slots() < size {
            spin_loop();
        }
        let message = self.consumer.read_chunk(size).map_err(io::Error::other)?;
        read(message.as_slices().0);
        message.commit_all();
        Ok(())
    }
}
