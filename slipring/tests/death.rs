//! A peer that dies, however it dies: every byte that it published is read, then the survivor is
//! told; and a peer that only pauses is not dead.

mod common;

use common::process::{self, Other, asleep};
use common::raw::Words;
use common::{Place, Random, bytes, eventually, guard, guard_for, kind, setting};
use rustix::fd::AsFd;
use rustix::process::Signal;
use slipring::{EndReason, Listener, Options, Spin, Stream, Writer};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 16 * 1024;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("waits", waits),
        ("writes", writes),
        ("reads", reads),
        ("starves", starves),
        ("asks", asks),
        ("leaves", leaves),
        ("echoes", echoes),
    ]);
}

fn options(spin: &str) -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .wait_for_listener(common::GENEROUS)
        .spin(if spin == "always" {
            Spin::Always
        } else {
            Spin::Never
        })
}

/// A listener, and a process in that role that has connected to it.
struct Scene {
    place: Place,
    listener: Listener,
    other: Other,
    stream: Stream,
}

impl Scene {
    fn new(role: &str, spin: &str, arguments: &[&str]) -> Scene {
        let place = Place::new();
        let name = place.name("x");
        let listener = options(spin).bind(&name).unwrap();
        let mut all = vec![name.to_str().unwrap(), spin];
        all.extend(arguments);
        let other = process::start(&place, role, &all);
        let stream = listener.accept().unwrap();
        Scene {
            place,
            listener,
            other,
            stream,
        }
    }
}

fn connect(arguments: &[&str]) -> Stream {
    options(arguments[1]).connect(arguments[0]).unwrap()
}

/// Connects, and does nothing.
fn waits(arguments: &[&str]) {
    let _stream = connect(arguments);
    process::say("ready");
    process::told();
}

/// How many bytes the writing process knows to be published: in a file, which survives it.
fn progress(path: &Path) -> Words {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap();
    file.set_len(4096).unwrap();
    Words::map(file.as_fd(), 4096, true).unwrap()
}

/// Writes for ever, in pieces of all sizes, and keeps count outside of itself.
fn writes(arguments: &[&str]) {
    let mut stream = connect(arguments);
    let published = progress(Path::new(arguments[2]));
    let mut random = Random::new(arguments[3].parse().unwrap());
    let mut source = bytes::Source::new(1);
    loop {
        let most = random.choose(&[8, 300, 5000, 40_000]);
        let n = 1 + random.below(most) as usize;
        match random.below(4) {
            0 if n <= CAPACITY => {
                let mut grant = stream.writer().reserve(n).unwrap();
                grant.copy_from_slice(source.take(n));
                grant.commit(n);
            }
            _ => source.write_all(&mut stream, n).unwrap(),
        }
        published.store(0, source.position);
    }
}

/// Reads for ever.
fn reads(arguments: &[&str]) {
    let mut stream = connect(arguments);
    let mut sink = bytes::Sink::new(2);
    process::say("ready");
    sink.drain(stream.reader()).unwrap();
}

/// Waits for bytes that never come.
fn starves(arguments: &[&str]) {
    let mut stream = connect(arguments);
    process::say(&process::thread_id().to_string());
    stream.reader().fill_at_least(CAPACITY).unwrap();
}

/// Asks again and again for room that a starving reader does not make, and says how each stream
/// ended.
fn asks(arguments: &[&str]) {
    loop {
        let (_reader, mut writer) = connect(arguments).into_split();
        writer.write_all(b"not enough").unwrap();
        let mut said = false;
        let error = loop {
            match writer.try_reserve(CAPACITY) {
                Err(e) if e.kind() == ErrorKind::Deadlock && !said => {
                    process::say("starving");
                    said = true;
                }
                Err(e) if matches!(e.kind(), ErrorKind::Deadlock | ErrorKind::WouldBlock) => {}
                Err(e) => break e,
                Ok(_) => panic!("nobody has read"),
            }
        };
        process::say(&format!(
            "{:?} {:?}",
            error.kind(),
            writer.end().unwrap().reason
        ));
    }
}

