//! Bytes go through the ring once, in order, and nobody touches one that belongs to the other side.

use super::{Flaw, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::Atomics;
use crate::wait::model::Loom;
use loom::thread;

/// A writer that writes whenever it sees room and a reader that reads whenever it sees bytes, in a
/// ring of two: the indexes that each side remembers of the other are stale most of the time, and
/// the second lap writes over what was read.
fn laps<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(1);
        writer.write(1);
        for _ in 0..2 {
            if writer.ring.free() == 0 {
                writer.refresh();
            }
            writer.write(writer.ring.free().min(1));
        }
        writer.ring.position()
    });
    for _ in 0..3 {
        if reader.ring.available() == 0 {
            reader.refresh();
        }
        reader.check();
        reader.consume(reader.ring.available().min(1));
    }
    let written = writing.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), written);
}

/// Pieces of several bytes that lie across the end of the ring, published at once and consumed in
/// other pieces.
fn across_the_end<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(3);
        for _ in 0..2 {
            writer.refresh();
            writer.put(writer.ring.free().min(2));
            writer.put(writer.ring.free().min(1));
            writer.publish();
        }
        writer.ring.position()
    });
    for _ in 0..3 {
        reader.refresh();
        reader.check();
        reader.consume(reader.ring.available().min(2));
    }
    let written = writing.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), written);
}

#[test]
fn each_byte_arrives_once_and_in_order() {
    holds("laps", laps::<Loom>);
    holds("across the end", across_the_end::<Loom>);
}

#[test]
fn tail_and_head_need_release_and_acquire() {
    for flaw in [
        Flaw::TailRelease,
        Flaw::TailAcquire,
        Flaw::HeadRelease,
        Flaw::HeadAcquire,
    ] {
        fails(laps::<Mutant>, flaw, Why::Race);
        fails(across_the_end::<Mutant>, flaw, Why::Race);
    }
}
