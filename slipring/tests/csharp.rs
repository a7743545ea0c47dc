//! The ring in a file with a real C# program at the other end.
//!
//! They need Mono (`examples/csharp/setup.sh` installs it), so they are left out unless asked for:
//! `cargo test -p slipring --features mmf --test csharp -- --ignored --skip child_process`.

mod common;

use common::bytes::{Sink, Source, made};
use common::csharp;
use common::mmf::Raw;
use common::process::{self, say};
use common::{Place, Random, eventually, guard_for, setting};
use slipring::frame::plain;
use slipring::mmf::{Duplex, Reader, Writer, wait_for_file};
use std::path::Path;
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(300);

fn path(place: &Place, name: &str) -> String {
    place.name(name).to_str().unwrap().to_owned()
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("writes", writes), ("reads", reads)]);
}

/// Writes `bytes` in messages of every length, the longer ones larger than the ring.
fn send(writer: &mut Writer, seed: u64, bytes: u64) {
    let mut random = Random::new(seed);
    let mut source = Source::new(seed);
    source.position = writer.position();
    let end = source.position + bytes;
    while source.position < end {
        let n = 1 + random.below((3 * writer.capacity() as u64).min(1 << 20));
        source
            .write_all(writer, n.min(end - source.position) as usize)
            .unwrap();
    }
}

