//! A reader that wants more bytes than there are, and a writer that wants more room than there is:
//! they do not wait for each other.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status, ended};
use crate::wait::model::Loom;
use loom::thread;

/// Three of four bytes are there. The reader wants four, the writer room for two.
fn half_full<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(3);
    let writing = thread::spawn(move || write(&mut writer, 5, 2));
    assert_eq!(reader.wait(4), Status::Ready);
    reader.take();
    assert_eq!(reader.wait(1), Status::Ready);
    reader.take();
    writing.join().unwrap();
}

/// The ring is full. The reader consumes one byte and then wants four, while the writer wants room
/// for two.
fn full<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(4);
    let writing = thread::spawn(move || write(&mut writer, 6, 2));
    reader.refresh();
    reader.consume(1);
    assert_eq!(reader.wait(4), Status::Ready);
    reader.take();
    assert_eq!(reader.wait(1), Status::Ready);
    reader.take();
    writing.join().unwrap();
}

/// Writes up to `position`, as `write` does: it waits for `want` bytes of room and makes do with
/// less if the reader starves.
fn write<A: Atomics>(writer: &mut Writing<A>, position: u64, want: u64) {
    while writer.ring.position() < position {
        let left = position - writer.ring.position();
        if writer.ring.free() < want.min(left) {
            let mut look = writer.poll(want.min(left));
            if look == Status::Pending {
                look = writer.wait(want.min(left));
            }
            assert!(matches!(look, Status::Ready | Status::Starving), "{look:?}");
            assert_ne!(writer.ring.free(), 0, "starving, but no room");
        }
        writer.write(writer.ring.free().min(left));
    }
}

/// A writer that cannot make do with less, as `reserve` cannot, is told that the reader starves; it
/// gives up, and the reader gets what there is.
fn reserve<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(3);
    let writing = thread::spawn(move || {
        assert_eq!(writer.wait(2), Status::Starving);
        writer.end(ended::CLOSED);
    });
    assert_eq!(reader.wait(4), Status::Ended(ended::CLOSED));
    assert_eq!(reader.ring.available(), 3);
    writing.join().unwrap();
}

/// A reader that only asks, once here, and for more than there is. It never sleeps, but the writer,
/// which does, has to see that it waits.
fn asks<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(3);
    let asking = thread::spawn(move || {
        assert_eq!(reader.poll(4), Status::Pending);
        reader.give_up(4);
    });
    assert_eq!(writer.wait(2), Status::Starving);
    asking.join().unwrap();
}

/// A reader that takes all there is and then waits for one byte does not starve, for any kind of
/// wait of the writer: until everything is consumed, here, or for a `reserve` of the whole ring.
fn content<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(1);
    let reading = thread::spawn(move || {
        reader.drain();
        assert_eq!(reader.wait(1), Status::Ready);
    });
    assert_eq!(
        writer.wait(2),
        Status::Ready,
        "a reader that has consumed everything does not starve"
    );
    writer.write(1);
    reading.join().unwrap();
}

#[test]
fn a_starving_reader_is_fed() {
    holds("half full", half_full::<Loom>);
    holds("full", full::<Loom>);
}

#[test]
fn a_nonblocking_reader_is_seen_to_starve() {
    holds("asks", asks::<Loom>);
    for flaw in [
        Flaw::NoGiveUp,
        Flaw::NoStarvedWake,
        Flaw::ReaderArmFence,
        Flaw::WriterArmFence,
    ] {
        fails(asks::<Mutant>, flaw, Why::Deadlock);
    }
}

#[test]
fn a_writer_that_cannot_feed_a_starving_reader_is_told() {
    holds("reserve", reserve::<Loom>);
}

#[test]
fn a_reader_that_took_everything_does_not_starve() {
    holds("content", content::<Loom>);
}

#[test]
fn a_waiting_reader_is_not_starving_before_a_second_look_at_its_head() {
    fails(content::<Mutant>, Flaw::StarvingByOldHead, Why::FalseAlarm);
    fails(content::<Mutant>, Flaw::WakeAcquire, Why::FalseAlarm);
}

#[test]
fn both_rules_of_the_starving_reader_are_needed() {
    for flaw in [
        Flaw::NoStarvedWake,
        Flaw::NoStarvingRule,
        Flaw::ReaderArmFence,
        Flaw::WriterArmFence,
    ] {
        fails(half_full::<Mutant>, flaw, Why::Deadlock);
        fails(full::<Mutant>, flaw, Why::Deadlock);
        fails(reserve::<Mutant>, flaw, Why::Deadlock);
    }
}
