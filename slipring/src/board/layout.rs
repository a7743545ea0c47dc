//! The layout of a board's memory: a header and an array of slots, all in words of 8 bytes. The
//! publisher alone writes it. `docs/layout.md` describes it.

/// The version of this layout and of everything that is done with it.
pub(crate) const VERSION: u64 = 1;

/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 64;

/// The most bytes of a board.
pub(crate) const MAX_LEN: u64 = 1 << 30;

/// Bytes before the first slot.
const HEADER_LEN: u64 = 4096;

/// Where the words of the header lie.
pub(crate) mod at {
    /// Written before the memory is passed on: the magic number, this layout's version, the most
    /// keys, the longest value, and the epoch of the feed.
    pub(crate) const MAGIC: usize = 0x00;
    pub(crate) const VERSION: usize = 0x08;
    pub(crate) const MAX_KEYS: usize = 0x10;
    pub(crate) const MAX_VALUE: usize = 0x18;
    pub(crate) const EPOCH: usize = 0x20;
    /// Slots that were ever used: the first ones. Stored after the slots.
    pub(crate) const USED: usize = 0x80;
    /// How often a slot was given to a key. Stored after the slots.
    pub(crate) const PLACED: usize = 0x88;
}

/// Where the parts of a half begin, and how long a half is without its value.
pub(crate) const LENGTHS: u64 = 8;
pub(crate) const KEY: u64 = 16;
pub(crate) const VALUE: u64 = KEY + MAX_KEY as u64;

/// The state of a slot, before its two halves.
const STATE_LEN: u64 = 8;

/// In the word of lengths, above the length of the value and that of the key: the key is removed.
pub(crate) const REMOVED: u64 = 1 << 40;

/// The sizes of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) max_keys: u64,
    pub(crate) max_value: u64,
}

impl Sizes {
    pub(crate) fn half_len(self) -> u64 {
        VALUE + self.max_value.next_multiple_of(8)
    }

    pub(crate) fn slot_len(self) -> u64 {
        (STATE_LEN + 2 * self.half_len()).next_multiple_of(64)
    }

    /// Bytes of the memory, in whole pages; `None` if a board cannot be as large.
    pub(crate) fn memory_len(self, page: u64) -> Option<u64> {
        if self.max_keys == 0 || self.max_keys > MAX_LEN || self.max_value > MAX_LEN {
            return None;
        }
        let len = self.max_keys.checked_mul(self.slot_len())? + HEADER_LEN;
        let len = len.checked_next_multiple_of(page)?;
        (len <= MAX_LEN).then_some(len)
    }

    /// Where the state of a slot lies.
    pub(crate) fn state_at(self, slot: u32) -> u64 {
        HEADER_LEN + u64::from(slot) * self.slot_len()
    }

    /// Where the first half of a slot lies.
    pub(crate) fn halves_at(self, slot: u32) -> u64 {
        self.state_at(slot) + STATE_LEN
    }
}
