//! A publisher of a board, and a subscriber, that dies at each step that there is
//! (`slipring::fail_points`). A subscriber has whole values alone, then the documented end; a
//! publisher and its other subscribers go on.

mod common;

use common::process::{self, Other, say, told};
use common::{GENEROUS, Place, eventually, guard_for};
use slipring::Spin;
use slipring::board::{Change, Event, Publisher, PublisherOptions, Subscriber, SubscriberOptions};
use slipring::fail_points::ALL;
use slipring::feed::EndReason;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

const CHANGES: u64 = 400;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("publishes", publishes), ("reads", reads)]);
}

fn doomed(place: &Place, role: &str, point: &str, count: u32) -> Other {
    let name = place.name("board");
    let mut command = process::command(place, role, &[name.to_str().unwrap()]);
    command.env("SLIPRING_FAIL_POINT", format!("{point}:{count}"));
    process::start_as(command, role)
}

fn key(change: u64) -> Vec<u8> {
    format!("key {}", change % 7).into_bytes()
}

fn value(change: u64) -> Vec<u8> {
    let bytes = (0..change % 50).map(|i| (change + i) as u8);
    change.to_le_bytes().into_iter().chain(bytes).collect()
}

/// The change that brought a value.
fn check(key_of_it: &[u8], bytes: &[u8]) -> u64 {
    let change = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!((key_of_it, bytes), (&key(change)[..], &value(change)[..]));
    change
}

/// Publishes once a subscriber is there: one change, or several at once.
fn publishes(arguments: &[&str]) {
    let mut publisher = PublisherOptions::new()
        .ring(4096)
        .bind(arguments[0])
        .unwrap();
    say("bound");
    eventually("somebody is there", || !publisher.subscribers().is_empty());
    let mut change = 0;
    while change < CHANGES {
        let mut batch = publisher.batch();
        for _ in 0..1 + change % 3 {
            assert_eq!(batch.set(&key(change), &value(change)), Ok(change));
            change += 1;
        }
    }
    publisher.finish();
    say("finished");
}

/// Reads to the end, in every way.
fn reads(arguments: &[&str]) {
    let mut panel = SubscriberOptions::new()
        .spin(Spin::Never)
        .connect(arguments[0])
        .unwrap();
    say("connected");
    told();
    while !matches!(panel.changed().unwrap(), Event::Ended(_)) {
        panel.snapshot().unwrap();
    }
    say("read all");
}

const OF_PUBLISHERS: &[&str] = &[
    "board-claimed",
    "board-written",
    "board-flipped",
    "feed-claimed",
    "feed-written",
    "feed-published",
    "writing-ended",
    "hung-up",
];
const OF_SUBSCRIBERS: &[&str] = &["board-read", "feed-armed", "feed-woken"];

#[test]
fn every_point_of_a_board_is_gone_through() {
    for (name, _) in ALL.iter().filter(|(name, _)| name.starts_with("board-")) {
        assert!(
            OF_PUBLISHERS.contains(name) ^ OF_SUBSCRIBERS.contains(name),
            "{name}"
        );
    }
}

#[test]
fn a_publisher_dies_at_any_point() {
    guard_for(5 * GENEROUS, || {
        for point in OF_PUBLISHERS {
            let counts: &[u32] = match *point {
                "writing-ended" | "hung-up" => &[1],
                "feed-claimed" => &[1, 2, 70],
                _ => &[1, 2, 3, 100],
            };
            for count in counts {
                publisher_dies(point, *count);
            }
        }
    });
}

fn publisher_dies(point: &str, count: u32) {
    let place = Place::new();
    let mut publisher = doomed(&place, "publishes", point, count);
    publisher.expect("bound");
    let mut panel = Subscriber::connect(place.name("board")).unwrap();
    let mut mirror = BTreeMap::new();
    let end = loop {
        match panel.changed().unwrap() {
            Event::Changes(changes) => {
                for change in changes {
                    let Change::Set {
                        key,
                        value,
                        version,
                    } = change
                    else {
                        panic!("{change:?}");
                    };
                    assert_eq!(check(key, value), version, "{point}:{count}");
                    mirror.insert(key.to_vec(), version);
                }
            }
            Event::Ended(end) => break end,
            Event::Restarted(_) => panic!("it does not reconnect"),
        }
    };
    let finished = matches!(point, "writing-ended" | "hung-up");
    let reason = if finished {
        assert_eq!(end.next, CHANGES);
        EndReason::Finished
    } else {
        EndReason::PublisherDied
    };
    assert_eq!(end.reason, reason, "{point}:{count}");
    // Everything that was published; of the rest, whole values alone.
    let snapshot = panel.snapshot().unwrap();
    assert_eq!(snapshot.next, end.next, "{point}:{count}");
    let published: BTreeMap<_, _> = (0..end.next).map(|change| (key(change), change)).collect();
    let versions = snapshot.entries.iter();
    let versions: BTreeMap<_, _> = versions
        .map(|(key, (version, value))| {
            assert_eq!(check(key, value), *version);
            (key.clone(), *version)
        })
        .collect();
    assert_eq!(versions, published, "{point}:{count}");
    for (key, version) in &published {
        assert!(mirror[key] >= *version, "{point}:{count}");
        let got = panel.get(key).unwrap().unwrap();
        assert!(check(key, got.value) >= *version, "{point}:{count}");
    }
    assert_eq!(
        publisher.wait().signal(),
        Some(9),
        "{point}:{count} was not reached"
    );
    // The name is free.
    drop(Publisher::bind(place.name("board")).unwrap());
}

#[test]
fn a_subscriber_dies_at_any_point() {
    guard_for(5 * GENEROUS, || {
        for point in OF_SUBSCRIBERS {
            for count in [1, 3] {
                subscriber_dies(point, count);
            }
        }
    });
}

fn subscriber_dies(point: &str, count: u32) {
    let place = Place::new();
    let mut publisher = Publisher::bind(place.name("board")).unwrap();
    let mut healthy = Subscriber::connect(place.name("board")).unwrap();
    let mut dying = doomed(&place, "reads", point, count);
    dying.expect("connected");
    eventually("both are known", || publisher.subscribers().len() == 2);
    dying.tell("read");
    let mut next = 0;
    eventually("it dies", || {
        assert_eq!(publisher.set(&key(next), &value(next)), Ok(next));
        let Event::Changes(changes) = healthy.changed().unwrap() else {
            panic!("{point}:{count}");
        };
        assert_eq!(
            changes.map(|change| change.key().to_vec()).last(),
            Some(key(next))
        );
        next += 1;
        publisher.subscribers().len() == 1
    });
    assert_eq!(
        dying.wait().signal(),
        Some(9),
        "{point}:{count} was not reached"
    );
}
