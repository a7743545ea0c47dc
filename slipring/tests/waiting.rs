//! Two sides that wait for each other, in any combination: they go on, or are told that they
//! cannot.

mod common;

use common::process::asleep;
use common::{Random, bytes, guard, kind};
use slipring::{Closer, Options, Reader, Readiness, Spin, Stream, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 4096;

const SPINS: [Spin; 4] = [
    Spin::Never,
    Spin::Always,
    Spin::UpTo(Duration::from_micros(200)),
    Spin::Adaptive {
        max: Duration::from_micros(50),
    },
];

/// Two endpoints that wait in ways of their own.
fn pair(left: Spin, right: Spin) -> (Stream, Stream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let other = thread::spawn(move || {
        Options::new()
            .capacity(CAPACITY)
            .max_capacity(CAPACITY)
            .spin(right)
            .upgrade(theirs)
            .unwrap()
    });
    let left = Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(left)
        .upgrade(ours)
        .unwrap();
    (left, other.join().unwrap())
}

/// The writer of one end and the reader of the other. (The halves that are not used stay as they
/// are.)
fn one_way(writing: Spin, reading: Spin) -> (Writer, Reader, (Reader, Writer)) {
    let (left, right) = pair(writing, reading);
    let (unused_reader, writer) = left.into_split();
    let (reader, unused_writer) = right.into_split();
    (writer, reader, (unused_reader, unused_writer))
}

#[test]
fn a_closer_ends_a_blocked_read() {
    guard(|| {
        for spin in SPINS {
            for mine in [true, false] {
                let (left, mut right) = pair(spin, spin);
                let closer = if mine { right.closer() } else { left.closer() };
                let reading = thread::spawn(move || {
                    assert_eq!(right.read(&mut [0; 16]).unwrap(), 0);
                    assert_eq!(right.fill_buf().unwrap(), b"");
                    assert_eq!(
                        kind(right.reader().fill_at_least(1)),
                        ErrorKind::UnexpectedEof
                    );
                });
                closer.close();
                reading.join().unwrap();
                drop(left);
            }
        }
    });
}

#[test]
fn a_closer_ends_a_sleeping_read_and_a_sleeping_write() {
    guard(|| {
        type Call = (
            fn(&mut Stream) -> std::io::Result<usize>,
            Result<usize, ErrorKind>,
        );
        let calls: [Call; 5] = [
            (|s| s.read(&mut [0; 16]), Ok(0)),
            (
                |s| s.reader().fill_at_least(2).map(<[u8]>::len),
                Err(ErrorKind::UnexpectedEof),
            ),
            (|s| s.write(&[0; 16]), Err(ErrorKind::BrokenPipe)),
            (
                |s| s.writer().reserve(1).map(|grant| grant.len()),
                Err(ErrorKind::BrokenPipe),
            ),
            (
                |s| s.writer().wait_consumed().map(|()| 0),
                Err(ErrorKind::BrokenPipe),
            ),
        ];
        for (call, outcome) in calls {
            for mine in [true, false] {
                let (mut left, right) = pair(Spin::Never, Spin::Never);
                left.write_all(&[1; CAPACITY]).unwrap();
                let closers: [Closer; 2] = [left.closer(), right.closer()];
                let calling = asleep(move || call(&mut left).map_err(|e| e.kind()));
                let closer = if mine { &closers[0] } else { &closers[1] };
                thread::scope(|scope| {
                    scope.spawn(|| closer.close());
                });
                assert_eq!(calling.join().unwrap(), outcome);
                closer.clone().close();
                drop(right);
                closers[0].close();
                closers[1].close();
            }
        }
    });
}

#[test]
fn a_reader_that_wants_more_than_a_writer_can_give_is_a_deadlock_for_the_writer() {
    guard(|| {
        for writing in SPINS {
            for reading in SPINS {
                let (mut writer, mut reader, _unused) = one_way(writing, reading);
                // 3500 and 1000 together are more than 4096.
                let mut source = bytes::Source::new(1);
                source.write_all(&mut writer, 1000).unwrap();
                let reads = thread::spawn(move || {
                    bytes::check(1, 0, &reader.fill_at_least(3500).unwrap()[..3500]);
                    reader.consume(3500);
                    reader
                });
                assert_eq!(
                    kind(writer.reserve(3500)),
                    ErrorKind::Deadlock,
                    "{writing:?} {reading:?}"
                );
                // That is no end: less at a time goes well.
                assert_eq!(writer.end(), None);
                source.write_all(&mut writer, 2500).unwrap();
                let reader = reads.join().unwrap();
                writer.reserve(3500).unwrap().commit(0);
                drop(reader);
            }
        }
    });
}

/// The writer is first, and asleep when the reader comes: it has to be woken to be told.
#[test]
fn a_sleeping_writer_is_told_of_a_reader_that_wants_more() {
    guard(|| {
        for reading in SPINS {
            for drained in [false, true] {
                let (mut writer, mut reader, _unused) = one_way(Spin::Never, reading);
                writer.write_all(&[7; 1000]).unwrap();
                let writes = asleep(move || {
                    let result = if drained {
                        writer.wait_consumed()
                    } else {
                        writer.reserve(CAPACITY).map(|_| ())
                    };
                    assert_eq!(kind(result), ErrorKind::Deadlock, "{reading:?}");
                    writer.write_all(&[7; 1000]).unwrap();
                });
                reader.fill_at_least(2000).unwrap();
                writes.join().unwrap();
            }
        }
    });
}

/// `write` never takes a reader that waits for more than it has room for as a deadlock: it gives
/// what fits.
#[test]
fn a_plain_write_feeds_a_starving_reader() {
    guard(|| {
        for writing in SPINS {
            for reading in SPINS {
                let (mut writer, mut reader, _unused) = one_way(writing, reading);
                let writes = thread::spawn(move || {
                    bytes::Source::new(2).write_all(&mut writer, 40 * CAPACITY)
                });
                let mut sink = bytes::Sink::new(2);
                let mut random = Random::new(2);
                while sink.position < 40 * CAPACITY as u64 - CAPACITY as u64 {
                    // Up to the whole capacity, after having consumed any part of it.
                    let want = 1 + random.below(CAPACITY as u64) as usize;
                    let lent = reader.fill_at_least(want).unwrap();
                    let n = 1 + random.below(lent.len() as u64) as usize;
                    sink.take(&lent[..n]);
                    reader.consume(n);
                }
                sink.drain(&mut reader).unwrap();
                writes.join().unwrap().unwrap();
                assert_eq!(sink.position, 40 * CAPACITY as u64);
            }
        }
    });
}

/// A reader that takes what there is starves nobody, however long the writer polls.
#[test]
fn a_reader_that_keeps_up_is_never_a_deadlock() {
    guard(|| {
        for writing in SPINS {
            for reading in SPINS {
                let (mut writer, mut reader, _unused) = one_way(writing, reading);
                let reads = thread::spawn(move || {
                    let mut sink = bytes::Sink::new(3);
                    let mut buf = [0; 1000];
                    loop {
                        match reader.read(&mut buf).unwrap() {
                            0 => return sink.position,
                            n => sink.take(&buf[..n]),
                        }
                    }
                });
                let mut source = bytes::Source::new(3);
                let start = Instant::now();
                for round in 0..20_000 {
                    // Spinning side by side takes its time where there are not two idle cores. So
                    // few rounds are enough, but they are made.
                    if round >= 200 && start.elapsed() > Duration::from_secs(1) {
                        break;
                    }
                    source.write_all(&mut writer, 100).unwrap();
                    writer
                        .wait_consumed()
                        .unwrap_or_else(|e| panic!("{writing:?} {reading:?} round {round}: {e}"));
                    let mut grant = writer
                        .reserve(3000)
                        .unwrap_or_else(|e| panic!("{writing:?} {reading:?} round {round}: {e}"));
                    grant[..300].copy_from_slice(source.take(300));
                    grant.commit(300);
                }
                drop(writer);
                assert_eq!(reads.join().unwrap(), source.position);
            }
        }
    });
}

#[test]
fn wait_consumed_waits_until_everything_is_consumed() {
    guard(|| {
        for spin in SPINS {
            let (mut writer, mut reader, _unused) = one_way(spin, spin);
            writer.wait_consumed().unwrap();
            writer.write_all(&[1; 3000]).unwrap();
            writer.set_timeout(Some(Duration::from_millis(2))).unwrap();
            assert_eq!(kind(writer.wait_consumed()), ErrorKind::WouldBlock);
            writer.set_nonblocking(true);
            assert_eq!(kind(writer.wait_consumed()), ErrorKind::WouldBlock);
            writer.set_nonblocking(false);
            writer.set_timeout(None).unwrap();
            writer.finish().unwrap();
            let reads = thread::spawn(move || {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).unwrap();
                (reader, all.len())
            });
            writer.wait_consumed().unwrap();
            let (reader, n) = reads.join().unwrap();
            assert_eq!(n, 3000);
            // It stays so when the peer is gone.
            drop(reader);
            writer.wait_consumed().unwrap();
            assert_eq!(kind(writer.write(b"x")), ErrorKind::BrokenPipe);
        }
    });
}

