//! A board across processes: no torn value and no lost key while panels are lapped all the time,
//! panels that join meanwhile, and publishers that are stopped, killed and forked.
//!
//! `SLIPRING_BOARD_CHANGES` for more changes.

mod common;

use common::process::{self, Other, say, start};
use common::{GENEROUS, Place, bytes, descriptors, eventually, guard, guard_for, setting};
use rustix::process::Signal;
use slipring::board::{
    Change, Event, Publisher, PublisherOptions, ReadError, SetError, Subscriber, Update,
};
use slipring::feed::EndReason;
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: u64 = 50;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("checks", checks),
        ("joins", joins),
        ("gets", gets),
        ("writes without pause", writes_without_pause),
        ("forks", forks),
        ("watches", watches),
        ("comes and goes", comes_and_goes),
        ("has no descriptors", has_no_descriptors),
    ]);
}

fn key(change: u64) -> Vec<u8> {
    let number = bytes::mix(change) % KEYS;
    format!("key {number} {}", "x".repeat(number as usize)).into_bytes()
}

/// A value that betrays any fault: the change, the key, bytes, and a checksum over all.
fn value(change: u64) -> Vec<u8> {
    let mut value = change.to_le_bytes().to_vec();
    value.extend_from_slice(&key(change));
    let len = bytes::mix(change ^ 1 << 50) % 60;
    value.extend((0..len).map(|i| bytes::mix(change ^ i << 40) as u8));
    let sum = sum(&value);
    value.extend_from_slice(&sum.to_le_bytes());
    value
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |sum: u64, byte: &u8| sum.rotate_left(7) ^ u64::from(*byte);
    bytes.iter().fold(1, word)
}

/// Whether the change is a removal.
fn is_removal(change: u64) -> bool {
    bytes::mix(change ^ 1 << 51).is_multiple_of(10)
}

/// Checks a value of a key; the change that brought it.
fn check(key_of_it: &[u8], value: &[u8]) -> u64 {
    let (whole, checksum) = value.split_last_chunk::<8>().expect("the length");
    assert_eq!(sum(whole), u64::from_le_bytes(*checksum), "the checksum");
    let (change, _) = whole.split_first_chunk::<8>().expect("the length");
    let change = u64::from_le_bytes(*change);
    assert_eq!(key(change), key_of_it, "the key");
    change
}

/// The board after so many changes. A key that is not there is set in place of its removal, so that
/// each change has a number. Nine of ten changes set a key, whatever was there, and each key comes
/// up some 200 times in 10,000 changes: what was before those does not matter.
fn expected(changes: u64) -> BTreeMap<Vec<u8>, u64> {
    let mut board = BTreeMap::new();
    for change in changes.saturating_sub(10_000)..changes {
        if !is_removal(change) || board.remove(&key(change)).is_none() {
            board.insert(key(change), change);
        }
    }
    board
}

fn note(mirror: &mut BTreeMap<Vec<u8>, u64>, change: Change<'_>) {
    match change {
        Change::Set { key, value, .. } => {
            let number = check(key, value);
            if let Some(before) = mirror.insert(key.to_vec(), number) {
                assert!(before < number, "it went back");
            }
        }
        Change::Removed { key } => drop(mirror.remove(key)),
    }
}

/// Keeps what it is told, to the end.
fn checks(arguments: &[&str]) {
    let changes: u64 = arguments[1].parse().unwrap();
    let mut panel = Subscriber::connect(arguments[0]).unwrap();
    say("connected");
    let mut mirror = BTreeMap::new();
    let mut told = 0;
    loop {
        match panel.changed().unwrap() {
            Event::Changes(changes) => {
                told += changes.len() as u64;
                changes.for_each(|change| note(&mut mirror, change));
            }
            Event::Ended(end) => break assert_eq!(end.reason, EndReason::Finished),
            Event::Restarted(_) => panic!("it does not reconnect"),
        }
    }
    assert_eq!(mirror, expected(changes));
    // Fewer than there were: it was lapped, or told of many changes at once.
    say(if told < changes {
        "conflated"
    } else {
        "told each"
    });
}

