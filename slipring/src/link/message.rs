//! The messages of the handshake, byte by byte: `docs/layout.md`.

use crate::sys::doorbell;

/// The start of every message.
const MAGIC: [u8; 8] = *b"slipring";

/// Each message has this length.
pub(crate) const LEN: usize = 96;

/// The longest application protocol, in bytes.
pub(crate) const MAX_PROTOCOL: usize = 64;

/// The lowest and the highest version of the handshake and the layout that this build speaks.
pub(crate) const VERSIONS: (u16, u16) = (3, 3);

const HELLO: u32 = 1;
const REFUSAL: u32 = 2;
const MEMORY: u32 = 3;

/// What is behind a name. The numbers are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Stream = 0,
    Feed = 1,
    Board = 2,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Stream, Kind::Feed, Kind::Board];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Stream => "stream",
            Kind::Feed => "feed",
            Kind::Board => "board",
        }
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name of a number that may be of a later version.
    pub(crate) fn name_of(number: u8) -> &'static str {
        Kind::ALL
            .into_iter()
            .find(|kind| *kind as u8 == number)
            .map_or("kind that this version does not know", Kind::name)
    }
}

/// A side's description of itself, before it makes or passes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) versions: (u16, u16),
    /// What it takes the name to be ([`Kind`]).
    pub(crate) kind: u8,
    /// Of the ring that it begins with, and of those that may follow.
    pub(crate) capacity: u64,
    pub(crate) growth: Growth,
    pub(crate) header_len: u32,
    pub(crate) protocol: Vec<u8>,
}

/// How far rings may grow, as powers of two; 0 where rings do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Growth {
    /// Those that the sender writes.
    pub(crate) own: u8,
    /// Those that it accepts.
    pub(crate) peer: u8,
}

/// The message that comes with a side's descriptors: of a stream its header, its first ring, the
/// reader's doorbell, the writer's doorbell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) doorbells: doorbell::Kind,
}

/// Why a side refuses. The numbers are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Refusal {
    /// No version in common; the detail is `lowest-highest`.
    Version = 1,
    /// Another application protocol; the detail is the one that was expected.
    Protocol = 2,
    /// The capacity is not allowed; the detail names those that are.
    Capacity = 3,
    /// Not a user that is allowed.
    User = 4,
    /// The descriptors or the memory are not as they should be; the detail says which.
    Descriptors = 5,
    /// The refusing side lacks memory or descriptors itself.
    Resources = 6,
    /// Anything that a newer version may add.
    Other = 7,
    /// The name is of another kind; the detail is that kind's name.
    Kind = 8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Hello(Hello),
    Memory(Memory),
    Refused(Refusal, Vec<u8>),
}

/// Not a message of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Message {
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        match self {
            Message::Hello(hello) => {
                bytes[8..12].copy_from_slice(&HELLO.to_le_bytes());
                bytes[12..14].copy_from_slice(&hello.versions.0.to_le_bytes());
                bytes[14..16].copy_from_slice(&hello.versions.1.to_le_bytes());
                bytes[16..24].copy_from_slice(&hello.capacity.to_le_bytes());
                bytes[24..28].copy_from_slice(&hello.header_len.to_le_bytes());
                bytes[28] = hello.kind;
                bytes[30] = hello.growth.own;
                bytes[31] = hello.growth.peer;
                put_text(&mut bytes, &hello.protocol);
            }
            Message::Memory(memory) => {
                bytes[8..12].copy_from_slice(&MEMORY.to_le_bytes());
                bytes[28] = memory.doorbells.to_wire();
            }
            Message::Refused(why, detail) => {
                bytes[8..12].copy_from_slice(&REFUSAL.to_le_bytes());
                bytes[12..16].copy_from_slice(&(*why as u32).to_le_bytes());
                put_text(&mut bytes, detail);
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; LEN]) -> Result<Message, Malformed> {
        if bytes[..8] != MAGIC {
            return Err(Malformed);
        }
        let text = get_text(bytes)?;
        match u32_at(bytes, 8) {
            HELLO => Ok(Message::Hello(Hello {
                versions: (u16_at(bytes, 12), u16_at(bytes, 14)),
                capacity: u64::from(u32_at(bytes, 16)) | u64::from(u32_at(bytes, 20)) << 32,
                header_len: u32_at(bytes, 24),
                kind: bytes[28],
                growth: Growth {
                    own: bytes[30],
                    peer: bytes[31],
                },
                protocol: text,
            })),
            MEMORY => Ok(Message::Memory(Memory {
                doorbells: doorbell::Kind::from_wire(bytes[28]).ok_or(Malformed)?,
            })),
            REFUSAL => {
                let why = match u32_at(bytes, 12) {
                    0 => return Err(Malformed),
                    1 => Refusal::Version,
                    2 => Refusal::Protocol,
                    3 => Refusal::Capacity,
                    4 => Refusal::User,
                    5 => Refusal::Descriptors,
                    6 => Refusal::Resources,
                    8 => Refusal::Kind,
                    _ => Refusal::Other,
                };
                Ok(Message::Refused(why, text))
            }
            _ => Err(Malformed),
        }
    }
}

