//! Throughput: both halves.
//!
//! The parent writes messages of the case's size until the time is up, and the peer notes the time
//! when it has read the last byte: what counts is what has arrived. The first byte of a message
//! tells whether it is the last one, so the peer needs no other message to know when to stop. In
//! the verification pass it also computes a checksum.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    channel::Channel,
    measurement::{Measurement, Slice},
    peer::Peer,
    transport::Link,
};
use crate::{failure::Failure, trial::clock};

const GO_ON: u8 = 0;
const LAST: u8 = 1;
/// The reader's buffer, if the messages are not larger.
const BUFFER: usize = 64 << 10;
/// The writer looks at the clock once per so many bytes.
const BETWEEN_LOOKS: usize = 4 << 10;
/// Bytes of the verification pass.
const VERIFIED: usize = 4 << 20;

/// To the peer: read until the last message.
#[derive(Serialize, Deserialize)]
struct Drain {
    checksum: bool,
}

/// From the peer: it is about to read.
#[derive(Serialize, Deserialize)]
struct Ready;

/// From the peer: it has read the last message, or met the end.
#[derive(Serialize, Deserialize)]
struct Drained {
    bytes: u64,
    checksum: u32,
    /// monotonic clock
    at: u64,
    cpu: u64,
}

pub struct Throughput<L> {
    // The order matters when dropped: this end of the link goes first, then the peer.
    link: L,
    peer: Peer,
    message: Vec<u8>,
}

impl<L: Link> Throughput<L> {
    pub fn new(link: L, peer: Peer, size: usize) -> Self {
        Throughput {
            link,
            peer,
            message: (0..size)
                .map(|index| (index * 7 + index / 256) as u8)
                .collect(),
        }
    }

    /// Gives an order and waits until the peer is about to read.
    fn order(&self, checksum: bool) -> Result<(), Failure> {
        self.peer.channel.send(&Drain { checksum })?;
        let Ready = self.hear()?;
        Ok(())
    }

    fn hear<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let report = self.peer.channel.receive()?;
        report.ok_or_else(|| Failure::failed("the peer process has ended"))
    }

    /// Waits until everything has been read.
    fn drained(&self, messages: u64) -> Result<Drained, Failure> {
        let drained: Drained = self.hear()?;
        let sent = messages * self.message.len() as u64;
        if drained.bytes == sent {
            Ok(drained)
        } else {
            Err(Failure::failed(format!(
                "{} of {sent} bytes were received",
                drained.bytes
            )))
        }
    }

    /// Every message different, and a checksum over all of them.
    fn verify(&mut self) -> Result<(), Failure> {
        let mut crc = crc32fast::Hasher::new();
        let messages = VERIFIED / self.message.len();
        self.order(true)?;
        for number in 1..=messages {
            self.message[0] = if number < messages { GO_ON } else { LAST };
            self.message[8..16].copy_from_slice(&number.to_le_bytes());
            crc.update(&self.message);
            self.link.send(&self.message)?;
        }
        if self.drained(messages as u64)?.checksum != crc.finalize() {
            return Err(Failure::failed("what was received is not what was sent"));
        }
        Ok(())
    }
}

impl<L: Link> Measurement for Throughput<L> {
    fn prepare(&mut self, slice: u64) -> Result<(), Failure> {
        self.verify()?;
        self.measure(slice / 10)?;
        Ok(())
    }

    fn measure(&mut self, slice: u64) -> Result<Slice, Failure> {
        let between_looks = (BETWEEN_LOOKS / self.message.len()).max(1);
        self.order(false)?;
        self.message[0] = GO_ON;
        let mut messages = 1;

        let cpu_before = clock::cpu();
        let start = clock::now();
        while clock::now() < start + slice {
            for _ in 0..between_looks {
                self.link.send(&self.message)?;
            }
            messages += between_looks as u64;
        }
        self.message[0] = LAST;
        self.link.send(&self.message)?;
        let cpu_here = clock::cpu() - cpu_before;

        let drained = self.drained(messages)?;
        Ok(Slice {
            wall: drained.at.saturating_sub(start).max(1),
            messages,
            bytes: drained.bytes,
            latency: None,
            cpu_here,
            cpu_there: drained.cpu,
        })
    }
}

/// The peer's half: until the parent hangs up.
pub fn serve<L: Link>(mut link: L, channel: &Channel, size: usize) -> Result<(), Failure> {
    let mut buffer = vec![0; size.max(BUFFER)];
    while let Some(drain) = channel.receive::<Drain>()? {
        channel.send(&Ready)?;
        let cpu_before = clock::cpu();
        let mut crc = crc32fast::Hasher::new();
        let mut messages = Messages::new(size);
        while !messages.complete() {
            let read = link.receive_some(&mut buffer)?;
            if read == 0 {
                break;
            }
            messages.add(&buffer[..read]);
            if drain.checksum {
                crc.update(&buffer[..read]);
            }
        }
        channel.send(&Drained {
            bytes: messages.bytes as u64,
            checksum: crc.finalize(),
            at: clock::now(),
            cpu: clock::cpu() - cpu_before,
        })?;
    }
    Ok(())
}

/// Follows where messages begin in the bytes that arrive, with a glance at the last one's first
/// byte only.
struct Messages {
    size: usize,
    bytes: usize,
    /// the first byte of the message that has begun last
    first: u8,
}

impl Messages {
    fn new(size: usize) -> Self {
        Messages {
            size,
            bytes: 0,
            first: GO_ON,
        }
    }

    fn add(&mut self, arrived: &[u8]) {
        let before = self.bytes;
        self.bytes += arrived.len();
        let last_start = (self.bytes - 1) / self.size * self.size;
        if last_start >= before {
            self.first = arrived[last_start - before];
        }
    }

    /// Whether the last message has arrived as a whole.
    fn complete(&self) -> bool {
        self.first == LAST && self.bytes.is_multiple_of(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_is_found_however_the_bytes_are_split() {
        const SIZE: usize = 16;
        let mut bytes = [7; 5 * SIZE];
        for message in bytes.chunks_exact_mut(SIZE) {
            message[0] = GO_ON;
        }
        bytes[4 * SIZE] = LAST;
        for part in 1..=bytes.len() {
            let mut messages = Messages::new(SIZE);
            let mut parts = bytes.chunks(part).peekable();
            while let Some(part) = parts.next() {
                assert!(!messages.complete());
                messages.add(part);
                assert_eq!(messages.complete(), parts.peek().is_none());
            }
        }
    }
}
