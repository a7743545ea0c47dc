//! How a stream ends: every reason on both sides, with the halves dropped in any order.

mod common;

use common::{Random, bytes, eventually, guard, kind};
use slipring::{End, EndReason, Options, Reader, Spin, Stream, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

fn pair() -> (Stream, Stream) {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
        .pair()
        .unwrap()
}

fn end(reason: EndReason, position: u64) -> Option<(EndReason, u64)> {
    Some((reason, position))
}

/// How and where, of an end that is known.
fn known(end: Option<End>) -> Option<(EndReason, u64)> {
    end.map(|end| (end.reason, end.position))
}

/// Writes until that fails: a writer with room checks the other side only now and then.
fn until_it_fails(writer: &mut Writer) -> ErrorKind {
    let mut failed = None;
    eventually("writing fails", || {
        failed = writer.write(b"x").err().map(|e| e.kind());
        failed.is_some()
    });
    failed.unwrap()
}

#[test]
fn an_end_is_known_once_it_is_met() {
    let (mut left, mut right) = pair();
    left.write_all(b"abc").unwrap();
    left.writer().finish().unwrap();
    assert_eq!(known(left.writer().end()), end(EndReason::Finished, 3));
    assert_eq!(right.reader().end(), None);
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 3);
    assert_eq!(right.reader().end(), None);
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(known(right.reader().end()), end(EndReason::Finished, 3));
    assert_eq!(right.writer().end(), None);
}

#[test]
fn a_dropped_reader_is_known_to_the_writer() {
    guard(|| {
        let (left, right) = pair();
        let (reader, _writer) = left.into_split();
        let (_reader, mut writer) = right.into_split();
        writer.write_all(b"abc").unwrap();
        drop(reader);
        assert_eq!(until_it_fails(&mut writer), ErrorKind::BrokenPipe);
        let met = writer.end().unwrap();
        assert_eq!(met.reason, EndReason::ReaderGone);
        assert_eq!(met.position, writer.position());
        assert_eq!(kind(writer.finish()), ErrorKind::BrokenPipe);
    });
}

#[test]
fn an_abort_carries_its_code_both_ways() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(b"abc").unwrap();
        left.writer().abort(0xfeed_face);
        let aborted = EndReason::Aborted { code: 0xfeed_face };
        assert_eq!(
            right.read(&mut [0; 8]).unwrap(),
            3,
            "the published bytes come first"
        );
        for _ in 0..2 {
            assert_eq!(kind(right.read(&mut [0; 8])), ErrorKind::ConnectionAborted);
        }
        assert_eq!(known(right.reader().end()), end(aborted, 3));
        assert_eq!(until_it_fails(right.writer()), ErrorKind::ConnectionAborted);
        assert_eq!(right.writer().end().unwrap().reason, aborted);

        assert_eq!(left.read(&mut [0]).unwrap(), 0);
        assert_eq!(kind(left.write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(known(left.writer().end()), end(EndReason::Closed, 3));
        assert_eq!(known(left.reader().end()), end(EndReason::Closed, 0));
    });
}

#[test]
fn the_first_abort_is_the_one_that_counts() {
    let (mut left, mut right) = pair();
    left.writer().abort(1);
    left.writer().abort(2);
    assert_eq!(kind(right.read(&mut [0; 8])), ErrorKind::ConnectionAborted);
    assert_eq!(
        known(right.reader().end()),
        end(EndReason::Aborted { code: 1 }, 0)
    );
}

#[test]
fn available_counts_the_rest_and_then_tells_the_end() {
    guard(|| {
        for in_order in [true, false] {
            let (mut left, mut right) = pair();
            left.write_all(b"abc").unwrap();
            if in_order {
                drop(left);
            } else {
                left.writer().abort(1);
            }
            let reader = right.reader();
            assert_eq!(reader.available().unwrap(), 3);
            reader.read_exact(&mut [0; 3]).unwrap();
            let known = reader.available().map_err(|e| e.kind());
            if in_order {
                assert_eq!(known, Ok(0));
            } else {
                assert_eq!(known, Err(ErrorKind::ConnectionAborted));
            }
        }
    });
}

