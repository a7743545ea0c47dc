//! A half that never sleeps misses nothing, though its peer leaves out the fence of a publication
//! and wakes nobody. A half that has said so and sleeps all the same is not woken. A half that
//! sleeps after a flow misses nothing as long as it looks again after a moment.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status};
use crate::wait::model::Loom;
use loom::thread;

/// Waits as a half does that spins for ever: it polls, advertises that it waits, and goes on
/// polling.
fn spin<H: Half>(half: &mut H, want: u64) -> Status {
    if half.flaw() == Flaw::SleepsAfterAll {
        return half.wait(want);
    }
    let first = half.poll(want);
    if first != Status::Pending {
        return first;
    }
    half.arm(want);
    let found = loop {
        match half.poll(want) {
            Status::Pending => thread::yield_now(),
            news => break news,
        }
    };
    half.disarm();
    found
}

/// A reader that needs no fences waits for one byte after the other; the writer never waits.
fn reader<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    reader.never_sleep();
    let writing = thread::spawn(move || {
        for _ in 0..2 {
            writer.write(1);
        }
    });
    for _ in 0..2 {
        assert_eq!(spin(&mut reader, 1), Status::Ready);
        reader.check();
        reader.consume(1);
    }
    writing.join().unwrap();
}

/// The same of a writer that waits for room.
fn writer<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    reader.refresh();
    writer.never_sleep();
    let reading = thread::spawn(move || {
        for _ in 0..2 {
            reader.consume(1);
        }
    });
    for _ in 0..2 {
        assert_eq!(spin(&mut writer, 1), Status::Ready);
        writer.write(1);
    }
    reading.join().unwrap();
}

/// A writer that gives way to a starving reader sees all that this one has given back, though
/// without a fence.
fn starving<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(1);
    reader.refresh();
    writer.never_sleep();
    let reading = thread::spawn(move || {
        reader.consume(1);
        reader.arm(1);
    });
    let found = writer.poll(2);
    assert_ne!(
        found,
        Status::Starving,
        "a reader that has consumed everything does not starve"
    );
    reading.join().unwrap();
}

/// A reader in full flow runs out of news and sleeps, while the writer goes on.
fn reader_after_flow<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    reader.enter_flow();
    let writing = thread::spawn(move || {
        for _ in 0..2 {
            world.time.publication(|| writer.write(1));
        }
    });
    for _ in 0..2 {
        assert_eq!(reader.wait(1), Status::Ready);
        reader.check();
        reader.consume(1);
    }
    writing.join().unwrap();
}

/// The same of a writer in full flow that finds the ring full.
fn writer_after_flow<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    reader.refresh();
    writer.enter_flow();
    let reading = thread::spawn(move || {
        for _ in 0..2 {
            world.time.publication(|| reader.consume(1));
        }
    });
    for _ in 0..2 {
        assert_eq!(writer.wait(1), Status::Ready);
        writer.write(1);
    }
    reading.join().unwrap();
}

#[test]
fn a_half_that_sleeps_after_a_flow_looks_again() {
    holds("a reader sleeps after a flow", reader_after_flow::<Loom>);
    holds("a writer sleeps after a flow", writer_after_flow::<Loom>);
}

#[test]
fn the_second_look_is_needed_and_comes_after_a_whole_moment() {
    for flaw in [Flaw::NoSecondLook, Flaw::SettlesSoon] {
        fails(reader_after_flow::<Mutant>, flaw, Why::Deadlock);
        fails(writer_after_flow::<Mutant>, flaw, Why::Deadlock);
    }
    fails(
        reader_after_flow::<Mutant>,
        Flaw::WakeBeforeIndex,
        Why::Deadlock,
    );
}

#[test]
fn a_half_that_never_sleeps_needs_no_fence() {
    holds("a reader spins, unfenced", reader::<Loom>);
    holds("a writer spins, unfenced", writer::<Loom>);
    holds("an unfenced reader starves", starving::<Loom>);
}

#[test]
fn a_half_that_has_said_it_never_sleeps_must_not() {
    fails(reader::<Mutant>, Flaw::SleepsAfterAll, Why::Deadlock);
    fails(writer::<Mutant>, Flaw::SleepsAfterAll, Why::Deadlock);
    fails(starving::<Mutant>, Flaw::ArmRelease, Why::FalseAlarm);
}
