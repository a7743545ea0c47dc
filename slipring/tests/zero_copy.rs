//! The operations that only shared memory allows: bytes lent in place, to be read and to be
//! written, and several writes published at once.

mod common;

use common::{Random, bytes, guard, kind};
use slipring::{Options, Stream};
use std::io::{BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 16 * 1024;

fn pair() -> (Stream, Stream) {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .pair()
        .unwrap()
}

#[test]
fn asking_for_more_than_the_capacity_is_invalid_at_once() {
    let (mut left, mut right) = Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .pair()
        .unwrap();
    for wrong in [CAPACITY + 1, usize::MAX] {
        assert_eq!(kind(left.writer().reserve(wrong)), ErrorKind::InvalidInput);
        assert_eq!(
            kind(left.writer().try_reserve(wrong)),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(left.writer().batch().reserve(wrong)),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(right.reader().fill_at_least(wrong)),
            ErrorKind::InvalidInput
        );
    }
    // Each half goes by the ring that it uses, not by its own side's.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let small = thread::spawn(move || {
        Options::new()
            .capacity(4096)
            .max_capacity(4096)
            .upgrade(ours)
            .unwrap()
    });
    let mut large = Options::new()
        .capacity(8192)
        .max_capacity(8192)
        .upgrade(theirs)
        .unwrap();
    let mut small = small.join().unwrap();
    assert_eq!((small.capacity(), small.peer_capacity()), (4096, 8192));
    assert_eq!(kind(small.writer().reserve(4097)), ErrorKind::InvalidInput);
    assert_eq!(
        kind(large.reader().fill_at_least(4097)),
        ErrorKind::InvalidInput
    );
    drop(large.writer().reserve(8192).unwrap());
}

#[test]
fn the_whole_capacity_can_be_lent_at_any_offset() {
    guard(|| {
        for copy in [false, true] {
            let (mut left, mut right) = Options::new()
                .capacity(CAPACITY)
                .max_capacity(CAPACITY)
                .copy_reads(copy)
                .pair()
                .unwrap();
            let (mut source, mut sink) = (bytes::Source::new(1), bytes::Sink::new(1));
            for shift in [0, 1, 4095, 4096, 10_000, CAPACITY - 1] {
                source.write_all(&mut left, shift).unwrap();
                sink.read_exact(&mut right, shift).unwrap();
                let mut grant = left.writer().reserve(CAPACITY).unwrap();
                assert_eq!(grant.len(), CAPACITY);
                grant.copy_from_slice(source.take(CAPACITY));
                grant.commit(CAPACITY);
                assert_eq!(left.writer().space().unwrap(), 0);
                let lent = right.reader().fill_at_least(CAPACITY).unwrap();
                assert_eq!(lent.len(), CAPACITY);
                sink.take(lent);
                right.consume(CAPACITY);
                assert_eq!(left.writer().space().unwrap(), CAPACITY);
            }
        }
    });
}

