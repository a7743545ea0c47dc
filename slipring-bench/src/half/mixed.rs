//! Messages of mixed lengths, and reads that end elsewhere than the writes: a verification only.
//!
//! Every byte follows from its position in its direction. So a byte of another place is noticed,
//! and one of an earlier message in the same memory, too.

use std::io;

use crate::{
    case::{LARGEST, Mixed},
    order::Report,
    pattern::{check, fill, scatter},
    transport::Link,
};

/// Where the direction from the peer to the host begins, so that an echo is noticed.
const BACK: u64 = 1 << 40;

impl Mixed {
    /// Turns of each side.
    fn turns(self) -> u64 {
        match self {
            Mixed::Turns => 500,
            Mixed::Flow => 1,
            Mixed::Cuts => 400,
        }
    }

    /// Messages of a turn. All of them together go around a ring of 256 KiB.
    fn messages(self, turn: u64) -> u64 {
        match self {
            Mixed::Turns => 1,
            Mixed::Flow => 4000,
            Mixed::Cuts if turn % 16 == 15 => 64,
            Mixed::Cuts => 1 + scatter(turn) % 4,
        }
    }
}

/// Does the work of one half.
pub(crate) fn half(link: &mut impl Link, mixed: Mixed, host: bool) -> io::Result<Report> {
    let mut message = vec![0; LARGEST];
    let [mut there, mut back] = [0, BACK].map(Direction::from);
    for turn in 0..mixed.turns() {
        let lengths = there.lengths(mixed.messages(turn));
        match host {
            true => there.send(link, &lengths, &mut message)?,
            false => there.receive(link, &lengths, &mut message, mixed)?,
        }
        if mixed == Mixed::Flow {
            continue;
        }
        let lengths = back.lengths(mixed.messages(turn));
        match host {
            true => back.receive(link, &lengths, &mut message, mixed)?,
            false => back.send(link, &lengths, &mut message)?,
        }
    }
    Ok(Report::default())
}

/// One direction of a stream. Both halves have the same, and so know what comes.
struct Direction {
    position: u64,
    lengths: Lengths,
    /// of reads
    cuts: Lengths,
}

impl Direction {
    fn from(position: u64) -> Direction {
        Direction {
            position,
            lengths: Lengths(position),
            cuts: Lengths(!position),
        }
    }

    /// Of the next messages.
    fn lengths(&mut self, messages: u64) -> Vec<usize> {
        (0..messages).map(|_| self.lengths.next()).collect()
    }

    fn send(
        &mut self,
        link: &mut impl Link,
        lengths: &[usize],
        message: &mut [u8],
    ) -> io::Result<()> {
        for &length in lengths {
            let position = self.position;
            link.send_with(&mut message[..length], |bytes| fill(bytes, position))?;
            self.position += length as u64;
        }
        link.flush()
    }

    fn receive(
        &mut self,
        link: &mut impl Link,
        lengths: &[usize],
        message: &mut [u8],
        mixed: Mixed,
    ) -> io::Result<()> {
        if mixed != Mixed::Cuts {
            let mut lengths = lengths.iter();
            return lengths.try_for_each(|&length| self.read(link, &mut message[..length]));
        }
        let mut left: usize = lengths.iter().sum();
        while left > 0 {
            let length = self.cuts.next().min(left);
            left -= match self.cuts.draw() % 2 {
                0 => self.read(link, &mut message[..length]).map(|()| length)?,
                _ => self.read_some(link, &mut message[..length])?,
            };
        }
        Ok(())
    }

    /// Reads as many bytes as there is room for.
    fn read(&mut self, link: &mut impl Link, room: &mut [u8]) -> io::Result<()> {
        let (length, position) = (room.len(), self.position);
        let mut outcome = Ok(());
        link.receive_with(room, |bytes| {
            outcome = match bytes.len() == length {
                true => check(bytes, position),
                false => Err(io::Error::other(format!(
                    "{} bytes came instead of the {length} from byte {position} on",
                    bytes.len()
                ))),
            };
        })?;
        self.position += length as u64;
        outcome
    }

    /// Reads as many bytes as are there, and there is room for.
    fn read_some(&mut self, link: &mut impl Link, room: &mut [u8]) -> io::Result<usize> {
        let length = link.receive_some(room)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        check(&room[..length], self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

/// Lengths of messages or of reads, most of them short: the same ones for the same first number.
struct Lengths(u64);

impl Lengths {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        scatter(self.0)
    }

    fn next(&mut self) -> usize {
        let number = self.draw();
        let most = match number % 8 {
            0..5 => 64,
            5 | 6 => 1 << 10,
            _ => LARGEST,
        };
        1 + (number >> 8) as usize % most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of all messages of a direction.
    fn lengths(mixed: Mixed, position: u64) -> Vec<usize> {
        let mut direction = Direction::from(position);
        let turns = (0..mixed.turns()).map(|turn| direction.lengths(mixed.messages(turn)));
        turns.collect::<Vec<_>>().concat()
    }

    #[test]
    fn all_short_lengths_occur_in_changing_order_and_long_ones_too() {
        for mixed in [Mixed::Turns, Mixed::Flow, Mixed::Cuts] {
            for position in [0, BACK] {
                let lengths = lengths(mixed, position);
                assert!(
                    (1..=64).all(|length| lengths.contains(&length)),
                    "{mixed:?}"
                );
                assert!(lengths.iter().all(|length| (1..=LARGEST).contains(length)));
                assert!(lengths.iter().any(|length| *length > 3 << 10), "{mixed:?}");
                let shorter = lengths.windows(2).filter(|pair| pair[1] < pair[0]).count();
                let longer = lengths.windows(2).filter(|pair| pair[1] > pair[0]).count();
                assert!(shorter.min(longer) > lengths.len() / 3, "{mixed:?}");
            }
        }
        assert_ne!(lengths(Mixed::Turns, 0), lengths(Mixed::Turns, BACK));
    }

    #[test]
    fn the_messages_go_around_a_ring_more_than_once() {
        for mixed in [Mixed::Flow, Mixed::Cuts] {
            let bytes: usize = lengths(mixed, 0).iter().sum();
            assert!(bytes > 2 * (256 << 10), "{mixed:?}: {bytes}");
        }
    }
}
