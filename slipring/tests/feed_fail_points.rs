//! A publisher, and a subscriber, that dies at each step that there is (`slipring::fail_points`).
//! A subscriber receives whole records alone, then the documented end; a publisher and its other
//! subscribers go on.

mod common;

use common::process::{self, Other, say, told};
use common::{GENEROUS, Place, eventually, guard_for};
use slipring::fail_points::ALL;
use slipring::feed::{EndReason, Event, Publisher, PublisherOptions, Start, SubscriberOptions};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

/// Records that a doomed publisher publishes: some laps of its ring.
const RECORDS: u64 = 400;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("publishes", publishes), ("reads", reads)]);
}

fn doomed(place: &Place, role: &str, point: &str, count: u32) -> Other {
    let name = place.name("feed");
    let mut command = process::command(place, role, &[name.to_str().unwrap()]);
    command.env("SLIPRING_FAIL_POINT", format!("{point}:{count}"));
    process::start_as(command, role)
}

fn payload(sequence: u64) -> Vec<u8> {
    (0..sequence % 50).map(|i| (sequence + i) as u8).collect()
}

/// Publishes once a subscriber is there, now and then with a pause in which it falls asleep.
fn publishes(arguments: &[&str]) {
    let mut publisher = PublisherOptions::new()
        .capacity(4096)
        .bind(arguments[0])
        .unwrap();
    say("bound");
    eventually("somebody is there", || !publisher.subscribers().is_empty());
    for sequence in 0..RECORDS {
        publisher.publish(&payload(sequence)).unwrap();
        if sequence % 50 == 0 {
            let caught_up = || publisher.subscribers().iter().all(|one| one.behind == 0);
            eventually("it has caught up", caught_up);
            thread::sleep(Duration::from_millis(2));
        }
    }
    publisher.finish();
    say("finished");
}

/// Reads to the end.
fn reads(arguments: &[&str]) {
    let mut subscriber = SubscriberOptions::new()
        .spin(slipring::Spin::Never)
        .connect(arguments[0])
        .unwrap();
    say("connected");
    // It is known to the publisher before it can die.
    told();
    while !matches!(subscriber.recv().unwrap(), Event::Ended(_)) {}
    say("read all");
}

/// Where a publisher comes by, and where a subscriber does.
const OF_PUBLISHERS: &[&str] = &[
    "feed-claimed",
    "feed-written",
    "feed-published",
    "feed-calling",
    "feed-called",
    "writing-ended",
    "hanging-up",
    "hung-up",
];
const OF_SUBSCRIBERS: &[&str] = &[
    "feed-armed",
    "feed-announced",
    "feed-woken",
    "feed-copied",
    "sleeping",
];

#[test]
fn every_point_of_a_feed_is_gone_through() {
    for (name, _) in ALL.iter().filter(|(name, _)| name.starts_with("feed-")) {
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
                "feed-claimed" => &[1, 2, 70],
                "feed-written" | "feed-published" => &[1, 2, 300],
                "feed-calling" | "feed-called" => &[1, 2],
                _ => &[1],
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
    let mut subscriber = SubscriberOptions::new()
        .start(Start::At(0))
        .spin(slipring::Spin::Never)
        .connect(place.name("feed"))
        .unwrap();
    let mut next = 0;
    let end = loop {
        match subscriber.recv().unwrap() {
            Event::Record(record) => {
                assert_eq!(record.sequence, next, "{point}:{count}");
                assert_eq!(record.payload, payload(next), "{point}:{count}");
                next += 1;
            }
            Event::Lagged(lagged) => {
                next += lagged.missed;
                assert_eq!(lagged.next, next);
            }
            Event::Ended(end) => break end,
            Event::Restarted(_) => panic!("it does not reconnect"),
        }
    };
    assert_eq!(end.next, next, "{point}:{count}");
    let finished = matches!(point, "writing-ended" | "hanging-up" | "hung-up");
    let reason = if finished {
        EndReason::Finished
    } else {
        EndReason::PublisherDied
    };
    assert_eq!(end.reason, reason, "{point}:{count}");
    if finished {
        assert_eq!(next, RECORDS);
    }
    assert_eq!(
        publisher.wait().signal(),
        Some(9),
        "{point}:{count} was not reached"
    );
    // The name is free.
    drop(Publisher::bind(place.name("feed")).unwrap());
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
    let mut publisher = Publisher::bind(place.name("feed")).unwrap();
    let mut healthy = SubscriberOptions::new()
        .connect(place.name("feed"))
        .unwrap();
    let mut dying = doomed(&place, "reads", point, count);
    dying.expect("connected");
    eventually("both are known", || publisher.subscribers().len() == 2);
    dying.tell("read");
    // Until it is dead; it sleeps and is woken again and again meanwhile.
    let mut next = 0;
    eventually("it dies", || {
        assert_eq!(publisher.publish(&payload(next)), Ok(next));
        let Event::Record(record) = healthy.recv().unwrap() else {
            panic!("{point}:{count}");
        };
        assert_eq!(record.sequence, next);
        next += 1;
        publisher.subscribers().len() == 1
    });
    assert_eq!(
        dying.wait().signal(),
        Some(9),
        "{point}:{count} was not reached"
    );
    publisher.finish();
    assert!(matches!(healthy.recv().unwrap(), Event::Ended(_)));
}
