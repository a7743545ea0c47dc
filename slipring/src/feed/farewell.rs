//! What is said over a feed's socket after the handshake.
//!
//! A subscriber sends a byte when it announces that it sleeps. A publisher sends a byte to wake a
//! subscriber, and five to put it out: `docs/layout.md`.

use super::event::EndReason;

/// The byte of an announcement, and of a wake-up.
pub(crate) const NUDGE: u8 = 1;
/// The first byte of a farewell; its reason follows, little-endian.
const DISCONNECTED: u8 = 2;
/// The same, of a subscriber that was too slow. The reason is 0.
const TOO_SLOW: u8 = 3;

/// The length of a farewell.
pub(crate) const LEN: usize = 5;

/// A farewell, byte by byte.
pub(crate) fn encode(reason: EndReason) -> [u8; LEN] {
    let (kind, reason) = match reason {
        EndReason::Disconnected { reason } => (DISCONNECTED, reason),
        _ => (TOO_SLOW, 0),
    };
    let mut bytes = [0; LEN];
    bytes[0] = kind;
    bytes[1..].copy_from_slice(&reason.to_le_bytes());
    bytes
}

/// Finds a farewell in what comes, whole or in parts.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    part: [u8; LEN],
    len: usize,
}

impl Listening {
    /// Takes what has come; the farewell, once it is whole. Other bytes are wake-ups.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Option<EndReason> {
        for byte in bytes {
            if self.len == 0 && !matches!(*byte, DISCONNECTED | TOO_SLOW) {
                continue;
            }
            self.part[self.len] = *byte;
            self.len += 1;
            if self.len == LEN {
                let [kind, reason @ ..] = self.part;
                self.len = 0;
                return Some(match kind {
                    DISCONNECTED => EndReason::Disconnected {
                        reason: u32::from_le_bytes(reason),
                    },
                    _ => EndReason::TooSlow,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farewell_is_found_among_wake_ups_and_in_parts() {
        let reason = EndReason::Disconnected {
            reason: 0x0302_0100,
        };
        let bytes = encode(reason);
        // The bytes that `docs/layout.md` shows.
        assert_eq!(bytes, [2, 0, 1, 2, 3]);
        assert_eq!(encode(EndReason::TooSlow), [3, 0, 0, 0, 0]);
        for cut in 0..=LEN {
            let mut listening = Listening::default();
            assert_eq!(listening.hear(&[NUDGE, NUDGE]), None);
            let first = listening.hear(&bytes[..cut]);
            assert_eq!(first, (cut == LEN).then_some(reason));
            assert_eq!(
                first.or(listening.hear(&bytes[cut..])),
                Some(reason),
                "{cut}"
            );
        }
    }
}
