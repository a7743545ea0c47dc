//! Feeds: records and their numbers, lag, the newest, ends, who is there, and waiting.

mod common;

use common::{GENEROUS, Place, eventually, guard};
use rustix::event::{PollFd, PollFlags, poll};
use slipring::feed::{
    Budget, Departed, EndReason, Event, Lagged, PublishError, Publisher, PublisherOptions, Start,
    Subscriber, SubscriberOptions, Wake,
};
use slipring::{Error, Listener, Readiness, Spin, Stream};
use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, SystemTime};

/// A feed of 4 KiB, which keeps a few records.
fn small() -> PublisherOptions {
    PublisherOptions::new().capacity(4096)
}

fn number(event: Option<Event<&[u8]>>) -> u64 {
    match event {
        Some(Event::Record(record)) => {
            assert_eq!(record.payload, payload(record.sequence));
            record.sequence
        }
        other => panic!("{other:?}"),
    }
}

/// The record of this number: its length changes, and each byte depends on it.
fn payload(sequence: u64) -> Vec<u8> {
    (0..sequence % 100).map(|i| (sequence + i) as u8).collect()
}

fn ended(event: Option<Event<&[u8]>>) -> (EndReason, u64) {
    match event {
        Some(Event::Ended(end)) => (end.reason, end.next),
        other => panic!("{other:?}"),
    }
}

fn publish(publisher: &mut Publisher, count: u64) {
    for _ in 0..count {
        let sequence = publisher.next();
        assert_eq!(publisher.publish(&payload(sequence)), Ok(sequence));
    }
}

#[test]
fn every_subscriber_gets_every_record_in_order() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscribers: Vec<_> = (0..5)
            .map(|_| Subscriber::connect(place.name("feed")).unwrap())
            .collect();
        publish(&mut publisher, 1000);
        for subscriber in &mut subscribers {
            for sequence in 0..1000 {
                assert_eq!(number(subscriber.try_recv().unwrap()), sequence);
            }
            assert_eq!(subscriber.try_recv().unwrap(), None);
            assert_eq!(subscriber.next(), 1000);
        }
        publisher.finish();
        for subscriber in &mut subscribers {
            assert_eq!(
                ended(Some(subscriber.recv().unwrap())),
                (EndReason::Finished, 1000)
            );
            assert!(subscriber.end().is_some());
        }
    });
}

#[test]
fn records_of_any_size_go_round_the_ring() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let most = publisher.max_record();
        assert_eq!(most, 4096 / 4 - 24);
        for len in (0..=most).chain((0..=most).rev()) {
            let record = vec![len as u8; len];
            publisher.publish(&record).unwrap();
            let Event::Record(received) = subscriber.recv().unwrap() else {
                panic!("{len}");
            };
            assert_eq!(received.payload, record);
        }
        assert_eq!(
            publisher.publish(&vec![0; most + 1]),
            Err(PublishError::TooLong {
                len: most + 1,
                max: most
            })
        );
        let error = small().max_record(most + 1).bind(place.name("other"));
        assert!(matches!(error, Err(Error::Capacity { .. })), "{error:?}");
    });
}

#[test]
fn a_subscriber_that_is_too_slow_is_told_how_many_records_are_gone() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let mut next = 0;
        for round in 1..20 {
            publish(&mut publisher, round * 37);
            let mut lagged = 0;
            while let Some(event) = subscriber.try_recv().unwrap() {
                match event {
                    Event::Lagged(Lagged { missed, next: goes }) => {
                        assert!(missed > 0);
                        assert_eq!(goes, next + missed);
                        next = goes;
                        lagged += 1;
                    }
                    event => {
                        assert_eq!(number(Some(event)), next);
                        next += 1;
                    }
                }
            }
            assert!(lagged <= 1);
            assert_eq!(next, publisher.next());
        }
        let missed = publisher.subscribers()[0].missed;
        assert!(missed > 1000, "{missed}");
    });
}