/// Steps of all sizes in any order, also in a ring that begins anew: no byte is other than it was
/// written, whichever way it is read.
#[test]
fn lending_in_small_and_large_steps_may_be_mixed() {
    guard(|| {
        for (capacity, copy) in [(4096, false), (4096, true), (512 * 1024, false)] {
            let (mut left, mut right) = Options::new()
                .capacity(capacity)
                .max_capacity(capacity)
                .copy_reads(copy)
                .pair()
                .unwrap();
            let (reader, writer) = (right.reader(), left.writer());
            let (mut source, mut sink) = (bytes::Source::new(1), bytes::Sink::new(1));
            let mut random = Random::new(capacity as u64);
            let mut last = vec![0; capacity];
            for _ in 0..100_000 {
                let n = match random.below(8) {
                    0 => random.below(capacity as u64),
                    1 | 2 => random.below(200),
                    _ => 1 + random.below(40),
                } as usize;
                let known = (writer.position() - reader.position()) as usize;
                match random.below(13) {
                    0 | 1 => {
                        let n = n.min(writer.space().unwrap());
                        source.write_all(writer, n).unwrap();
                    }
                    _ if known == 0 => {
                        assert_eq!(kind(reader.try_read(&mut [0; 8])), ErrorKind::WouldBlock)
                    }
                    2 => {
                        assert_eq!(reader.available().unwrap(), known);
                        assert!(copy || reader.fill_buf().unwrap().len() == known);
                    }
                    3 => {
                        let _ = reader.arm(capacity).unwrap();
                        assert!(copy || reader.fill_buf().unwrap().len() == known);
                    }
                    4 => reader.disarm(),
                    5 => {
                        let _ = writer.arm(capacity / 2).unwrap();
                    }
                    6 => {
                        let n = n.min(known);
                        let lent = reader.fill_at_least(n).unwrap();
                        bytes::check(1, sink.position, &lent[..n]);
                        let lent = lent.len();
                        assert!(reader.fill_buf().unwrap().len() >= lent);
                    }
                    7 => {
                        let n = reader.try_read(&mut last[..n]).unwrap();
                        sink.take(&last[..n]);
                    }
                    8 | 9 => {
                        let lent = reader.fill_buf().unwrap();
                        let n = n.min(lent.len());
                        sink.take(&lent[..n]);
                        reader.consume(n);
                    }
                    10 => {
                        let (a, b) = last.split_at_mut(n / 2);
                        let mut bufs = [IoSliceMut::new(a), IoSliceMut::new(&mut b[..n - n / 2])];
                        let n = reader.read_vectored(&mut bufs).unwrap();
                        sink.take(&last[..n]);
                        let known = known - n;
                        assert!(
                            copy || known == 0
                                || n == 0
                                || reader.fill_buf().unwrap().len() == known
                        );
                    }
                    _ => {
                        let n = reader.read(&mut last[..n]).unwrap();
                        sink.take(&last[..n]);
                    }
                }
            }
            assert!(
                reader.position() > 3 * capacity as u64 && reader.position() > 1 << 20,
                "{}",
                reader.position()
            );
        }
    });
}

#[test]
fn more_than_was_lent_cannot_be_consumed() {
    let (mut left, mut right) = pair();
    left.write_all(b"abcdefgh").unwrap();
    for too_many in [8, 100, usize::MAX] {
        right.read_exact(&mut [0]).unwrap();
        left.write_all(b"x").unwrap();
        let known = right.fill_buf().unwrap().to_vec();
        let panics =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| right.consume(too_many)));
        assert!(panics.is_err(), "{too_many} of {}", known.len());
        assert_eq!(right.fill_buf().unwrap(), known);
        assert_eq!(right.reader().available().unwrap(), 8);
    }
}

#[test]
fn a_dropped_grant_publishes_nothing() {
    let (mut left, mut right) = pair();
    left.writer().reserve(100).unwrap().fill(0xee);
    assert_eq!(right.reader().available().unwrap(), 0);
    assert_eq!(left.writer().position(), 0);
    left.writer().reserve(100).unwrap().commit(0);
    assert_eq!(right.reader().available().unwrap(), 0);
    let mut grant = left.writer().reserve(100).unwrap();
    grant[..3].copy_from_slice(b"abc");
    grant.commit(3);
    assert_eq!(right.reader().available().unwrap(), 3);
    assert_eq!(left.writer().position(), 3);
    assert_eq!(right.fill_buf().unwrap(), b"abc");
    // The rest of the grant is free again.
    assert_eq!(left.writer().space().unwrap(), CAPACITY - 3);
    drop(left.writer().reserve(0).unwrap());
}

#[test]
#[should_panic(expected = "commit of 11 bytes out of a grant of 10")]
fn more_than_was_reserved_cannot_be_committed() {
    let (mut left, _right) = pair();
    left.writer().reserve(10).unwrap().commit(11);
}

#[test]
fn bytes_are_lent_again_until_they_are_consumed() {
    let (mut left, mut right) = pair();
    left.write_all(b"abcdef").unwrap();
    for _ in 0..2 {
        assert_eq!(right.fill_buf().unwrap(), b"abcdef");
        assert_eq!(right.reader().fill_at_least(6).unwrap(), b"abcdef");
    }
    right.consume(2);
    assert_eq!(right.fill_buf().unwrap(), b"cdef");
    assert_eq!(right.reader().position(), 2);
    right.consume(0);
    left.write_all(b"gh").unwrap();
    assert_eq!(right.reader().fill_at_least(6).unwrap(), b"cdefgh");
    right.consume(6);
    assert_eq!(right.reader().fill_at_least(0).unwrap(), b"");
}