/// Writes a little, and leaves in one of the ways there are.
fn leaves(arguments: &[&str]) {
    let mut stream = connect(arguments);
    stream.write_all(&bytes::made(1, 0, 5000)).unwrap();
    match arguments[2] {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "finish and exit" => {
            stream.writer().finish().unwrap();
            std::process::exit(0);
        }
        "drop and exit" => {
            drop(stream);
            std::process::exit(0);
        }
        "close and exit" => {
            stream.closer().close();
            std::process::exit(0);
        }
        "abort with a code and exit" => {
            stream.writer().abort(42);
            std::process::exit(0);
        }
        "forget and exit" => {
            std::mem::forget(stream);
            std::process::exit(0);
        }
        _ => {}
    }
}

fn echoes(arguments: &[&str]) {
    let mut stream = connect(arguments);
    let (reader, writer) = stream.halves();
    std::io::copy(reader, writer).unwrap();
}

/// Writes little by little until that fails: never more than the ring holds.
fn until_it_fails(writer: &mut Writer) -> ErrorKind {
    let mut failed = None;
    eventually("writing fails", || {
        failed = writer.write(b"x").err().map(|e| e.kind());
        failed.is_some()
    });
    failed.unwrap()
}

type Call = fn(&mut Stream) -> std::io::Result<()>;

/// The calls that block until the other side does something, on a stream whose outgoing ring is
/// full.
const CALLS: [(Call, ErrorKind); 5] = [
    (
        |s| s.read(&mut [0; 8]).map(|_| ()),
        ErrorKind::ConnectionReset,
    ),
    (
        |s| s.reader().fill_at_least(100).map(|_| ()),
        ErrorKind::ConnectionReset,
    ),
    (|s| s.write(&[0; 8]).map(|_| ()), ErrorKind::BrokenPipe),
    (
        |s| s.writer().reserve(100).map(|_| ()),
        ErrorKind::BrokenPipe,
    ),
    (|s| s.writer().wait_consumed(), ErrorKind::BrokenPipe),
];

#[test]
fn a_death_wakes_a_sleeping_half_and_ends_a_spinning_one() {
    guard(|| {
        for spin in ["never", "always"] {
            for (call, expected) in CALLS {
                let mut scene = Scene::new("waits", spin, &[]);
                scene.other.expect("ready");
                let mut stream = scene.stream;
                stream.write_all(&[0; CAPACITY]).unwrap();
                let body = move || {
                    let first = call(&mut stream).map_err(|e| e.kind());
                    (first, call(&mut stream).map_err(|e| e.kind()), stream)
                };
                let calling = if spin == "never" {
                    asleep(body)
                } else {
                    thread::spawn(body)
                };
                scene.other.kill();
                let (first, second, mut stream) = calling.join().unwrap();
                assert_eq!((first, second), (Err(expected), Err(expected)), "it stays");
                // The other half learns of it too.
                assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionReset);
                assert_eq!(until_it_fails(stream.writer()), ErrorKind::BrokenPipe);
                assert_eq!(stream.reader().end().unwrap().reason, EndReason::PeerDied);
                assert_eq!(stream.writer().end().unwrap().reason, EndReason::PeerDied);
            }
        }
    });
}

