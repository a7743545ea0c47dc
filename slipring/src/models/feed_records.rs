//! No record of a feed is torn, and none is lost in silence. The writer laps the reader.

use super::feed_memory::{MAX_RECORD, Memory, payload};
use super::mutant::{Mutant, weakly};
use super::{Flaw, Why, fails, holds};
use crate::feed::Start;
use crate::feed::layout::Header;
use crate::feed::reader::{Polled, Reader};
use crate::feed::writer::Writer;
use crate::ring::{Atomics, Word, load_peer};
use crate::wait::model::Loom;
use loom::thread;
use std::sync::atomic::Ordering;

/// A ring that keeps two records.
const CAPACITY: u64 = 64;

/// Polls once; asserts that the record is the one that was published under its number. Whether
/// there was anything.
fn check<A: Atomics>(memory: &Memory<A>, reader: &mut Reader) -> bool {
    let next = reader.next();
    let there = load_peer::<A, _>(&memory.header.published.0.tail) > reader.position();
    let mut buffer = Vec::new();
    let polled = weakly(memory.flaw.in_feed_read(), || {
        reader.poll(&memory.header, memory, &mut buffer)
    });
    match polled.expect("not as it was published: the header") {
        Polled::Record { sequence, .. } => {
            assert_eq!(sequence, next, "not as it was published: the number");
            assert_eq!(buffer, payload(sequence), "not as it was published");
            true
        }
        Polled::Lagged(lagged) => {
            assert_eq!(lagged.next, next + lagged.missed);
            true
        }
        Polled::Empty => {
            assert!(!there, "not as it was published: nothing");
            false
        }
    }
}

/// The reader begins before the first record, and reads while it is lapped.
fn lapping<A: Atomics>(flaw: Flaw) {
    let memory = Memory::<A>::new(CAPACITY, flaw);
    let mut writer = Writer::new(CAPACITY);
    let (mut reader, _) =
        Reader::join(&memory.header, &*memory, MAX_RECORD, Start::Newest).unwrap();
    memory.publish(&mut writer);
    let writing = thread::spawn({
        let memory = memory.clone();
        move || {
            for _ in 0..2 {
                memory.publish(&mut writer);
            }
        }
    });
    for _ in 0..2 {
        check(&memory, &mut reader);
    }
    writing.join().unwrap();
    while check(&memory, &mut reader) {}
    assert_eq!(reader.next(), 3);
}

/// The reader finds a record by `start` while others are written.
fn joining<A: Atomics>(flaw: Flaw, start: Start) {
    let memory = Memory::<A>::new(CAPACITY, flaw);
    let mut writer = Writer::new(CAPACITY);
    memory.publish(&mut writer);
    let writing = thread::spawn({
        let memory = memory.clone();
        move || {
            for _ in 0..2 {
                memory.publish(&mut writer);
            }
        }
    });
    let joined = weakly(flaw.in_feed_read(), || {
        Reader::join(&memory.header, &*memory, MAX_RECORD, start)
    });
    let (mut reader, _) = joined.expect("not as it was published: the header");
    check(&memory, &mut reader);
    writing.join().unwrap();
    while check(&memory, &mut reader) {}
    assert_eq!(reader.next(), 3);
}

fn joining_newest<A: Atomics>(flaw: Flaw) {
    joining::<A>(flaw, Start::Newest);
}

fn joining_oldest<A: Atomics>(flaw: Flaw) {
    joining::<A>(flaw, Start::Oldest);
}

/// A reader that copies and does not validate, as the rule is broken by hand.
fn without_validation<A: Atomics>(flaw: Flaw) {
    let memory = Memory::<A>::new(CAPACITY, flaw);
    let mut writer = Writer::new(CAPACITY);
    memory.publish(&mut writer);
    let writing = thread::spawn({
        let memory = memory.clone();
        move || {
            for _ in 0..2 {
                memory.publish(&mut writer);
            }
        }
    });
    let (sequence, record) = copied(&memory.header, &*memory);
    assert_eq!(record, payload(sequence), "not as it was published");
    writing.join().unwrap();
}

/// The first record's place, as it is.
fn copied<A: Atomics>(
    header: &Header<A>,
    words: &impl crate::feed::words::Words,
) -> (u64, Vec<u8>) {
    header.published.0.tail.load(Ordering::Acquire);
    let mut record = vec![0; 8];
    let sequence = words.load(0);
    words.copy_out(16, &mut record);
    (sequence, record)
}

#[test]
fn no_record_is_torn_while_the_reader_is_lapped() {
    holds("a reader is lapped", lapping::<Loom>);
}

#[test]
fn no_record_is_torn_while_a_reader_joins() {
    holds("a reader joins at the newest", joining_newest::<Loom>);
    holds("a reader joins at the oldest", joining_oldest::<Loom>);
}

#[test]
fn each_ordering_of_records_is_needed() {
    fails(lapping::<Mutant>, Flaw::FeedPublishRelease, Why::Torn);
    fails(lapping::<Mutant>, Flaw::FeedClaimFence, Why::Torn);
    fails(lapping::<Mutant>, Flaw::FeedClaimRelease, Why::Torn);
    fails(joining_oldest::<Mutant>, Flaw::FeedClaimRelease, Why::Torn);
    fails(lapping::<Mutant>, Flaw::FeedReadAcquire, Why::Torn);
    fails(
        without_validation::<Mutant>,
        Flaw::FeedNoValidation,
        Why::Torn,
    );
}
