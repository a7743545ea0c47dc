//! Streams in event loops that know nothing of them: plain `poll(2)`, mio (edge-triggered),
//! async-io (one-shot).

mod loops;
mod peer;
mod traffic;

use loops::{AsyncIo, Foreign, Mio, Poll, is_readable};
use slipring::{EndReason, Options, Readiness, Stream};
use std::io::{ErrorKind, Read, Write};
use std::thread;
use traffic::{Side, ping_pong};

const CAPACITY: usize = 4096;

fn pair() -> (Stream, Stream) {
    let (mut left, mut right) = Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .pair()
        .unwrap();
    left.set_nonblocking(true).unwrap();
    right.set_nonblocking(true).unwrap();
    (left, right)
}

/// Fills the ring that a stream writes into.
fn fill(stream: &mut Stream) {
    assert_eq!(stream.write(&[7; CAPACITY]).unwrap(), CAPACITY);
}

/// Runs a test in every kind of loop.
macro_rules! in_every_loop {
    ($($test:ident)*) => {
        mod in_poll { $(#[test] fn $test() { super::$test::<super::Poll>(); })* }
        mod in_mio { $(#[test] fn $test() { super::$test::<super::Mio>(); })* }
        mod in_async_io { $(#[test] fn $test() { super::$test::<super::AsyncIo>(); })* }
    };
}

in_every_loop! {
    a_polled_stream_flows_both_ways
    a_polled_stream_goes_to_and_fro
    a_polled_half_is_told_of_a_death
    a_polled_half_is_told_of_a_half_close
    a_polled_half_is_told_that_nobody_reads_any_more
    a_polled_half_is_told_of_a_closer
}

/// Both sides write and read as many bytes as they can, through rings that hold a few messages;
/// each wakes the other all the time.
fn a_polled_stream_flows_both_ways<L: Foreign>() {
    const MESSAGES: u64 = 200_000;
    let (left, right) = pair();
    let [left, right] = thread::scope(|scope| {
        [left, right]
            .map(|stream| scope.spawn(|| Side::new(stream, MESSAGES).run(&mut L::new())))
            .map(|side| side.join().unwrap())
    });
    // Each wake-up takes a publication of the other side: something written, or something consumed.
    for (one, other) in [(&left, &right), (&right, &left)] {
        let reasons = other.writes + other.reads;
        assert!(
            one.wakes <= reasons + 8,
            "{} wake-ups for {reasons} reasons",
            one.wakes
        );
    }
}

/// One message at a time, so that nearly every one finds the other side polling.
fn a_polled_stream_goes_to_and_fro<L: Foreign>() {
    const ROUND_TRIPS: u64 = 20_000;
    let (left, right) = pair();
    let [left, right] = thread::scope(|scope| {
        [(left, true), (right, false)]
            .map(|(stream, first)| {
                scope.spawn(move || ping_pong(stream, first, ROUND_TRIPS, &mut L::new()))
            })
            .map(|side| side.join().unwrap())
    });
    for wakes in [left, right] {
        assert!(
            wakes <= ROUND_TRIPS + 8,
            "{wakes} wake-ups for {ROUND_TRIPS} messages"
        );
    }
}

/// The peer's process is killed while both halves are armed.
fn a_polled_half_is_told_of_a_death<L: Foreign>() {
    let (mut stream, peer) = peer::start(CAPACITY);
    stream.set_nonblocking(true).unwrap();
    fill(&mut stream);
    let (reader, writer) = stream.halves();
    assert_eq!(reader.arm(1).unwrap(), Readiness::Pending);
    assert_eq!(writer.arm(1).unwrap(), Readiness::Pending);
    drop(peer);
    // Each of the two is told by its own descriptor.
    let (mut reading, mut writing) = (L::new(), L::new());
    let read = loop {
        reading.wait(&[reader]);
        if reader.arm(1).unwrap() == Readiness::Ready {
            break reader.read(&mut [0]);
        }
    };
    let written = loop {
        writing.wait(&[writer]);
        if writer.arm(1).unwrap() == Readiness::Ready {
            break writer.write(&[0]);
        }
    };
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

fn a_polled_half_is_told_of_a_half_close<L: Foreign>() {
    let (mut left, mut right) = pair();
    assert_eq!(left.reader().arm(1).unwrap(), Readiness::Pending);
    let finishing = thread::spawn(move || {
        right.writer().finish().unwrap();
        right
    });
    L::new().wait(&[left.reader()]);
    assert_eq!(left.read(&mut [0]).unwrap(), 0);
    assert_eq!(
        left.reader().arm(1).unwrap(),
        Readiness::Ready,
        "the end stays"
    );
    // The other direction goes on.
    let mut right = finishing.join().unwrap();
    assert_eq!(right.reader().arm(3).unwrap(), Readiness::Pending);
    left.write_all(b"yes").unwrap();
    L::new().wait(&[right.reader()]);
    assert_eq!(right.reader().fill_at_least(3).unwrap(), b"yes");
}

fn a_polled_half_is_told_that_nobody_reads_any_more<L: Foreign>() {
    let (mut left, right) = pair();
    fill(&mut left);
    assert_eq!(left.writer().arm(1).unwrap(), Readiness::Pending);
    let (reader, _writer) = right.into_split();
    let dropping = thread::spawn(move || drop(reader));
    L::new().wait(&[left.writer()]);
    assert_eq!(left.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(left.writer().end().unwrap().reason, EndReason::ReaderGone);
    dropping.join().unwrap();
}

fn a_polled_half_is_told_of_a_closer<L: Foreign>() {
    let (mut left, _right) = pair();
    assert_eq!(left.reader().arm(1).unwrap(), Readiness::Pending);
    let closer = left.closer();
    let closing = thread::spawn(move || closer.close());
    L::new().wait(&[left.reader()]);
    assert_eq!(left.read(&mut [0]).unwrap(), 0);
    closing.join().unwrap();
}

#[test]
fn a_descriptor_is_readable_until_armed_again_and_not_longer() {
    let (mut left, mut right) = pair();
    for _ in 0..3 {
        assert_eq!(right.reader().arm(1).unwrap(), Readiness::Pending);
        assert!(!is_readable(right.reader()));
        left.write_all(b"tick").unwrap();
        assert!(is_readable(right.reader()));
        assert!(is_readable(right.reader()), "a poll takes nothing away");
        assert_eq!(right.reader().arm(1).unwrap(), Readiness::Ready);
        assert_eq!(right.read(&mut [0; 8]).unwrap(), 4);
    }
    // The last ring still lies in the set.
    assert_eq!(right.reader().arm(1).unwrap(), Readiness::Pending);
    assert!(!is_readable(right.reader()));
}

#[test]
fn a_message_that_is_not_complete_wakes_nobody() {
    let (mut left, mut right) = pair();
    assert_eq!(right.reader().arm(8).unwrap(), Readiness::Pending);
    left.write_all(b"tick").unwrap();
    assert!(!is_readable(right.reader()));
    assert_eq!(right.reader().arm(4).unwrap(), Readiness::Ready);
    assert_eq!(right.reader().arm(8).unwrap(), Readiness::Pending);
    left.write_all(b"tock").unwrap();
    assert!(is_readable(right.reader()));
}

#[test]
fn a_polled_reader_that_consumes_nothing_goes_on_waiting() {
    let (mut left, mut right) = pair();
    assert_eq!(right.reader().arm(1).unwrap(), Readiness::Pending);
    std::io::BufRead::consume(right.reader(), 0);
    left.write_all(b"tick").unwrap();
    assert!(is_readable(right.reader()));
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 4);

    fill(&mut left);
    assert_eq!(left.writer().arm(1000).unwrap(), Readiness::Pending);
    assert_eq!(left.write(b"").unwrap(), 0);
    right.read_exact(&mut [0; 1000]).unwrap();
    assert!(is_readable(left.writer()));
}

#[test]
fn a_writer_is_woken_for_as_much_room_as_it_asked_for() {
    let (mut left, mut right) = pair();
    fill(&mut left);
    assert_eq!(left.writer().arm(1000).unwrap(), Readiness::Pending);
    right.read_exact(&mut [0; 999]).unwrap();
    assert!(!is_readable(left.writer()));
    right.read_exact(&mut [0; 1]).unwrap();
    assert!(is_readable(left.writer()));
    // Everything consumed is a matter of room, too.
    assert_eq!(left.writer().arm(CAPACITY).unwrap(), Readiness::Pending);
    right.read_exact(&mut [0; CAPACITY - 1000]).unwrap();
    assert!(is_readable(left.writer()));
    assert_eq!(left.writer().arm(CAPACITY).unwrap(), Readiness::Ready);
}

#[test]
fn a_half_that_disarms_or_goes_on_is_not_rung() {
    let (mut left, mut right) = pair();
    assert_eq!(right.reader().arm(1).unwrap(), Readiness::Pending);
    right.reader().disarm();
    left.write_all(b"tick").unwrap();
    assert!(!is_readable(right.reader()));

    // A read takes it back: the awaited bytes come when nobody waits any more.
    assert_eq!(right.reader().arm(8).unwrap(), Readiness::Pending);
    assert_eq!(right.read(&mut [0; 2]).unwrap(), 2);
    left.write_all(b"tick").unwrap();
    assert!(!is_readable(right.reader()));

    // And so does a write.
    fill(&mut right);
    left.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(right.writer().arm(100).unwrap(), Readiness::Pending);
    assert_eq!(right.write(&[0; 100]).unwrap(), 10);
    left.read_exact(&mut [0; 200]).unwrap();
    assert!(!is_readable(right.writer()));
}

#[test]
fn two_that_wait_for_each_other_go_on_in_either_order_of_arming() {
    let starve = |writer_first: bool| {
        let (mut left, mut right) = pair();
        fill(&mut left);
        right.read_exact(&mut [0; 1000]).unwrap();
        if writer_first {
            assert_eq!(left.writer().arm(2048).unwrap(), Readiness::Pending);
            assert_eq!(right.reader().arm(3500).unwrap(), Readiness::Pending);
            assert!(is_readable(left.writer()));
        } else {
            assert_eq!(right.reader().arm(3500).unwrap(), Readiness::Pending);
        }
        assert_eq!(left.writer().arm(2048).unwrap(), Readiness::Ready);
        assert_eq!(left.write(&[7; 2048]).unwrap(), 1000);
        assert!(is_readable(right.reader()));
        assert_eq!(right.reader().fill_at_least(3500).unwrap().len(), CAPACITY);
    };
    starve(true);
    starve(false);
}

#[test]
fn blocking_calls_and_polling_take_turns() {
    let (mut left, mut right) = Stream::pair().unwrap();
    for round in 0..1000_u64 {
        let armed = right.reader().arm(8).unwrap();
        assert_eq!(armed, Readiness::Pending);
        let writing = thread::scope(|scope| {
            let writing = scope.spawn(|| left.write_all(&round.to_le_bytes()));
            if round % 2 == 0 {
                Poll::new().wait(&[right.reader()]);
            }
            let mut word = [0; 8];
            right.read_exact(&mut word).unwrap();
            assert_eq!(u64::from_le_bytes(word), round);
            writing.join().unwrap()
        });
        writing.unwrap();
    }
}

#[test]
fn arming_for_more_than_the_ring_holds_is_refused() {
    let (mut left, _right) = pair();
    let refused = |armed: std::io::Result<Readiness>| armed.unwrap_err().kind();
    assert_eq!(
        refused(left.reader().arm(CAPACITY + 1)),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        refused(left.writer().arm(CAPACITY + 1)),
        ErrorKind::InvalidInput
    );
    assert_eq!(left.reader().arm(0).unwrap(), Readiness::Ready);
    assert_eq!(left.writer().arm(0).unwrap(), Readiness::Ready);
}
