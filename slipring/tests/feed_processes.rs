//! A feed across processes: no torn record and no silent loss while readers are lapped, and readers
//! and publishers that are stopped, killed, forked, come and go.
//!
//! `SLIPRING_FEED_RECORDS` for more records.

mod common;

use common::process::{self, Other, say, start, told};
use common::{GENEROUS, Place, bytes, descriptors, eventually, guard, guard_for, setting};
use rustix::process::Signal;
use slipring::feed::{
    EndReason, Event, PublishError, Publisher, PublisherOptions, Start, Subscriber,
    SubscriberOptions, Wake,
};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("checks", checks),
        ("reads", reads),
        ("publishes", publishes),
        ("comes and goes", comes_and_goes),
        ("forks", forks),
        ("has no descriptors", has_no_descriptors),
        ("five hundred", five_hundred),
    ]);
}

/// A record that betrays any fault: its number, its length, bytes, and a checksum over all.
fn record(sequence: u64, buffer: &mut Vec<u8>) {
    let words = 2 + (bytes::mix(sequence) % 7) as usize;
    let mut sum = 0u64;
    buffer.clear();
    let mut put = |word: u64, buffer: &mut Vec<u8>| {
        sum = sum.rotate_left(7) ^ word;
        buffer.extend_from_slice(&word.to_le_bytes());
    };
    put(sequence, buffer);
    put(words as u64, buffer);
    for i in 2..words as u64 {
        put(bytes::mix(sequence ^ i << 40), buffer);
    }
    let sum = sum;
    buffer.extend_from_slice(&sum.to_le_bytes());
}

fn check(sequence: u64, payload: &[u8]) {
    let (whole, rest) = payload.as_chunks::<8>();
    assert!(
        rest.is_empty() && whole.len() >= 3,
        "{sequence}: the length"
    );
    let word = |i: usize| u64::from_le_bytes(whole[i]);
    assert_eq!(word(0), sequence, "the number");
    assert_eq!(word(1) as usize, whole.len() - 1, "{sequence}: the length");
    let sum = (0..whole.len() - 1).fold(0u64, |sum, i| sum.rotate_left(7) ^ word(i));
    assert_eq!(word(whole.len() - 1), sum, "{sequence}: the checksum");
}

/// Reads to the end; says how many records it got and how many it missed.
fn checks(arguments: &[&str]) {
    let options = match arguments[1] {
        "looks" => SubscriberOptions::new().wake(Wake::Never),
        _ => SubscriberOptions::new(),
    };
    let mut subscriber = options.start(Start::At(0)).connect(arguments[0]).unwrap();
    say("connected");
    let (mut got, mut missed) = (0u64, 0);
    loop {
        let event = match arguments[1] {
            "looks" => subscriber.try_recv().unwrap(),
            _ => Some(subscriber.recv().unwrap()),
        };
        match event {
            None => thread::yield_now(),
            Some(Event::Record(record)) => {
                assert_eq!(record.sequence, got + missed, "silent loss");
                check(record.sequence, record.payload);
                got += 1;
            }
            Some(Event::Lagged(lagged)) => {
                missed += lagged.missed;
                assert_eq!(lagged.next, got + missed);
            }
            Some(Event::Ended(end)) => {
                assert_eq!((end.reason, end.next), (EndReason::Finished, got + missed));
                break;
            }
            Some(Event::Restarted(_)) => panic!("it does not reconnect"),
        }
    }
    say(&got.to_string());
    say(&missed.to_string());
}

fn path(place: &Place) -> String {
    place.name("feed").to_str().unwrap().to_owned()
}

#[test]
fn no_record_is_torn_and_none_is_lost_in_silence() {
    guard_for(40 * GENEROUS, || {
        let count = setting("SLIPRING_FEED_RECORDS", 10_000_000);
        let place = Place::new();
        // A small ring, so that the readers are lapped all the time.
        let mut publisher = PublisherOptions::new()
            .capacity(16 * 1024)
            .bind(place.name("feed"))
            .unwrap();
        let mut readers: Vec<Other> = ["looks", "sleeps"]
            .iter()
            .map(|how| {
                let mut command = process::command(&place, "checks", &[&path(&place), how]);
                command.env(common::CHILD_SECONDS, "2000");
                process::start_as(command, "checks")
            })
            .collect();
        for reader in &mut readers {
            reader.expect("connected");
        }
        let mut buffer = Vec::new();
        for sequence in 0..count {
            record(sequence, &mut buffer);
            assert_eq!(publisher.publish(&buffer), Ok(sequence));
        }
        publisher.finish();
        for mut reader in readers {
            let (got, missed): (u64, u64) = (
                reader.hear().parse().unwrap(),
                reader.hear().parse().unwrap(),
            );
            assert_eq!(got + missed, count);
            assert!(got > 0, "nothing was read");
            assert!(missed > 0, "the readers were never lapped");
            reader.succeed();
        }
    });
}

