//! No wake-up is lost by who leaves out the fence of a publication: a half that has excused its peer from it has that one
//! interrupted before it sleeps.

use super::super::atomics::model::Loom;
use super::super::{Atomics, Look, Word, wake};
use super::interrupt::{self, Interrupts};
use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use loom::thread;
use std::sync::atomic::Ordering;

/// A reader that needed no fences sleeps, for one byte after the other; the writer never waits.
fn reader<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let interrupts = Interrupts::new();
    writer.ring.set_excusable(true);
    reader.excuse(&interrupts);
    let writing = thread::spawn(move || {
        interrupts.may_interrupt(|| {
            for _ in 0..2 {
                interrupt::may_come();
                writer.write(1);
            }
        });
    });
    for _ in 0..2 {
        assert_eq!(reader.wait(1), Look::Ready);
        reader.check();
        reader.consume(1);
    }
    writing.join().unwrap();
}

/// The same of a writer that sleeps for room.
fn writer<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    reader.refresh();
    let interrupts = Interrupts::new();
    reader.ring.set_excusable(true);
    writer.excuse(&interrupts);
    let reading = thread::spawn(move || {
        interrupts.may_interrupt(|| {
            for _ in 0..2 {
                interrupt::may_come();
                reader.consume(1);
            }
        });
    });
    for _ in 0..2 {
        assert_eq!(writer.wait(1), Look::Ready);
        writer.write(1);
    }
    reading.join().unwrap();
}

/// A writer that gives way to a starving reader sees all that this one has given back, though without a fence.
fn starving<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(1);
    reader.refresh();
    reader.ring.set_excusable(true);
    let wake = &world.own(Who::Left).header.wake_at_head.0;
    wake.store(wake::UNFENCED, Ordering::Relaxed);
    let reading = thread::spawn(move || {
        reader.consume(1);
        reader.arm(1);
    });
    let found = writer.look(2);
    assert_ne!(
        found,
        Look::Starving,
        "a reader that has consumed everything does not starve"
    );
    reading.join().unwrap();
}

#[test]
fn who_was_excused_wakes_a_sleeper() {
    holds("an unfenced reader sleeps", reader::<Loom>);
    holds("an unfenced writer sleeps", writer::<Loom>);
    holds("an unfenced reader starves", starving::<Loom>);
}

#[test]
fn the_interrupt_is_needed_and_comes_between_the_word_and_the_look() {
    for flaw in [Flaw::NoInterrupt, Flaw::InterruptBeforeArming, Flaw::WakeBeforeIndex] {
        fails(reader::<Mutant>, flaw, Why::Deadlock);
        fails(writer::<Mutant>, flaw, Why::Deadlock);
    }
    fails(starving::<Mutant>, Flaw::ArmRelease, Why::FalseAlarm);
}
