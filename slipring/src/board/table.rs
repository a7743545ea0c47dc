//! What a subscriber knows of a board: which key is in which slot, by which change; and what of it
//! is still to be told.

use super::slot::Entry;
use std::collections::HashMap;
use std::sync::Arc;

/// A key, which several lists share.
pub(crate) type Key = Arc<[u8]>;

/// A change that is to be told.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) key: Key,
    pub(crate) number: u64,
    pub(crate) is_removed: bool,
    pub(crate) value: Vec<u8>,
}

/// What is known of a slot.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The newest change of it.
    number: Option<u64>,
    key: Option<Key>,
}

#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Known>,
    /// The slot of each key that is there.
    at: HashMap<Key, u32>,
    pending: Vec<Pending>,
    /// Where each key stands in `pending`.
    index: HashMap<Key, usize>,
    told: Vec<Pending>,
    /// Buffers of values that were told.
    spare: Vec<Vec<u8>>,
}

impl Table {
    pub(crate) fn new(max_keys: u64) -> Table {
        Table {
            slots: vec![Known::default(); max_keys as usize],
            at: HashMap::new(),
            pending: Vec::new(),
            index: HashMap::new(),
            told: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The newest change of a slot that is known.
    pub(crate) fn number(&self, slot: u32) -> Option<u64> {
        self.slots[slot as usize].number
    }

    /// Takes note of a change, which is to be told. One that is older than what is known of the
    /// slot is passed over.
    pub(crate) fn apply(&mut self, slot: u32, entry: Entry<'_>) {
        let known = &mut self.slots[slot as usize];
        if known.number.is_some_and(|number| entry.number <= number) {
            return;
        }
        known.number = Some(entry.number);
        let key = match &known.key {
            Some(key) if **key == *entry.key => Key::clone(key),
            _ => {
                let key = Key::from(entry.key);
                let before = known.key.replace(Key::clone(&key));
                // The slot has another key now, so that the one before it was removed.
                if let Some(before) = before
                    && self.at.get(&before) == Some(&slot)
                {
                    self.at.remove(&before);
                    self.note(before, entry.number, None);
                }
                key
            }
        };
        let there = self.at.get(&key).copied();
        if let Some(other) = there
            && other != slot
            && self.number(other) > Some(entry.number)
        {
            // The key has moved on to another slot since.
            return;
        }
        match entry.value {
            Some(_) if there != Some(slot) => drop(self.at.insert(Key::clone(&key), slot)),
            Some(_) => {}
            None if there.is_some() => drop(self.at.remove(&key)),
            // It was never known to be there.
            None => return,
        }
        self.note(key, entry.number, entry.value);
    }

    fn note(&mut self, key: Key, number: u64, value: Option<&[u8]>) {
        let place = match self.index.get(&key) {
            Some(place) => *place,
            None => {
                self.pending.push(Pending {
                    key: Key::clone(&key),
                    number,
                    is_removed: false,
                    value: self.spare.pop().unwrap_or_default(),
                });
                self.index.insert(key, self.pending.len() - 1);
                self.pending.len() - 1
            }
        };
        let pending = &mut self.pending[place];
        pending.number = number;
        pending.is_removed = value.is_none();
        pending.value.clear();
        pending.value.extend_from_slice(value.unwrap_or_default());
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Everything that is to be told; it counts as told from now on.
    pub(crate) fn tell(&mut self) -> &[Pending] {
        self.forget_pending();
        &self.told
    }

    /// The change of this key was told otherwise.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        let Some(place) = self.index.remove(key) else {
            return;
        };
        let forgotten = self.pending.swap_remove(place);
        self.spare.push(forgotten.value);
        if let Some(moved) = self.pending.get(place) {
            self.index.insert(Key::clone(&moved.key), place);
        }
    }

    /// Everything that is to be told counts as told.
    fn forget_pending(&mut self) {
        for told in self.told.drain(..) {
            self.spare.push(told.value);
        }
        std::mem::swap(&mut self.told, &mut self.pending);
        self.index.clear();
    }

    /// This is all that there is; it was told.
    pub(crate) fn settle<'a>(&mut self, slots: impl Iterator<Item = (u32, Entry<'a>)>) {
        self.forget_pending();
        self.at.clear();
        self.slots.fill(Known::default());
        for (slot, entry) in slots {
            self.apply(slot, entry);
        }
        self.forget_pending();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn set<'a>(number: u64, key: &'a [u8], value: &'a [u8]) -> Entry<'a> {
        Entry {
            number,
            key,
            value: Some(value),
        }
    }

    fn removed(number: u64, key: &[u8]) -> Entry<'_> {
        Entry {
            number,
            key,
            value: None,
        }
    }

    fn told(table: &mut Table) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
        let all = table.tell().iter();
        all.map(|one| {
            let value = (!one.is_removed).then(|| one.value.clone());
            (one.key.to_vec(), one.number, value)
        })
        .collect()
    }

    #[test]
    fn a_key_that_changed_often_is_told_once() {
        let mut table = Table::new(4);
        for number in 0..5 {
            table.apply(1, set(number, b"a", &[number as u8]));
        }
        table.apply(2, set(5, b"b", b"x"));
        // An old one.
        table.apply(1, set(3, b"a", b"old"));
        let expected = vec![
            (b"a".to_vec(), 4, Some(vec![4])),
            (b"b".to_vec(), 5, Some(b"x".to_vec())),
        ];
        assert_eq!(told(&mut table), expected);
        assert_eq!(told(&mut table), vec![]);
        table.apply(1, removed(6, b"a"));
        assert_eq!(told(&mut table), vec![(b"a".to_vec(), 6, None)]);
    }

    #[test]
    fn a_slot_with_another_key_says_that_the_first_one_is_gone() {
        let mut table = Table::new(4);
        table.apply(1, set(0, b"a", b"1"));
        told(&mut table);
        table.apply(1, set(7, b"b", b"2"));
        let expected = vec![
            (b"a".to_vec(), 7, None),
            (b"b".to_vec(), 7, Some(b"2".to_vec())),
        ];
        assert_eq!(told(&mut table), expected);
        // It has come back to another slot before that.
        table.apply(2, set(5, b"a", b"3"));
        assert_eq!(
            told(&mut table),
            vec![(b"a".to_vec(), 5, Some(b"3".to_vec()))]
        );
        // Its first slot says again that it is not there.
        table.apply(1, set(9, b"c", b"4"));
        assert_eq!(told(&mut table).len(), 2);
    }

    proptest! {
        /// A subscriber that keeps what it is told has what the publisher has, whenever it asks,
        /// and in whatever order it sees the slots.
        #[test]
        fn what_is_told_adds_up_to_the_board(
            steps in proptest::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 1..200),
            seed: u64,
        ) {
            let mut table = Table::new(4);
            // A publisher with four slots, and six keys for them.
            let mut slots: Vec<Option<(u8, u64, bool)>> = vec![None; 4];
            let mut mirror: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let mut random = seed;
            for (number, (key, is_set, looks)) in steps.into_iter().enumerate() {
                let number = number as u64;
                let own = slots.iter().position(|slot| slot.is_some_and(|(k, _, _)| k == key));
                let live = own.is_some_and(|own| slots[own].unwrap().2);
                if is_set {
                    let is_free = |slot: &Option<(u8, u64, bool)>| slot.is_none_or(|slot| !slot.2);
                    let free = || slots.iter().position(is_free);
                    if let Some(place) = own.or_else(free) {
                        slots[place] = Some((key, number, true));
                    }
                } else if live {
                    slots[own.unwrap()] = Some((key, number, false));
                }
                if looks {
                    // All slots, from any of them on.
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    for i in 0..4 {
                        let slot = (i + (random >> 60) as usize) % 4;
                        if let Some((key, number, live)) = slots[slot] {
                            let (key, value) = ([key], number.to_le_bytes());
                            let value = live.then_some(&value[..]);
                            table.apply(slot as u32, Entry { number, key: &key, value });
                        }
                    }
                    for (key, _, value) in told(&mut table) {
                        match value {
                            Some(value) => drop(mirror.insert(key, value)),
                            None => drop(mirror.remove(&key)),
                        }
                    }
                    let expected: BTreeMap<Vec<u8>, Vec<u8>> = slots
                        .iter()
                        .flatten()
                        .filter(|(_, _, live)| *live)
                        .map(|(key, number, _)| (vec![*key], number.to_le_bytes().to_vec()))
                        .collect();
                    prop_assert_eq!(&mirror, &expected);
                }
            }
        }
    }
}