#[test]
fn a_subscriber_begins_where_it_asks_to() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        publish(&mut publisher, 1000);
        let begin = |start| {
            SubscriberOptions::new()
                .start(start)
                .connect(place.name("feed"))
                .unwrap()
        };
        assert_eq!(begin(Start::Newest).try_recv().unwrap(), None);
        let oldest = number(begin(Start::Oldest).try_recv().unwrap());
        assert!((900..1000).contains(&oldest), "{oldest}");
        assert_eq!(number(begin(Start::At(oldest)).try_recv().unwrap()), oldest);
        assert_eq!(number(begin(Start::At(997)).try_recv().unwrap()), 997);
        assert_eq!(
            begin(Start::At(10)).try_recv().unwrap(),
            Some(Event::Lagged(Lagged {
                missed: oldest - 10,
                next: oldest
            }))
        );
        let mut later = begin(Start::At(1003));
        assert_eq!(later.try_recv().unwrap(), None);
        publish(&mut publisher, 10);
        assert_eq!(number(later.try_recv().unwrap()), 1003);
    });
}

#[test]
fn the_newest_record_comes_with_the_count_of_those_before_it() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        assert_eq!(subscriber.latest().unwrap(), None);
        let mut latest = |skipped, sequence| match subscriber.latest().unwrap() {
            Some(Event::Record(record)) => {
                assert_eq!((record.skipped, record.sequence), (skipped, sequence));
            }
            other => panic!("{other:?}"),
        };
        publish(&mut publisher, 1);
        latest(0, 0);
        publish(&mut publisher, 7);
        latest(6, 7);
        // Far more than the ring keeps.
        publish(&mut publisher, 1000);
        latest(999, 1007);
        assert_eq!(subscriber.latest().unwrap(), None);
        // One that was found by arming, and not received.
        publish(&mut publisher, 1);
        assert_eq!(subscriber.arm().unwrap(), Readiness::Ready);
        publish(&mut publisher, 2);
        let Some(Event::Record(record)) = subscriber.latest().unwrap() else {
            panic!();
        };
        assert_eq!((record.skipped, record.sequence), (2, 1010));
    });
}

#[test]
fn a_batch_is_published_together() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let mut batch = publisher.batch();
        batch.publish(&payload(0)).unwrap();
        batch.publish(&payload(1)).unwrap();
        assert_eq!(subscriber.try_recv().unwrap(), None);
        drop(batch);
        assert_eq!(number(subscriber.try_recv().unwrap()), 0);
        assert_eq!(number(subscriber.try_recv().unwrap()), 1);
        // One that is larger than the ring is published in parts, and the newest of it are kept.
        let mut batch = publisher.batch();
        for sequence in 2..1000 {
            assert_eq!(batch.publish(&payload(sequence)), Ok(sequence));
        }
        drop(batch);
        let lagged = subscriber.try_recv().unwrap();
        assert!(matches!(lagged, Some(Event::Lagged(_))), "{lagged:?}");
        let mut next = subscriber.next();
        while let Some(event) = subscriber.try_recv().unwrap() {
            assert_eq!(number(Some(event)), next);
            next += 1;
        }
        assert_eq!(next, 1000);
        publisher
            .publish_with(4, |record| record.copy_from_slice(b"fill"))
            .unwrap();
        let Some(Event::Record(record)) = subscriber.try_recv().unwrap() else {
            panic!();
        };
        assert_eq!(record.payload, b"fill");
    });
}

#[test]
fn a_record_says_when_it_was_published_if_the_publisher_wants_that() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().timestamps(true).bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let before = SystemTime::now();
        publish(&mut publisher, 300);
        let after = SystemTime::now();
        let mut events = 0;
        while let Some(event) = subscriber.try_recv().unwrap() {
            if let Event::Record(record) = event {
                let time = record.time.expect("a time");
                assert!(before <= time && time <= after);
                events += 1;
            }
        }
        assert!(events > 20, "{events}");
    });
}

#[test]
fn an_abort_has_a_code_and_comes_after_the_records() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        publish(&mut publisher, 2);
        publisher.abort(17);
        assert_eq!(number(Some(subscriber.recv().unwrap())), 0);
        assert_eq!(number(Some(subscriber.recv().unwrap())), 1);
        for _ in 0..2 {
            assert_eq!(
                ended(Some(subscriber.recv().unwrap())),
                (EndReason::Aborted { code: 17 }, 2)
            );
        }
    });
}

