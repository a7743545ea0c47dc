//! No wake-up is lost. A half that sleeps on although its bytes or its room are there shows as a
//! deadlock.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status};
use crate::wait::model::Loom;
use loom::thread;

/// A reader sleeps for each byte, then for two at once; the writer never waits.
fn reader<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        for _ in 0..4 {
            writer.write(1);
        }
    });
    for want in [1, 1, 2] {
        assert_eq!(reader.wait(want), Status::Ready);
        reader.check();
        reader.consume(want);
    }
    writing.join().unwrap();
}

/// A writer sleeps for each byte of room in a full ring, then for two at once; the reader consumes
/// all that is there and never waits.
fn writer<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    reader.refresh();
    let reading = thread::spawn(move || {
        reader.check();
        reader.consume(1);
        reader.consume(1);
        reader.refresh();
        reader.take();
        reader
    });
    assert_eq!(writer.wait(1), Status::Ready);
    writer.write(1);
    assert_eq!(writer.wait(1), Status::Ready);
    writer.write(1);
    let mut reader = reading.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), 4);
}

/// Both sleep by turns, in a ring of one byte: full or empty at all times.
fn by_turns<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(1, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        for _ in 0..2 {
            assert_eq!(writer.wait(1), Status::Ready);
            writer.write(1);
        }
    });
    for _ in 0..2 {
        assert_eq!(reader.wait(1), Status::Ready);
        reader.take();
    }
    writing.join().unwrap();
}

/// Both directions: each process asks and answers, so each wake word lies in the header whose
/// indexes move too.
fn request_and_response<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(1, 1, flaw);
    let half = |who| (Writing::new(&world, who), Reading::new(&world, who));
    let (mut requests, mut responses) = half(Who::Left);
    let (mut answers, mut questions) = half(Who::Right);
    let server = thread::spawn(move || {
        for _ in 0..2 {
            assert_eq!(questions.wait(1), Status::Ready);
            questions.take();
            assert_eq!(answers.wait(1), Status::Ready);
            answers.write(1);
        }
    });
    for _ in 0..2 {
        assert_eq!(requests.wait(1), Status::Ready);
        requests.write(1);
        assert_eq!(responses.wait(1), Status::Ready);
        responses.take();
    }
    server.join().unwrap();
}

/// Both directions at once: each process writes more than fits before it reads, so each sleeps as a
/// writer whom only the other's reading can wake, while its own reader half is idle.
fn crossing<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(1, 2, flaw);
    let half = |who| (Writing::new(&world, who), Reading::new(&world, who));
    let (mut right_writer, mut right_reader) = half(Who::Right);
    let (mut left_writer, mut left_reader) = half(Who::Left);
    let right = thread::spawn(move || {
        right_writer.write(2);
        assert_eq!(right_reader.wait(1), Status::Ready);
        right_reader.take();
        assert_eq!(right_writer.wait(1), Status::Ready);
        right_writer.write(1);
        assert_eq!(right_reader.wait(1), Status::Ready);
        right_reader.take();
    });
    left_writer.write(1);
    assert_eq!(left_reader.wait(2), Status::Ready);
    left_reader.take();
    assert_eq!(left_writer.wait(1), Status::Ready);
    left_writer.write(1);
    assert_eq!(left_reader.wait(1), Status::Ready);
    left_reader.take();
    right.join().unwrap();
}

/// A reader runs out of time, perhaps while the wake-up for it is under way; it sleeps again, for
/// the next byte. The first wake-up may end that sleep too early, and nothing may keep the reader
/// from being woken at all.
fn reader_withdraws<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(1);
        writer.write(1);
        writer.write(1);
    });
    for _ in 0..2 {
        match reader.wait_a_moment(1) {
            Status::Ready => {
                reader.check();
                reader.consume(1);
            }
            look => assert_eq!(look, Status::Pending),
        }
    }
    while reader.ring.position() < 3 {
        assert_eq!(reader.wait(1), Status::Ready);
        reader.check();
        reader.consume(1);
    }
    writing.join().unwrap();
}

/// The same for a writer.
fn writer_withdraws<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    reader.refresh();
    let reading = thread::spawn(move || {
        reader.check();
        reader.consume(1);
        reader.consume(1);
    });
    match writer.wait_a_moment(1) {
        Status::Ready => writer.write(1),
        look => assert_eq!(look, Status::Pending),
    }
    while writer.ring.position() < 4 {
        assert_eq!(writer.wait(1), Status::Ready);
        writer.write(1);
    }
    reading.join().unwrap();
}

/// Both halves of one process sleep at the same time, on doorbells of their own, and the peer wakes
/// both.
fn both_halves<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(1, 1, flaw);
    let mut blocked = Writing::new(&world, Who::Left);
    let mut idle = Reading::new(&world, Who::Left);
    let mut peer_writer = Writing::new(&world, Who::Right);
    let mut peer_reader = Reading::new(&world, Who::Right);
    blocked.write(1);
    let peer = thread::spawn(move || {
        peer_writer.write(1);
        peer_reader.drain();
    });
    let reading = thread::spawn(move || {
        assert_eq!(idle.wait(1), Status::Ready);
        idle.take();
    });
    assert_eq!(blocked.wait(1), Status::Ready);
    blocked.write(1);
    reading.join().unwrap();
    peer.join().unwrap();
}

#[test]
fn a_sleeping_reader_is_woken() {
    holds("a reader sleeps", reader::<Loom>);
}

#[test]
fn a_sleeping_writer_is_woken() {
    holds("a writer sleeps", writer::<Loom>);
}

#[test]
fn reader_and_writer_sleep_by_turns() {
    holds("by turns", by_turns::<Loom>);
}

#[test]
fn both_directions_sleep_and_wake_at_once() {
    holds("request and response", request_and_response::<Loom>);
    holds("crossing", crossing::<Loom>);
    holds("both halves", both_halves::<Loom>);
}

#[test]
fn a_half_that_withdraws_can_sleep_again() {
    holds("a reader withdraws", reader_withdraws::<Loom>);
    holds("a writer withdraws", writer_withdraws::<Loom>);
}

#[test]
fn each_fence_of_sleeping_is_needed() {
    // Where only the reader sleeps.
    for flaw in [Flaw::PublishFence, Flaw::ReaderArmFence] {
        fails(reader::<Mutant>, flaw, Why::Deadlock);
        fails(reader_withdraws::<Mutant>, flaw, Why::Deadlock);
        fails(request_and_response::<Mutant>, flaw, Why::Deadlock);
    }
    // Where only the writer sleeps.
    for flaw in [Flaw::ConsumeFence, Flaw::WriterArmFence] {
        fails(writer::<Mutant>, flaw, Why::Deadlock);
        fails(writer_withdraws::<Mutant>, flaw, Why::Deadlock);
    }
    // Where both do.
    for flaw in [
        Flaw::PublishFence,
        Flaw::ReaderArmFence,
        Flaw::ConsumeFence,
        Flaw::WriterArmFence,
    ] {
        fails(by_turns::<Mutant>, flaw, Why::Deadlock);
        fails(crossing::<Mutant>, flaw, Why::Deadlock);
    }
}

#[test]
fn arming_comes_before_looking_and_a_bell_keeps_its_ring() {
    for flaw in [Flaw::PollBeforeArm, Flaw::BellForgets] {
        fails(reader::<Mutant>, flaw, Why::Deadlock);
        fails(writer::<Mutant>, flaw, Why::Deadlock);
        fails(by_turns::<Mutant>, flaw, Why::Deadlock);
    }
}
