//! The bytes of a verified stream.

use std::io;

/// The byte that has to be at a position. Neighbours, and positions a power of two apart, differ.
fn byte(position: u64) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16)) as u8
}

/// Writes the bytes that have to be at a position and after it.
pub fn fill(bytes: &mut [u8], position: u64) {
    for (at, place) in (position..).zip(bytes) {
        *place = byte(at);
    }
}

/// Compares with the bytes that have to be at a position and after it.
pub fn check(bytes: &[u8], position: u64) -> io::Result<()> {
    for (at, &found) in (position..).zip(bytes) {
        if found != byte(at) {
            return Err(io::Error::other(format!("byte {at} is not what was sent")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_or_changed_stream_is_noticed() {
        let mut bytes = [0; 3000];
        fill(&mut bytes, 70_000);
        assert!(check(&bytes, 70_000).is_ok());
        for shift in [1, 2, 64, 256, 4096, 65_536] {
            assert!(check(&bytes, 70_000 + shift).is_err());
        }
        bytes[2999] ^= 1;
        assert!(check(&bytes, 70_000).is_err());
    }
}
