//! A process that shakes hands by the rules and then rages: nonsense in its header at any moment,
//! wake-ups without end. Each call of its peer returns in time, with a documented error at most,
//! and the peer's other streams go on. `SLIPRING_STORM_ROUNDS` sets more rounds.

mod common;

use common::process::{self, Other};
use common::raw::{Peer, at};
use common::{Place, Random, bytes, guard, guard_for, kind, setting};
use slipring::{Listener, Options, Spin, Stream};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("storms", storms), ("floods", floods), ("echoes", echoes)]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Never)
}

/// A process that wakes without end, and a stream that is quiet otherwise: its timeouts come all
/// the same.
#[test]
fn a_flood_of_rings_does_not_outlast_timeouts() {
    guard(|| {
        for doorbell in 0..2 {
            let (_place, other, mut stream) = scene("floods", &doorbell.to_string());
            stream
                .set_read_timeout(Some(Duration::from_millis(5)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_millis(5)))
                .unwrap();
            stream.write_all(&[0; CAPACITY]).unwrap();
            for _ in 0..20 {
                assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::WouldBlock);
                assert_eq!(kind(stream.write(&[0; 8])), ErrorKind::WouldBlock);
                assert_eq!(kind(stream.writer().wait_consumed()), ErrorKind::WouldBlock);
            }
            drop(other);
        }
    });
}

fn scene(role: &str, seed: &str) -> (Place, Other, Stream) {
    let place = Place::new();
    let name = place.name("x");
    let listener = options().bind(&name).unwrap();
    let other = process::start(&place, role, &[name.to_str().unwrap(), seed]);
    let stream = listener.accept().unwrap();
    (place, other, stream)
}

/// Rings one doorbell of its peer, and does nothing else.
fn floods(arguments: &[&str]) {
    let peer = Peer::connect(arguments[0].as_ref(), CAPACITY);
    let doorbell = &peer.their_bells[arguments[1].parse::<usize>().unwrap()];
    loop {
        let _ = rustix::io::write(doorbell, &1u64.to_ne_bytes());
    }
}

/// Writes nonsense into its header, in one of many moods, until it is killed.
fn storms(arguments: &[&str]) {
    let peer = Peer::connect(arguments[0].as_ref(), CAPACITY);
    let mut random = Random::new(arguments[1].parse().unwrap());
    let words = &peer.mine.words;
    let wide = [
        at::TAIL,
        at::RING,
        at::HEAD,
        at::WAKE_AT_TAIL,
        at::WAKE_AT_HEAD,
    ];
    let narrow = [at::FIN, at::CODE, at::STOP];
    // How rarely an index is out of range, and an end is stored; 0: never.
    let (wild, ends) = (
        random.choose(&[0, 3, 100, 10_000]),
        random.choose(&[0, 0, 10, 1000]),
    );
    let rings = random.choose(&[1, 10, 1000]);
    let pauses = random.choose(&[0, 0, 1, 50]);
    let (mut tail, mut head) = (0, 0);
    loop {
        let theirs = (peer.theirs.load(at::TAIL), peer.theirs.load(at::HEAD));
        if wild > 0 && random.below(wild) == 0 {
            let near = random.choose(&[
                0,
                tail,
                head,
                theirs.0,
                theirs.1,
                tail + CAPACITY as u64,
                u64::MAX,
                1 << 63,
            ]);
            let value = near.wrapping_add(random.below(5)).wrapping_sub(2);
            words.store(random.choose(&wide), value);
        } else if ends > 0 && random.below(ends) == 0 {
            words.store32(
                random.choose(&narrow),
                random.choose(&[0, 1, 2, 3, 4, u32::MAX]),
            );
        } else {
            // Something that an honest peer could do, with bytes that mean nothing.
            match random.below(6) {
                0 | 1 => {
                    let room = (theirs.1 + CAPACITY as u64).saturating_sub(tail);
                    tail += random.below(room + 1);
                    words.store(at::TAIL, tail);
                }
                2 | 3 => {
                    head += random.below(theirs.0.saturating_sub(head) + 1);
                    words.store(at::HEAD, head);
                }
                4 => words.store(at::WAKE_AT_TAIL, head + random.below(2)),
                _ => words.store(at::WAKE_AT_HEAD, tail + random.below(2)),
            }
        }
        if random.below(rings) == 0 {
            peer.ring();
        }
        if pauses > 0 && random.below(100) == 0 {
            thread::sleep(Duration::from_micros(random.below(pauses * 20)));
        }
    }
}

fn echoes(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    let (reader, writer) = stream.halves();
    std::io::copy(reader, writer).unwrap();
}

