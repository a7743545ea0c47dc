//! The publisher of a board.

use super::error::SetError;
use super::layout::{MAX_KEY, Sizes};
use super::memory::{Memory, too_large};
use super::options::PublisherOptions;
use super::record;
use super::table::Key;
use crate::error::{Error, Result};
use crate::feed::layout::longest;
use crate::feed::sides::Beside;
use crate::feed::{self, Sequence, SubscriberInfo};
use crate::link::Kind;
use crate::name::Name;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// The ring that a board has, if nothing else is asked for and it is large enough.
const RING: usize = 1 << 20;

/// The writer of a board: keys with their newest values, which any number of subscribers read.
///
/// A change is copied twice, into the board and into the ring of changes, whatever the number of
/// subscribers, and waits for none of them. It makes a system call only if a subscriber sleeps, and
/// then one.
///
/// The thread `slipring-feed` of this process serves the subscribers, as that of a
/// [`feed::Publisher`] does. One thread publishes at a time. It works as it is within a runtime
/// such as tokio's.
///
/// # Closing a board
///
/// A publisher that is dropped or [finished](Self::finish) ends the board in order: subscribers
/// receive what has changed, then [`Event::Ended`](super::Event::Ended). One that is killed leaves
/// what it published, and subscribers learn that it died.
///
/// # Examples
///
/// ```
/// use slipring::board::{Publisher, Subscriber};
/// # let name = format!("doc-board-publisher-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// publisher.set(b"EUR/USD", b"1.17")?;
/// let mut panel = Subscriber::connect(&name)?;
/// assert_eq!(panel.get(b"EUR/USD")?.unwrap().value, b"1.17");
/// publisher.remove(b"EUR/USD")?;
/// assert_eq!(panel.get(b"EUR/USD")?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Publisher {
    feed: feed::Publisher,
    memory: Memory,
    places: Places,
    /// The version of each slot that was ever used.
    versions: Vec<u64>,
    /// Changes that are written and not published.
    written: Vec<Written>,
    /// Where the last one of each slot stands in `written`.
    last_of: HashMap<u32, usize>,
    /// Their records, one after the other.
    records: Vec<u8>,
    /// For values that are written in place.
    scratch: Vec<u8>,
}

/// A change that is written and not published.
#[derive(Debug, Clone, Copy)]
struct Written {
    slot: u32,
    number: u64,
    /// Where its record lies.
    start: usize,
    end: usize,
}

/// Which key is in which slot.
#[derive(Debug)]
struct Places {
    max_keys: u32,
    slots: Vec<Place>,
    /// The slot of each key, also of those that are removed, until the slot is another one's.
    at: HashMap<Key, u32>,
    /// The slots of removed keys, those first that were removed first.
    free: BTreeSet<(u64, u32)>,
    /// How often a slot was given to a key.
    placed: u64,
}

#[derive(Debug)]
struct Place {
    key: Key,
    /// The number of the change that removed it.
    removed: Option<u64>,
}

impl Places {
    /// The slot of a key that is there.
    fn find(&self, key: &[u8]) -> Option<u32> {
        let slot = *self.at.get(key)?;
        self.slots[slot as usize].removed.is_none().then_some(slot)
    }

    /// The slot of a key that is set; one is given to it, if it has none.
    fn place(&mut self, key: &[u8]) -> Option<u32> {
        if let Some(slot) = self.at.get(key).copied() {
            // Its own one, if it was removed.
            if let Some(number) = self.slots[slot as usize].removed.take() {
                self.free.remove(&(number, slot));
            }
            return Some(slot);
        }
        let place = Place {
            key: Key::from(key),
            removed: None,
        };
        let key = Key::clone(&place.key);
        let slot = if self.slots.len() < self.max_keys as usize {
            self.slots.push(place);
            self.slots.len() as u32 - 1
        } else {
            let (_, slot) = self.free.pop_first()?;
            let before = std::mem::replace(&mut self.slots[slot as usize], place);
            self.at.remove(&before.key);
            slot
        };
        self.at.insert(key, slot);
        self.placed += 1;
        Some(slot)
    }

    fn remove(&mut self, slot: u32, number: u64) {
        self.slots[slot as usize].removed = Some(number);
        self.free.insert((number, slot));
    }
}

