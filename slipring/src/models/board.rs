//! No value of a board is torn; a snapshot is exact at its number; and a reader that joins, or
//! was lapped, loses no change.
//!
//! A log of numbers stands in for the feed, whose records are never overwritten here: that is the
//! matter of [`feed_records`](super::feed_records).

use super::mutant::{Mutant, weakly};
use super::{Flaw, Why, fails, holds_within};
use crate::board::layout::Sizes;
use crate::board::slot::{Copied, Entry, Found, Part, Slot};
use crate::feed::words::Words;
use crate::ring::{Atomics, Word, load_peer};
use crate::wait::model::Loom;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SIZES: Sizes = Sizes {
    max_keys: 1,
    max_value: 8,
};

/// One slot, and how many changes are published.
struct Board<A: Atomics> {
    state: A::U64,
    halves: Vec<A::U64>,
    tail: A::U64,
    flaw: Flaw,
}

impl<A: Atomics> Words for Board<A> {
    fn load(&self, at: u64) -> u64 {
        self.halves[at as usize / 8].load(Ordering::Relaxed)
    }

    fn store(&self, at: u64, word: u64) {
        self.halves[at as usize / 8].store(word, Ordering::Relaxed);
    }
}

/// The bytes of a change: no other one's, and not zero. The key changes with them, as that of a
/// slot that is given to another key.
fn bytes(number: u64) -> ([u8; 8], [u8; 8]) {
    (
        (number + 0x1000).to_le_bytes(),
        (number + 0x2000).to_le_bytes(),
    )
}

impl<A: Atomics> Board<A> {
    /// With the change of number 0.
    fn new(flaw: Flaw) -> Arc<Board<A>> {
        let board = Arc::new(Board {
            state: A::U64::new(0),
            halves: (0..SIZES.half_len() / 4).map(|_| A::U64::new(0)).collect(),
            tail: A::U64::new(0),
            flaw,
        });
        board.set(0);
        board
    }

    fn slot(&self) -> Slot<'_, A, Board<A>> {
        Slot {
            state: &self.state,
            words: self,
            at: 0,
            half_len: SIZES.half_len(),
            max_value: SIZES.max_value,
        }
    }

    /// The change of this number.
    fn set(&self, number: u64) {
        let (key, value) = bytes(number);
        let entry = Entry {
            number,
            key: &key,
            value: Some(&value),
        };
        // Release: as that of a feed's `tail`.
        let publish = || self.tail.store(number + 1, Ordering::Release);
        if self.flaw == Flaw::BoardLogFirst {
            publish();
        }
        weakly(self.flaw.in_board_write(), || {
            self.slot().write(number, entry);
        });
        publish();
    }

    fn tail(&self) -> u64 {
        load_peer::<A, _>(&self.tail)
    }

    /// The number of what is there; `None` if it is busy.
    fn read(&self) -> Option<u64> {
        let mut copied = Copied::default();
        let found = weakly(self.flaw.in_board_read(), || {
            if self.flaw == Flaw::BoardNoValidation {
                // A state that nobody changes takes the place of the real one.
                let state = A::U64::new(load_peer::<A, _>(&self.state));
                let slot = Slot::<A, _> {
                    state: &state,
                    ..self.slot()
                };
                slot.read(Part::All, &mut copied)
            } else {
                self.slot().read(Part::All, &mut copied)
            }
        });
        check(
            found.expect("not as it was published: the lengths"),
            &copied,
        )
    }
}

fn check(found: Found, copied: &Copied) -> Option<u64> {
    match found {
        Found::Entry => {
            let entry = copied.entry();
            let (key, value) = bytes(entry.number);
            assert_eq!(entry.key, key, "not as it was published: the key");
            assert_eq!(entry.value, Some(&value[..]), "not as it was published");
            Some(entry.number)
        }
        Found::Nothing => panic!("not as it was published: nothing"),
        Found::Busy => None,
    }
}

/// A publisher that makes two more changes.
fn publisher<A: Atomics>(board: &Arc<Board<A>>) -> thread::JoinHandle<()>
where
    Board<A>: Send + Sync,
{
    let board = Arc::clone(board);
    thread::spawn(move || {
        board.set(1);
        board.set(2);
    })
}

/// Reads a slot that is written twice meanwhile.
fn reading<A: Atomics>(flaw: Flaw)
where
    Board<A>: Send + Sync,
{
    let board = Board::<A>::new(flaw);
    let writing = publisher(&board);
    board.read();
    writing.join().unwrap();
    assert_eq!(board.read(), Some(2));
}

/// A snapshot, as `View::try_snapshot` takes it.
fn snapshot<A: Atomics>(flaw: Flaw)
where
    Board<A>: Send + Sync,
{
    let board = Board::<A>::new(flaw);
    let writing = publisher(&board);
    let first = board.tail();
    let mut there = board.read();
    let next = board.tail();
    if there.is_some_and(|number| number >= next) && flaw != Flaw::BoardAhead {
        let mut copied = Copied::default();
        let found = board.slot().read_before(next, &mut copied);
        there = check(found.unwrap(), &copied);
        if there.is_none() {
            // It begins again.
            return writing.join().unwrap();
        }
    }
    // The log from `first` to `next`.
    let logged = (first < next).then(|| next - 1);
    // Busy, and nothing in the log: it begins again.
    if let Some(newest) = there.max(logged) {
        assert_eq!(newest, next - 1, "the snapshot is not exact");
    }
    writing.join().unwrap();
}

/// A reader that takes a place, compares the slots, and follows the log.
fn joining<A: Atomics>(flaw: Flaw)
where
    Board<A>: Send + Sync,
{
    let board = Board::<A>::new(flaw);
    let writing = publisher(&board);
    let early = (flaw == Flaw::BoardSlotsFirst).then(|| board.read());
    let first = board.tail();
    let there = early.unwrap_or_else(|| board.read());
    // It has what is there, and the log from `first` on, up to any moment.
    let next = board.tail();
    let newest = there.max((first < next).then(|| next - 1));
    if there.is_some() || first < next {
        assert!(newest >= Some(next - 1), "a change is lost");
    }
    writing.join().unwrap();
    let next = board.tail();
    let newest = there.max((first < next).then(|| next - 1));
    assert_eq!(newest, Some(2), "a change is lost");
}

#[test]
fn no_value_of_a_board_is_torn() {
    holds_within(2, "a slot is read", reading::<Loom>);
}

#[test]
fn a_snapshot_is_exact() {
    holds_within(2, "a snapshot is taken", snapshot::<Loom>);
}

#[test]
fn who_joins_loses_no_change() {
    holds_within(2, "a reader joins", joining::<Loom>);
}

#[test]
fn each_part_of_a_board_is_needed() {
    fails(reading::<Mutant>, Flaw::BoardClaimFence, Why::Torn);
    fails(reading::<Mutant>, Flaw::BoardFlipRelease, Why::Torn);
    fails(reading::<Mutant>, Flaw::BoardReadAcquire, Why::Torn);
    fails(reading::<Mutant>, Flaw::BoardNoValidation, Why::Torn);
    fails(snapshot::<Mutant>, Flaw::BoardLogFirst, Why::Inexact);
    fails(snapshot::<Mutant>, Flaw::BoardAhead, Why::Inexact);
    fails(joining::<Mutant>, Flaw::BoardSlotsFirst, Why::Lost);
    fails(joining::<Mutant>, Flaw::BoardLogFirst, Why::Lost);
}
