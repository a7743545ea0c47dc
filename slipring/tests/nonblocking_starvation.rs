//! A reader that polls again and again instead of waiting gets the bytes that it asks for, although
//! the writer would rather wait for more room.

use slipring::{Options, Reader, Spin};
use std::io::{BufRead, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 4096;
const LONG: Duration = Duration::from_secs(60);

/// Asks until `n` bytes are there.
fn fill(reader: &mut Reader, n: usize) {
    let give_up = Instant::now() + LONG;
    loop {
        match reader.fill_at_least(n) {
            Ok(bytes) => return assert!(bytes.len() >= n),
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
        assert!(Instant::now() < give_up, "the reader never gets {n} bytes");
        thread::yield_now();
    }
}

/// A full ring of which 1000 bytes are consumed, a writer blocked on half the ring, and a reader
/// that needs 3500 bytes.
fn starve(spin: Spin, how_to_ask: impl Fn(&mut Reader)) {
    let (mut left, right) = Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(spin)
        .pair()
        .unwrap();
    let (mut reader, _writer) = right.into_split();
    how_to_ask(&mut reader);
    let writing = thread::spawn(move || left.write_all(&[7; CAPACITY + 2000]));
    fill(&mut reader, CAPACITY);
    reader.consume(1000);
    fill(&mut reader, 3500);
    reader.consume(3500);
    fill(&mut reader, 1596);
    writing.join().unwrap().unwrap();
}

#[test]
fn a_nonblocking_reader_that_starves_is_seen_by_its_writer() {
    for spin in [Spin::Never, Spin::default()] {
        starve(spin, |reader| reader.set_nonblocking(true));
    }
}

#[test]
fn a_reader_with_a_timeout_shorter_than_its_spinning_is_seen_to_starve() {
    for spin in [
        Spin::Always,
        Spin::UpTo(Duration::from_millis(1)),
        Spin::default(),
    ] {
        starve(spin, |reader| {
            reader.set_timeout(Some(Duration::from_micros(20))).unwrap()
        });
    }
}

#[test]
fn a_blocking_reader_that_starves_is_seen_by_its_writer() {
    for spin in [Spin::Never, Spin::default(), Spin::Always] {
        starve(spin, |_| {});
    }
}