#[test]
fn a_subscriber_can_be_put_out_for_a_reason() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let mut other = Subscriber::connect(place.name("feed")).unwrap();
        publish(&mut publisher, 1);
        eventually("both are known", || publisher.subscribers().len() == 2);
        let [first, second] = &publisher.subscribers()[..] else {
            panic!();
        };
        assert_eq!(first.peer.pid, Some(std::process::id()));
        assert_eq!((first.behind, second.behind), (1, 1));
        let (first, second) = (first.id, second.id);
        assert!(publisher.disconnect(first, 4));
        assert!(!publisher.disconnect(first, 4));
        assert_eq!(number(Some(subscriber.recv().unwrap())), 0);
        assert_eq!(
            ended(Some(subscriber.recv().unwrap())),
            (EndReason::Disconnected { reason: 4 }, 1)
        );
        assert_eq!(publisher.subscribers()[0].id, second);
        publish(&mut publisher, 1);
        assert_eq!(number(Some(other.recv().unwrap())), 0);
        assert_eq!(number(Some(other.recv().unwrap())), 1);
        drop(other);
        eventually("nobody is left", || publisher.subscribers().is_empty());
    });
}

#[test]
fn a_subscriber_that_sleeps_is_woken() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let (say, hear) = std::sync::mpsc::channel();
        let sleeping: Vec<_> = (0..8)
            .map(|_| {
                let (name, say) = (place.name("feed"), say.clone());
                thread::spawn(move || {
                    let mut subscriber = Subscriber::connect(name).unwrap();
                    say.send(()).unwrap();
                    for sequence in 0..200 {
                        assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
                        say.send(()).unwrap();
                    }
                    ended(Some(subscriber.recv().unwrap()))
                })
            })
            .collect();
        for _ in 0..201 {
            for _ in 0..8 {
                hear.recv_timeout(GENEROUS).unwrap();
            }
            if publisher.next() < 200 {
                publish(&mut publisher, 1);
            }
        }
        publisher.finish();
        for thread in sleeping {
            assert_eq!(thread.join().unwrap(), (EndReason::Finished, 200));
        }
    });
}

#[test]
fn waiting_has_a_limit() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let brief = Duration::from_millis(5);
        for sequence in 0..20 {
            assert_eq!(subscriber.recv_timeout(brief).unwrap(), None);
            publish(&mut publisher, 1);
            let event = subscriber.recv_timeout(Duration::MAX).unwrap();
            assert_eq!(number(event), sequence);
        }
    });
}

#[test]
fn a_subscriber_with_an_interval_is_woken_no_more_often() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let interval = Duration::from_millis(20);
        let mut subscriber = SubscriberOptions::new()
            .wake(Wake::Every(interval))
            .connect(place.name("feed"))
            .unwrap();
        let publishing = thread::spawn(move || {
            for _ in 0..200 {
                publish(&mut publisher, 1);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let start = std::time::Instant::now();
        let (mut waits, mut next) = (0u32, 0);
        loop {
            let event = match subscriber.try_recv().unwrap() {
                Some(event) => event,
                None => {
                    waits += 1;
                    subscriber.recv().unwrap()
                }
            };
            match event {
                Event::Ended(_) => break,
                event => assert_eq!(number(Some(event)), next),
            }
            next += 1;
        }
        publishing.join().unwrap();
        assert_eq!(next, 200);
        let most = start.elapsed().as_millis() / interval.as_millis() + 3;
        assert!(u128::from(waits) <= most, "{waits} waits, {most} at most");
    });
}

#[test]
fn a_subscriber_that_is_never_woken_cannot_wait() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscriber = SubscriberOptions::new()
            .wake(Wake::Never)
            .connect(place.name("feed"))
            .unwrap();
        let brief = Duration::from_millis(1);
        assert_eq!(
            subscriber.recv().unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        assert_eq!(
            subscriber.recv_timeout(brief).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        assert_eq!(subscriber.arm().unwrap_err().kind(), ErrorKind::Unsupported);
        publish(&mut publisher, 1);
        assert_eq!(number(subscriber.try_recv().unwrap()), 0);
        publisher.finish();
        eventually("it learns of the end", || {
            matches!(subscriber.try_recv().unwrap(), Some(Event::Ended(_)))
        });
    });
}

