//! A change as a record of the board's feed: `docs/layout.md`.

use super::layout::{MAX_KEY, Sizes};
use super::slot::Entry;
use crate::ring::Corrupt;

/// Bytes before the key.
pub(crate) const HEADER: usize = 8;

/// The flag of a removal.
const REMOVED: u8 = 1;

/// Bytes of the record of a change.
pub(crate) fn len(key: &[u8], value: Option<&[u8]>) -> usize {
    HEADER + key.len() + value.map_or(0, <[u8]>::len)
}

/// Appends the record of a change. The key's length has been checked.
pub(crate) fn encode(slot: u32, key: &[u8], value: Option<&[u8]>, to: &mut Vec<u8>) {
    let flags = if value.is_none() { REMOVED } else { 0 };
    to.extend_from_slice(&slot.to_le_bytes());
    to.extend_from_slice(&[key.len() as u8, flags, 0, 0]);
    to.extend_from_slice(key);
    to.extend_from_slice(value.unwrap_or_default());
}

/// The slot and the change of a record.
pub(crate) fn decode(
    number: u64,
    record: &[u8],
    sizes: Sizes,
) -> Result<(u32, Entry<'_>), Corrupt> {
    let (header, rest) = record.split_first_chunk::<HEADER>().ok_or(Corrupt)?;
    let [slot @ .., key_len, flags, _, _] = *header;
    let (slot, key_len) = (u32::from_le_bytes(slot), usize::from(key_len));
    if u64::from(slot) >= sizes.max_keys || key_len > MAX_KEY || flags > REMOVED {
        return Err(Corrupt);
    }
    let (key, value) = rest.split_at_checked(key_len).ok_or(Corrupt)?;
    let is_removed = flags == REMOVED;
    if value.len() as u64 > sizes.max_value || is_removed && !value.is_empty() {
        return Err(Corrupt);
    }
    let value = (!is_removed).then_some(value);
    Ok((slot, Entry { number, key, value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes {
        max_keys: 16,
        max_value: 8,
    };

    #[test]
    fn a_change_has_the_bytes_that_the_documents_show() {
        let mut bytes = Vec::new();
        encode(3, b"EUR", Some(b"1.17"), &mut bytes);
        assert_eq!(bytes, *b"\x03\0\0\0\x03\0\0\0EUR1.17");
        let (slot, entry) = decode(9, &bytes, SIZES).unwrap();
        let expected = Entry {
            number: 9,
            key: b"EUR",
            value: Some(b"1.17"),
        };
        assert_eq!((slot, entry), (3, expected));
        assert_eq!(len(b"EUR", Some(b"1.17")), bytes.len());
        bytes.clear();
        encode(3, b"EUR", None, &mut bytes);
        assert_eq!(bytes, *b"\x03\0\0\0\x03\x01\0\0EUR");
        assert_eq!(decode(9, &bytes, SIZES).unwrap().1.value, None);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for bytes in [
            &b"\x03\0\0\0\x03\0\0"[..],
            b"\x10\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x03\0\0\0EU",
            b"\x03\0\0\0\x41\0\0\0",
            b"\x03\0\0\0\0\x02\0\0",
            b"\x03\0\0\0\0\x01\0\0x",
            b"\x03\0\0\0\0\0\0\0nine bytes",
        ] {
            assert_eq!(decode(0, bytes, SIZES), Err(Corrupt), "{bytes:?}");
        }
    }
}