#[test]
fn an_abort_after_an_orderly_end_does_not_take_that_back() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(b"abc").unwrap();
        left.writer().finish().unwrap();
        left.writer().abort(7);
        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        assert_eq!(until_it_fails(right.writer()), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn a_closer_ends_both_directions_in_order() {
    guard(|| {
        let (mut left, mut right) = pair();
        left.write_all(b"abc").unwrap();
        right.write_all(b"never read").unwrap();
        left.closer().close();
        assert_eq!(left.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(kind(left.write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(left.reader().end().unwrap().reason, EndReason::Closed);
        assert_eq!(known(left.writer().end()), end(EndReason::Closed, 3));

        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        assert_eq!(known(right.reader().end()), end(EndReason::Finished, 3));
        assert_eq!(until_it_fails(right.writer()), ErrorKind::BrokenPipe);
        assert_eq!(right.writer().end().unwrap().reason, EndReason::ReaderGone);
    });
}

/// A reader takes nothing once its thread has learnt that its side ended the stream.
#[test]
fn a_closed_stream_gives_not_one_byte_more() {
    guard(|| {
        let mut random = Random::new(1);
        let mut ended_in_the_middle = 0;
        for round in 0..3000 {
            let (mut left, right) = pair();
            left.write_all(&[1; 4096]).unwrap();
            let (mut reader, _writer) = right.into_split();
            let closer = reader.closer();
            let (told, known) = (AtomicBool::new(false), &AtomicU64::new(0));
            let at = random.below(4000);
            // In every other round the reader's thread ends the stream too, at about the same time:
            // then it knows by itself.
            let own = if round % 4 < 2 {
                u64::MAX
            } else {
                at + 1 + random.below(40)
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    while known.load(Ordering::Relaxed) < at {
                        std::hint::spin_loop();
                    }
                    closer.close();
                    told.store(true, Ordering::Release);
                });
                let read = |reader: &mut Reader| {
                    if round % 2 == 0 {
                        return reader.read(&mut [0]).unwrap();
                    }
                    let n = reader.fill_buf().unwrap().len().min(1);
                    reader.consume(n);
                    n
                };
                for i in 0..=4096 {
                    let closed = told.load(Ordering::Acquire) || i >= own;
                    if i == own {
                        closer.close();
                    }
                    if read(&mut reader) == 0 {
                        ended_in_the_middle += usize::from(i < 4096);
                        break;
                    }
                    assert!(
                        !closed,
                        "round {round}: byte {i} was read after the stream had been closed"
                    );
                    known.store(i, Ordering::Relaxed);
                }
            });
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
            assert_eq!(reader.end().unwrap().reason, EndReason::Closed);
        }
        assert!(ended_in_the_middle > 0);
    });
}

#[test]
fn shutdown_ends_the_directions_it_names() {
    guard(|| {
        let (mut left, mut right) = pair();
        right.write_all(b"abc").unwrap();
        left.shutdown(Shutdown::Read).unwrap();
        assert_eq!(left.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(known(left.reader().end()), end(EndReason::Closed, 0));
        assert_eq!(until_it_fails(right.writer()), ErrorKind::BrokenPipe);
        left.write_all(b"def").unwrap();
        left.shutdown(Shutdown::Write).unwrap();
        left.shutdown(Shutdown::Both).unwrap();
        assert_eq!(known(left.writer().end()), end(EndReason::Finished, 3));
        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"def");
    });
}

#[test]
fn a_thread_that_panics_with_a_half_ends_that_direction_in_order() {
    guard(|| {
        let (left, mut right) = pair();
        let (_reader, mut writer) = left.into_split();
        let panicking = thread::spawn(move || {
            writer.write_all(b"abc").unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicking.join().is_err());
        let mut all = Vec::new();
        right.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
    });
}

#[test]
fn halves_of_one_stream_are_reunited_and_others_are_not() {
    let ((left, mut right), (other, _another)) = (pair(), pair());
    let (reader, writer) = left.into_split();
    let (other_reader, other_writer) = other.into_split();
    let error = reader.reunite(other_writer).unwrap_err();
    assert!(error.to_string().contains("different streams"), "{error}");
    let (reader, other_writer) = (*error.0, *error.1);
    let mut left = reader.reunite(writer).unwrap();
    // Nothing has ended by that.
    left.write_all(b"abc").unwrap();
    assert_eq!(right.read(&mut [0; 8]).unwrap(), 3);
    right.write_all(b"de").unwrap();
    assert_eq!(left.read(&mut [0; 8]).unwrap(), 2);
    drop(other_reader.reunite(other_writer).unwrap());
    // The two ends of a stream are not halves of one endpoint.
    let (reader, _writer) = left.into_split();
    let (_reader, writer) = right.into_split();
    reader.reunite(writer).unwrap_err();
}

#[test]
fn borrowed_halves_work_on_threads_of_their_own() {
    guard(|| {
        let (mut left, mut right) = pair();
        let (left_reader, left_writer) = left.halves();
        let (right_reader, right_writer) = right.halves();
        thread::scope(|scope| {
            for (writer, seed) in [(left_writer, 1), (right_writer, 2)] {
                scope.spawn(move || {
                    bytes::Source::new(seed).write_all(writer, 100_001).unwrap();
                    writer.finish().unwrap();
                });
            }
            for (reader, seed) in [(left_reader, 2), (right_reader, 1)] {
                scope.spawn(move || {
                    let mut sink = bytes::Sink::new(seed);
                    sink.drain(reader).unwrap();
                    assert_eq!(sink.position, 100_001);
                });
            }
        });
    });
}

/// The four halves of a stream, dropped in one of the 24 orders, with bytes under way in both
/// directions. The remaining half sees exactly the end in its table.
struct Halves {
    readers: [Option<Reader>; 2],
    writers: [Option<Writer>; 2],
}

impl Halves {
    const BYTES: usize = 1000;

    fn new() -> Halves {
        let (left, right) = pair();
        let ((left_reader, mut left_writer), (right_reader, mut right_writer)) =
            (left.into_split(), right.into_split());
        left_writer
            .write_all(&bytes::made(0, 0, Self::BYTES))
            .unwrap();
        right_writer
            .write_all(&bytes::made(1, 0, Self::BYTES))
            .unwrap();
        Halves {
            readers: [Some(left_reader), Some(right_reader)],
            writers: [Some(left_writer), Some(right_writer)],
        }
    }

    fn drop_one(&mut self, which: usize) {
        match which {
            0 | 1 => drop(self.readers[which].take().unwrap()),
            _ => drop(self.writers[which - 2].take().unwrap()),
        }
    }

    /// Checks the remaining halves after all the drops.
    fn check(&mut self) {
        for side in [0, 1] {
            let other = 1 - side;
            if let Some(reader) = &mut self.readers[side] {
                assert_eq!(reader.available().unwrap(), Self::BYTES);
                let lent = reader.fill_at_least(Self::BYTES).unwrap();
                bytes::check(other as u64, 0, lent);
                if self.writers[other].is_none() {
                    assert_eq!(
                        kind(reader.fill_at_least(Self::BYTES + 1)),
                        ErrorKind::UnexpectedEof
                    );
                    assert_eq!(
                        known(reader.end()),
                        end(EndReason::Finished, Self::BYTES as u64)
                    );
                }
            }
            if let Some(writer) = &mut self.writers[side] {
                writer.set_nonblocking(true);
                let expected = match self.readers[other] {
                    None => Err(ErrorKind::BrokenPipe),
                    Some(_) => Err(ErrorKind::WouldBlock),
                };
                assert_eq!(writer.wait_consumed().map_err(|e| e.kind()), expected);
                assert_eq!(writer.end().is_some(), self.readers[other].is_none());
            }
        }
    }
}

#[test]
fn halves_may_be_dropped_in_any_order() {
    guard(|| {
        let mut orders = 0;
        for a in 0..4 {
            for b in (0..4).filter(|b| *b != a) {
                for c in (0..4).filter(|c| ![a, b].contains(c)) {
                    let d = 6 - a - b - c;
                    orders += 1;
                    let mut halves = Halves::new();
                    for which in [a, b, c, d] {
                        halves.check();
                        halves.drop_one(which);
                    }
                }
            }
        }
        assert_eq!(orders, 24);
    });
}

/// The same, with a thread on each half that reads or writes as fast as it can until it is dropped.
#[test]
fn halves_may_be_dropped_while_all_are_busy() {
    guard(|| {
        for round in 0..200u64 {
            let (left, right) = pair();
            let ((left_reader, left_writer), (right_reader, right_writer)) =
                (left.into_split(), right.into_split());
            thread::scope(|scope| {
                for (mut writer, seed) in [(left_writer, 0), (right_writer, 1)] {
                    scope.spawn(move || {
                        let mut source = bytes::Source::new(seed);
                        let bytes = common::Random::new(round * 4 + seed).below(100_000);
                        while source.position < bytes {
                            if let Err(e) = source.write_all(&mut writer, 777) {
                                assert_eq!(e.kind(), ErrorKind::BrokenPipe);
                                assert_eq!(writer.end().unwrap().reason, EndReason::ReaderGone);
                                return;
                            }
                        }
                    });
                }
                for (mut reader, seed) in [(left_reader, 1), (right_reader, 0)] {
                    scope.spawn(move || {
                        let mut sink = bytes::Sink::new(seed);
                        let bytes = common::Random::new(round * 4 + 2 + seed).below(100_000);
                        let mut buf = [0; 1000];
                        while sink.position < bytes {
                            let n = reader.read(&mut buf).unwrap();
                            if n == 0 {
                                assert_eq!(
                                    known(reader.end()),
                                    end(EndReason::Finished, sink.position)
                                );
                                return;
                            }
                            sink.take(&buf[..n]);
                        }
                    });
                }
            });
        }
    });
}

/// A stream that is dropped with bytes unread was not read to its end, and the peer is told so
/// after the last byte. A stream that was finished before, or read, or taken apart, ends in order.
#[test]
fn dropping_a_stream_with_bytes_unread_is_no_end_in_order() {
    type How = (&'static str, fn(Stream), EndReason);
    const WAYS: [How; 6] = [
        ("dropped", drop, EndReason::Reset),
        (
            "read in part",
            |mut stream| stream.read_exact(&mut [0; 3]).unwrap(),
            EndReason::Reset,
        ),
        (
            "all read",
            |mut stream| stream.read_exact(&mut [0; 4]).unwrap(),
            EndReason::Finished,
        ),
        (
            "finished",
            |mut stream| stream.writer().finish().unwrap(),
            EndReason::Finished,
        ),
        (
            "shut down for reading",
            |mut stream| stream.shutdown(Shutdown::Read).unwrap(),
            EndReason::Finished,
        ),
        (
            "taken apart",
            |stream| drop(stream.into_split()),
            EndReason::Finished,
        ),
    ];
    guard(|| {
        for (what, how, reason) in WAYS {
            let (mut left, mut right) = pair();
            left.write_all(b"ping").unwrap();
            right.write_all(b"pong").unwrap();
            how(right);
            let mut all = Vec::new();
            let ended = left.read_to_end(&mut all).map_err(|e| e.kind());
            assert_eq!(all, b"pong", "{what}");
            let expected = match reason {
                EndReason::Reset => Err(ErrorKind::ConnectionReset),
                _ => Ok(4),
            };
            assert_eq!(ended, expected, "{what}");
            assert_eq!(known(left.reader().end()), end(reason, 4), "{what}");
            assert_eq!(
                kind(left.write_all(&[0; 100_000])),
                ErrorKind::BrokenPipe,
                "{what}"
            );
            assert_eq!(
                left.writer().end().unwrap().reason,
                EndReason::ReaderGone,
                "{what}"
            );
        }
    });
}

/// A relay that fails in the middle and drops its streams does not appear complete to a client
/// whose bytes it had not read.
#[cfg(feature = "tokio")]
#[test]
fn a_relay_that_fails_with_bytes_unread_does_not_look_complete() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
    const CAPACITY: usize = 4096;
    const BUFFER: usize = 8192;
    guard(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let options = Options::new().capacity(CAPACITY).max_capacity(CAPACITY);
            let pair = || slipring::tokio::Stream::pair_with(&options).unwrap();
            let ((mut client, mut here), (mut there, mut server)) = (pair(), pair());
            let relay = tokio::spawn(async move {
                copy_bidirectional_with_sizes(&mut here, &mut there, BUFFER, BUFFER)
                    .await
                    .is_err()
            });
            // More than the relay can hold or pass on, as the server does not read it.
            let mut written = 0;
            while written <= BUFFER + CAPACITY {
                written += client.write(&[7; 1024]).await.unwrap();
            }
            server.write_all(b"the beginning").await.unwrap();
            server.writer().abort(9);
            assert!(relay.await.unwrap());
            let mut answer = Vec::new();
            let ended = client.read_to_end(&mut answer).await;
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
        });
    });
}
