//! The format of messages, told once more and as plainly as possible: the model that a receiver is
//! compared with.

use slipring::frame::Error;

/// The size of the ring that the messages come through.
pub const RING: usize = 4096;

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Clean,
    Torn,
    UnknownFlags,
    BadPart,
    NeverFits,
    TooLarge,
}

impl Ending {
    pub fn of(error: &Error) -> Ending {
        match error {
            Error::Torn { .. } => Ending::Torn,
            Error::UnknownFlags { .. } => Ending::UnknownFlags,
            Error::BadPart { .. } => Ending::BadPart,
            Error::NeverFits { .. } => Ending::NeverFits,
            Error::TooLarge { .. } => Ending::TooLarge,
            other => panic!("{other}"),
        }
    }
}

/// Decodes these bytes as `docs/layout.md` says: the messages in them, and how it ends.
pub fn model(mut bytes: &[u8], max: usize) -> (Vec<Vec<u8>>, Ending) {
    let mut messages = Vec::new();
    let mut parts: Option<Vec<u8>> = None;
    loop {
        if bytes.is_empty() {
            let ending = if parts.is_some() {
                Ending::Torn
            } else {
                Ending::Clean
            };
            return (messages, ending);
        }
        let Some((header, rest)) = bytes.split_first_chunk::<8>() else {
            return (messages, Ending::Torn);
        };
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let flags = u32::from_le_bytes(header[4..].try_into().unwrap());
        if flags > 3 {
            return (messages, Ending::UnknownFlags);
        }
        let valid = match flags {
            0 => true,
            1 => len > 0 && len.is_multiple_of(8),
            2 => len == 0 && parts.is_some(),
            _ => false,
        };
        if !valid {
            return (messages, Ending::BadPart);
        }
        let padded = len.div_ceil(8) * 8;
        if 8 + padded > RING {
            return (messages, Ending::NeverFits);
        }
        if parts.as_ref().map_or(0, Vec::len) + len > max {
            return (messages, Ending::TooLarge);
        }
        if rest.len() < padded {
            return (messages, Ending::Torn);
        }
        bytes = &rest[padded..];
        match flags {
            2 => parts = None,
            1 => parts.get_or_insert_default().extend(&rest[..len]),
            _ => {
                let mut message = parts.take().unwrap_or_default();
                message.extend(&rest[..len]);
                messages.push(message);
            }
        }
    }
}
