//! The ring in a file between processes: every byte, restarts, deaths, and files that are cut.

mod common;

use common::bytes::{Sink, Source};
use common::mmf::Raw;
use common::process::{self, Other, Sleeping, say, thread_id, told};
use common::{Place, Random, eventually, guard, setting};
use rustix::process::Signal;
use slipring::Spin;
use slipring::mmf::{self, Error, Reader, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("writes", writes),
        ("reads", reads),
        ("writes for ever", writes_for_ever),
        ("holds", holds),
        ("waits", waits),
        ("streams through a cut", streams_through_a_cut),
        ("is hit by a foreign fault", is_hit_by_a_foreign_fault),
        ("forks", forks),
        ("makes a ring here", makes_a_ring_here),
    ]);
}

fn path(place: &Place) -> String {
    place.name("ring").to_str().unwrap().to_owned()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// PATH SIZE BYTES SEED: writes that many bytes in messages of random length, up to three rings
/// long.
fn writes(arguments: &[&str]) {
    let [path, size, bytes, seed] = arguments else {
        panic!()
    };
    let mut writer = Writer::create_or_open(path, number(size)).unwrap();
    let mut random = Random::new(number(seed));
    let mut source = Source::new(number(seed));
    source.position = writer.position();
    let end = source.position + number(bytes);
    while source.position < end {
        let n = 1 + random.below(3 * writer.capacity() as u64).min(1 << 20);
        source
            .write_all(&mut writer, n.min(end - source.position) as usize)
            .unwrap();
    }
    say("done");
}

/// PATH SIZE BYTES SEED: reads that many bytes, in a way chosen at random, and checks them.
fn reads(arguments: &[&str]) {
    let [path, size, bytes, seed] = arguments else {
        panic!()
    };
    let mut reader = Reader::create_or_open(path, number(size)).unwrap();
    let mut random = Random::new(number(seed) + 1);
    let mut sink = Sink::new(number(seed));
    sink.position = reader.position();
    let end = sink.position + number(bytes);
    let mut buf = vec![0; 1 << 20];
    while sink.position < end {
        let left = (end - sink.position) as usize;
        if random.below(2) == 0 {
            let [one, two] = reader.fill_pieces().unwrap();
            let one = &one[..one.len().min(left)];
            let two = &two[..two.len().min(left - one.len())];
            sink.take(one);
            sink.take(two);
            let n = one.len() + two.len();
            std::io::BufRead::consume(&mut reader, n);
        } else {
            let most = 1 + random.below(buf.len() as u64) as usize;
            let n = reader.read(&mut buf[..most.min(left)]).unwrap();
            sink.take(&buf[..n]);
        }
    }
    say("done");
}

#[test]
fn every_byte_passes_plain_rings_of_every_size_between_processes() {
    guard(|| {
        for (capacity, bytes) in [
            (1, 20_000),
            (7, 200_000),
            (4080, 20 << 20),
            (65521, 50 << 20),
            ((4 << 20) - 16, 50 << 20),
        ] {
            for first in ["writes", "reads"] {
                let place = Place::new();
                let (path, size) = (path(&place), (16 + capacity).to_string());
                let bytes: u64 = bytes;
                let arguments = [path.as_str(), &size, &bytes.to_string(), "7"];
                let second = if first == "writes" { "reads" } else { "writes" };
                let one = process::start(&place, first, &arguments);
                eventually("the file is there", || Path::new(&path).exists());
                let other = process::start(&place, second, &arguments);
                for mut end in [one, other] {
                    end.expect("done");
                    end.succeed();
                }
                assert_eq!(Raw::open(Path::new(&path)).indexes(), (bytes, bytes));
            }
        }
    });
}

/// PATH SIZE SEED: until it is killed.
fn writes_for_ever(arguments: &[&str]) {
    let [path, size, seed] = arguments else {
        panic!()
    };
    let mut writer = Writer::create_or_open(path, number(size)).unwrap();
    let mut random = Random::new(writer.position());
    let mut source = Source::new(number(seed));
    source.position = writer.position();
    say("started");
    loop {
        let n = 1 + random.below(2 * writer.capacity() as u64) as usize;
        source.write_all(&mut writer, n).unwrap();
    }
}

/// Killed anywhere, it goes on where it was: every byte, once, in order.
#[test]
fn a_writer_that_is_killed_and_started_again_loses_nothing() {
    guard(|| {
        let place = Place::new();
        let path = path(&place);
        let mut reader = Reader::create_or_open(&path, 16 + 1000).unwrap();
        let mut sink = Sink::new(5);
        for round in 1..=setting("SLIPRING_KILL_ROUNDS", 30) {
            let mut writer = process::start(&place, "writes for ever", &[&path, "1016", "5"]);
            writer.expect("started");
            sink.read_exact(&mut reader, 3000 + (round as usize * 37) % 2000)
                .unwrap();
            writer.kill();
        }
    });
}

#[test]
fn a_reader_that_is_killed_and_started_again_misses_nothing() {
    guard(|| {
        let place = Place::new();
        let path = path(&place);
        let mut writer = Writer::create_or_open(&path, 16 + 1000).unwrap();
        let mut source = Source::new(5);
        let raw = Raw::open(Path::new(&path));
        for _ in 0..setting("SLIPRING_KILL_ROUNDS", 30) {
            // It checks every byte from where the file says that it is.
            let mut reader = process::start(&place, "reads", &[&path, "1016", "1000000000", "5"]);
            source.write_all(&mut writer, 3000).unwrap();
            eventually("it has consumed some", || {
                raw.indexes().0 > source.position - 500
            });
            reader.kill();
        }
    });
}

/// PATH: has both ends until it is told, or killed.
fn holds(arguments: &[&str]) {
    let _writer = Writer::open(arguments[0]).unwrap();
    let _reader = Reader::open(arguments[0]).unwrap();
    say("has them");
    told();
}

#[test]
fn ends_of_other_processes_are_in_use_until_those_end() {
    guard(|| {
        let place = Place::new();
        let path = path(&place);
        drop(Writer::create(&path, 100).unwrap());
        for killed in [true, false] {
            let mut other = process::start(&place, "holds", &[&path]);
            other.expect("has them");
            assert!(matches!(Writer::open(&path), Err(Error::InUse { .. })));
            assert!(matches!(Reader::open(&path), Err(Error::InUse { .. })));
            if killed {
                other.kill();
            } else {
                other.tell("leave");
                other.succeed();
            }
            Writer::open(&path).unwrap();
            Reader::open(&path).unwrap();
        }
    });
}

/// PATH ROLE SPIN: blocks, and prints the outcome.
fn waits(arguments: &[&str]) {
    let [path, role, spin] = arguments else {
        panic!()
    };
    let spin = if *spin == "always" {
        Spin::Always
    } else {
        Spin::Never
    };
    // So long that a cut meets it asleep, and not between its check of the size and its access to
    // the memory.
    let longest = Duration::from_millis(200);
    let outcome = if *role == "reader" {
        let mut reader = Reader::open(path).unwrap();
        reader.set_spin(spin);
        reader.set_longest_sleep(longest);
        say(&thread_id().to_string());
        reader.read(&mut [0])
    } else {
        let mut writer = Writer::open(path).unwrap();
        writer.set_spin(spin);
        writer.set_longest_sleep(longest);
        say(&thread_id().to_string());
        writer.write(b"x")
    };
    say(&described(&outcome.unwrap_err()));
}

/// The expected text of an error.
fn described(error: &std::io::Error) -> String {
    match Error::of(error) {
        Some(Error::Resized {
            expected, found, ..
        }) => format!("{expected} became {found}"),
        _ => format!("{error:?}"),
    }
}

fn sleeps_by_the_clock(thread: u32) -> bool {
    process::is_in(thread, Sleeping::Clock)
}

/// Without any handler of signals.
#[test]
fn a_file_that_is_cut_under_a_sleeping_end_is_an_error() {
    guard(|| {
        for role in ["reader", "writer"] {
            for len in [0, 16, 4096, 8191, 100_000] {
                let place = Place::new();
                let path = path(&place);
                let full = if role == "writer" { 8192 - 16 } else { 0 };
                let raw = Raw::create(Path::new(&path), 0, full, 8192 - 16);
                let mut other = process::start(&place, "waits", &[&path, role, "never"]);
                let thread = other.hear().parse().unwrap();
                eventually("it sleeps", || sleeps_by_the_clock(thread));
                raw.set_len(len);
                other.expect(&format!("8192 became {len}"));
                other.succeed();
            }
        }
    });
}

/// As when a program in C# makes the file anew.
#[test]
fn a_file_that_is_cut_and_grown_again_is_an_error() {
    let place = Place::new();
    let path = place.name("ring");
    let mut writer = Writer::create(&path, 100).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    writer.write_all(b"12345").unwrap();
    reader.read_exact(&mut [0; 2]).unwrap();
    let raw = Raw::open(&path);
    raw.set_len(0);
    raw.set_len(100);
    for error in [
        writer.write(b"6").unwrap_err(),
        reader.read(&mut [0; 9]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(
            matches!(Error::of(&error), Some(Error::Indexes { .. })),
            "{error}"
        );
    }
}

/// PATH ROLE: reads or writes at full speed, with the handler.
fn streams_through_a_cut(arguments: &[&str]) {
    let [path, role] = arguments else { panic!() };
    mmf::survive_truncation().unwrap();
    mmf::survive_truncation().unwrap();
    let mut buf = vec![1; 5000];
    let error = if *role == "reader" {
        let mut reader = Reader::open(path).unwrap();
        reader.set_spin(Spin::Always);
        say("started");
        loop {
            if let Err(error) = reader.read(&mut buf) {
                break error;
            }
        }
    } else {
        let mut writer = Writer::open(path).unwrap();
        writer.set_spin(Spin::Always);
        say("started");
        loop {
            if let Err(error) = writer.write(&buf) {
                break error;
            }
        }
    };
    say(&described(&error));
    // Another file is as good as new.
    let (mut writer, other) = (
        Writer::create(format!("{path}-2"), 100).unwrap(),
        format!("{path}-2"),
    );
    let mut reader = Reader::open(other).unwrap();
    writer.write_all(b"still here").unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    say("still here");
}

#[test]
fn no_cut_of_the_file_is_fatal_with_the_handler() {
    guard(|| {
        for round in 0..20 {
            let place = Place::new();
            let path = path(&place);
            drop(Writer::create(&path, 65536).unwrap());
            let start = |role| {
                let other_place = Place::new();
                let mut other = process::start(&place, "streams through a cut", &[&path, role]);
                other.expect("started");
                (other, other_place)
            };
            let raw = Raw::open(Path::new(&path));
            // One of the two does without the other: it is both of them that this process plays
            // then.
            let (mut one, _place) = start(if round % 2 == 0 { "reader" } else { "writer" });
            let target = 1_000_000 * (1 + round % 3);
            eventually("many bytes have flowed", || {
                let (head, tail) = raw.indexes();
                if round % 2 == 0 {
                    raw.set_tail(head + 60_000);
                } else {
                    raw.set_head(tail.saturating_sub(5));
                }
                head.max(tail) > target
            });
            let len = [0, 10, 4096, 40_000][round as usize / 2 % 4];
            raw.set_len(len);
            one.expect(&format!("65536 became {len}"));
            one.expect("still here");
            one.succeed();
        }
    });
}

/// PATH: a fault that is none of the ring's ends the process as ever.
fn is_hit_by_a_foreign_fault(arguments: &[&str]) {
    mmf::survive_truncation().unwrap();
    let _writer = Writer::open(arguments[0]).unwrap();
    let file = tempfile::tempfile().unwrap();
    // SAFETY: a fresh mapping.
    let page = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            4096,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::SHARED,
            &file,
            0,
        )
    };
    say("touches");
    // SAFETY: it is mapped; but there is no file behind it, which is what this is about.
    let byte = unsafe { page.unwrap().cast::<u8>().read_volatile() };
    say(&format!("got away with it: {byte}"));
}

