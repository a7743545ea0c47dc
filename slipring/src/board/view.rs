//! What a subscriber sees of a board: the slots, and the log of changes behind them.
//!
//! # Joining
//!
//! The publisher writes a change into its slot, and then publishes its record. So a
//! reader that knows a place in the log, and then reads the slots, finds every change before that
//! place, or a later one of the same slot. Later changes are in the log, and a number says which of
//! two is newer.
//!
//! *Lapped.* Thus a subscriber that has lost its place takes the new one, compares all slots, and
//! has lost nothing. A slot that is busy meanwhile is passed over: two versions of it came since
//! the place was known, and the second is written only when the first one is published. So the log
//! has it.
//!
//! *A snapshot* at number `n` reads all slots, then the log up to `n`, where no slot that was read
//! is ahead of `n`. One may be: its change is written, and not published. Its other half has the
//! change before that, which is.

use super::error::ReadError;
use super::event::{Change, Changes, Event, Snapshot, Update, Value};
use super::memory::Memory;
use super::record;
use super::slot::{Copied, Entry, Found, Part};
use super::table::{Key, Table};
use crate::error::Result;
use crate::fail_points::{Point, point};
use crate::feed::{self, End, EndReason, Lagged, Restarted, Sequence};
use crate::ring::Corrupt;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// How often a snapshot begins again before it is busy.
const SNAPSHOTS: u32 = 4;

/// Records that one look takes at most, so that it ends.
const RECORDS: u64 = 1 << 16;

/// What is told once the changes are.
#[derive(Debug)]
enum Last {
    Restarted(Restarted, Box<Memory>),
    Ended(End),
}

#[derive(Debug)]
pub(crate) struct View {
    memory: Memory,
    table: Table,
    /// All slots have to be compared.
    must_compare: bool,
    last: Option<Last>,
    /// The number of the next change.
    next: Sequence,
    places: HashMap<Key, (u32, u64)>,
    /// The word `placed` for which `places` is right.
    placed: Option<u64>,
    copied: Copied,
    max_peer_capacity: usize,
    /// Changes from this number on are not in a snapshot that was busy, and `events` has to say so.
    unseen: Option<Sequence>,
}

/// Changes that came while a snapshot was read.
#[derive(Debug, Default)]
struct Later {
    /// The newest of each slot.
    changes: HashMap<u32, Owned>,
}

/// An entry with bytes of its own.
#[derive(Debug, Clone)]
struct Owned {
    number: u64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Owned {
    fn new(entry: Entry<'_>) -> Owned {
        Owned {
            number: entry.number,
            key: entry.key.to_vec(),
            value: entry.value.map(<[u8]>::to_vec),
        }
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            number: self.number,
            key: &self.key,
            value: self.value.as_deref(),
        }
    }
}

impl View {
    pub(crate) fn new(feed: &mut feed::Subscriber, max_peer_capacity: usize) -> Result<View> {
        let memory = Memory::map(feed.take_beside(), max_peer_capacity, feed.epoch())?;
        Ok(View {
            table: Table::new(memory.sizes.max_keys),
            memory,
            must_compare: true,
            last: None,
            next: feed.next(),
            places: HashMap::new(),
            placed: None,
            copied: Copied::default(),
            max_peer_capacity,
            unseen: None,
        })
    }

    pub(crate) fn next(&self) -> Sequence {
        self.next
    }

    pub(crate) fn end(&self) -> Option<End> {
        match self.last {
            Some(Last::Ended(end)) => Some(end),
            _ => None,
        }
    }

    /// Whether [`tell`](Self::tell) has something without another look.
    pub(crate) fn has_news(&self) -> bool {
        self.table.has_pending() || self.last.is_some() || self.must_compare
    }

    /// The board ends here: its memory makes no sense.
    fn corrupt(&mut self) {
        self.last = Some(Last::Ended(End {
            reason: EndReason::Corrupt,
            next: self.next,
        }));
    }

    /// Takes note of what was found in the log.
    pub(crate) fn take(&mut self, feed: &mut feed::Subscriber, found: feed::Found) -> Result<()> {
        self.take_with(feed, found, None)
    }

    fn take_with(
        &mut self,
        feed: &mut feed::Subscriber,
        found: feed::Found,
        later: Option<&mut Later>,
    ) -> Result<()> {
        match feed.event(found) {
            feed::Event::Record(one) => {
                self.next = one.sequence + 1;
                match record::decode(one.sequence, one.payload, self.memory.sizes) {
                    Ok((slot, entry)) => {
                        self.table.apply(slot, entry);
                        if let Some(later) = later {
                            later.changes.insert(slot, Owned::new(entry));
                        }
                    }
                    Err(Corrupt) => self.corrupt(),
                }
            }
            feed::Event::Lagged(lagged) => {
                self.next = lagged.next;
                self.must_compare = true;
            }
            feed::Event::Ended(end) => self.last = Some(Last::Ended(end)),
            feed::Event::Restarted(restarted) => {
                let (most, epoch) = (self.max_peer_capacity, restarted.epoch);
                let memory = Memory::map(feed.take_beside(), most, epoch)?;
                self.last = Some(Last::Restarted(restarted, Box::new(memory)));
            }
        }
        Ok(())
    }