/// Reads and says the numbers of records.
fn reads(arguments: &[&str]) {
    let mut subscriber = SubscriberOptions::new()
        .start(Start::At(0))
        .connect(arguments[0])
        .unwrap();
    loop {
        match subscriber.recv().unwrap() {
            Event::Record(record) => say(&record.sequence.to_string()),
            Event::Ended(end) => break say(&format!("{:?} {}", end.reason, end.next)),
            event => panic!("{event:?}"),
        }
    }
}

#[test]
fn stopped_and_killed_readers_hold_nobody_up() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut readers: Vec<_> = (0..6)
            .map(|_| start(&place, "reads", &[&path(&place)]))
            .collect();
        eventually("all are there", || publisher.subscribers().len() == 6);
        let publish = |publisher: &mut Publisher, readers: &mut [Other]| {
            let sequence = publisher.publish(b"tick").unwrap();
            for reader in readers {
                reader.expect(&sequence.to_string());
            }
        };
        publish(&mut publisher, &mut readers);
        // One is stopped as it sleeps, one just after it was woken, and one is killed.
        readers[0].signal(Signal::STOP);
        publish(&mut publisher, &mut readers[1..]);
        publisher.publish(b"tock").unwrap();
        readers[1].signal(Signal::STOP);
        readers[2].kill();
        for reader in &mut readers[3..] {
            reader.expect("2");
        }
        for _ in 3..10 {
            publish(&mut publisher, &mut readers[3..]);
        }
        eventually("the dead one is gone", || {
            publisher.subscribers().len() == 5
        });
        readers[0].signal(Signal::CONT);
        readers[1].signal(Signal::CONT);
        for sequence in 1..10 {
            readers[0].expect(&sequence.to_string());
        }
        for sequence in 2..10 {
            readers[1].expect(&sequence.to_string());
        }
        publish(&mut publisher, &mut []);
        publisher.finish();
        for (i, mut reader) in readers.into_iter().enumerate() {
            if i != 2 {
                reader.expect("10");
                reader.expect("Finished 11");
                reader.succeed();
            }
        }
    });
}

/// Publishes a record for each word that it is told.
fn publishes(arguments: &[&str]) {
    let mut publisher = Publisher::bind(arguments[0]).unwrap();
    say("bound");
    while let Some(word) = told() {
        publisher.publish(word.as_bytes()).unwrap();
        say(&word);
    }
}

#[test]
fn a_publisher_that_is_killed_leaves_what_it_published() {
    guard(|| {
        let place = Place::new();
        let mut publisher = start(&place, "publishes", &[&path(&place)]);
        publisher.expect("bound");
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let mut faithful = SubscriberOptions::new()
            .reconnect(true)
            .connect(place.name("feed"))
            .unwrap();
        for word in ["one", "two"] {
            publisher.tell(word);
            publisher.expect(word);
        }
        publisher.signal(Signal::STOP);
        // A publisher that is stopped is not dead.
        for word in ["one", "two"] {
            let Event::Record(record) = subscriber.recv().unwrap() else {
                panic!();
            };
            assert_eq!(record.payload, word.as_bytes());
        }
        let brief = Duration::from_millis(50);
        assert_eq!(subscriber.recv_timeout(brief).unwrap(), None);
        publisher.kill();
        let Event::Ended(end) = subscriber.recv().unwrap() else {
            panic!();
        };
        assert_eq!((end.reason, end.next), (EndReason::PublisherDied, 2));
        for _ in 0..2 {
            assert!(matches!(faithful.recv().unwrap(), Event::Record(_)));
        }
        assert_eq!(faithful.recv_timeout(brief).unwrap(), None);
        let mut next = start(&place, "publishes", &[&path(&place)]);
        next.expect("bound");
        next.tell("three");
        next.expect("three");
        assert!(matches!(faithful.recv().unwrap(), Event::Restarted(_)));
        let Event::Record(record) = faithful.recv().unwrap() else {
            panic!();
        };
        assert_eq!((record.sequence, record.payload), (0, &b"three"[..]));
    });
}