impl PublisherOptions {
    /// Binds a name and lets subscribers in.
    ///
    /// # Errors
    ///
    /// As [`feed::PublisherOptions::bind`]; [`Error::Capacity`] also for a board that is too large,
    /// and for a ring that has no room for the longest value.
    pub fn bind(&self, name: impl AsRef<OsStr>) -> Result<Publisher> {
        let sizes = Sizes {
            max_keys: self.max_keys.into(),
            max_value: self.max_value as u64,
        };
        if sizes.memory_len(1).is_none() {
            return Err(too_large());
        }
        let max_record = record::HEADER + MAX_KEY + self.max_value;
        let needed = ((max_record as u64 + 24) * 4).next_power_of_two() as usize;
        let ring = self.ring.unwrap_or(RING.max(needed));
        if max_record as u64 > longest(ring.max(128) as u64) {
            return Err(Error::Capacity {
                asked: ring,
                why: format!(
                    "a quarter of the ring has no room for a key and a value of {} bytes; a ring \
                     of {needed} would do",
                    self.max_value
                ),
            });
        }
        let mut memory = None;
        let feed = self
            .feed
            .clone()
            .capacity(ring)
            .max_record(max_record)
            .bind_beside(name, |epoch| {
                let (own, fd) = Memory::create(sizes, epoch)?;
                memory = Some(own);
                let kind = Kind::Board;
                Ok(Some(Beside { kind, memory: fd }))
            })?;
        Ok(Publisher {
            feed,
            memory: memory.expect("made with the feed"),
            places: Places {
                max_keys: self.max_keys,
                slots: Vec::new(),
                at: HashMap::new(),
                free: BTreeSet::new(),
                placed: 0,
            },
            versions: Vec::new(),
            written: Vec::new(),
            last_of: HashMap::new(),
            records: Vec::new(),
            scratch: Vec::new(),
        })
    }
}