#[test]
fn both_halves_asleep_are_both_told() {
    guard(|| {
        for _ in 0..10 {
            let mut scene = Scene::new("waits", "never", &[]);
            let (mut reader, mut writer) = scene.stream.into_split();
            let reading = asleep(move || kind(reader.read(&mut [0; 8])));
            let writing = asleep(move || kind(writer.write_all(&[0; 2 * CAPACITY])));
            scene.other.kill();
            assert_eq!(reading.join().unwrap(), ErrorKind::ConnectionReset);
            assert_eq!(writing.join().unwrap(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_writer_that_never_fills_its_ring_learns_of_a_death_by_writing() {
    guard(|| {
        let mut scene = Scene::new("waits", "never", &[]);
        scene.other.expect("ready");
        let (_reader, mut writer) = scene.stream.into_split();
        writer.write_all(b"x").unwrap();
        scene.other.kill();
        assert_eq!(until_it_fails(&mut writer), ErrorKind::BrokenPipe);
        assert!(writer.position() < CAPACITY as u64);
        assert_eq!(writer.end().unwrap().reason, EndReason::PeerDied);
    });
}

/// The wake word of a killed process stays in its header; the process no longer starves.
#[test]
fn a_peer_that_died_starving_is_dead_and_no_deadlock() {
    guard(|| {
        for call in [
            (|writer: &mut Writer| writer.wait_consumed())
                as fn(&mut Writer) -> std::io::Result<()>,
            |writer| writer.reserve(CAPACITY).map(|_| ()),
        ] {
            let mut scene = Scene::new("starves", "never", &[]);
            let thread = scene.other.hear().parse().unwrap();
            eventually("it waits", || process::sleeps(thread));
            let (_reader, mut writer) = scene.stream.into_split();
            writer.write_all(b"not enough").unwrap();
            assert_eq!(kind(call(&mut writer)), ErrorKind::Deadlock);
            scene.other.kill();
            eventually("the writer learns of the death", || {
                kind(call(&mut writer)) == ErrorKind::BrokenPipe
            });
        }
    });
}

/// The writer is stopped anywhere between its loads of the reader's end and wake word and its check
/// of the link, while that reader aborts and goes.
#[test]
fn a_reader_that_starves_aborts_and_leaves_has_not_died() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let listener = options("never").bind(&name).unwrap();
        let mut other = process::start(&place, "asks", &[name.to_str().unwrap(), "never"]);
        for _ in 0..setting("SLIPRING_KILL_ROUNDS", 200) {
            let mut stream = listener.accept().unwrap();
            let mut byte = [0];
            stream.reader().read_exact(&mut byte).unwrap();
            stream.reader().set_nonblocking(true);
            // It stays visible that more is waited for.
            assert_eq!(
                kind(stream.reader().fill_at_least(CAPACITY)),
                ErrorKind::WouldBlock
            );
            other.expect("starving");
            other.signal(Signal::STOP);
            stream.writer().abort(42);
            drop(stream);
            other.signal(Signal::CONT);
            other.expect("ConnectionAborted Aborted { code: 42 }");
        }
    });
}

#[test]
fn leaving_without_an_end_is_a_death_and_any_end_is_none() {
    guard(|| {
        for (how, expected) in [
            ("exit", Err(ErrorKind::ConnectionReset)),
            ("abort", Err(ErrorKind::ConnectionReset)),
            ("forget and exit", Err(ErrorKind::ConnectionReset)),
            ("return", Ok(())),
            ("drop and exit", Ok(())),
            ("finish and exit", Ok(())),
            ("close and exit", Ok(())),
            (
                "abort with a code and exit",
                Err(ErrorKind::ConnectionAborted),
            ),
        ] {
            for late in [false, true] {
                let mut scene = Scene::new("leaves", "never", &[how]);
                if late {
                    // The check comes while the peer is there, or after it has gone.
                    scene.other.wait();
                }
                let mut sink = bytes::Sink::new(1);
                for _ in 0..2 {
                    let result = sink.drain(scene.stream.reader());
                    assert_eq!(result.map_err(|e| e.kind()), expected, "{how}");
                }
                assert_eq!(sink.position, 5000, "{how}");
                scene.other.wait();
                let end = scene.stream.reader().end().unwrap();
                assert_eq!(end.position, 5000);
                let reason = match expected {
                    Ok(()) => EndReason::Finished,
                    Err(ErrorKind::ConnectionAborted) => EndReason::Aborted { code: 42 },
                    Err(_) => EndReason::PeerDied,
                };
                assert_eq!(end.reason, reason, "{how}");
                let failure = match expected {
                    Err(ErrorKind::ConnectionAborted) => ErrorKind::ConnectionAborted,
                    _ => ErrorKind::BrokenPipe,
                };
                assert_eq!(until_it_fails(scene.stream.writer()), failure, "{how}");
            }
        }
    });
}

/// One round: a process is killed at a random moment while it writes as fast as it can.
fn killed_while_writing(seed: u64) {
    let mut random = Random::new(seed);
    let spin = random.choose(&["never", "always"]);
    let place = Place::new();
    let counted: PathBuf = place.name("published");
    let published = progress(&counted);
    let mut scene = Scene::new(
        "writes",
        spin,
        &[counted.to_str().unwrap(), &seed.to_string()],
    );
    let mut sink = bytes::Sink::new(1);
    let before = random.choose(&[0, 1, 10_000, 300_000]);
    let mut buf = vec![0; 1 + random.below(30_000) as usize];
    while sink.position < before {
        let n = scene.stream.read(&mut buf).unwrap();
        sink.take(&buf[..n]);
    }
    // At any moment from now on, while this goes on reading, or does not.
    let pause = Duration::from_micros(random.below(1500));
    let killer = thread::spawn(move || {
        thread::sleep(pause);
        scene.other.kill();
    });
    if random.below(2) == 0 {
        killer.join().unwrap();
    }
    let mut stream = scene.stream;
    assert_eq!(
        kind(sink.drain(stream.reader())),
        ErrorKind::ConnectionReset
    );
    let end = stream.reader().end().unwrap();
    assert_eq!(
        (end.reason, end.position),
        (EndReason::PeerDied, sink.position)
    );
    let published = published.load(0);
    assert!(
        sink.position >= published,
        "{published} bytes were published, {} arrived",
        sink.position
    );
}

/// One round: a process is killed at a random moment while it reads as fast as it can.
fn killed_while_reading(seed: u64) {
    let mut random = Random::new(seed);
    let mut scene = Scene::new("reads", random.choose(&["never", "always"]), &[]);
    scene.other.expect("ready");
    let bytes = random.choose(&[0, 1000, 500_000]);
    let pause = Duration::from_micros(random.below(1500));
    let mut source = bytes::Source::new(2);
    source.write_all(&mut scene.stream, bytes).unwrap();
    let killer = thread::spawn(move || {
        thread::sleep(pause);
        scene.other.kill();
    });
    let error = loop {
        let n = 1 + random.below(20_000) as usize;
        if let Err(e) = source.write_all(&mut scene.stream, n) {
            break e;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(
        scene.stream.writer().end().unwrap().reason,
        EndReason::PeerDied
    );
    killer.join().unwrap();
    assert_eq!(
        kind(scene.stream.read(&mut [0])),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn killed_at_random_moments() {
    guard_for(Duration::from_secs(3600), || {
        let rounds = setting("SLIPRING_KILL_ROUNDS", 200);
        for seed in 0..rounds {
            if seed % 4 == 3 {
                killed_while_reading(seed);
            } else {
                killed_while_writing(seed);
            }
        }
    });
}

/// A paused process is not dead: nothing happens, however long, and then everything goes on.
#[test]
fn a_stopped_process_is_not_dead() {
    guard(|| {
        let mut scene = Scene::new("echoes", "never", &[]);
        let stream = &mut scene.stream;
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        scene.other.signal(Signal::STOP);
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut source = bytes::Source::new(3);
        source.write_all(stream, CAPACITY).unwrap();
        for _ in 0..10 {
            assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::WouldBlock);
            assert_eq!(kind(stream.write(&[0; 8])), ErrorKind::WouldBlock);
        }
        assert_eq!((stream.reader().end(), stream.writer().end()), (None, None));
        stream.set_read_timeout(None).unwrap();
        let mut sink = bytes::Sink::new(3);
        thread::scope(|scope| {
            let (reader, _) = scene.stream.halves();
            let reading = scope.spawn(move || sink.read_exact(reader, CAPACITY).unwrap());
            scene.other.signal(Signal::CONT);
            reading.join().unwrap();
        });
        scene.stream.writer().finish().unwrap();
        assert_eq!(scene.stream.read(&mut [0]).unwrap(), 0);
        scene.other.succeed();
    });
}

/// The death of one peer is none of the other streams' business.
#[test]
fn other_streams_go_on() {
    guard(|| {
        let mut scene = Scene::new("waits", "never", &[]);
        let name = scene.place.name("x");
        let mut second = process::start(&scene.place, "echoes", &[name.to_str().unwrap(), "never"]);
        let (mut reader, mut writer) = scene.listener.accept().unwrap().into_split();
        let writing =
            thread::spawn(move || bytes::Source::new(4).write_all(&mut writer, 3_000_000));
        let mut sink = bytes::Sink::new(4);
        sink.read_exact(&mut reader, 1_000_000).unwrap();
        scene.other.kill();
        assert_eq!(
            kind(scene.stream.read(&mut [0])),
            ErrorKind::ConnectionReset
        );
        sink.drain(&mut reader).unwrap();
        assert_eq!(sink.position, 3_000_000);
        writing.join().unwrap().unwrap();
        assert!(second.wait().success());
    });
}
