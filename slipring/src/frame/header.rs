//! The eight bytes before each part of a message. `docs/layout.md` has the format; the bytes in the
//! tests below are those in there.

use super::error::Error;

pub(super) use super::error::HEADER;

/// More parts of the message follow.
const MORE: u32 = 1;

/// The message that is under way will not be completed.
const GIVEN_UP: u32 = 2;

/// A header that makes sense where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    len: u32,
    flags: u32,
}

/// What a header has to fit into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Where it stands.
    pub(super) position: u64,
    /// Bytes of its message that have come in parts before. Parts are not empty: 0 means that none
    /// has.
    pub(super) arrived: usize,
    /// The size of the ring.
    pub(super) ring: usize,
    /// The most that a message may have.
    pub(super) max: usize,
}

impl Header {
    /// Gives up the message that is under way.
    pub(super) const GIVE_UP: Header = Header {
        len: 0,
        flags: GIVEN_UP,
    };

    /// The only part of a message, or the last one. `len` is at most that of a ring.
    pub(super) fn last(len: usize) -> Header {
        Header {
            len: len as u32,
            flags: 0,
        }
    }

    /// A part that others follow; `len` is a multiple of 8.
    pub(super) fn more(len: usize) -> Header {
        debug_assert!(len > 0 && len.is_multiple_of(HEADER));
        Header {
            len: len as u32,
            flags: MORE,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        (u64::from(self.flags) << 32 | u64::from(self.len)).to_le_bytes()
    }

    /// Checks a header of the peer's.
    pub(super) fn check(bytes: [u8; HEADER], bounds: Bounds) -> Result<Header, Error> {
        let word = u64::from_le_bytes(bytes);
        let (len, flags) = (word as u32, (word >> 32) as u32);
        let position = bounds.position;
        let header = Header { len, flags };
        let fitting = match flags {
            0 => true,
            MORE => len != 0 && len.is_multiple_of(HEADER as u32),
            GIVEN_UP => len == 0 && bounds.arrived > 0,
            _ if flags & !(MORE | GIVEN_UP) != 0 => {
                return Err(Error::UnknownFlags { flags, position });
            }
            _ => false,
        };
        if !fitting {
            return Err(Error::BadPart {
                len,
                flags,
                position,
            });
        }
        if header.frame_len() > bounds.ring {
            return Err(Error::NeverFits {
                len,
                capacity: bounds.ring,
                position,
            });
        }
        let so_far = bounds.arrived as u64 + u64::from(len);
        if so_far > bounds.max as u64 {
            return Err(Error::TooLarge {
                len: so_far,
                max: bounds.max as u64,
            });
        }
        Ok(header)
    }

    /// Bytes of payload.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// Whether the message goes on in another part.
    #[inline]
    pub(super) fn has_more(self) -> bool {
        self.flags & MORE != 0
    }

    /// Whether this gives the message up.
    #[inline]
    pub(super) fn gives_up(self) -> bool {
        self.flags & GIVEN_UP != 0
    }

    /// Bytes with header and padding.
    #[inline]
    pub(super) fn frame_len(self) -> usize {
        frame_len(self.len())
    }
}

/// Bytes that `len` bytes of payload take, with header and padding. At most that of a ring is asked
/// for, or what 32 bits hold.
#[inline]
pub(super) fn frame_len(len: usize) -> usize {
    HEADER + len.next_multiple_of(HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds {
        position: 0,
        arrived: 0,
        ring: 4096,
        max: 1 << 20,
    };

    const WITHIN: Bounds = Bounds {
        arrived: 8,
        ..BOUNDS
    };

    fn header(len: u32, flags: u32, bounds: Bounds) -> Result<Header, Error> {
        Header::check(Header { len, flags }.to_bytes(), bounds)
    }

    #[test]
    fn frame_headers_have_the_documented_bytes() {
        assert_eq!(Header::last(5).to_bytes(), [5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            Header::more(0x1_0218).to_bytes(),
            [0x18, 2, 1, 0, 1, 0, 0, 0]
        );
        assert_eq!(Header::GIVE_UP.to_bytes(), [0, 0, 0, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn a_frame_is_a_multiple_of_eight() {
        for (len, frame) in [(0, 8), (1, 16), (8, 16), (9, 24), (4088, 4096)] {
            assert_eq!(frame_len(len), frame);
        }
    }

    #[test]
    fn frame_headers_are_accepted_only_where_they_may_stand() {
        for bounds in [BOUNDS, WITHIN] {
            assert!(header(0, 0, bounds).is_ok());
            assert!(header(4088, 0, bounds).is_ok());
            assert!(header(8, MORE, bounds).is_ok());
            for (len, flags) in [(0, MORE), (9, MORE), (8, GIVEN_UP), (0, MORE | GIVEN_UP)] {
                assert!(matches!(
                    header(len, flags, bounds),
                    Err(Error::BadPart { .. })
                ));
            }
            assert!(matches!(
                header(4089, 0, bounds),
                Err(Error::NeverFits { .. })
            ));
            assert!(matches!(
                header(u32::MAX, 0, bounds),
                Err(Error::NeverFits { .. })
            ));
            assert!(matches!(
                header(0, 4, bounds),
                Err(Error::UnknownFlags { flags: 4, .. })
            ));
        }
        assert!(header(0, GIVEN_UP, WITHIN).is_ok());
        assert!(matches!(
            header(0, GIVEN_UP, BOUNDS),
            Err(Error::BadPart { .. })
        ));
    }

    #[test]
    fn the_maximum_of_a_message_counts_all_parts() {
        let bounds = Bounds { max: 24, ..BOUNDS };
        assert!(header(24, 0, bounds).is_ok());
        assert!(matches!(
            header(25, 0, bounds),
            Err(Error::TooLarge { len: 25, max: 24 })
        ));
        let bounds = Bounds {
            arrived: 16,
            ..bounds
        };
        assert!(header(8, MORE, bounds).is_ok());
        assert!(matches!(
            header(16, MORE, bounds),
            Err(Error::TooLarge { len: 32, max: 24 })
        ));
        let bounds = Bounds {
            arrived: usize::MAX - 7,
            max: usize::MAX,
            ..bounds
        };
        assert!(header(7, 0, bounds).is_ok());
    }

    proptest! {
        #[test]
        fn an_accepted_frame_header_fits_ring_and_maximum(
            word: u64,
            arrived in 0usize..100,
            max in 0usize..10_000,
        ) {
            let bounds = Bounds { arrived, max, ..BOUNDS };
            if let Ok(header) = Header::check(word.to_le_bytes(), bounds) {
                prop_assert!(header.frame_len() <= bounds.ring);
                prop_assert!(arrived + header.len() <= max);
                prop_assert_eq!(header.to_bytes(), word.to_le_bytes());
            }
        }
    }
}
