//! Rewinding: the ring starts anew while the reader looks elsewhere.

use super::super::Atomics;
use super::super::atomics::model::Loom;
use super::{Flaw, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use loom::thread;

/// Publications with a rewind before each, and a reader that holds what it was lent, consumes half of it, takes
/// in news and looks at the rest again. No more bytes than the ring holds, so that there is room without asking
/// for it.
fn held<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(2);
        writer.rewind_and_write(1);
        writer.rewind_and_write(1);
    });
    for _ in 0..2 {
        reader.refresh();
        reader.check();
        reader.consume(reader.ring.available() / 2);
        reader.refresh();
        reader.take();
    }
    writing.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), 4);
}

/// More bytes than the ring holds, so that rewinds, laps and stale heads meet; several bytes lie across the end
/// where there was no rewind.
fn laps<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(1);
        for _ in 0..3 {
            writer.rewind_and_write(writer.ring.free().min(2));
        }
        writer.ring.position()
    });
    for _ in 0..3 {
        reader.refresh();
        reader.check();
        reader.consume(reader.ring.available().min(1));
    }
    let written = writing.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), written);
}

#[test]
fn a_reader_never_mixes_an_old_base_with_a_new_byte() {
    holds("held", held::<Loom>);
    holds("laps with rewinds", laps::<Loom>);
}

#[test]
fn the_order_of_base_and_tail_matters() {
    fails(held::<Mutant>, Flaw::BaseAfterTail, Why::WrongByte);
    fails(held::<Mutant>, Flaw::BaseBeforeTail, Why::WrongByte);
}

#[test]
fn only_an_empty_ring_is_rewound() {
    fails(held::<Mutant>, Flaw::RewindUnread, Why::WrongByte);
}

#[test]
fn a_rewind_needs_release_and_acquire() {
    for flaw in [
        Flaw::TailRelease,
        Flaw::TailAcquire,
        Flaw::HeadRelease,
        Flaw::HeadAcquire,
    ] {
        fails(held::<Mutant>, flaw, Why::Race);
    }
}
