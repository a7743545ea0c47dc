//! The messages: 256 bytes that tell which they are, and their answers, the same bytes again.

/// A price update, say.
pub const SIZE: usize = 256;

/// Writes message number `tick` of a stream.
pub fn write(message: &mut [u8; SIZE], tick: u64, stream: u64) {
    let (number, rest) = message.split_at_mut(8);
    number.copy_from_slice(&tick.to_le_bytes());
    rest.fill((stream + tick) as u8);
}

/// Whether this is that message.
pub fn is(message: &[u8; SIZE], tick: u64, stream: u64) -> bool {
    let (number, rest) = message.split_at(8);
    number == tick.to_le_bytes() && rest.iter().all(|&byte| byte == (stream + tick) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_itself_and_no_other() {
        let mut message = [0; SIZE];
        write(&mut message, 7, 300);
        assert!(is(&message, 7, 300));
        assert!(!is(&message, 8, 300));
        assert!(!is(&message, 7, 301));
        message[SIZE - 1] ^= 1;
        assert!(!is(&message, 7, 300));
    }
}
