//! What a board costs: `cargo bench -p slipring --all-features --bench board`. Each case beside
//! what it is compared with, in the same run; medians of the rounds, of which there are
//! `SLIPRING_BENCH_ROUNDS` (10).

use slipring::board::{Event, Publisher, PublisherOptions, Subscriber, SubscriberOptions};
use slipring::feed::{self, Wake};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of a value.
const VALUE: usize = 64;
/// Changes before each look.
const CHANGES: usize = 100;

fn main() {
    let place = tempfile::tempdir().unwrap();
    println!("| case | median | p99 | of |\n|---|---|---|---|");
    publishing(place.path());
    for keys in [100, 10_000, 100_000] {
        changed(place.path(), keys);
    }
    records(place.path());
    joining(place.path());
}

fn rounds() -> usize {
    std::env::var("SLIPRING_BENCH_ROUNDS").map_or(10, |n| n.parse().expect("a number"))
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Runs the rounds; each returns its durations in nanoseconds. Prints the medians over the rounds.
fn report(what: &str, of: &str, mut round: impl FnMut() -> Vec<f64>) {
    let (mut p50, mut p99): (Vec<f64>, Vec<f64>) = (0..rounds())
        .map(|_| {
            let mut times = round();
            times.sort_by(f64::total_cmp);
            (percentile(&times, 0.5), percentile(&times, 0.99))
        })
        .unzip();
    p50.sort_by(f64::total_cmp);
    p99.sort_by(f64::total_cmp);
    println!(
        "| {what} | {:.1} ns | {:.1} ns | {of} |",
        percentile(&p50, 0.5),
        percentile(&p99, 0.5)
    );
}

/// Nanoseconds for each of `count` calls, in groups so that the clock is not what is measured.
fn in_groups(count: usize, mut call: impl FnMut(usize)) -> Vec<f64> {
    const GROUP: usize = 64;
    (0..count / GROUP)
        .map(|group| {
            let start = Instant::now();
            (0..GROUP).for_each(|i| call(group * GROUP + i));
            start.elapsed().as_nanos() as f64 / GROUP as f64
        })
        .collect()
}

fn key(number: usize) -> Vec<u8> {
    format!("instrument {number}").into_bytes()
}

fn name(place: &Path, what: &str) -> PathBuf {
    place.join(what)
}

/// A board with so many keys, each of which is set.
fn board(place: &Path, keys: usize) -> (Publisher, Vec<Vec<u8>>) {
    let options = PublisherOptions::new()
        .max_keys(keys as u32)
        .max_value(VALUE);
    let mut publisher = options.bind(name(place, "board")).unwrap();
    let keys: Vec<_> = (0..keys).map(key).collect();
    for key in &keys {
        publisher.set(key, &[1; VALUE]).unwrap();
    }
    (publisher, keys)
}

/// One of the keys, so that those that follow are not neighbours.
fn any(number: usize, keys: &[Vec<u8>]) -> &[u8] {
    &keys[number.wrapping_mul(7919) % keys.len()]
}

fn looking(place: &Path) -> Subscriber {
    let options = SubscriberOptions::new().wake(Wake::Never);
    options.connect(name(place, "board")).unwrap()
}

/// `set` beside a publication of the same bytes: a key and a value.
fn publishing(place: &Path) {
    const COUNT: usize = 1 << 17;
    let mut publisher = feed::Publisher::bind(name(place, "feed")).unwrap();
    let record = vec![7; VALUE + key(9_999).len()];
    report(
        &format!("publish {} B on a feed", record.len()),
        "one call",
        || {
            in_groups(COUNT, |_| {
                publisher.publish(&record).unwrap();
            })
        },
    );
    for count in [100, 10_000] {
        let (mut publisher, keys) = board(place, count);
        report(
            &format!("set {VALUE} B on a board of {count} keys, any of them"),
            "one call",
            || {
                in_groups(COUNT, |i| {
                    publisher.set(any(i, &keys), &[i as u8; VALUE]).unwrap();
                })
            },
        );
        let few = &keys[..16];
        report(
            &format!("set {VALUE} B on a board of {count} keys, 16 of them"),
            "one call",
            || {
                in_groups(COUNT, |i| {
                    publisher.set(any(i, few), &[i as u8; VALUE]).unwrap();
                })
            },
        );
    }
}

/// `changed()` after so many changes of a board with so many keys.
fn changed(place: &Path, count: usize) {
    let (mut publisher, keys) = board(place, count);
    let mut panel = looking(place);
    let take = |panel: &mut Subscriber| match panel.try_changed().unwrap() {
        Some(Event::Changes(changes)) => {
            let count = changes.len();
            for change in changes {
                black_box(change);
            }
            count
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(take(&mut panel), count);
    let mut next = 0;
    report(
        &format!("changed() after {CHANGES} changes of {count} keys"),
        "one change",
        || {
            (0..500)
                .map(|_| {
                    for _ in 0..CHANGES {
                        publisher
                            .set(any(next, &keys), &[next as u8; VALUE])
                            .unwrap();
                        next += 1;
                    }
                    let start = Instant::now();
                    assert_eq!(take(&mut panel), CHANGES);
                    start.elapsed().as_nanos() as f64 / CHANGES as f64
                })
                .collect()
        },
    );
}

/// As many records of a feed, which is what a board's changes are compared with.
fn records(place: &Path) {
    let mut publisher = feed::Publisher::bind(name(place, "feed")).unwrap();
    let options = feed::SubscriberOptions::new().wake(Wake::Never);
    let mut subscriber = options.connect(name(place, "feed")).unwrap();
    let record = vec![7; VALUE + key(9_999).len()];
    for (what, publishes) in [
        (format!("publish {CHANGES} records on a feed"), true),
        (format!("receive {CHANGES} records of a feed"), false),
    ] {
        report(&what, "one record", || {
            (0..500)
                .map(|_| {
                    let start = Instant::now();
                    for _ in 0..CHANGES {
                        publisher.publish(&record).unwrap();
                    }
                    let published = start.elapsed();
                    let mut received = 0;
                    while let Some(event) = subscriber.try_recv().unwrap() {
                        black_box(&event);
                        received += 1;
                    }
                    assert_eq!(received, CHANGES);
                    let whole = if publishes {
                        published
                    } else {
                        start.elapsed() - published
                    };
                    whole.as_nanos() as f64 / CHANGES as f64
                })
                .collect()
        });
    }
}

/// Reading single keys, and all of them.
fn joining(place: &Path) {
    let (mut publisher, keys) = board(place, 10_000);
    let mut panel = looking(place);
    report("get, of 10,000 keys", "one call", || {
        in_groups(1 << 16, |i| {
            black_box(panel.get(any(i, &keys)).unwrap());
        })
    });
    report("snapshot of 10,000 keys", "all", || {
        (0..10)
            .map(|i| {
                publisher.set(any(i, &keys), &[9; VALUE]).unwrap();
                let start = Instant::now();
                assert_eq!(black_box(panel.snapshot().unwrap()).entries.len(), 10_000);
                start.elapsed().as_nanos() as f64
            })
            .collect()
    });
}