impl Publisher {
    /// Binds a name with the default [`PublisherOptions`].
    ///
    /// # Errors
    ///
    /// See [`PublisherOptions::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> Result<Publisher> {
        PublisherOptions::new().bind(name)
    }

    /// Gives a key a value; returns the number of this change, which is the value's version.
    ///
    /// # Errors
    ///
    /// [`SetError`]: the key or the value is too long, the board is full, or this is a forked
    /// child.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<Sequence, SetError> {
        let number = self.write(key, value)?;
        self.flush();
        Ok(number)
    }

    /// Gives a key a value of `len` bytes that `fill` writes; they are zeros before. `fill` writes
    /// into private memory, from which the value is copied.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::board::Publisher;
    /// # let name = format!("doc-board-with-{}", std::process::id());
    /// let mut publisher = Publisher::bind(&name)?;
    /// publisher.set_with(b"EUR/USD", 8, |value| value.copy_from_slice(&1.17f64.to_le_bytes()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_with(
        &mut self,
        key: &[u8],
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> std::result::Result<Sequence, SetError> {
        self.check(key, len)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.resize(len, 0);
        fill(&mut scratch);
        let number = self.set(key, &scratch);
        self.scratch = scratch;
        number
    }

    /// Removes a key; returns the number of this change, or `None` if the key is not there.
    ///
    /// # Errors
    ///
    /// [`SetError::KeyTooLong`], or this is a forked child.
    pub fn remove(&mut self, key: &[u8]) -> std::result::Result<Option<Sequence>, SetError> {
        let number = self.write_removal(key)?;
        self.flush();
        Ok(number)
    }

    /// Several changes that are published together, and wake subscribers once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::board::{Publisher, Subscriber};
    /// # let name = format!("doc-board-batch-{}", std::process::id());
    /// let mut publisher = Publisher::bind(&name)?;
    /// let mut batch = publisher.batch();
    /// batch.set(b"bid", b"1.17")?;
    /// batch.set(b"ask", b"1.18")?;
    /// drop(batch);
    /// assert_eq!(publisher.next(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&mut self) -> Batch<'_> {
        Batch { publisher: self }
    }

    /// How many keys are there.
    pub fn len(&self) -> usize {
        self.places.slots.len() - self.places.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most keys.
    pub fn max_keys(&self) -> u32 {
        self.places.max_keys
    }

    /// The longest value, in bytes.
    pub fn max_value(&self) -> usize {
        self.memory.sizes.max_value as usize
    }

    /// The number of the next change.
    pub fn next(&self) -> Sequence {
        self.feed.next()
    }

    /// A number that this publisher alone has: another one of the same name has another.
    pub fn epoch(&self) -> u64 {
        self.feed.epoch()
    }

    /// The name that is bound.
    pub fn name(&self) -> &Name {
        self.feed.name()
    }

    /// Everybody who is connected; see [`feed::Publisher::subscribers`].
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.feed.subscribers()
    }

    /// Puts a subscriber out; see [`feed::Publisher::disconnect`].
    pub fn disconnect(&self, id: u64, reason: u32) -> bool {
        self.feed.disconnect(id, reason)
    }

    /// Those that are not connected any more; see [`feed::Publisher::departures`].
    pub fn departures(&self) -> Vec<feed::Departure> {
        self.feed.departures()
    }

    /// Waits until so many subscribers have begun; see [`feed::Publisher::wait_for_subscribers`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> Result<bool> {
        self.feed.wait_for_subscribers(count, timeout)
    }

    /// How many subscribers have been refused so far.
    pub fn refused(&self) -> u64 {
        self.feed.refused()
    }

    /// Why the last of them was.
    pub fn last_refusal(&self) -> Option<String> {
        self.feed.last_refusal()
    }

    /// Serves the subscribers without blocking; see [`feed::Publisher::poll`].
    ///
    /// # Errors
    ///
    /// As [`feed::Publisher::poll`].
    pub fn poll(&self) -> Result<()> {
        self.feed.poll()
    }

    /// Ends the board in order, as dropping does.
    pub fn finish(self) {}

    /// Ends the board with a code: subscribers receive what has changed, then
    /// [`EndReason::Aborted`](crate::feed::EndReason::Aborted).
    pub fn abort(self, code: u32) {
        self.feed.abort(code);
    }

    fn check(&self, key: &[u8], len: usize) -> std::result::Result<(), SetError> {
        if !self.feed.is_owner() {
            return Err(SetError::Forked);
        }
        SetError::check_key(key)?;
        if len > self.max_value() {
            return Err(SetError::ValueTooLong {
                len,
                max: self.max_value(),
            });
        }
        Ok(())
    }

    /// Writes a change, to be published.
    fn write(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<Sequence, SetError> {
        self.check(key, value.len())?;
        let max_keys = self.places.max_keys;
        let slot = self.places.place(key).ok_or(SetError::Full { max_keys })?;
        Ok(self.write_record(slot, key, Some(value)))
    }

    fn write_removal(&mut self, key: &[u8]) -> std::result::Result<Option<Sequence>, SetError> {
        self.check(key, 0)?;
        let Some(slot) = self.places.find(key) else {
            return Ok(None);
        };
        let number = self.write_record(slot, key, None);
        self.places.remove(slot, number);
        Ok(Some(number))
    }

    fn write_record(&mut self, slot: u32, key: &[u8], value: Option<&[u8]>) -> Sequence {
        // A record that has no room publishes those before it, and their slots come first.
        if self.feed.is_full(record::len(key, value)) {
            self.flush();
        }
        let start = self.records.len();
        record::encode(slot, key, value, &mut self.records);
        let number = self
            .feed
            .write(&self.records[start..])
            .expect("its length and its process were checked");
        let written = Written {
            slot,
            number,
            start,
            end: self.records.len(),
        };
        // A slot is written once for all changes that are published together: the half that it
        // leaves is that of a change which is published.
        let place = match self.written[..] {
            [] => None,
            [only] => (only.slot == slot).then_some(0),
            _ => self.last_of.get(&slot).copied(),
        };
        match place {
            Some(place) => self.written[place] = written,
            None => {
                // A single change needs no list.
                if let [only] = self.written[..] {
                    self.last_of.insert(only.slot, 0);
                }
                if !self.written.is_empty() {
                    self.last_of.insert(slot, self.written.len());
                }
                self.written.push(written);
            }
        }
        number
    }

    /// Publishes everything that is written: first into the slots, then as records.
    ///
    /// A reader that knows of a record finds its change in the slot, or a later one.
    fn flush(&mut self) {
        if self.written.is_empty() {
            return;
        }
        for written in &self.written {
            let record = &self.records[written.start..written.end];
            let (slot, entry) = record::decode(written.number, record, self.memory.sizes)
                .expect("it was encoded here");
            let index = slot as usize;
            if index >= self.versions.len() {
                self.versions.resize(index + 1, 0);
            }
            self.memory.slot(slot).write(self.versions[index], entry);
            self.versions[index] += 1;
        }
        let (used, placed) = (self.places.slots.len() as u64, self.places.placed);
        self.memory.publish_places(used, placed);
        self.written.clear();
        self.last_of.clear();
        self.records.clear();
        self.feed.flush();
    }
}

/// A descriptor that is readable when [`poll`](Publisher::poll) has something to do.
impl AsFd for Publisher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.feed.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Publisher {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Changes that are published together when this is dropped; see [`Publisher::batch`].
///
/// Changes that take more than a quarter of the ring are published in between.
#[must_use = "the changes are published when it is dropped"]
#[derive(Debug)]
pub struct Batch<'a> {
    publisher: &'a mut Publisher,
}

impl Batch<'_> {
    /// Adds a change; returns its number.
    ///
    /// # Errors
    ///
    /// As [`Publisher::set`].
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<Sequence, SetError> {
        self.publisher.write(key, value)
    }

    /// Adds a removal; returns its number, or `None` if the key is not there.
    ///
    /// # Errors
    ///
    /// As [`Publisher::remove`].
    pub fn remove(&mut self, key: &[u8]) -> std::result::Result<Option<Sequence>, SetError> {
        self.publisher.write_removal(key)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.publisher.feed.is_owner() {
            self.publisher.flush();
        }
    }
}
