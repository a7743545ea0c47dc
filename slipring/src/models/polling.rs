//! No wake-up is lost in an event loop that arms, goes its way, and polls later. One that is lost
//! shows as a deadlock.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status};
use crate::wait::model::Loom;
use loom::thread;

/// A reader polls for each byte, then for two at once; the writer never waits. Edges of earlier
/// wake-ups still lie in the set when it arms again.
fn reader<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::polled(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        for _ in 0..3 {
            writer.write(1);
        }
    });
    for want in [1, 2] {
        assert_eq!(reader.wait_polling(want), Status::Ready);
        reader.check();
        reader.consume(want);
    }
    writing.join().unwrap();
}

/// Both poll by turns, in a ring of one byte: full or empty at all times.
fn by_turns<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::polled(1, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        for _ in 0..2 {
            assert_eq!(writer.wait_polling(1), Status::Ready);
            writer.write(1);
        }
    });
    for _ in 0..2 {
        assert_eq!(reader.wait_polling(1), Status::Ready);
        reader.take();
    }
    writing.join().unwrap();
}

#[test]
fn a_polling_half_is_woken() {
    holds("a reader polls", reader::<Loom>);
    holds("both poll by turns", by_turns::<Loom>);
}

#[test]
fn edges_are_taken_out_before_arming() {
    fails(reader::<Mutant>, Flaw::DrainAfterPoll, Why::Deadlock);
    fails(by_turns::<Mutant>, Flaw::DrainAfterPoll, Why::Deadlock);
}

#[test]
fn each_fence_of_polling_is_needed() {
    for flaw in [Flaw::PublishFence, Flaw::ReaderArmFence] {
        fails(reader::<Mutant>, flaw, Why::Deadlock);
    }
    for flaw in [
        Flaw::PublishFence,
        Flaw::ReaderArmFence,
        Flaw::ConsumeFence,
        Flaw::WriterArmFence,
    ] {
        fails(by_turns::<Mutant>, flaw, Why::Deadlock);
    }
}
