//! A slot has two halves: the value that is there, and the one before it. The publisher writes into
//! the older half, and flips.
//!
//! `state` is twice the version of the value that is there, and one more while the next one is
//! being written. Version `v` lies in half `v % 2`, and version 0 is nothing.
//!
//! ```text
//! publisher, from version v to v + 1        reader
//! ----------------------------------        ------
//! W1  state.store(2v + 1, Release)          R1  state.load, Acquire: version v
//! W2  fence(Release)                        R2  copies the half of v, Relaxed
//! W3  writes the half of v + 1, Relaxed     R3  fence(Acquire)
//! W4  state.store(2v + 2, Release)          R4  state.load: at most 2v + 2?
//! ```
//!
//! *A value that is there stays whole.* W3 writes into the other half, so that a publisher which
//! is stopped or dies between W1 and W4 leaves version `v` as it was.
//!
//! *No torn value.* The half of `v` is written again for `v + 2`. If R2 loads a word of that, R3
//! pairs with its W2, and R4 finds `2v + 3` or more. The copy is thrown away then.
//!
//! *In bounded time.* A copy is thrown away only if two versions came meanwhile. That is tried so
//! many times, and then the slot is busy.

use super::layout::{KEY, LENGTHS, MAX_KEY, REMOVED, VALUE};
use crate::fail_points::{Point, point};
use crate::feed::words::Words;
use crate::ring::{Atomics, Corrupt, Word, load_peer};
use std::sync::atomic::Ordering;

/// How often a slot is read that changes meanwhile. In the models, which go through all of them,
/// that is done twice.
const ATTEMPTS: u32 = if cfg!(test) { 2 } else { 64 };

/// One slot.
#[derive(Debug)]
pub(crate) struct Slot<'a, A: Atomics, W> {
    pub(crate) state: &'a A::U64,
    pub(crate) words: &'a W,
    /// Where its first half lies.
    pub(crate) at: u64,
    pub(crate) half_len: u64,
    pub(crate) max_value: u64,
}

/// A value of a key, or its removal: what a half holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The number of the change.
    pub(crate) number: u64,
    pub(crate) key: &'a [u8],
    /// `None`: the key is removed.
    pub(crate) value: Option<&'a [u8]>,
}

/// A half, copied.
#[derive(Debug)]
pub(crate) struct Copied {
    number: u64,
    is_removed: bool,
    key_len: usize,
    key: [u8; MAX_KEY],
    value_len: usize,
    value: Vec<u8>,
}

impl Default for Copied {
    fn default() -> Copied {
        Copied {
            number: 0,
            is_removed: false,
            key_len: 0,
            key: [0; MAX_KEY],
            value_len: 0,
            value: Vec::new(),
        }
    }
}

impl Copied {
    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry {
            number: self.number,
            key: &self.key[..self.key_len],
            value: (!self.is_removed).then_some(&self.value[..self.value_len]),
        }
    }
}

/// What reading a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing was ever there.
    Nothing,
    /// It was copied.
    Entry,
    /// It changed again and again meanwhile.
    Busy,
}

/// How much of a half is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Without the value.
    Key,
}

impl<A: Atomics, W: Words> Slot<'_, A, W> {
    fn half(&self, version: u64) -> u64 {
        self.at + version % 2 * self.half_len
    }

    /// Writes the version behind this one. Lengths have been checked.
    pub(crate) fn write(&self, version: u64, entry: Entry<'_>) {
        // Release: a reader that finds this finds the half of `version` as well.
        self.state.store(2 * version + 1, Ordering::Release);
        // Pairs with the fence of a reader that has loaded a word which is stored after this.
        A::fence(Ordering::Release);
        point(Point::SlotClaimed);
        let at = self.half(version + 1);
        let value = entry.value.unwrap_or_default();
        let removed = if entry.value.is_none() { REMOVED } else { 0 };
        let lengths = value.len() as u64 | (entry.key.len() as u64) << 32 | removed;
        self.words.store(at, entry.number);
        self.words.store(at + LENGTHS, lengths);
        self.words.copy_in(at + KEY, entry.key);
        self.words.copy_in(at + VALUE, value);
        point(Point::SlotWritten);
        // Release: a reader that finds this version finds its half.
        self.state.store(2 * version + 2, Ordering::Release);
        point(Point::SlotFlipped);
    }

    /// The number of the change that is there, if anything is; nothing else of it was looked at.
    pub(crate) fn number(&self) -> Option<u64> {
        let version = load_peer::<A, _>(self.state) / 2;
        (version > 0).then(|| self.words.load(self.half(version)))
    }

    /// Copies the value that is there.
    pub(crate) fn read(&self, part: Part, copied: &mut Copied) -> Result<Found, Corrupt> {
        for _ in 0..ATTEMPTS {
            let version = load_peer::<A, _>(self.state) / 2;
            if version == 0 {
                return Ok(Found::Nothing);
            }
            let good = self.copy(version, part, copied);
            // The half of `version` is overwritten from 2v + 3 on.
            if self.state_behind_copy().wrapping_sub(2 * version) <= 2 {
                return good.map(|()| Found::Entry);
            }
        }
        Ok(Found::Busy)
    }

    /// Copies the newest value whose number is less than `next`: the one that is there, or the one
    /// before it.
    pub(crate) fn read_before(&self, next: u64, copied: &mut Copied) -> Result<Found, Corrupt> {
        for _ in 0..ATTEMPTS {
            let version = load_peer::<A, _>(self.state) / 2;
            if version == 0 {
                return Ok(Found::Nothing);
            }
            let good = self.copy(version, Part::All, copied);
            if self.state_behind_copy().wrapping_sub(2 * version) > 2 {
                continue;
            }
            good?;
            if copied.number < next {
                return Ok(Found::Entry);
            }
            if version == 1 {
                return Ok(Found::Nothing);
            }
            let good = self.copy(version - 1, Part::All, copied);
            // The half of `version - 1` is overwritten from 2v + 1 on.
            if self.state_behind_copy() == 2 * version {
                good?;
                return Ok(if copied.number < next {
                    Found::Entry
                } else {
                    Found::Busy
                });
            }
        }
        Ok(Found::Busy)
    }

    fn state_behind_copy(&self) -> u64 {
        // Pairs with the fence of `write`.
        A::fence(Ordering::Acquire);
        // Relaxed: the fence before it makes it late enough.
        self.state.load(Ordering::Relaxed)
    }

    /// Copies a half, which may be torn. `Err`: if it is whole, no publisher can have written it.
    fn copy(&self, version: u64, part: Part, copied: &mut Copied) -> Result<(), Corrupt> {
        let at = self.half(version);
        copied.number = self.words.load(at);
        let lengths = self.words.load(at + LENGTHS);
        let (value_len, key_len) = (lengths & u64::from(u32::MAX), lengths >> 32 & 0xff);
        let flags = lengths >> 40;
        if value_len > self.max_value || key_len > MAX_KEY as u64 || flags > 1 {
            return Err(Corrupt);
        }
        copied.is_removed = lengths & REMOVED != 0;
        copied.key_len = key_len as usize;
        self.words
            .copy_out(at + KEY, &mut copied.key[..copied.key_len]);
        copied.value_len = 0;
        if part == Part::All {
            copied.value_len = value_len as usize;
            if copied.value.len() < copied.value_len {
                copied.value.resize(copied.value_len, 0);
            }
            self.words
                .copy_out(at + VALUE, &mut copied.value[..copied.value_len]);
        }
        Ok(())
    }
}