#[test]
fn fill_at_least_waits_for_all_of_them() {
    guard(|| {
        let (mut left, right) = pair();
        let (mut reader, _writer) = right.into_split();
        let reading = thread::spawn(move || {
            let lent = reader.fill_at_least(1000).unwrap();
            assert!(lent.len() >= 1000);
            bytes::check(2, 0, lent);
        });
        let mut source = bytes::Source::new(2);
        for _ in 0..100 {
            assert!(source.position < 1000 && !reading.is_finished());
            source.write_all(&mut left, 10).unwrap();
        }
        reading.join().unwrap();
    });
}

#[test]
fn an_end_before_fill_at_least_leaves_what_came() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(b"abc").unwrap();
        let reading = thread::spawn(move || {
            for _ in 0..2 {
                assert_eq!(
                    kind(right.reader().fill_at_least(4)),
                    ErrorKind::UnexpectedEof
                );
            }
            assert_eq!(right.reader().fill_at_least(3).unwrap(), b"abc");
            let mut rest = String::new();
            right.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "abc");
            assert_eq!(
                kind(right.reader().fill_at_least(1)),
                ErrorKind::UnexpectedEof
            );
        });
        drop(left);
        reading.join().unwrap();
    });
}

#[test]
fn a_timeout_of_fill_at_least_consumes_nothing() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(b"abc").unwrap();
        right
            .set_read_timeout(Some(Duration::from_millis(2)))
            .unwrap();
        assert_eq!(kind(right.reader().fill_at_least(4)), ErrorKind::WouldBlock);
        right.set_nonblocking(true).unwrap();
        assert_eq!(kind(right.reader().fill_at_least(4)), ErrorKind::WouldBlock);
        assert_eq!(right.reader().available().unwrap(), 3);
        left.write_all(b"d").unwrap();
        assert_eq!(right.reader().fill_at_least(4).unwrap(), b"abcd");
    });
}

#[test]
fn reserving_waits_for_room() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(&bytes::made(3, 0, CAPACITY)).unwrap();
        assert_eq!(kind(left.writer().try_reserve(1)), ErrorKind::WouldBlock);
        left.set_write_timeout(Some(Duration::from_millis(2)))
            .unwrap();
        assert_eq!(kind(left.writer().reserve(1)), ErrorKind::WouldBlock);
        left.set_write_timeout(None).unwrap();
        let writing = thread::spawn(move || {
            let mut grant = left.writer().reserve(5000).unwrap();
            bytes::fill(3, CAPACITY as u64, &mut grant);
            grant.commit(5000);
            left
        });
        let mut sink = bytes::Sink::new(3);
        for _ in 0..CAPACITY / 100 {
            sink.read_exact(&mut right, 100).unwrap();
        }
        drop(writing.join().unwrap());
        sink.drain(right.reader()).unwrap();
        assert_eq!(sink.position, CAPACITY as u64 + 5000);
    });
}

#[test]
fn a_batch_publishes_at_flush_and_when_dropped() {
    let (mut left, mut right) = pair();
    let mut batch = left.writer().batch();
    batch.write_all(b"abc").unwrap();
    assert_eq!(
        batch
            .write_vectored(&[b"de", b"fg"].map(|text| IoSlice::new(text)))
            .unwrap(),
        4
    );
    let mut grant = batch.reserve(10).unwrap();
    grant[..1].copy_from_slice(b"h");
    grant.commit(1);
    assert_eq!(right.reader().available().unwrap(), 0);
    batch.flush().unwrap();
    assert_eq!(right.fill_buf().unwrap(), b"abcdefgh");
    batch.write_all(b"ij").unwrap();
    assert_eq!(right.reader().available().unwrap(), 8);
    drop(batch);
    assert_eq!(right.reader().available().unwrap(), 10);
    assert_eq!(left.writer().position(), 10);
}

#[test]
fn a_batch_publishes_each_64_kib() {
    let (mut left, mut right) = Options::new()
        .capacity(1 << 20)
        .max_capacity(1 << 20)
        .pair()
        .unwrap();
    let mut batch = left.writer().batch();
    let mut source = bytes::Source::new(4);
    for _ in 0..64 {
        assert_eq!(right.reader().available().unwrap(), 0);
        source.write_all(&mut batch, 1024).unwrap();
    }
    assert_eq!(right.reader().available().unwrap(), 64 * 1024);
    source.write_all(&mut batch, 200 * 1024).unwrap();
    assert!(right.reader().available().unwrap() >= 256 * 1024);
    drop(batch);
    bytes::check(4, 0, right.reader().fill_at_least(264 * 1024).unwrap());
}

