//! A stream that is ended from everywhere at once while it is busy: each blocked call goes on,
//! every half gets an end that fits, and the bytes before it are right.

mod common;

use common::{Random, bytes, guard_for, setting};
use slipring::{EndReason, Options, Reader, Spin, Stream, Writer};
use std::io::{ErrorKind, Read};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How a round is ended, by a thread that has neither half.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Close,
    CloseBoth,
    DropReader,
    DropWriter,
    Abort,
    Finish,
}

const WAYS: [Way; 6] = [
    Way::Close,
    Way::CloseBoth,
    Way::DropReader,
    Way::DropWriter,
    Way::Abort,
    Way::Finish,
];

const CODE: u32 = 7;

/// Writes until it cannot, or for `limit` bytes.
fn write(mut writer: Writer, seed: u64, limit: u64, last: Way) {
    let mut source = bytes::Source::new(seed);
    let mut random = Random::new(seed ^ limit);
    while source.position < limit {
        let n = 1 + random.below(3000) as usize;
        if let Err(e) = source.write_all(&mut writer, n) {
            let reason = writer.end().unwrap().reason;
            match e.kind() {
                ErrorKind::BrokenPipe => assert!(
                    matches!(reason, EndReason::ReaderGone | EndReason::Closed),
                    "{reason:?}"
                ),
                ErrorKind::ConnectionAborted => {
                    assert_eq!(reason, EndReason::Aborted { code: CODE })
                }
                _ => panic!("{e:?}"),
            }
            return;
        }
    }
    match last {
        Way::Abort => writer.abort(CODE),
        Way::Finish => {
            // Either way it may have been ended by the other side meanwhile.
            let _ = writer.finish();
            let _ = writer.wait_consumed();
        }
        _ => drop(writer),
    }
}

/// Reads until there is no more, or for `limit` bytes. Returns how many came.
fn read(mut reader: Reader, seed: u64, limit: u64) -> u64 {
    let mut sink = bytes::Sink::new(seed);
    let mut buf = [0; 2500];
    while sink.position < limit {
        match reader.read(&mut buf) {
            Ok(0) => {
                let end = reader.end().unwrap();
                assert!(
                    matches!(end.reason, EndReason::Finished | EndReason::Closed),
                    "{end:?}"
                );
                if end.reason == EndReason::Finished {
                    assert_eq!(end.position, sink.position);
                }
                break;
            }
            Ok(n) => sink.take(&buf[..n]),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::ConnectionAborted, "{e:?}");
                assert_eq!(
                    reader.end().unwrap().reason,
                    EndReason::Aborted { code: CODE }
                );
                break;
            }
        }
    }
    sink.position
}

/// Returns how many bytes were read on both sides.
fn round(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let spin = random.choose(&[Spin::Never, Spin::Never, Spin::Always, Spin::default()]);
    let (left, right) = Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(spin)
        .pair()
        .unwrap();
    let way = random.choose(&WAYS);
    let closers = [left.closer(), right.closer()];
    let start = Barrier::new(5);
    let came = AtomicU64::new(0);
    thread::scope(|scope| {
        for (side, stream) in [left, right].into_iter().enumerate() {
            let (reader, writer) = Stream::into_split(stream);
            let (mine, theirs) = (side as u64, 1 - side as u64);
            let mut limit = |ends: bool| if ends { random.below(50_000) } else { u64::MAX };
            let reads = limit(way == Way::DropReader && side == 0);
            let writes =
                limit(matches!(way, Way::DropWriter | Way::Abort | Way::Finish) && side == 0);
            let (start, came) = (&start, &came);
            scope.spawn(move || {
                start.wait();
                came.fetch_add(read(reader, theirs, reads), Ordering::Relaxed);
            });
            scope.spawn(move || {
                start.wait();
                write(writer, mine, writes, way);
            });
        }
        let pause = Duration::from_micros(random.below(2000));
        start.wait();
        // A stream that has been ended in one direction goes on in the other, until this.
        thread::sleep(pause);
        closers[0].close();
        if way == Way::CloseBoth {
            closers[1].close();
        }
    });
    // They are all gone: this is about nothing.
    closers.iter().for_each(slipring::Closer::close);
    came.into_inner()
}

#[test]
fn a_stream_that_is_ended_from_everywhere_at_once_has_one_end() {
    guard_for(Duration::from_secs(3600), || {
        let came: u64 = (0..setting("SLIPRING_RACE_ROUNDS", 300)).map(round).sum();
        assert!(came > 0, "each stream was ended before a byte came");
    });
}
