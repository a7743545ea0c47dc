//! Messages in one direction, as fast as they go, of which the sender writes every byte and the
//! receiver reads every byte: where they lie if the link can lend them, else in memory of their
//! own.

use std::io;

use super::state::Half;
use crate::{
    case::Fill,
    order::{Order, Report},
    pattern::{check, fill},
    transport::Link,
};

impl<L: Link> Half<L> {
    pub(super) fn fill_all(&mut self, order: Order, how: Fill) -> io::Result<Report> {
        for number in 0..order.messages {
            let position = number * self.case.size as u64;
            self.link.send_with(&mut self.message, |message| {
                if order.verify {
                    fill(message, position);
                    return;
                }
                match how {
                    Fill::Same => message.fill(same(number)),
                    Fill::Numbers => count_up(message, position),
                }
            })?;
        }
        self.link.flush()?;
        Ok(Report::default())
    }

    pub(super) fn sum_all(&mut self, order: Order, how: Fill) -> io::Result<Report> {
        let size = self.case.size;
        for number in 0..order.messages {
            let position = number * size as u64;
            let expected = match how {
                Fill::Same => sum_of_same(size, same(number)),
                Fill::Numbers => sum_of_count(size, position),
            };
            let mut outcome = Ok(());
            self.link
                .receive_with(&mut self.received[..size], |message| {
                    if order.verify {
                        outcome = check(message, position);
                    } else if message.len() != size || sum(message) != expected {
                        outcome = Err(io::Error::other(
                            "the sum of a message is not that of what was sent",
                        ));
                    }
                })?;
            outcome?;
        }
        Ok(Report::default())
    }
}

/// The byte that a message consists of; not the byte of the one before it.
fn same(number: u64) -> u8 {
    number as u8
}

fn sum_of_same(size: usize, byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8]).wrapping_mul(size as u64 / 8)
}

/// Numbers in a row. The compiler makes vector instructions of this loop, as of most loops that
/// fill an array.
fn count_up(bytes: &mut [u8], first: u64) {
    for (number, place) in (first..).zip(bytes.as_chunks_mut().0) {
        *place = number.to_le_bytes();
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let numbers = bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| u64::from_le_bytes(*chunk));
    numbers.fold(0, u64::wrapping_add)
}

/// The sum of the numbers that `count_up` writes into so many bytes.
fn sum_of_count(size: usize, first: u64) -> u64 {
    let count = size as u64 / 8;
    let rest = count * count.saturating_sub(1) / 2;
    first.wrapping_mul(count).wrapping_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_known_and_notices_a_change() {
        let mut bytes = [0; 4096];
        count_up(&mut bytes, 70_000);
        assert_eq!(sum(&bytes), sum_of_count(4096, 70_000));
        assert_ne!(sum(&bytes), sum_of_count(4096, 70_001));
        bytes[4095] ^= 1;
        assert_ne!(sum(&bytes), sum_of_count(4096, 70_000));

        bytes.fill(same(0x1234));
        assert_eq!(sum(&bytes), sum_of_same(4096, 0x34));
        assert_ne!(sum(&bytes), sum_of_same(4096, 0x33));
        bytes[0] ^= 1;
        assert_ne!(sum(&bytes), sum_of_same(4096, 0x34));
    }
}