/// However little is read, the writer has its room at once, and one that waits for just that is
/// told.
#[test]
fn each_byte_that_is_read_makes_room_for_the_writer() {
    guard(|| {
        let (mut writer, mut reader, _unused) = one_way(Spin::Never, Spin::Never);
        let reads: [fn(&mut Reader); 4] = [
            |reader| reader.read_exact(&mut [0]).unwrap(),
            |reader| assert_eq!(reader.try_read(&mut [0]).unwrap(), 1),
            |reader| {
                assert!(!reader.fill_buf().unwrap().is_empty());
                reader.consume(1);
            },
            |reader| {
                assert!(!reader.fill_at_least(1).unwrap().is_empty());
                reader.consume(1);
            },
        ];
        for read in reads {
            writer.write_all(&[1; CAPACITY]).unwrap();
            for room in 1..=CAPACITY {
                let waits = room % 10 == 0;
                if waits {
                    assert_eq!(writer.arm(room).unwrap(), Readiness::Pending);
                }
                read(&mut reader);
                if waits {
                    assert_eq!(writer.arm(room).unwrap(), Readiness::Ready);
                }
                assert_eq!(writer.space().unwrap(), room);
            }
        }
    });
}

#[test]
fn a_reader_of_single_bytes_feeds_a_writer_that_waits() {
    guard(|| {
        for spin in SPINS {
            let (mut writer, mut reader, _unused) = one_way(spin, spin);
            let all = bytes::made(7, 0, 50_000);
            let written = all.clone();
            let writing = thread::spawn(move || {
                writer.write_all(&written).unwrap();
                writer.wait_consumed().unwrap();
                writer
            });
            let mut got = Vec::new();
            while got.len() < all.len() {
                let mut byte = [0];
                reader.read_exact(&mut byte).unwrap();
                got.extend(byte);
                let known = reader.fill_buf().unwrap()[..1.min(all.len() - got.len())].to_vec();
                reader.consume(known.len());
                got.extend(known);
            }
            assert!(got == all, "other bytes than were written");
            writing.join().unwrap();
        }
    });
}