#[test]
fn a_publisher_without_a_thread_is_polled() {
    guard(|| {
        let place = Place::new();
        let mut publisher = PublisherOptions::new()
            .own_thread(false)
            .bind(place.name("feed"))
            .unwrap();
        let name = place.name("feed");
        let reading = thread::spawn(move || {
            let start = SubscriberOptions::new().start(Start::At(0));
            let mut subscriber = start.connect(name).unwrap();
            for sequence in 0..50 {
                assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
            }
        });
        let mut next = 0;
        while !reading.is_finished() {
            let time = Some(rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            });
            poll(&mut [PollFd::new(&publisher, PollFlags::IN)], time.as_ref()).unwrap();
            publisher.poll().unwrap();
            // Each record once the one before it was read.
            let read = publisher.subscribers().first().map(|info| info.behind);
            if read == Some(0) && next < 50 {
                publish(&mut publisher, 1);
                next += 1;
            }
        }
        reading.join().unwrap();
    });
}

#[test]
fn an_event_loop_polls_a_subscriber() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).unwrap();
        let publishing = thread::spawn(move || {
            for _ in 0..100 {
                publish(&mut publisher, 1);
                thread::sleep(Duration::from_micros(300));
            }
        });
        let (mut next, mut polls) = (0, 0);
        loop {
            match subscriber.try_recv().unwrap() {
                Some(Event::Ended(end)) => break assert_eq!(end.next, 100),
                Some(event) => {
                    assert_eq!(number(Some(event)), next);
                    next += 1;
                }
                None => {
                    if subscriber.arm().unwrap() == Readiness::Pending {
                        poll(&mut [PollFd::new(&subscriber, PollFlags::IN)], None).unwrap();
                        polls += 1;
                    }
                }
            }
        }
        publishing.join().unwrap();
        assert!((1..=210).contains(&polls), "{polls}");
    });
}

#[test]
fn a_lossless_subscriber_misses_nothing_and_the_publisher_waits() {
    guard(|| {
        let place = Place::new();
        let budget = Budget {
            bytes: 4096,
            time: GENEROUS,
        };
        let mut publisher = small().lossless(budget).bind(place.name("feed")).unwrap();
        let lossless = SubscriberOptions::new().lossless(true);
        let subscribers: Vec<_> = (0..2)
            .map(|_| lossless.connect(place.name("feed")).unwrap())
            .collect();
        let reading: Vec<_> = subscribers
            .into_iter()
            .map(|mut subscriber| {
                thread::spawn(move || {
                    for sequence in 0..20_000 {
                        assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
                        if sequence % 1000 == 0 {
                            thread::sleep(Duration::from_millis(2));
                        }
                    }
                    ended(Some(subscriber.recv().unwrap()))
                })
            })
            .collect();
        publish(&mut publisher, 20_000);
        publisher.finish();
        for thread in reading {
            assert_eq!(thread.join().unwrap(), (EndReason::Finished, 20_000));
        }
    });
}

#[test]
fn a_lossless_subscriber_that_is_too_slow_is_cut_off() {
    guard(|| {
        let place = Place::new();
        let budget = Budget {
            bytes: 2048,
            time: Duration::from_millis(10),
        };
        let mut publisher = small().lossless(budget).bind(place.name("feed")).unwrap();
        let lossless = SubscriberOptions::new().lossless(true);
        let mut slow = lossless.connect(place.name("feed")).unwrap();
        let mut lossy = Subscriber::connect(place.name("feed")).unwrap();
        eventually("both are known", || publisher.subscribers().len() == 2);
        publish(&mut publisher, 1000);
        assert_eq!(publisher.subscribers().len(), 1);
        let mut next = 0;
        let reason = loop {
            match slow.recv().unwrap() {
                Event::Ended(end) => break (end.reason, end.next),
                event => assert_eq!(number(Some(event)), next),
            }
            next += 1;
        };
        assert_eq!(reason, (EndReason::TooSlow, next));
        let lagged = lossy.recv().unwrap();
        assert!(matches!(lagged, Event::Lagged(_)), "{lagged:?}");
    });
}

#[test]
fn a_lossless_subscriber_is_refused_where_none_is_admitted() {
    guard(|| {
        let place = Place::new();
        let publisher = Publisher::bind(place.name("feed")).unwrap();
        let error = SubscriberOptions::new()
            .lossless(true)
            .connect(place.name("feed"))
            .unwrap_err();
        assert!(
            matches!(&error, Error::Refused { why } if why.contains("admits no lossless")),
            "{error}"
        );
        eventually("the publisher counts it", || publisher.refused() == 1);
        assert!(publisher.last_refusal().unwrap().contains("lossless"));
    });
}