fn expect(reader: &mut Reader, seed: u64, bytes: u64) {
    let mut sink = Sink::new(seed);
    sink.position = reader.position();
    let end = sink.position + bytes;
    while sink.position < end {
        let n = (end - sink.position).min(100_000) as usize;
        sink.read_exact(reader, n).unwrap();
    }
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn csharp_exchanges_hundreds_of_megabytes_both_ways_at_once() {
    guard_for(LONG, || {
        let place = Place::new();
        let (to, from) = (path(&place, "to"), path(&place, "from"));
        let (size, bytes) = (4 << 20, 300_000_000);
        let (size_text, bytes_text) = (size.to_string(), bytes.to_string());
        let mut duplex = Duplex::create_or_open(&from, &to, size).unwrap();
        let mut sends = csharp::start(&["send", &from, &size_text, &bytes_text, "3"]);
        let mut expects = csharp::start(&["expect", &to, &size_text, &bytes_text, "4"]);
        let (reader, writer) = duplex.halves();
        thread::scope(|scope| {
            scope.spawn(|| send(writer, 4, bytes));
            expect(reader, 3, bytes);
        });
        for end in [&mut sends, &mut expects] {
            end.expect("at 0");
            end.expect("done at 300000000");
        }
    });
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn csharp_shares_rings_of_every_size_with_either_side_first() {
    guard_for(LONG, || {
        for (capacity, bytes) in [
            (1_u64, 20_000_u64),
            (7, 200_000),
            (4080, 10 << 20),
            (65521, 30 << 20),
            ((4 << 20) - 16, 50 << 20),
        ] {
            let size = (16 + capacity).to_string();
            let bytes_text = bytes.to_string();
            for csharp_first in [true, false] {
                let place = Place::new();
                // From C# to here.
                let file = path(&place, "a");
                let start = || csharp::start(&["send", &file, &size, &bytes_text, "5"]);
                let open = || Reader::create_or_open(&file, 16 + capacity).unwrap();
                let (mut other, mut reader) = if csharp_first {
                    let other = start();
                    // It makes the file before it gives it a size.
                    assert_eq!(wait_for_file(&file, None).unwrap(), 16 + capacity);
                    (other, Reader::open(&file).unwrap())
                } else {
                    let reader = open();
                    (start(), reader)
                };
                expect(&mut reader, 5, bytes);
                other.expect("at 0");
                other.expect(&format!("done at {bytes}"));

                // And the other way.
                let file = path(&place, "b");
                let start = || csharp::start(&["expect", &file, &size, &bytes_text, "6"]);
                let open = || Writer::create_or_open(&file, 16 + capacity).unwrap();
                let (mut other, mut writer) = if csharp_first {
                    let other = start();
                    wait_for_file(&file, None).unwrap();
                    (other, open())
                } else {
                    let writer = open();
                    (start(), writer)
                };
                send(&mut writer, 6, bytes);
                other.expect("at 0");
                other.expect(&format!("done at {bytes}"));
                assert_eq!(Raw::open(Path::new(&file)).indexes(), (bytes, bytes));
            }
        }
    });
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn bytes_wait_in_a_csharp_ring_until_they_are_read() {
    guard_for(LONG, || {
        let place = Place::new();
        let file = path(&place, "ring");
        // Each side writes before the other one exists, and is gone before it does.
        let mut writer = Writer::create(&file, 65536).unwrap();
        send(&mut writer, 8, 5000);
        drop(writer);
        let mut other = csharp::start(&["expect", &file, "65536", "4000", "8"]);
        other.expect("at 0");
        other.expect("done at 4000");
        let mut other = csharp::start(&["send", &file, "65536", "3000", "8"]);
        other.expect("at 5000");
        other.expect("done at 8000");
        let mut reader = Reader::open(&file).unwrap();
        assert_eq!(
            (reader.position(), reader.available().unwrap()),
            (4000, 4000)
        );
        expect(&mut reader, 8, 4000);
    });
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn csharp_answers_messages_of_every_length() {
    guard_for(LONG, || {
        let place = Place::new();
        let (to, from) = (path(&place, "to"), path(&place, "from"));
        let (reader, writer) = Duplex::create(&from, &to, 5015).unwrap().into_split();
        let (mut questions, mut answers) =
            (plain::Sender::new(writer), plain::Receiver::new(reader));
        let _answering = csharp::start(&["answer", &to, &from, "5015"]);
        for len in (0..50).chain([4080, 4088, 4089, 4999, 5000, 100_000, 1_000_000]) {
            let mut message = made(11, len, len as usize);
            questions.send(&message).unwrap();
            message.reverse();
            assert!(answers.recv().unwrap() == Some(&message[..]), "{len}");
        }
    });
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn a_csharp_side_that_is_killed_and_started_again() {
    guard_for(LONG, || {
        let place = Place::new();
        let (to, from) = (path(&place, "to"), path(&place, "from"));
        let mut reader = Reader::create(&from, 16 + 4999).unwrap();
        let mut writer = Writer::create(&to, 16 + 4999).unwrap();
        let raw = Raw::open(Path::new(&to));
        for _ in 0..setting("SLIPRING_KILL_ROUNDS", 8) {
            let sends = csharp::start(&["send", &from, "5015", "0", "9"]);
            expect(&mut reader, 9, 123_457);
            sends.kill();
            // It checks every byte, from where the file says that it is, and would end at the first
            // wrong one.
            let mut expects = csharp::start(&["expect", &to, "5015", "0", "10"]);
            send(&mut writer, 10, 123_457);
            let position = writer.position();
            eventually("it has consumed some of the last ring", || {
                raw.indexes().0 > position - 4000
            });
            assert!(expects.hear().starts_with("at "));
            expects.kill();
        }
    });
}

/// PATH SEED: until it is killed.
fn writes(arguments: &[&str]) {
    let mut writer = Writer::create_or_open(arguments[0], 5015).unwrap();
    say("started");
    send(&mut writer, arguments[1].parse().unwrap(), u64::MAX / 2);
}

/// PATH SEED: until it is killed.
fn reads(arguments: &[&str]) {
    let mut reader = Reader::create_or_open(arguments[0], 5015).unwrap();
    say("started");
    expect(&mut reader, arguments[1].parse().unwrap(), u64::MAX / 2);
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn a_slipring_side_that_is_killed_and_started_again() {
    guard_for(LONG, || {
        let place = Place::new();
        let (to, from) = (path(&place, "to"), path(&place, "from"));
        drop(Duplex::create(&from, &to, 5015).unwrap());
        let _sends = csharp::start(&["send", &from, "5015", "0", "9"]);
        let mut expects = csharp::start(&["expect", &to, "5015", "0", "10"]);
        expects.expect("at 0");
        let (forth, back) = (Raw::open(Path::new(&to)), Raw::open(Path::new(&from)));
        for _ in 0..setting("SLIPRING_KILL_ROUNDS", 8) {
            let mut others = [("writes", &to, "10"), ("reads", &from, "9")]
                .map(|(role, path, seed)| process::start(&place, role, &[path, seed]));
            let (before_forth, before_back) = (forth.indexes().0, back.indexes().0);
            for other in &mut others {
                other.expect("started");
            }
            eventually("many bytes have gone both ways", || {
                forth.indexes().0 > before_forth + 100_000
                    && back.indexes().0 > before_back + 100_000
            });
            for other in &mut others {
                other.kill();
            }
        }
        // Nothing was lost or doubled: both C# programs check, and go on.
        let mut reader = Reader::open(&from).unwrap();
        expect(&mut reader, 9, 10_000);
        let mut writer = Writer::open(&to).unwrap();
        send(&mut writer, 10, 10_000);
        writer.wait_consumed().unwrap();
    });
}
