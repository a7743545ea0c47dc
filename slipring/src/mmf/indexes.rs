//! Head and tail: when they can be believed, and where bytes lie. No files and no memory in here.

use std::fmt;

/// Bytes of the two indexes, before the data.
pub(super) const HEADER: u64 = 16;

/// Which of the two ends of a ring.
///
/// # Examples
///
/// ```
/// use slipring::mmf::{Error, Reader, Role};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("ring");
/// let _reader = Reader::create(&path, 4096)?;
/// let error = Reader::open(&path).unwrap_err();
/// assert!(matches!(error, Error::InUse { role: Role::Reader, .. }), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that consumes, and moves head.
    Reader,
    /// The one that produces, and moves tail.
    Writer,
}

impl Role {
    /// Where the index lies that this end alone moves. The end locks these bytes, so that there is
    /// one of it.
    pub(super) fn own_index(self) -> usize {
        match self {
            Role::Reader => 0,
            Role::Writer => 8,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
        })
    }
}

/// The state of a ring of `capacity` bytes by its `head` and `tail`: how many bytes are in it, or
/// why they cannot be true.
#[inline]
pub(super) fn filled(head: u64, tail: u64, capacity: u64) -> Result<u64, &'static str> {
    match tail.checked_sub(head) {
        None => Err("tail is behind head"),
        // Programs in C# count in `long`; and adding to it cannot overflow.
        Some(_) if tail > i64::MAX as u64 => Err("nobody has ever written so many bytes"),
        Some(filled) if filled > capacity => Err("more is said to be there than it can hold"),
        Some(filled) => Ok(filled),
    }
}

/// A part of the file: where it begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// Where in the file the `len` bytes from `position` on lie: up to the end of the data, and from
/// its start. `len` is at most `capacity`.
#[inline]
pub(super) fn pieces(position: u64, len: usize, capacity: u64) -> [Piece; 2] {
    let at = position % capacity;
    // No more than `capacity`, which is less than the size of a mapping.
    let first = len.min((capacity - at) as usize);
    [
        Piece {
            offset: (HEADER + at) as usize,
            len: first,
        },
        Piece {
            offset: HEADER as usize,
            len: len - first,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_indexes_that_can_be_true_are_accepted() {
        assert_eq!(filled(0, 0, 1), Ok(0));
        assert_eq!(filled(5, 12, 7), Ok(7));
        assert_eq!(filled(i64::MAX as u64, i64::MAX as u64, 7), Ok(0));
        assert!(filled(u64::MAX, u64::MAX, 7).is_err());
        assert!(filled(5, 13, 7).is_err());
        assert!(filled(1, 0, 7).is_err());
        assert!(filled(u64::MAX, 0, 7).is_err());
        assert!(filled(0, u64::MAX, 7).is_err());
    }

    proptest! {
        /// Byte by byte, as section and page of the layout say it: index modulo capacity, after the
        /// header.
        #[test]
        fn every_byte_of_a_plain_ring_lies_where_the_layout_says(
            position in prop_oneof![0..50_u64, any::<u64>().prop_map(|p| p >> 1)],
            capacity in 1..40_u64,
            len in 0..40_usize,
        ) {
            let len = len.min(capacity as usize);
            let found: Vec<usize> = pieces(position, len, capacity)
                .iter()
                .flat_map(|piece| piece.offset..piece.offset + piece.len)
                .collect();
            let expected: Vec<usize> = (0..len as u64)
                .map(|i| (16 + (position + i) % capacity) as usize)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