#[test]
fn a_reader_that_goes_before_everything_is_consumed_is_a_broken_pipe() {
    guard(|| {
        for spin in SPINS {
            for finish in [false, true] {
                let (mut writer, mut reader, _unused) = one_way(spin, spin);
                writer.write_all(&[1; 3000]).unwrap();
                if finish {
                    writer.finish().unwrap();
                }
                let waits = thread::spawn(move || kind(writer.wait_consumed()));
                reader.read_exact(&mut [0; 2999]).unwrap();
                drop(reader);
                assert_eq!(waits.join().unwrap(), ErrorKind::BrokenPipe);
            }
        }
    });
}

/// Each side writes until both rings are full; then each side reads.
#[test]
fn both_directions_may_be_full_at_once() {
    guard(|| {
        const BYTES: usize = 20 * CAPACITY;
        let (left, right) = pair(Spin::Never, Spin::Never);
        let sides = [(left, 4, 5), (right, 5, 4)].map(|(stream, mine, theirs)| {
            let (reader, mut writer) = stream.into_split();
            let writes = asleep(move || bytes::Source::new(mine).write_all(&mut writer, BYTES));
            (reader, writes, theirs)
        });
        for (mut reader, writes, theirs) in sides {
            // The other direction stays full meanwhile.
            assert_eq!(reader.available().unwrap(), CAPACITY);
            let mut sink = bytes::Sink::new(theirs);
            sink.drain(&mut reader).unwrap();
            assert_eq!(sink.position, BYTES as u64);
            drop(writes);
        }
    });
}

/// A paused reader holds the writer back; it does not lose it anything, nor the reader.
#[test]
fn a_reader_that_stops_reading_for_a_while_costs_only_time() {
    guard(|| {
        let (mut writer, mut reader, _unused) = one_way(Spin::Never, Spin::Never);
        let mut source = bytes::Source::new(6);
        source.write_all(&mut writer, CAPACITY).unwrap();
        writer.set_timeout(Some(Duration::from_millis(3))).unwrap();
        for _ in 0..3 {
            assert_eq!(kind(writer.write(b"x")), ErrorKind::WouldBlock);
            assert_eq!(kind(writer.reserve(1)), ErrorKind::WouldBlock);
        }
        writer.set_timeout(None).unwrap();
        let writes = asleep(move || {
            source.write_all(&mut writer, CAPACITY).unwrap();
            source.position
        });
        let mut sink = bytes::Sink::new(6);
        sink.drain(&mut reader).unwrap();
        assert_eq!(sink.position, writes.join().unwrap());
    });
}