#[test]
fn one_that_sleeps_is_woken_among_those_that_never_do() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let looking = SubscriberOptions::new().wake(Wake::Never);
        let _looking = looking.connect(place.name("feed")).unwrap();
        publisher.publish(b"nobody sleeps").unwrap();
        // Each time the first that may sleep, as the one before it is gone by then.
        for round in 0..50 {
            let asleep = SubscriberOptions::new().spin(Spin::Never);
            let mut asleep = asleep.connect(place.name("feed")).unwrap();
            let sleeping = thread::spawn(move || {
                let event = asleep.recv().unwrap();
                matches!(event, Event::Record(record) if record.payload == b"tick")
            });
            eventually("it has begun", || {
                let subscribers = publisher.subscribers();
                subscribers.len() == 2 && subscribers.iter().all(|one| one.begun)
            });
            publisher.publish(b"tick").unwrap();
            assert!(sleeping.join().unwrap(), "{round}");
            eventually("it has left", || publisher.subscribers().len() == 1);
        }
    });
}

#[test]
fn one_that_spins_for_ever_reads_on_and_is_in_no_event_loop() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let spinning = SubscriberOptions::new().spin(Spin::Always);
        let mut spinning = spinning.connect(place.name("feed")).unwrap();
        let error = spinning.arm().unwrap_err();
        assert!(
            matches!(Error::of(&error), Some(Error::NeverSleeps)),
            "{error}"
        );
        let brief = Duration::from_millis(5);
        assert_eq!(spinning.recv_timeout(brief).unwrap(), None);
        let reading = thread::spawn(move || {
            for sequence in 0..1000 {
                assert_eq!(number(Some(spinning.recv().unwrap())), sequence);
            }
        });
        publish(&mut publisher, 1000);
        reading.join().unwrap();
    });
}

#[test]
fn a_name_of_another_kind_is_a_clear_error() {
    guard(|| {
        let place = Place::new();
        let publisher = Publisher::bind(place.name("feed")).unwrap();
        let error = Stream::connect(place.name("feed")).unwrap_err();
        assert!(
            matches!(&error, Error::Kind { ours: "stream", theirs } if theirs == "feed"),
            "{error}"
        );
        let listener = Listener::bind(place.name("stream")).unwrap();
        let name = place.name("stream");
        let connecting = thread::spawn(move || Subscriber::connect(name).unwrap_err());
        eventually("the client was refused", || {
            assert!(listener.try_accept().unwrap().is_none());
            listener.refused() == 1
        });
        let error = connecting.join().unwrap();
        assert!(
            matches!(&error, Error::Kind { ours: "feed", theirs } if theirs == "stream"),
            "{error}"
        );
        drop(publisher);
    });
}

#[test]
fn a_subscriber_goes_on_with_the_next_publisher() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let mut subscriber = SubscriberOptions::new()
            .reconnect(true)
            .connect(place.name("feed"))
            .unwrap();
        publish(&mut publisher, 3);
        for sequence in 0..3 {
            assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
        }
        publisher.finish();
        let brief = Duration::from_millis(20);
        assert_eq!(subscriber.recv_timeout(brief).unwrap(), None);
        assert!(subscriber.reconnects_at().is_some());
        let mut publisher = small().bind(place.name("feed")).unwrap();
        publish(&mut publisher, 2);
        let epoch = publisher.epoch();
        let event = subscriber.recv().unwrap();
        assert!(
            matches!(event, Event::Restarted(restarted) if restarted.epoch == epoch),
            "{event:?}"
        );
        assert_eq!(subscriber.epoch(), epoch);
        for sequence in 0..2 {
            assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
        }
        // The next one, found by looking alone, has published more than it keeps.
        publisher.finish();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        publish(&mut publisher, 1000);
        eventually("it has restarted", || {
            matches!(subscriber.try_recv().unwrap(), Some(Event::Restarted(_)))
        });
        let Some(Event::Lagged(lagged)) = subscriber.try_recv().unwrap() else {
            panic!();
        };
        assert_eq!(lagged.missed, lagged.next);
    });
}

