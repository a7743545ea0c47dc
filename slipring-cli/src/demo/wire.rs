//! The messages of the demo: a fixed header, little-endian, in front of every body.
//!
//! | bytes  | field                                               |
//! |--------|-----------------------------------------------------|
//! | 0..4   | length of the whole message                         |
//! | 4..6   | kind                                                |
//! | 6..8   | format version, 1                                   |
//! | 8..16  | sequence, counted per direction from 0              |
//! | 16..24 | `CLOCK_MONOTONIC` in nanoseconds, just before writing |
//! | 24..28 | CRC-32 of everything else                           |
//! | 28..32 | 0                                                   |

pub const HEADER: usize = 32;
/// The largest message: a report whose histogram has filled up.
pub const LARGEST: usize = 64 << 10;
/// The largest order-book update; the smallest ring that `--capacity` allows holds one.
pub const LARGEST_UPDATE: usize = 4096;

const VERSION: u16 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// engine to panel: levels of an order book
    Update = 1,
    /// panel to engine: the sequence of the last update seen
    Acknowledge = 2,
    /// panel to engine: buy or sell, in answer to an update
    Order = 3,
    /// panel to engine: the panel's counts and measurements so far
    Report = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub length: usize,
    pub kind: Kind,
    pub sequence: u64,
    pub stamp: u64,
}

/// The next message cannot be told from the bytes: where it ends is unknown, so nothing behind it
/// can be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

impl Header {
    /// Reads the header at the start of `bytes`, which holds at least `HEADER` bytes.
    pub fn read(bytes: &[u8]) -> Result<Header, BadFrame> {
        let length = u32_at(bytes, 0) as usize;
        let kind = match u16_at(bytes, 4) {
            1 => Kind::Update,
            2 => Kind::Acknowledge,
            3 => Kind::Order,
            4 => Kind::Report,
            _ => return Err(BadFrame),
        };
        let limit = match kind {
            Kind::Report => LARGEST,
            _ => LARGEST_UPDATE,
        };
        if u16_at(bytes, 6) != VERSION || !(HEADER..=limit).contains(&length) {
            return Err(BadFrame);
        }
        Ok(Header {
            length,
            kind,
            sequence: u64_at(bytes, 8),
            stamp: u64_at(bytes, 16),
        })
    }
}

/// Writes the header in front of the body that `message` already holds.
pub fn seal(message: &mut [u8], kind: Kind, sequence: u64, stamp: u64) {
    let length = u32::try_from(message.len()).expect("messages are at most LARGEST bytes");
    message[0..4].copy_from_slice(&length.to_le_bytes());
    message[4..6].copy_from_slice(&(kind as u16).to_le_bytes());
    message[6..8].copy_from_slice(&VERSION.to_le_bytes());
    message[8..16].copy_from_slice(&sequence.to_le_bytes());
    message[16..24].copy_from_slice(&stamp.to_le_bytes());
    message[28..32].fill(0);
    let sum = checksum(message);
    message[24..28].copy_from_slice(&sum.to_le_bytes());
}

/// Whether a whole message is as its writer sealed it.
pub fn is_intact(message: &[u8]) -> bool {
    u32_at(message, 24) == checksum(message)
}

fn checksum(message: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&message[..24]);
    crc.update(&message[28..]);
    crc.finalize()
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut message = vec![7; 100];
        seal(&mut message, Kind::Order, 42, 123_456_789);
        message
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let message = sealed();
        assert!(is_intact(&message));
        let header = Header::read(&message);
        assert_eq!(
            header,
            Ok(Header {
                length: 100,
                kind: Kind::Order,
                sequence: 42,
                stamp: 123_456_789
            })
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..100 * 8 {
            let mut message = sealed();
            message[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Header::read(&message).is_err() || !is_intact(&message),
                "bit {bit} was flipped unnoticed"
            );
        }
    }
}
