//! The shared region: one core writes, the other reads, with as little synchronisation as there can
//! be. A circle of slots, each published when it is full, whatever the size of the messages, by a
//! number beside it; the reader says how many it has read, in a file of its own, so that it need
//! not be able to write to the slots. Small messages are gathered in the writer's cache first: many
//! short copies into lines that the other core has would take longer than one long copy. Nobody
//! sleeps, ends, or is checked.
//!
//! A limit for streams, not a transport: only the host sends.

use std::{hint::spin_loop, io, mem, ops::Range};

use super::{End, Link, Transport, in_place::Lend, shared_memory::SharedMemory};

/// Two cache lines: the processor may fetch them as a pair.
const LINE: usize = 128;
/// Of a slot, before its bytes: which one it is, counted from 1, and how many bytes it has.
const NUMBER: usize = 0;
const LENGTH: usize = 8;

/// Bytes of a slot. Of 8 to 64 KiB the most was as fast as any, with small messages and with large
/// ones.
const ROOM: usize = 64 << 10;
/// Together as many bytes as a slipring stream has by default.
const SLOTS: usize = 4;

/// Messages shorter than this are gathered until they are as long together.
const GATHERED: usize = 16 << 10;

/// The shared region, by how the reader maps the slots.
#[derive(Clone, Copy)]
pub enum Region {
    /// as the writer does
    Writable,
    /// for reading alone, as slipring's rings are
    ReadOnly,
}

/// One end of a shared region.
pub struct Circle {
    /// written by the writer
    slots: SharedMemory,
    /// how many of them the reader is done with: written by the reader
    progress: SharedMemory,
    /// slots that are written, or read
    number: u64,
    /// bytes of the next one that are written, or read
    filled: usize,
    /// slots that the reader is done with, as last heard
    done: u64,
    gathered: Box<[u8]>,
    /// bytes of it that are to be written
    waiting: usize,
}

impl Transport for Region {
    type Link = Circle;

    fn open(&self, end: End) -> io::Result<Circle> {
        let open = match self {
            Region::Writable => SharedMemory::open,
            Region::ReadOnly => SharedMemory::open_one_way,
        };
        Ok(Circle {
            slots: open(&end, SLOTS * (LINE + ROOM))?,
            progress: SharedMemory::open(&end, LINE)?,
            number: 0,
            filled: 0,
            done: 0,
            gathered: vec![0; GATHERED].into(),
            waiting: 0,
        })
    }
}

/// Copies as programs do that know the size of their messages: the smallest without a call.
#[inline(always)]
pub fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        8 => to[..8].copy_from_slice(&from[..8]),
        64 => to[..64].copy_from_slice(&from[..64]),
        _ => to.copy_from_slice(from),
    }
}

impl Circle {
    fn slot(&self) -> usize {
        (self.number % SLOTS as u64) as usize * (LINE + ROOM)
    }

    /// The next slot has these bytes.
    fn publish(&mut self) {
        let slot = self.slot();
        self.slots.store(slot + LENGTH, self.filled as u64);
        self.number += 1;
        self.slots.store(slot + NUMBER, self.number);
        self.filled = 0;
    }

    /// Waits for the next slot; where those of its bytes lie that have not been read.
    fn arrived(&self) -> Range<usize> {
        let slot = self.slot();
        while self.slots.load(slot + NUMBER) != self.number + 1 {
            spin_loop();
        }
        let start = slot + LINE;
        start + self.filled..start + self.slots.load(slot + LENGTH) as usize
    }

    /// `size` more of these bytes have been read.
    fn read(&mut self, size: usize, bytes: Range<usize>) {
        self.filled += size;
        if size < bytes.len() {
            return;
        }
        self.number += 1;
        self.filled = 0;
        self.progress.store(0, self.number);
    }

    /// Waits for room in a slot; where it is.
    fn room(&mut self) -> usize {
        if self.filled == 0 {
            while self.number - self.done == SLOTS as u64 {
                spin_loop();
                self.done = self.progress.load(0);
            }
        }
        self.slot() + LINE + self.filled
    }

    /// `size` bytes of the room are used.
    fn written(&mut self, size: usize) {
        self.filled += size;
        if self.filled == ROOM {
            self.publish();
        }
    }

    fn write(&mut self, mut message: &[u8]) {
        while !message.is_empty() {
            let place = self.room();
            let (part, rest) = message.split_at(message.len().min(ROOM - self.filled));
            self.slots.copy_in(place, part);
            self.written(part.len());
            message = rest;
        }
    }

    fn write_gathered(&mut self) {
        let gathered = mem::take(&mut self.gathered);
        self.write(&gathered[..self.waiting]);
        self.gathered = gathered;
        self.waiting = 0;
    }

    /// Everything that is more than a short copy into the cache.
    #[inline(never)]
    fn send_rest(&mut self, message: &[u8]) {
        self.write_gathered();
        if message.len() < GATHERED {
            self.gathered[..message.len()].copy_from_slice(message);
            self.waiting = message.len();
        } else {
            self.write(message);
        }
    }
}

impl Link for Circle {
    #[inline(always)]
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let end = self.waiting + message.len();
        match self.gathered.get_mut(self.waiting..end) {
            Some(place) if message.len() < GATHERED => {
                copy(message, place);
                self.waiting = end;
            }
            _ => self.send_rest(message),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_gathered();
        if self.filled > 0 {
            self.publish();
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.arrived();
        let length = buffer.len().min(bytes.len());
        self.slots.copy_out(bytes.start, &mut buffer[..length]);
        self.read(length, bytes);
        Ok(length)
    }

    fn send_batch(&mut self, messages: &[u8], size: usize) -> io::Result<()> {
        messages
            .chunks_exact(size)
            .try_for_each(|message| self.send(message))
    }
}

impl Lend for Circle {
    fn send_in_place(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let place = self.room();
        write(self.slots.lend_mut(place, size));
        self.written(size);
        Ok(())
    }

    fn receive_in_place(&mut self, size: usize, read: impl FnOnce(&[u8])) -> io::Result<()> {
        let bytes = self.arrived();
        read(self.slots.lend(bytes.start, size));
        self.read(size, bytes);
        Ok(())
    }
}
