//! The end of a direction: it wakes who sleeps, comes after the last byte, and is the one that was
//! meant.

use super::{Flaw, Half, Mutant, Reading, Who, Why, World, Writing, fails, holds};
use crate::ring::{Atomics, Status, ended, load_peer};
use crate::wait::model::Loom;
use loom::thread;
use std::sync::Arc;

/// A writer publishes one byte, then another, and finishes, while the reader goes to sleep for more
/// than there will be.
fn finish<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let writing = thread::spawn(move || {
        writer.write(1);
        writer.write(1);
        writer.end(ended::CLOSED);
    });
    assert_eq!(reader.wait(1), Status::Ready);
    reader.check();
    reader.consume(1);
    assert_eq!(reader.wait(2), Status::Ended(ended::CLOSED));
    // A reader that sees the end sees the last byte too.
    assert_eq!(
        reader.ring.position() + reader.ring.available(),
        2,
        "the end: bytes lost"
    );
    reader.check();
    writing.join().unwrap();
}

/// A reader stops, while the writer goes to sleep for room in a full ring.
fn stop<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(2);
    let reading = thread::spawn(move || {
        reader.drain();
        reader.stop(ended::CLOSED);
    });
    let mut look = writer.wait(1);
    if look == Status::Ready {
        writer.write(2);
        look = writer.wait(1);
    }
    assert_eq!(look, Status::Ended(ended::CLOSED));
    reading.join().unwrap();
}

/// A process writes a byte, finishes, stops reading and lets go of the link. Neither half of its
/// peer may take that for a death.
fn leave<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(2, 1, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let mut peer_writer = Writing::new(&world, Who::Right);
    peer_writer.write(1);
    let leaving = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            writer.write(1);
            if flaw == Flaw::HangUpBeforeFin {
                world.hang_up(Who::Left);
            }
            writer.end(ended::CLOSED);
            world.end_reading(Who::Left, ended::CLOSED);
            world.hang_up(Who::Left);
        }
    });
    let writing = thread::spawn(move || {
        let look = peer_writer.wait(1);
        assert_eq!(
            look,
            Status::Ended(ended::CLOSED),
            "the end: a writer is told of a death"
        );
    });
    let look = reader.wait(2);
    assert_eq!(
        look,
        Status::Ended(ended::CLOSED),
        "the end: a reader is told of a death"
    );
    assert_eq!(reader.ring.available(), 1, "the end: bytes lost");
    reader.take();
    writing.join().unwrap();
    leaving.join().unwrap();
}

/// A reader that has left its wake word set, since it waits for more than there is, leaves in
/// order. A writer that takes it to starve and then finds the link hung up may not take it for
/// dead.
fn leave_starving<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(2, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(1);
    reader.arm(2);
    let leaving = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            reader.stop(ended::CLOSED);
            world.hang_up(Who::Right);
        }
    });
    let look = writer.poll(2);
    assert!(
        matches!(look, Status::Starving | Status::Ended(ended::CLOSED)),
        "the end: a writer is told of a death ({look:?})"
    );
    leaving.join().unwrap();
}

/// A process dies after it has published a byte, and nobody stores an end.
fn die<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(2, 1, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    let mut peer_writer = Writing::new(&world, Who::Right);
    peer_writer.write(1);
    let dying = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            writer.write(1);
            world.hang_up(Who::Left);
        }
    });
    let writing = thread::spawn(move || assert_eq!(peer_writer.wait(1), Status::PeerDied));
    assert_eq!(reader.wait(2), Status::PeerDied);
    assert_eq!(reader.ring.available(), 1, "the end: bytes lost");
    reader.take();
    writing.join().unwrap();
    dying.join().unwrap();
}

/// An abort tells both halves of the peer, with its code.
fn abort<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::both_ways(2, 1, flaw);
    let mut reader = Reading::new(&world, Who::Right);
    let mut writer = Writing::new(&world, Who::Right);
    writer.write(1);
    let aborting = thread::spawn({
        let world = Arc::clone(&world);
        move || world.abort(Who::Left, 7)
    });
    let code = |world: &World<A>| load_peer::<A, _>(&world.own(Who::Left).header.published.0.code);
    let writing = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            assert_eq!(writer.wait(1), Status::Ended(ended::ABORTED));
            assert_eq!(code(&world), 7, "the end: without its code");
        }
    });
    assert_eq!(reader.wait(1), Status::Ended(ended::ABORTED));
    assert_eq!(code(&world), 7, "the end: without its code");
    writing.join().unwrap();
    aborting.join().unwrap();
}

/// The halves of one process are threads of their own. One half learns that the peer has hung up
/// and writes it down. The other half finds it written down, and may not take an end in order for a
/// death.
fn leave_told_by_the_other_half<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(1, flaw);
    let mut reader = Reading::new(&world, Who::Right);
    let leaving = thread::spawn({
        let world = Arc::clone(&world);
        move || {
            world.end_writing(Who::Left, ended::CLOSED);
            world.hang_up(Who::Left);
        }
    });
    let other_half = thread::spawn({
        let world = Arc::clone(&world);
        move || world.check_peer(Who::Right)
    });
    let gone = world.is_gone(Who::Right);
    let look = reader.poll_knowing(1, gone);
    assert_ne!(
        look,
        Status::PeerDied,
        "the end: a reader is told of a death"
    );
    leaving.join().unwrap();
    other_half.join().unwrap();
}

