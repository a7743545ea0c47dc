//! A lossless subscriber of a feed misses nothing, from the moment at which it begins.

use super::feed_memory::{MAX_RECORD, Memory, payload};
use super::mutant::{Mutant, weakly};
use super::{Flaw, Why, fails, holds_within};
use crate::feed::Start;
use crate::feed::lossless::{before_looking, begins, has_read, is_behind};
use crate::feed::reader::{Polled, Reader};
use crate::feed::writer::Writer;
use crate::ring::Atomics;
use crate::wait::model::Loom;
use loom::thread;

/// A ring that keeps five records of 24 bytes.
const CAPACITY: u64 = 128;

/// Publishes; `false` if a subscriber is behind.
fn publish<A: Atomics>(memory: &Memory<A>, writer: &mut Writer) -> bool {
    if let Some(claim) = writer.next_claim(MAX_RECORD as usize, false) {
        weakly(memory.flaw.in_feed_look(), before_looking::<A>);
        let limit = claim.saturating_sub(CAPACITY);
        if is_behind::<A>(&memory.page.progress.0.read, limit) {
            return false;
        }
    }
    memory.publish(writer);
    true
}

/// The ring is nearly full, and the subscriber begins with the oldest record while others are
/// written.
fn beginning<A: Atomics>(flaw: Flaw) {
    let memory = Memory::<A>::new(CAPACITY, flaw);
    let mut writer = Writer::new(CAPACITY);
    for _ in 0..3 {
        assert!(publish(&memory, &mut writer));
    }
    let writing = thread::spawn({
        let memory = memory.clone();
        // A publisher that has to wait ends here.
        move || while writer.next() < 6 && publish(&memory, &mut writer) {}
    });
    let (mut reader, _) =
        Reader::join(&memory.header, &*memory, MAX_RECORD, Start::Oldest).unwrap();
    let read = &memory.page.progress.0.read;
    let is_safe = || flaw == Flaw::FeedUnsafeStart || reader.is_safe(&memory.header);
    let position = reader.position();
    if weakly(flaw.in_feed_join(), || begins::<A>(read, position, is_safe)) {
        for _ in 0..1 {
            let mut buffer = Vec::new();
            match reader.poll(&memory.header, &*memory, &mut buffer).unwrap() {
                Polled::Record { sequence, .. } => assert_eq!(buffer, payload(sequence)),
                Polled::Lagged(lagged) => panic!("a lossless subscriber missed {lagged:?}"),
                Polled::Empty => break,
            }
            has_read::<A>(read, reader.position());
        }
    }
    writing.join().unwrap();
}

#[test]
fn a_lossless_subscriber_misses_nothing() {
    holds_within(2, "a lossless subscriber begins", beginning::<Loom>);
}

#[test]
fn each_part_of_being_lossless_is_needed() {
    fails(beginning::<Mutant>, Flaw::FeedUnsafeStart, Why::Missed);
    fails(beginning::<Mutant>, Flaw::FeedJoinFence, Why::Missed);
    fails(beginning::<Mutant>, Flaw::FeedLookFence, Why::Missed);
}
