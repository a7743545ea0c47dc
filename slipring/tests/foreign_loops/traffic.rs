//! The messages that are sent through the loops, and the counting of wake-ups.

use crate::loops::Foreign;
use slipring::{Reader, Readiness, Stream, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// A message is its own number.
const SIZE: usize = 8;

/// One side of a flow in both directions at once.
pub struct Side {
    reader: Reader,
    writer: Writer,
    messages: u64,
    sent: u64,
    received: u64,
    count: Count,
}

/// The counts of one side.
#[derive(Default)]
pub struct Count {
    pub wakes: u64,
    pub writes: u64,
    pub reads: u64,
}

impl Side {
    pub fn new(stream: Stream, messages: u64) -> Side {
        let (reader, writer) = stream.into_split();
        Side {
            reader,
            writer,
            messages,
            sent: 0,
            received: 0,
            count: Count::default(),
        }
    }

    /// Sends and receives everything, and ends when the other side has as well.
    pub fn run(mut self, wait: &mut impl Foreign) -> Count {
        let mut ended = false;
        while !ended {
            self.write();
            ended = self.read();
            if ended {
                break;
            }
            let reading = self.reader.arm(SIZE).unwrap();
            // As `write` leaves it: whole messages only.
            let writing = (self.sent < self.messages).then(|| self.writer.arm(SIZE).unwrap());
            if reading == Readiness::Ready || writing == Some(Readiness::Ready) {
                continue;
            }
            let halves: [&dyn AsFd; 2] = [&self.reader, &self.writer];
            wait.wait(&halves[..1 + usize::from(writing.is_some())]);
            self.count.wakes += 1;
        }
        assert_eq!(self.received, self.messages);
        while self.sent < self.messages {
            self.write();
            if self.sent < self.messages && self.writer.arm(SIZE).unwrap() == Readiness::Pending {
                wait.wait(&[&self.writer]);
                self.count.wakes += 1;
            }
        }
        self.count
    }

    /// Writes for as long as there is room for a message, in bursts of uneven length.
    fn write(&mut self) {
        while self.sent < self.messages {
            let burst = (self.sent % 37 + 1).min(self.messages - self.sent) as usize;
            let room = self.writer.space().unwrap() / SIZE;
            if room == 0 {
                return;
            }
            let numbers = self.sent..self.sent + burst.min(room) as u64;
            let bytes: Vec<u8> = numbers.clone().flat_map(u64::to_le_bytes).collect();
            self.writer.write_all(&bytes).unwrap();
            self.sent = numbers.end;
            self.count.writes += 1;
        }
        // Once all is sent: the other side ends when it has seen this.
        self.writer.finish().unwrap();
    }

    /// Reads whole messages for as long as there are any; `true` at the end.
    fn read(&mut self) -> bool {
        loop {
            match self.reader.fill_at_least(SIZE) {
                Ok(bytes) => {
                    let whole = bytes.len() - bytes.len() % SIZE;
                    for message in bytes[..whole].chunks_exact(SIZE) {
                        assert_eq!(
                            u64::from_le_bytes(message.try_into().unwrap()),
                            self.received
                        );
                        self.received += 1;
                    }
                    self.reader.consume(whole);
                    self.count.reads += 1;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return true,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// Sends a number and waits for the next one, or the other way round. Returns the wake-ups.
pub fn ping_pong(
    mut stream: Stream,
    first: bool,
    round_trips: u64,
    wait: &mut impl Foreign,
) -> u64 {
    let mut wakes = 0;
    for number in 0..round_trips {
        if first {
            stream.write_all(&number.to_le_bytes()).unwrap();
        }
        let mut message = [0; SIZE];
        while let Err(e) = stream.read_exact(&mut message) {
            assert_eq!(e.kind(), ErrorKind::WouldBlock);
            if stream.reader().arm(SIZE).unwrap() == Readiness::Pending {
                wait.wait(&[stream.reader()]);
                wakes += 1;
            }
        }
        assert_eq!(u64::from_le_bytes(message), number);
        if !first {
            stream.write_all(&number.to_le_bytes()).unwrap();
        }
    }
    wakes
}