    /// Takes note of everything in the log up to now.
    pub(crate) fn look(&mut self, feed: &mut feed::Subscriber) -> io::Result<()> {
        for _ in 0..RECORDS {
            if self.last.is_some() {
                break;
            }
            let Some(found) = feed.look()? else { break };
            self.take(feed, found)?;
        }
        if self.must_compare {
            self.must_compare = false;
            if self.compare().is_err() {
                self.corrupt();
            }
        }
        Ok(())
    }

    /// Compares all slots with what is known.
    fn compare(&mut self) -> std::result::Result<(), Corrupt> {
        for slot in 0..self.memory.used() {
            let place = self.memory.slot(slot);
            // A word is never torn. If it is the one that is known, this is the change that was
            // there when the slot's state was loaded.
            let number = place.number();
            if number.is_none() || number == self.table.number(slot) {
                continue;
            }
            if place.read(Part::All, &mut self.copied)? == Found::Entry {
                self.table.apply(slot, self.copied.entry());
            }
        }
        Ok(())
    }

    /// What there is to tell, after [`look`](Self::look).
    pub(crate) fn tell(&mut self) -> Option<Event<'_>> {
        if self.table.has_pending() {
            point(Point::SlotRead);
            self.unseen = None;
            return Some(Event::Changes(Changes::new(self.table.tell())));
        }
        match self.last.take()? {
            Last::Restarted(restarted, memory) => {
                self.begin(*memory);
                Some(Event::Restarted(restarted))
            }
            Last::Ended(end) => {
                self.last = Some(Last::Ended(end));
                Some(Event::Ended(end))
            }
        }
    }

    /// Goes over to the board of another publisher.
    fn begin(&mut self, memory: Memory) {
        self.table = Table::new(memory.sizes.max_keys);
        self.memory = memory;
        self.must_compare = true;
        (self.next, self.unseen) = (0, None);
        self.places.clear();
        self.placed = None;
    }

    /// The next update: what was found in the log.
    pub(crate) fn update<'a>(
        &'a mut self,
        feed: &'a mut feed::Subscriber,
        found: feed::Found,
    ) -> io::Result<Update<'a>> {
        let from = self.next;
        self.take(feed, found)?;
        if let Some(update) = self.known_update() {
            return Ok(update);
        }
        let feed::Event::Record(one) = feed.event(found) else {
            // Of the others, a lag alone leaves nothing to be told last.
            let next = self.next;
            return Ok(Update::Lagged(Lagged {
                missed: next - from,
                next,
            }));
        };
        let (_, entry) = record::decode(one.sequence, one.payload, self.memory.sizes)
            .expect("it was decoded before");
        // It is told here. Other changes that follow of it, after a lag, are still to be told.
        self.table.forget(entry.key);
        Ok(Update::Change {
            sequence: one.sequence,
            change: change(entry),
        })
    }

    /// What is to be told before anything else in the log.
    pub(crate) fn known_update(&mut self) -> Option<Update<'static>> {
        if let Some(from) = self.unseen.take() {
            let next = self.next;
            return Some(Update::Lagged(Lagged {
                missed: next - from,
                next,
            }));
        }
        match self.last.take()? {
            Last::Restarted(restarted, memory) => {
                self.begin(*memory);
                Some(Update::Restarted(restarted))
            }
            Last::Ended(end) => {
                self.last = Some(Last::Ended(end));
                Some(Update::Ended(end))
            }
        }
    }

    /// The newest value of a key.
    pub(crate) fn get(&mut self, key: &[u8]) -> std::result::Result<Option<Value<'_>>, ReadError> {
        let mut is_fresh = false;
        loop {
            if let Some((slot, _)) = self.places.get(key).copied() {
                let place = self.memory.slot(slot);
                match place.read(Part::All, &mut self.copied) {
                    Ok(Found::Entry) if self.copied.entry().key == key => break,
                    Ok(Found::Entry | Found::Nothing) => {}
                    Ok(Found::Busy) => return Err(ReadError::Busy),
                    Err(Corrupt) => return Err(ReadError::Corrupt),
                }
            }
            // Where the keys are was looked up since this call began, or nothing was moved.
            if is_fresh || self.placed == Some(self.memory.placed()) {
                return if self.placed.is_some() {
                    Ok(None)
                } else {
                    Err(ReadError::Busy)
                };
            }
            self.find_places()?;
            is_fresh = true;
        }
        let entry = self.copied.entry();
        Ok(entry.value.map(|value| Value {
            value,
            version: entry.number,
        }))
    }

    /// Looks up where each key is.
    fn find_places(&mut self) -> std::result::Result<(), ReadError> {
        let placed = self.memory.placed();
        let mut is_whole = true;
        self.places.clear();
        for slot in 0..self.memory.used() {
            match self.memory.slot(slot).read(Part::Key, &mut self.copied) {
                Ok(Found::Entry) => {
                    let Entry { number, key, .. } = self.copied.entry();
                    let newest = self.places.entry(Key::from(key)).or_insert((slot, number));
                    if newest.1 < number {
                        *newest = (slot, number);
                    }
                }
                Ok(Found::Nothing) => {}
                Ok(Found::Busy) => is_whole = false,
                Err(Corrupt) => return Err(ReadError::Corrupt),
            }
        }
        self.placed = is_whole.then_some(placed);
        Ok(())
    }

    /// All of the board, exact at one number.
    pub(crate) fn snapshot(
        &mut self,
        feed: &mut feed::Subscriber,
    ) -> std::result::Result<Snapshot, ReadError> {
        let from = self.next;
        let mut outcome = Err(ReadError::Busy);
        for _ in 0..SNAPSHOTS {
            match self.try_snapshot(feed) {
                Ok(Some(slots)) => return Ok(self.settle(&slots)),
                Ok(None) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if from < self.next {
            self.unseen = self.unseen.or(Some(from));
        }
        outcome
    }

    /// The newest change of each slot before `self.next`; `None` if the log was too fast.
    fn try_snapshot(
        &mut self,
        feed: &mut feed::Subscriber,
    ) -> std::result::Result<Option<Vec<(u32, Owned)>>, ReadError> {
        let read = |error| match error {
            Corrupt => ReadError::Corrupt,
        };
        // The place in the log comes before the slots.
        self.look(feed)?;
        let mut slots: BTreeMap<u32, Option<Owned>> = BTreeMap::new();
        let mut ahead = Vec::new();
        let mut newest = None;
        for slot in 0..self.memory.used() {
            let found = self.memory.slot(slot).read(Part::All, &mut self.copied);
            match found.map_err(read)? {
                Found::Entry => {
                    let entry = self.copied.entry();
                    newest = newest.max(Some(entry.number));
                    slots.insert(slot, Some(Owned::new(entry)));
                }
                Found::Nothing => {}
                // The log has it.
                Found::Busy => drop(slots.insert(slot, None)),
            }
        }
        point(Point::SlotRead);
        let mut later = Later::default();
        let mut left = RECORDS;
        while self.last.is_none() && left > 0 {
            let Some(found) = feed.look().map_err(ReadError::Io)? else {
                break;
            };
            left -= 1;
            self.take_with(feed, found, Some(&mut later))
                .map_err(|error| ReadError::Io(error.into()))?;
            if self.must_compare {
                return Ok(None);
            }
            // Far enough: each slot was published.
            if left < RECORDS / 2 && newest < Some(self.next) {
                break;
            }
        }
        if matches!(&self.last, Some(Last::Ended(end)) if end.reason == EndReason::Corrupt) {
            return Err(ReadError::Corrupt);
        }
        for (slot, entry) in &slots {
            if entry
                .as_ref()
                .is_some_and(|entry| entry.number >= self.next)
            {
                ahead.push(*slot);
            }
        }
        for slot in ahead {
            let place = self.memory.slot(slot);
            let found = place.read_before(self.next, &mut self.copied);
            match found.map_err(read)? {
                Found::Entry => drop(slots.insert(slot, Some(Owned::new(self.copied.entry())))),
                Found::Nothing => drop(slots.remove(&slot)),
                Found::Busy => return Ok(None),
            }
        }
        for (slot, change) in later.changes {
            let there = slots.entry(slot).or_default();
            if there
                .as_ref()
                .is_none_or(|there| there.number < change.number)
            {
                *there = Some(change);
            }
        }
        // One that was busy, and of which the log says nothing.
        if slots.values().any(Option::is_none) {
            return Ok(None);
        }
        let slots = slots.into_iter();
        Ok(Some(
            slots
                .filter_map(|(slot, entry)| Some((slot, entry?)))
                .collect(),
        ))
    }

    /// All of this is told by a snapshot.
    fn settle(&mut self, slots: &[(u32, Owned)]) -> Snapshot {
        self.table
            .settle(slots.iter().map(|(slot, entry)| (*slot, entry.entry())));
        (self.must_compare, self.unseen) = (false, None);
        let entries = slots.iter().filter_map(|(_, entry)| {
            let value = entry.value.clone()?;
            Some((entry.key.clone(), (entry.number, value)))
        });
        Snapshot {
            next: self.next,
            entries: entries.collect(),
        }
    }
}

fn change(entry: Entry<'_>) -> Change<'_> {
    match entry.value {
        Some(value) => Change::Set {
            key: entry.key,
            value,
            version: entry.number,
        },
        None => Change::Removed { key: entry.key },
    }
}