/// Thousands of subscribers, one after the other and some at a time, leave nothing behind.
fn comes_and_goes(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("feed");
    let mut publisher = Publisher::bind(&name).unwrap();
    let mappings = || {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    };
    let round = |publisher: &mut Publisher| {
        let subscribers: Vec<_> = (0..8)
            .map(|_| Subscriber::connect(&name).unwrap())
            .collect();
        for mut subscriber in subscribers {
            let sequence = publisher.publish(b"hello").unwrap();
            assert_eq!(
                subscriber.latest().unwrap().map(|event| match event {
                    Event::Record(record) => record.sequence,
                    event => panic!("{event:?}"),
                }),
                Some(sequence)
            );
        }
        eventually("all have left", || publisher.subscribers().is_empty());
    };
    round(&mut publisher);
    let before = (descriptors(), mappings());
    for _ in 0..250 {
        round(&mut publisher);
    }
    let (fds, maps) = (descriptors(), mappings());
    assert_eq!(fds, before.0);
    assert!(maps <= before.1 + 8, "{maps} mappings, {} before", before.1);
}

#[test]
fn subscribers_that_come_and_go_leave_nothing_behind() {
    guard(|| process::alone("comes and goes"));
}

fn forks(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("feed");
    let mut publisher = Publisher::bind(&name).unwrap();
    let mut subscriber = Subscriber::connect(&name).unwrap();
    eventually("it is known", || publisher.subscribers().len() == 1);
    // SAFETY: the other threads of this process only wait, so that the child finds no lock held.
    match unsafe { libc::fork() } {
        0 => {
            let refused = publisher.publish(b"child") == Err(PublishError::Forked)
                && publisher.batch().publish(b"child") == Err(PublishError::Forked)
                && subscriber.try_recv().is_err()
                && subscriber.recv().is_err()
                && subscriber.latest().is_err()
                && !publisher.disconnect(2, 1);
            drop(subscriber);
            drop(publisher);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!refused)) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is alive; the pid is of a child that no other code waits for.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(status, 0, "the child may do something");
        }
    }
    // The parent's feed goes on.
    assert_eq!(publisher.subscribers().len(), 1);
    publisher.publish(b"parent").unwrap();
    let Event::Record(record) = subscriber.recv().unwrap() else {
        panic!();
    };
    assert_eq!((record.sequence, record.payload), (0, &b"parent"[..]));
    drop(Subscriber::connect(&name).unwrap());
}

#[test]
fn a_forked_child_neither_publishes_nor_ends_anything() {
    guard(|| process::alone("forks"));
}

/// A publisher without descriptors goes on, and lets subscribers in once there are some.
fn has_no_descriptors(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("feed");
    let mut publisher = Publisher::bind(&name).unwrap();
    let mut other = start_in(arguments[0], "reads", name.to_str().unwrap());
    eventually("it is there", || publisher.subscribers().len() == 1);
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
        assert!(hoard.len() < 100_000, "this needs a limit of descriptors");
    }
    for sequence in 0..5u32 {
        publisher.publish(b"tick").unwrap();
        other.expect(&sequence.to_string());
    }
    drop(hoard);
    let mut third = start_in(arguments[0], "reads", name.to_str().unwrap());
    third.expect("0");
}

fn start_in(directory: &str, role: &str, argument: &str) -> Other {
    let mut command = process::command(&Place::new(), role, &[argument]);
    command.env("XDG_RUNTIME_DIR", directory);
    process::start_as(command, role)
}

#[test]
fn a_publisher_without_descriptors_goes_on() {
    guard(|| process::alone("has no descriptors"));
}

/// Five hundred subscribers take five hundred descriptors of the publisher's.
fn five_hundred(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("feed");
    let mut publisher = Publisher::bind(&name).unwrap();
    let before = descriptors();
    let first = Subscriber::connect(&name).unwrap();
    eventually("it is known", || publisher.subscribers().len() == 1);
    assert_eq!(descriptors(), before + 2, "one for each end");
    let mut all = vec![first];
    // Both ends are in this process, and 1,024 descriptors are what many systems allow.
    for _ in 1..500 {
        all.push(Subscriber::connect(&name).unwrap());
    }
    eventually("all are known", || publisher.subscribers().len() == 500);
    assert_eq!(descriptors(), before + 1000);
    publisher.publish(b"to all").unwrap();
    for subscriber in &mut all {
        assert!(matches!(subscriber.recv().unwrap(), Event::Record(_)));
    }
    let start = Instant::now();
    drop(all);
    eventually("all have left", || publisher.subscribers().is_empty());
    assert!(start.elapsed() < GENEROUS);
}

#[test]
fn a_subscriber_costs_one_descriptor_on_each_side() {
    guard(|| process::alone("five hundred"));
}