/// The kinds of errors that are documented for a read, in a stream whose peer may do anything.
const READ: [ErrorKind; 5] = [
    ErrorKind::WouldBlock,
    ErrorKind::InvalidData,
    ErrorKind::ConnectionAborted,
    ErrorKind::ConnectionReset,
    ErrorKind::UnexpectedEof,
];

/// The same for a write.
const WRITE: [ErrorKind; 5] = [
    ErrorKind::WouldBlock,
    ErrorKind::InvalidData,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::Deadlock,
];

/// Whether an end was met, after which nothing may change.
fn is_final(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::Deadlock | ErrorKind::UnexpectedEof
    )
}

/// Reads in every way that there is. Returns how many calls went well.
fn read_everything(reader: &mut slipring::Reader, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let (mut end, mut well) = (None, 0);
    let mut buf = [0; 3000];
    for call in 0..400 {
        let n = 1 + random.below(CAPACITY as u64) as usize;
        let result = match random.below(6) {
            0 => reader.read(&mut buf).map(|_| ()),
            1 => reader.try_read(&mut buf).map(|_| ()),
            2 => reader.fill_at_least(n).map(|_| ()),
            3 => reader.available().map(|n| assert!(n <= CAPACITY)),
            _ => reader
                .fill_buf()
                .map(<[u8]>::len)
                .map(|n| reader.consume(random.below(n as u64 + 1) as usize)),
        };
        well += u64::from(result.is_ok());
        if let Err(e) = result {
            assert!(
                READ.contains(&e.kind()),
                "call {call} of seed {seed}: {e:?}"
            );
            if is_final(e.kind()) {
                assert_eq!(
                    *end.get_or_insert(e.kind()),
                    e.kind(),
                    "call {call} of seed {seed}: an end stays"
                );
            }
        }
    }
    well
}

/// Writes in every way that there is. Returns how many calls went well.
fn write_everything(writer: &mut slipring::Writer, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let (mut end, mut well) = (None, 0);
    for call in 0..400 {
        let n = 1 + random.below(CAPACITY as u64) as usize;
        let way = random.below(6);
        let result = match way {
            0 => writer.write(&vec![1; n]).map(|_| ()),
            1 => writer.try_write(&vec![2; n]).map(|_| ()),
            2 => writer.wait_consumed(),
            3 => writer.space().map(|n| assert!(n <= CAPACITY)),
            4 => writer.batch().write_all(&vec![3; n]),
            _ => writer.reserve(n).map(|mut grant| {
                grant.fill(4);
                grant.commit(n / 2);
            }),
        };
        well += u64::from(result.is_ok());
        match result {
            // Consumed bytes stay consumed, also after an end.
            Ok(()) => assert!(
                end.is_none() || way == 2,
                "call {call} of seed {seed}: an end stays"
            ),
            Err(e) => {
                assert!(
                    WRITE.contains(&e.kind()),
                    "call {call} of seed {seed}: {e:?}"
                );
                if is_final(e.kind()) {
                    assert_eq!(
                        *end.get_or_insert(e.kind()),
                        e.kind(),
                        "call {call} of seed {seed}: an end stays"
                    );
                }
            }
        }
    }
    well
}

#[test]
fn a_header_that_changes_all_the_time_ends_that_stream_at_most() {
    guard_for(Duration::from_secs(3600), || {
        // Another stream of this process, that has nothing to do with it.
        let place = Place::new();
        let name = place.name("echo");
        let listener = Listener::bind(&name).unwrap();
        let _echo = process::start(&place, "echoes", &[name.to_str().unwrap()]);
        let mut honest = listener.accept().unwrap();
        static STOP: AtomicBool = AtomicBool::new(false);
        let honest = thread::spawn(move || {
            let (mut source, mut sink) = (bytes::Source::new(9), bytes::Sink::new(9));
            let mut random = Random::new(9);
            while !STOP.load(Ordering::Relaxed) {
                let n = 1 + random.below(CAPACITY as u64) as usize;
                source.write_all(&mut honest, n).unwrap();
                sink.read_exact(&mut honest, n).unwrap();
            }
            sink.position
        });
        let (mut read, mut written) = (0, 0);
        for seed in 0..setting("SLIPRING_STORM_ROUNDS", 40) {
            let (_place, other, mut stream) = scene("storms", &seed.to_string());
            stream
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            let (reader, writer) = stream.halves();
            thread::scope(|scope| {
                let reading = scope.spawn(move || read_everything(reader, seed));
                let writing = scope.spawn(move || write_everything(writer, seed + 1));
                read += reading.join().unwrap();
                written += writing.join().unwrap();
            });
            drop(other);
        }
        STOP.store(true, Ordering::Relaxed);
        assert!(honest.join().unwrap() > 0);
        // Some of those streams lived for a while.
        assert!(read > 100 && written > 100, "{read} and {written} calls");
    });
}