/// Takes a snapshot and follows the changes, again and again.
fn joins(arguments: &[&str]) {
    let changes: u64 = arguments[1].parse().unwrap();
    let mut panel = Subscriber::connect(arguments[0]).unwrap();
    say("connected");
    let (mut snapshots, mut followed) = (0u64, 0u64);
    let mut is_over = false;
    while !is_over {
        let snapshot = match panel.snapshot() {
            Ok(snapshot) => snapshot,
            Err(ReadError::Busy) => continue,
            Err(error) => panic!("{error}"),
        };
        snapshots += 1;
        let mut mirror = BTreeMap::new();
        for (key, (version, value)) in &snapshot.entries {
            let change = check(key, value);
            assert!(*version < snapshot.next);
            mirror.insert(key.clone(), change);
        }
        let mut next = snapshot.next;
        // Exact at its number, whatever that is.
        assert_eq!(mirror, expected(next), "the snapshot at {next}");
        let mut events = panel.events();
        for _ in 0..500 {
            match events.recv().unwrap() {
                Update::Change { sequence, change } => {
                    assert_eq!(sequence, next, "a gap, or an overlap");
                    next += 1;
                    followed += 1;
                    note(&mut mirror, change);
                }
                Update::Lagged(lagged) => {
                    assert_eq!(lagged.next, next + lagged.missed);
                    break;
                }
                Update::Ended(end) => {
                    assert_eq!((end.reason, end.next), (EndReason::Finished, next));
                    assert_eq!(mirror, expected(changes));
                    is_over = true;
                    break;
                }
                Update::Restarted(_) => panic!("it does not reconnect"),
            }
        }
    }
    assert!(snapshots > 1 && followed > 0, "{snapshots}, {followed}");
    say("joined");
}