#[test]
fn a_publisher_that_is_dropped_leaves_its_name() {
    guard(|| {
        let place = Place::new();
        let publisher = Publisher::bind(place.name("feed")).unwrap();
        assert!(matches!(
            Publisher::bind(place.name("feed")),
            Err(Error::NameInUse { .. })
        ));
        drop(publisher);
        drop(Publisher::bind(place.name("feed")).unwrap());
        let error = Subscriber::connect(place.name("feed")).unwrap_err();
        assert!(matches!(error, Error::NotBound { .. }), "{error}");
    });
}

#[test]
fn a_restart_says_how_and_where_the_feed_before_it_ended() {
    guard(|| {
        let place = Place::new();
        let mut publisher = small().bind(place.name("feed")).unwrap();
        let reconnecting = SubscriberOptions::new().reconnect(true);
        let mut subscriber = reconnecting.connect(place.name("feed")).unwrap();
        publish(&mut publisher, 3);
        publisher.finish();
        let _next = small().bind(place.name("feed")).unwrap();
        for sequence in 0..3 {
            assert_eq!(number(Some(subscriber.recv().unwrap())), sequence);
        }
        let Event::Restarted(restarted) = subscriber.recv().unwrap() else {
            panic!();
        };
        assert_eq!(restarted.before.reason, EndReason::Finished);
        assert_eq!(restarted.before.next, 3);
    });
}

#[test]
fn a_wait_is_interrupted_from_another_thread_and_goes_on() {
    guard(|| {
        for spin in [Spin::Never, Spin::Always, Spin::default()] {
            let place = Place::new();
            let mut publisher = Publisher::bind(place.name("feed")).unwrap();
            let options = SubscriberOptions::new().spin(spin).reconnect(true);
            let mut subscriber = options.connect(place.name("feed")).unwrap();
            let interrupter = subscriber.interrupter().unwrap();
            // Before the call, and more than once.
            interrupter.interrupt();
            interrupter.interrupt();
            let error = subscriber.recv().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted);
            let brief = Duration::from_millis(2);
            assert_eq!(subscriber.recv_timeout(brief).unwrap(), None);
            // While it waits, again and again; each is told, and none twice.
            let (told, heard) = std::sync::mpsc::channel();
            let waiting = thread::spawn(move || {
                loop {
                    match subscriber.recv() {
                        Ok(Event::Record(_)) => return subscriber,
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => told.send(error.kind()).unwrap(),
                    }
                }
            });
            for _ in 0..100 {
                interrupter.interrupt();
                assert_eq!(heard.recv_timeout(GENEROUS), Ok(ErrorKind::Interrupted));
            }
            publisher.publish(b"tick").unwrap();
            let mut subscriber = waiting.join().unwrap();
            assert!(heard.try_recv().is_err());
            // And while it looks for the next publisher.
            publisher.finish();
            let waiting = thread::spawn(move || subscriber.recv().unwrap_err().kind());
            interrupter.interrupt();
            assert_eq!(waiting.join().unwrap(), ErrorKind::Interrupted);
        }
    });
}

#[test]
fn the_publisher_learns_who_went_and_how() {
    guard(|| {
        let place = Place::new();
        let budget = Budget {
            bytes: 2048,
            time: Duration::from_millis(1),
        };
        let mut publisher = small().lossless(budget).bind(place.name("feed")).unwrap();
        assert!(!publisher.wait_for_subscribers(1, Duration::ZERO).unwrap());
        let leaving = Subscriber::connect(place.name("feed")).unwrap();
        assert!(publisher.wait_for_subscribers(1, GENEROUS).unwrap());
        let put_out = Subscriber::connect(place.name("feed")).unwrap();
        assert!(publisher.wait_for_subscribers(2, GENEROUS).unwrap());
        let lossless = SubscriberOptions::new().lossless(true);
        let slow = lossless.connect(place.name("feed")).unwrap();
        assert!(publisher.wait_for_subscribers(3, GENEROUS).unwrap());
        assert_eq!(publisher.departures(), []);
        let ids: Vec<_> = publisher.subscribers().iter().map(|one| one.id).collect();
        drop(leaving);
        eventually("it has left", || publisher.subscribers().len() == 2);
        assert!(publisher.disconnect(ids[1], 7));
        publish(&mut publisher, 200);
        eventually("all have gone", || publisher.subscribers().is_empty());
        let departures = publisher.departures();
        let how: Vec<_> = departures.iter().map(|gone| (gone.id, gone.how)).collect();
        assert_eq!(
            how,
            [
                (ids[0], Departed::Left),
                (ids[1], Departed::Disconnected { reason: 7 }),
                (ids[2], Departed::TooSlow),
            ]
        );
        let own = Some(std::process::id());
        assert!(departures.iter().all(|gone| gone.peer.pid == own));
        assert_eq!(publisher.departures(), []);
        drop((put_out, slow));
    });
}