/// A text lies at 32, its length at 29. A text that is too long is cut.
fn put_text(bytes: &mut [u8; LEN], text: &[u8]) {
    let text = &text[..text.len().min(MAX_PROTOCOL)];
    bytes[29] = text.len() as u8;
    bytes[32..32 + text.len()].copy_from_slice(text);
}

fn get_text(bytes: &[u8; LEN]) -> Result<Vec<u8>, Malformed> {
    let len = usize::from(bytes[29]);
    bytes.get(32..32 + len).map(<[u8]>::to_vec).ok_or(Malformed)
}

fn u16_at(bytes: &[u8; LEN], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8; LEN], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// A text from the peer, fit to be shown: printable ASCII, the rest as escapes.
pub(crate) fn printable(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(protocol: &[u8]) -> Message {
        Message::Hello(Hello {
            versions: (1, 3),
            capacity: 0x0102_0304_0506_0708,
            growth: Growth { own: 20, peer: 26 },
            header_len: 4096,
            kind: Kind::Stream as u8,
            protocol: protocol.to_vec(),
        })
    }

    const MEMORY_OF_ALL: Message = Message::Memory(Memory {
        doorbells: doorbell::Kind::Inverted,
    });

    /// The bytes that `docs/layout.md` shows.
    #[test]
    fn handshake_messages_have_the_documented_bytes() {
        let mut expected = [0; LEN];
        expected[..32].copy_from_slice(
            b"slipring\x01\0\0\0\x01\0\x03\0\x08\x07\x06\x05\x04\x03\x02\x01\0\x10\0\0\0\x07\
                \x14\x1a",
        );
        expected[32..39].copy_from_slice(b"ticks/1");
        assert_eq!(hello(b"ticks/1").encode(), expected);

        let mut expected = [0; LEN];
        expected[..32]
            .copy_from_slice(b"slipring\x02\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0");
        expected[32..35].copy_from_slice(b"a/2");
        let refused = Message::Refused(Refusal::Protocol, b"a/2".to_vec());
        assert_eq!(refused.encode(), expected);

        let mut expected = [0; LEN];
        expected[..32]
            .copy_from_slice(b"slipring\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0");
        assert_eq!(MEMORY_OF_ALL.encode(), expected);
    }

    #[test]
    fn handshake_messages_that_are_encoded_are_decoded() {
        for message in [
            hello(b""),
            hello(&[b'x'; MAX_PROTOCOL]),
            MEMORY_OF_ALL,
            Message::Refused(Refusal::Other, b"why".to_vec()),
            Message::Refused(Refusal::Kind, Kind::Feed.name().into()),
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_of_a_handshake_message_are_decoded_or_refused(
            tail in proptest::collection::vec(any::<u8>(), LEN - 8),
            magic: bool,
        ) {
            let mut bytes = [0; LEN];
            bytes[8..].copy_from_slice(&tail);
            if magic {
                bytes[..8].copy_from_slice(&MAGIC);
            }
            let decoded = Message::decode(&bytes);
            prop_assert!(magic || decoded.is_err());
        }
    }
}