/// Reads one key again and again, until the board has ended.
fn gets(arguments: &[&str]) {
    let changes: u64 = arguments[1].parse().unwrap();
    let mut panel = Subscriber::connect(arguments[0]).unwrap();
    say("connected");
    let mut newest = 0;
    let mut which = 0;
    loop {
        which += 1;
        let asked = key(which);
        match panel.get(&asked) {
            Ok(Some(got)) => newest = newest.max(check(&asked, got.value)),
            Ok(None) | Err(ReadError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
        if which.is_multiple_of(1000)
            && panel
                .changed()
                .is_ok_and(|event| matches!(event, Event::Ended(_)))
        {
            break;
        }
    }
    for (key, change) in expected(changes) {
        let got = panel.get(&key).unwrap().unwrap();
        assert_eq!(check(&key, got.value), change);
    }
    assert!(newest > 0);
    say("got");
}

fn path(place: &Place) -> String {
    place.name("board").to_str().unwrap().to_owned()
}

fn publish(publisher: &mut Publisher, change: u64) {
    let key = key(change);
    if is_removal(change)
        && let Some(number) = publisher.remove(&key).unwrap()
    {
        return assert_eq!(number, change);
    }
    assert_eq!(publisher.set(&key, &value(change)), Ok(change));
}

#[test]
fn no_value_is_torn_and_no_key_is_lost_while_panels_are_lapped() {
    guard_for(20 * GENEROUS, || {
        let changes = setting("SLIPRING_BOARD_CHANGES", 1_000_000);
        let place = Place::new();
        // A small ring, so that the panels are lapped all the time, and no slot to spare.
        let mut publisher = PublisherOptions::new()
            .max_keys(KEYS as u32)
            .max_value(200)
            .ring(16 * 1024)
            .bind(place.name("board"))
            .unwrap();
        let count = changes.to_string();
        let mut panels: Vec<Other> = ["checks", "joins", "gets"]
            .iter()
            .map(|role| {
                let mut command = process::command(&place, role, &[&path(&place), &count]);
                command.env(common::CHILD_SECONDS, "1000");
                process::start_as(command, role)
            })
            .collect();
        for panel in &mut panels {
            panel.expect("connected");
        }
        for change in 0..changes {
            publish(&mut publisher, change);
        }
        publisher.finish();
        for (mut panel, word) in panels.into_iter().zip(["conflated", "joined", "got"]) {
            panel.expect(word);
            panel.succeed();
        }
    });
}

fn writes_without_pause(arguments: &[&str]) {
    let mut publisher = PublisherOptions::new()
        .ring(16 * 1024)
        .bind(arguments[0])
        .unwrap();
    say("bound");
    for change in 0.. {
        publisher.set(&key(change), &value(change)).unwrap();
    }
}

#[test]
fn a_board_of_a_stopped_and_of_a_killed_publisher_can_be_read() {
    guard_for(5 * GENEROUS, || {
        let place = Place::new();
        let mut publisher = start(&place, "writes without pause", &[&path(&place)]);
        publisher.expect("bound");
        let mut panel = Subscriber::connect(place.name("board")).unwrap();
        let read_all = |panel: &mut Subscriber| {
            for change in 0..300 {
                let asked = key(change);
                let got = panel.get(&asked).unwrap().expect("all keys are set");
                check(&asked, got.value);
            }
        };
        eventually("all keys are set", || {
            (0..300).all(|change| panel.get(&key(change)).is_ok_and(|got| got.is_some()))
        });
        for _ in 0..50 {
            // Wherever it is.
            publisher.signal(Signal::STOP);
            eventually("it is stopped", || {
                let next = panel.snapshot().map(|snapshot| snapshot.next).ok();
                next.is_some() && next == panel.snapshot().map(|snapshot| snapshot.next).ok()
            });
            read_all(&mut panel);
            let snapshot = panel.snapshot().unwrap();
            for (key, (version, value)) in &snapshot.entries {
                assert_eq!(check(key, value), *version);
                assert!(*version < snapshot.next);
            }
            publisher.signal(Signal::CONT);
        }
        publisher.kill();
        loop {
            match panel.changed().unwrap() {
                Event::Changes(changes) => changes.for_each(|change| {
                    if let Change::Set { key, value, .. } = change {
                        check(key, value);
                    }
                }),
                Event::Ended(end) => break assert_eq!(end.reason, EndReason::PublisherDied),
                Event::Restarted(_) => panic!("it does not reconnect"),
            }
        }
        read_all(&mut panel);
        let end = panel.end().unwrap();
        assert_eq!(panel.snapshot().unwrap().next, end.next);
    });
}

fn forks(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("board");
    let mut publisher = Publisher::bind(&name).unwrap();
    let mut panel = Subscriber::connect(&name).unwrap();
    eventually("it is known", || publisher.subscribers().len() == 1);
    // SAFETY: the other threads of this process only wait, so that the child finds no lock held.
    match unsafe { libc::fork() } {
        0 => {
            let refused = publisher.set(b"child", b"") == Err(SetError::Forked)
                && publisher.remove(b"child") == Err(SetError::Forked)
                && publisher.batch().set(b"child", b"") == Err(SetError::Forked)
                && panel.try_changed().is_err()
                && panel.get(b"child").is_err()
                && panel.snapshot().is_err();
            drop(panel);
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
    // The parent's board goes on.
    publisher.set(b"parent", b"1").unwrap();
    assert!(matches!(panel.changed().unwrap(), Event::Changes(_)));
    assert_eq!(panel.get(b"parent").unwrap().unwrap().value, b"1");
}

#[test]
fn a_forked_child_changes_nothing() {
    guard(|| process::alone("forks"));
}

/// Thousands of panels, some at a time, leave nothing behind; each finds what is there.
fn comes_and_goes(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("board");
    let mut publisher = Publisher::bind(&name).unwrap();
    let mappings = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().count()
    };
    let round = |publisher: &mut Publisher| {
        let version = publisher.set(b"key", b"value").unwrap();
        let panels: Vec<_> = (0..8)
            .map(|_| Subscriber::connect(&name).unwrap())
            .collect();
        for mut panel in panels {
            let value = panel.get(b"key").unwrap().unwrap();
            assert_eq!((value.value, value.version), (&b"value"[..], version));
            let Event::Changes(changes) = panel.changed().unwrap() else {
                panic!();
            };
            assert_eq!(changes.len(), 1);
        }
        eventually("all have left", || publisher.subscribers().is_empty());
    };
    round(&mut publisher);
    let before = (descriptors(), mappings());
    for _ in 0..250 {
        round(&mut publisher);
    }
    assert_eq!(descriptors(), before.0);
    let maps = mappings();
    assert!(maps <= before.1 + 8, "{maps} mappings, {} before", before.1);
    // A list of names tells what this one is. (The runtime directory is this process's own.)
    let _named = Publisher::bind("prices").unwrap();
    let listed = slipring::names().unwrap();
    let kinds: Vec<_> = listed
        .iter()
        .map(|one| (one.name.to_string(), one.kind))
        .collect();
    let is_there =
        |(name, kind): &(String, Option<&str>)| name.ends_with("prices") && *kind == Some("board");
    assert!(kinds.iter().any(is_there), "{kinds:?}");
}

#[test]
fn panels_that_come_and_go_leave_nothing_behind() {
    guard_for(2 * GENEROUS, || process::alone("comes and goes"));
}

fn watches(arguments: &[&str]) {
    let mut panel = Subscriber::connect(arguments[0]).unwrap();
    say("connected");
    loop {
        match panel.changed().unwrap() {
            Event::Changes(changes) => changes.for_each(|change| {
                let Change::Set { version, .. } = change else {
                    panic!();
                };
                say(&version.to_string());
            }),
            _ => return,
        }
    }
}

/// A publisher without descriptors goes on, and lets panels in once there are some.
fn has_no_descriptors(arguments: &[&str]) {
    let name = Path::new(arguments[0]).join("board");
    let mut publisher = Publisher::bind(&name).unwrap();
    let watching = || {
        let arguments = [name.to_str().unwrap()];
        process::start_as(
            process::command(&Place::new(), "watches", &arguments),
            "watches",
        )
    };
    let mut panel = watching();
    panel.expect("connected");
    assert!(publisher.wait_for_subscribers(1, GENEROUS).unwrap());
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
        assert!(hoard.len() < 100_000, "this needs a limit of descriptors");
    }
    for version in 0..5u32 {
        publisher.set(b"key", b"value").unwrap();
        panel.expect(&version.to_string());
    }
    drop(hoard);
    let mut other = watching();
    other.expect("connected");
    other.expect("4");
}

#[test]
fn a_publisher_without_descriptors_goes_on() {
    guard(|| process::alone("has no descriptors"));
}
