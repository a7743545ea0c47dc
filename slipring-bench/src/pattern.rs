//! The bytes of a verified stream.

use std::io;

/// A number that looks like chance, always the same for the same number.
pub(crate) fn scatter(number: u64) -> u64 {
    // Odd factors, so that no two numbers become one; each shift brings high bits down again.
    let spread = (number ^ (number >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let spread = (spread ^ (spread >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    spread ^ (spread >> 32)
}

/// The byte that has to be at a position. It follows from the whole position, so that bytes of any
/// other place differ, but for one in 256.
fn byte(position: u64) -> u8 {
    scatter(position.wrapping_add(1)) as u8
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
        let powers_of_two = (0..40).map(|bits| 1 << bits);
        for shift in (1..=70_000).chain(powers_of_two) {
            let (part, there) = (&bytes[..8], 70_000 + shift);
            assert!(check(part, there).is_err(), "shifted by {shift}");
        }
        bytes[2999] ^= 1;
        assert!(check(&bytes, 70_000).is_err());
    }

    #[test]
    fn all_bytes_occur_about_equally_often() {
        let mut bytes = vec![0; 256 << 10];
        fill(&mut bytes, 1 << 40);
        let mut counts = [0; 256];
        for byte in bytes {
            counts[usize::from(byte)] += 1;
        }
        // 1024 each, and 8 times the deviation that chance has.
        assert!(counts.iter().all(|count| (768..1280).contains(count)));
    }
}
