//! One ring follows another: each byte arrives once and in order, and nobody waits for ever.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status};
use crate::wait::model::Loom;
use loom::thread;

/// A writer fills a ring of two, goes over to one of four with what is unread, as it last saw it,
/// and writes on; then back to a small one, if the reader has taken the large one by then.
fn grows_and_shrinks<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::exchanging(&[2, 4, 2], flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(2);
        writer.refresh();
        if flaw == Flaw::AnnouncedLate {
            // The bytes are in the ring that follows, and their tail comes first.
            writer.exchange_after(1);
        } else {
            writer.exchange();
            writer.write(1);
        }
        writer.refresh();
        let (_, unread) = writer.ring.unread();
        if unread <= 1 && writer.try_exchange() {
            writer.write(1);
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

/// A writer needs two larger rings, one after the other: it waits until the reader has taken the
/// first, which sleeps because nothing is published.
fn waits_until_it_is_taken<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::exchanging(&[1, 2, 4], flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        assert_eq!(writer.wait(4), Status::Ready);
        writer.write(1);
    });
    assert_eq!(reader.wait(1), Status::Ready);
    reader.take();
    writing.join().unwrap();
}

/// The same with a reader that takes the first one and does nothing more, such as to sleep.
fn is_told_that_it_is_taken<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::exchanging(&[1, 2, 4], flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.exchange();
    let reading = thread::spawn(move || {
        // Perhaps with the byte.
        reader.poll_knowing(1, false);
        reader
    });
    assert_eq!(writer.wait(4), Status::Ready);
    writer.write(1);
    let mut reader = reading.join().unwrap();
    reader.drain();
    assert_eq!(reader.ring.position(), 1);
}

#[test]
fn each_byte_arrives_where_one_ring_follows_another() {
    holds("grows and shrinks", grows_and_shrinks::<Loom>);
    holds("waits until it is taken", waits_until_it_is_taken::<Loom>);
    holds("is told that it is taken", is_told_that_it_is_taken::<Loom>);
}

#[test]
fn an_exchange_needs_its_orderings() {
    for (flaw, why) in [
        (Flaw::TailRelease, Why::Race),
        (Flaw::TailAcquire, Why::Race),
        (Flaw::NothingCopied, Why::WrongByte),
        (Flaw::PassedLate, Why::NotPassed),
        (Flaw::AnnouncedLate, Why::WrongByte),
    ] {
        fails(grows_and_shrinks::<Mutant>, flaw, why);
    }
    for (flaw, why) in [
        (Flaw::AnnounceRelease, Why::NotPassed),
        (Flaw::AnnounceFence, Why::Deadlock),
    ] {
        fails(waits_until_it_is_taken::<Mutant>, flaw, why);
    }
    let flaw = Flaw::TakenFence;
    fails(is_told_that_it_is_taken::<Mutant>, flaw, Why::Deadlock);
}