#[test]
fn a_budget_for_ever_ends_with_the_subscriber() {
    guard(|| {
        for own_thread in [true, false] {
            let place = Place::new();
            let options = small()
                .lossless(Budget::for_ever(4096))
                .own_thread(own_thread);
            let mut publisher = options.bind(place.name("feed")).unwrap();
            let name = place.name("feed");
            let connecting = thread::spawn(move || {
                let lossless = SubscriberOptions::new().lossless(true);
                lossless.connect(name).unwrap()
            });
            assert!(publisher.wait_for_subscribers(1, GENEROUS).unwrap());
            let slow = connecting.join().unwrap();
            let (waits, waiting) = std::sync::mpsc::channel();
            let publishing = thread::spawn(move || {
                publish(&mut publisher, 40);
                waits.send(()).unwrap();
                publish(&mut publisher, 200);
            });
            waiting.recv_timeout(GENEROUS).unwrap();
            drop(slow);
            publishing.join().unwrap();
        }
    });
}

#[test]
fn a_record_that_no_ring_holds_is_refused_when_the_name_is_bound() {
    guard(|| {
        let place = Place::new();
        let text = |len| {
            let error = small()
                .max_record(len)
                .bind(place.name("feed"))
                .unwrap_err();
            assert!(matches!(error, Error::Capacity { .. }), "{error}");
            error.to_string()
        };
        let said = text(100_000);
        assert!(said.contains("a capacity of 524288 would do"), "{said}");
        for len in [1 << 30, usize::MAX] {
            let said = text(len);
            assert!(said.contains("no ring is large enough"), "{said}");
        }
    });
}

#[test]
fn an_event_loop_polls_a_subscriber_that_reconnects() {
    guard(|| {
        let place = Place::new();
        let publisher = Publisher::bind(place.name("feed")).unwrap();
        let reconnecting = SubscriberOptions::new().reconnect(true);
        let mut subscriber = reconnecting.connect(place.name("feed")).unwrap();
        publisher.finish();
        eventually("it notices", || {
            assert_eq!(subscriber.try_recv().unwrap(), None);
            subscriber.reconnects_at().is_some()
        });
        // A publisher that does not answer yet: nobody serves its name.
        let options = PublisherOptions::new().own_thread(false);
        let publisher = options.bind(place.name("feed")).unwrap();
        let is_quiet = |subscriber: &Subscriber| {
            let mut fds = [PollFd::new(subscriber, PollFlags::IN)];
            poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap() == 0
        };
        eventually("its handshake is under way, and its socket is lent", || {
            assert_eq!(subscriber.try_recv().unwrap(), None);
            is_quiet(&subscriber)
        });
        eventually("the handshake is answered", || {
            publisher.poll().unwrap();
            if is_quiet(&subscriber) {
                return false;
            }
            matches!(subscriber.try_recv().unwrap(), Some(Event::Restarted(_)))
        });
        assert_eq!(subscriber.reconnects_at(), None);
    });
}

#[test]
fn a_subscriber_that_has_begun_receives_what_is_published_from_then_on() {
    guard(|| {
        for _ in 0..50 {
            let place = Place::new();
            let mut publisher = Publisher::bind(place.name("feed")).unwrap();
            let name = place.name("feed");
            let other = std::thread::spawn(move || {
                let mut subscriber = Subscriber::connect(name).unwrap();
                let Event::Record(record) = subscriber.recv().unwrap() else {
                    panic!("no record");
                };
                record.sequence
            });
            while !publisher.subscribers().iter().any(|one| one.begun) {
                std::thread::yield_now();
            }
            publisher.publish(b"first").unwrap();
            assert_eq!(other.join().unwrap(), 0);
        }
    });
}
