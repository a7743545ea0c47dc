//! Which ring of a direction: the word by which a writer announces one.

/// A direction begins in a ring of generation 0. Each ring that follows has the next generation,
/// and may be larger or smaller.
///
/// Generation and capacity are one word, so that a reader never sees one without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingId {
    /// Counts on after 2^32 - 1 from 0.
    pub(crate) generation: u32,
    /// The capacity is two to this power.
    log2: u8,
}

impl RingId {
    /// `capacity` is a power of two.
    pub(crate) fn new(generation: u32, capacity: u64) -> RingId {
        debug_assert!(capacity.is_power_of_two());
        RingId {
            generation,
            log2: capacity.trailing_zeros() as u8,
        }
    }

    pub(crate) fn capacity(self) -> u64 {
        1 << self.log2
    }

    /// The ring that follows this one.
    pub(crate) fn followed_by(self, capacity: u64) -> RingId {
        RingId::new(self.generation.wrapping_add(1), capacity)
    }

    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.log2)
    }

    /// `None`: no writer announces this.
    pub(crate) fn from_word(word: u64) -> Option<RingId> {
        let log2 = word as u32;
        (log2 < 64).then_some(RingId {
            generation: (word >> 32) as u32,
            log2: log2 as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_generation_and_capacity() {
        let id = RingId::new(u32::MAX, 1 << 14);
        assert_eq!(id.to_word(), 0xffff_ffff_0000_000e);
        assert_eq!(RingId::from_word(id.to_word()), Some(id));
        assert_eq!(id.followed_by(1 << 20), RingId::new(0, 1 << 20));
        assert_eq!(RingId::from_word(64), None);
        assert_eq!(RingId::from_word(1 << 31), None);
    }
}