#[test]
fn a_batch_publishes_when_it_has_to_wait() {
    guard(|| {
        let (left, mut right) = pair();
        let (_, mut writer) = left.into_split();
        let writing = thread::spawn(move || {
            let mut batch = writer.batch();
            let mut source = bytes::Source::new(5);
            // Without that it would wait for a reader that waits for it.
            source.write_all(&mut batch, 3 * CAPACITY).unwrap();
            let mut grant = batch.reserve(CAPACITY).unwrap();
            grant.copy_from_slice(source.take(CAPACITY));
            grant.commit(CAPACITY);
        });
        let mut sink = bytes::Sink::new(5);
        sink.drain(right.reader()).unwrap();
        assert_eq!(sink.position, 4 * CAPACITY as u64);
        writing.join().unwrap();
    });
}

#[test]
fn a_batch_that_cannot_wait_publishes_what_it_has() {
    let (mut left, mut right) = pair();
    left.set_nonblocking(true).unwrap();
    let mut batch = left.writer().batch();
    assert_eq!(batch.write(&[1; 10_000]).unwrap(), 10_000);
    assert_eq!(batch.write(&[2; 10_000]).unwrap(), CAPACITY - 10_000);
    assert_eq!(kind(batch.write(&[3])), ErrorKind::WouldBlock);
    assert_eq!(right.reader().available().unwrap(), CAPACITY);
}

#[test]
fn space_available_and_positions_tell_what_is_there() {
    guard(|| {
        let (mut left, mut right) = pair();
        let mut random = Random::new(6);
        let (mut written, mut read) = (0u64, 0u64);
        for _ in 0..5000 {
            assert_eq!(
                left.writer().space().unwrap() as u64,
                CAPACITY as u64 - (written - read)
            );
            assert_eq!(right.reader().available().unwrap() as u64, written - read);
            assert_eq!(
                (left.writer().position(), right.reader().position()),
                (written, read)
            );
            let n = random.below(CAPACITY as u64) as usize;
            if random.below(2) == 0 {
                match left.writer().try_write(&bytes::made(6, written, n)) {
                    Ok(n) => written += n as u64,
                    Err(e) => assert_eq!(
                        (e.kind(), written - read),
                        (ErrorKind::WouldBlock, CAPACITY as u64)
                    ),
                }
            } else {
                let mut buf = vec![0; n];
                match right.reader().try_read(&mut buf) {
                    Ok(n) => {
                        bytes::check(6, read, &buf[..n]);
                        read += n as u64;
                    }
                    Err(e) => assert_eq!((e.kind(), written), (ErrorKind::WouldBlock, read)),
                }
            }
        }
        drop(left);
        assert_eq!(right.reader().available().unwrap() as u64, written - read);
        std::io::copy(&mut right, &mut std::io::sink()).unwrap();
        assert_eq!(right.reader().available().unwrap(), 0);
        assert_eq!(right.reader().position(), written);
    });
}

/// Once this side reads no more, no byte can be read without blocking.
#[test]
fn nothing_is_available_after_this_side_has_ended() {
    let (mut left, mut right) = pair();
    left.write_all(b"abc").unwrap();
    assert_eq!(right.reader().available().unwrap(), 3);
    right.closer().close();
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(right.reader().available().unwrap(), 0);

    let (mut left, mut right) = pair();
    left.write_all(b"abc").unwrap();
    assert_eq!(right.reader().available().unwrap(), 3);
    right.reader().shutdown();
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(right.reader().available().unwrap(), 0);
}

#[test]
fn nothing_is_written_by_writing_nothing() {
    let (mut left, mut right) = pair();
    assert_eq!(left.write(&[]).unwrap(), 0);
    assert_eq!(left.writer().try_write(&[]).unwrap(), 0);
    assert_eq!(left.writer().batch().write(&[]).unwrap(), 0);
    assert_eq!(right.read(&mut []).unwrap(), 0);
    assert_eq!(right.reader().try_read(&mut []).unwrap(), 0);
    assert_eq!(right.reader().available().unwrap(), 0);
}