/// Two threads of one process end it differently at the same time, while the peer's reader goes to
/// sleep. One of them is first, and nobody ever sees the other.
fn two_ends<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(1, flaw);
    let mut reader = Reading::new(&world, Who::Right);
    let ending = [ended::CLOSED, ended::POISONED].map(|how| {
        let world = Arc::clone(&world);
        thread::spawn(move || world.end_writing(Who::Left, how))
    });
    let seen = reader.wait(1);
    let firsts = ending.map(|thread| thread.join().unwrap());
    assert_ne!(firsts[0], firsts[1], "the end: two are first");
    let first = if firsts[0] {
        ended::CLOSED
    } else {
        ended::POISONED
    };
    assert_eq!(seen, Status::Ended(first), "the end: not the first");
    assert_eq!(reader.wait(1), seen, "the end: another one later");
}

/// A thread closes the stream while another thread of its process writes. The bytes written before
/// the writer learnt of the close are read before the end.
fn close_by_another_thread<A: Atomics>(flaw: Flaw) {
    let world = World::<A>::one_way(4, flaw);
    let mut writer = Writing::new(&world, Who::Left);
    let mut reader = Reading::new(&world, Who::Right);
    writer.write(1);
    let closing = thread::spawn({
        let world = Arc::clone(&world);
        // Spawning orders it after the first byte, and after nothing else.
        move || world.end_writing(Who::Left, ended::CLOSED)
    });
    let writing = thread::spawn(move || {
        writer.write(1);
        // As a writer that is dropped.
        writer.end(ended::CLOSED);
    });
    assert_eq!(reader.wait(3), Status::Ended(ended::CLOSED));
    assert!(reader.ring.available() >= 1, "the end: bytes lost");
    reader.check();
    closing.join().unwrap();
    writing.join().unwrap();
}

#[test]
fn an_end_wakes_a_sleeper_and_comes_after_the_last_byte() {
    holds("finish", finish::<Loom>);
    holds("stop", stop::<Loom>);
}

#[test]
fn a_half_that_leaves_in_order_is_not_taken_for_dead() {
    holds("leave", leave::<Loom>);
    holds("leave starving", leave_starving::<Loom>);
    holds(
        "leave, told by the other half",
        leave_told_by_the_other_half::<Loom>,
    );
}

#[test]
fn a_dead_half_is_gone_and_what_it_published_is_not() {
    holds("die", die::<Loom>);
}

#[test]
fn an_abort_carries_its_code() {
    holds("abort", abort::<Loom>);
}

#[test]
fn the_first_end_stays() {
    holds("two ends", two_ends::<Loom>);
    holds("close by another thread", close_by_another_thread::<Loom>);
}

#[test]
fn an_end_rings_every_half_that_is_armed() {
    for flaw in [Flaw::EndByFormula, Flaw::EndFence, Flaw::ReaderArmFence] {
        fails(finish::<Mutant>, flaw, Why::Deadlock);
    }
    for flaw in [Flaw::EndByFormula, Flaw::EndFence, Flaw::WriterArmFence] {
        fails(stop::<Mutant>, flaw, Why::Deadlock);
    }
}

#[test]
fn fin_is_looked_at_before_tail() {
    fails(finish::<Mutant>, Flaw::FinAfterTail, Why::WrongEnd);
    fails(finish::<Mutant>, Flaw::FinAcquire, Why::WrongEnd);
}

#[test]
fn a_hang_up_is_looked_at_before_fin_and_comes_after_it() {
    fails(leave::<Mutant>, Flaw::HangUpAfterFin, Why::WrongEnd);
    fails(leave::<Mutant>, Flaw::HangUpBeforeFin, Why::WrongEnd);
    fails(
        leave_starving::<Mutant>,
        Flaw::HangUpAfterStop,
        Why::WrongEnd,
    );
}

#[test]
fn a_hang_up_that_is_written_down_needs_release_and_acquire() {
    fails(
        leave_told_by_the_other_half::<Mutant>,
        Flaw::GoneRelease,
        Why::WrongEnd,
    );
    fails(
        leave_told_by_the_other_half::<Mutant>,
        Flaw::GoneAcquire,
        Why::WrongEnd,
    );
}

#[test]
fn a_code_is_published_by_its_end() {
    fails(abort::<Mutant>, Flaw::CodeAfterEnd, Why::WrongEnd);
    fails(abort::<Mutant>, Flaw::EndRelease, Why::WrongEnd);
    fails(abort::<Mutant>, Flaw::StopAcquire, Why::WrongEnd);
}

#[test]
fn an_end_is_exchanged_not_stored() {
    fails(two_ends::<Mutant>, Flaw::EndOverwrites, Why::WrongEnd);
}
