//! The ring that programs on .NET's `MemoryMappedFile` use, written straightforwardly: two indexes
//! side by side, then the data; a wait yields the processor.

use std::{io, thread::yield_now};

use slipring_bench::transport::{End, Link, Transport, shared_memory::SharedMemory};

/// Bytes ever consumed; written by the consumer.
const HEAD: usize = 0;
/// Bytes ever produced; written by the producer.
const TAIL: usize = 8;
const DATA: usize = 16;
/// As much data as a slipring stream has by default.
const CAPACITY: usize = 256 << 10;

pub struct PlainRing;

pub struct Rings {
    outbox: SharedMemory,
    inbox: SharedMemory,
}

impl Transport for PlainRing {
    type Link = Rings;

    fn open(&self, end: End) -> io::Result<Rings> {
        let [there, back] = [0; 2].map(|_| SharedMemory::open(&end, DATA + CAPACITY));
        let (outbox, inbox) = if end.host {
            (there?, back?)
        } else {
            (back?, there?)
        };
        Ok(Rings { outbox, inbox })
    }
}

impl Link for Rings {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let ring = &self.outbox;
        for part in message.chunks(CAPACITY) {
            let tail = ring.load(TAIL);
            while tail - ring.load(HEAD) + part.len() as u64 > CAPACITY as u64 {
                yield_now();
            }
            let start = (tail % CAPACITY as u64) as usize;
            let (first, rest) = part.split_at(part.len().min(CAPACITY - start));
            ring.copy_in(DATA + start, first);
            ring.copy_in(DATA, rest);
            ring.store(TAIL, tail + part.len() as u64);
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ring = &self.inbox;
        let head = ring.load(HEAD);
        let mut tail = ring.load(TAIL);
        while tail == head {
            yield_now();
            tail = ring.load(TAIL);
        }
        let length = buffer.len().min((tail - head) as usize);
        let start = (head % CAPACITY as u64) as usize;
        let (first, rest) = buffer[..length].split_at_mut(length.min(CAPACITY - start));
        ring.copy_out(DATA + start, first);
        ring.copy_out(DATA, rest);
        ring.store(HEAD, head + length as u64);
        Ok(length)
    }
}