#[test]
fn the_handler_leaves_other_faults_to_their_handlers() {
    guard(|| {
        let place = Place::new();
        let path = path(&place);
        drop(Writer::create(&path, 100).unwrap());
        let mut other: Other = process::start(&place, "is hit by a foreign fault", &[&path]);
        other.expect("touches");
        assert_eq!(other.try_hear(), None);
        let status = other.wait();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(Signal::BUS.as_raw()), "{status}");
    });
}

/// PATH: a child tries to use the ring that its parent has opened.
fn forks(arguments: &[&str]) {
    let mut writer = Writer::create_or_open(arguments[0], 100).unwrap();
    writer.write_all(b"parent").unwrap();
    let mut reader = Reader::open(arguments[0]).unwrap();
    // Lent before the fork, and given back by the child, which must not.
    assert_eq!(reader.fill_buf().unwrap(), b"parent");
    // SAFETY: this process has one thread that matters, and the child does nothing but write and
    // leave.
    if unsafe { libc::fork() } == 0 {
        let error = writer.write(b"child").unwrap_err();
        let forked = matches!(Error::of(&error), Some(Error::Forked { .. }));
        reader.consume(3);
        // SAFETY: leaves without the parent's destructors.
        unsafe { libc::_exit(if forked { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the one child; `status` is a place for its status.
    unsafe { libc::wait(&raw mut status) };
    assert_eq!(libc::WEXITSTATUS(status), 7);
    writer.write_all(b" again").unwrap();
    assert_eq!(reader.available().unwrap(), 12);
    reader.consume(0);
    assert_eq!(reader.fill_buf().unwrap(), b"parent again");
    say("done");
}

#[test]
fn a_forked_child_neither_writes_nor_consumes() {
    guard(|| {
        let place = Place::new();
        let path = path(&place);
        let mut other = process::start(&place, "forks", &[&path]);
        other.expect("done");
        other.succeed();
        assert_eq!(Reader::open(&path).unwrap().available().unwrap(), 12);
    });
}

/// PATH: relative to the current directory.
fn makes_a_ring_here(arguments: &[&str]) {
    Writer::create(arguments[0], 17)
        .unwrap()
        .write_all(b"x")
        .unwrap();
}

#[test]
fn a_plain_ring_is_opened_by_a_relative_path() {
    guard(|| {
        let place = Place::new();
        let mut command = process::command(&place, "makes a ring here", &["ring"]);
        command.current_dir(place.path());
        process::start_as(command, "makes a ring here").succeed();
        assert_eq!(Raw::open(&place.name("ring")).indexes(), (0, 1));
    });
}
