//! Boards: keys and their newest values, removals, conflation, snapshots and events, ends, waiting.

mod common;

use common::{Place, Random, eventually, guard};
use rustix::event::{PollFd, PollFlags, poll};
use slipring::board::{
    Change, Event, Publisher, PublisherOptions, SetError, Subscriber, SubscriberOptions, Update,
};
use slipring::feed::{self, EndReason, Wake};
use slipring::{Error, Listener, Readiness};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

type Mirror = BTreeMap<Vec<u8>, (u64, Vec<u8>)>;

/// Takes note of what is told; how many keys that were.
fn follow(mirror: &mut Mirror, event: Option<Event<'_>>) -> usize {
    let Some(Event::Changes(changes)) = event else {
        assert!(event.is_none(), "{event:?}");
        return 0;
    };
    let count = changes.len();
    for change in changes {
        note(mirror, change);
    }
    count
}

fn note(mirror: &mut Mirror, change: Change<'_>) {
    match change {
        Change::Set {
            key,
            value,
            version,
        } => drop(mirror.insert(key.to_vec(), (version, value.to_vec()))),
        Change::Removed { key } => drop(mirror.remove(key)),
    }
}

fn value(random: &mut Random, most: usize) -> Vec<u8> {
    let len = random.below(most as u64 + 1) as usize;
    (0..len).map(|_| random.next() as u8).collect()
}

#[test]
fn each_key_that_changed_is_told_once_with_its_newest_value() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        assert_eq!(publisher.set(b"old", b"1"), Ok(0));
        let mut panel = Subscriber::connect(place.name("board")).unwrap();
        let mut mirror = Mirror::new();
        assert_eq!(follow(&mut mirror, panel.try_changed().unwrap()), 1);
        assert_eq!(mirror[&b"old"[..]], (0, b"1".to_vec()));
        assert_eq!(follow(&mut mirror, panel.try_changed().unwrap()), 0);
        for i in 0..1000u64 {
            publisher.set(b"a", &i.to_le_bytes()).unwrap();
            publisher.set(b"b", &[7; 3]).unwrap();
        }
        assert_eq!(publisher.remove(b"old"), Ok(Some(2001)));
        assert_eq!(publisher.remove(b"old"), Ok(None));
        assert_eq!(publisher.len(), 2);
        assert_eq!(follow(&mut mirror, panel.try_changed().unwrap()), 3);
        assert_eq!(mirror[&b"a"[..]], (1999, 999u64.to_le_bytes().to_vec()));
        assert_eq!(mirror[&b"b"[..]], (2000, vec![7; 3]));
        assert_eq!(mirror.len(), 2);
        assert_eq!(panel.next(), 2002);
    });
}

#[test]
fn what_does_not_fit_changes_nothing() {
    guard(|| {
        let place = Place::new();
        let mut publisher = PublisherOptions::new()
            .max_keys(2)
            .max_value(8)
            .bind(place.name("board"))
            .unwrap();
        let mut panel = Subscriber::connect(place.name("board")).unwrap();
        let long = [b'k'; 65];
        let too_long = SetError::KeyTooLong { len: 65, max: 64 };
        assert_eq!(publisher.set(&long, b""), Err(too_long));
        assert_eq!(publisher.remove(&long), Err(too_long));
        let too_long = SetError::ValueTooLong { len: 9, max: 8 };
        assert_eq!(publisher.set(b"a", &[0; 9]), Err(too_long));
        assert_eq!(publisher.set_with(b"a", 9, |_| panic!()), Err(too_long));
        assert_eq!(publisher.set(&long[..64], &[1; 8]), Ok(0));
        assert_eq!(publisher.set_with(b"", 8, |value| value[7] = 1), Ok(1));
        let full = SetError::Full { max_keys: 2 };
        assert_eq!(publisher.set(b"c", b""), Err(full));
        assert_eq!(publisher.batch().set(b"c", b""), Err(full));
        assert_eq!((publisher.next(), publisher.len()), (2, 2));
        let mut mirror = Mirror::new();
        follow(&mut mirror, panel.try_changed().unwrap());
        assert_eq!(mirror[&long[..64]], (0, vec![1; 8]));
        assert_eq!(mirror[&b""[..]], (1, vec![0, 0, 0, 0, 0, 0, 0, 1]));
        // Room is made by a removal, and the key that takes it is told with it.
        publisher.remove(b"").unwrap();
        publisher.set(b"c", b"3").unwrap();
        follow(&mut mirror, panel.try_changed().unwrap());
        assert_eq!(mirror.len(), 2);
        assert_eq!(mirror[&b"c"[..]], (3, b"3".to_vec()));
        assert_eq!(panel.get(b"").unwrap(), None);
        assert_eq!(panel.get(b"c").unwrap().unwrap().version, 3);
        for options in [
            PublisherOptions::new().max_keys(0),
            PublisherOptions::new().max_keys(u32::MAX),
            PublisherOptions::new().max_value(1 << 30),
            PublisherOptions::new().max_value(4096).ring(4096),
        ] {
            let error = options.bind(place.name("other")).unwrap_err();
            assert!(matches!(error, Error::Capacity { .. }), "{error}");
        }
    });
}

#[test]
fn a_name_of_another_kind_is_a_clear_error() {
    guard(|| {
        let place = Place::new();
        let _board = Publisher::bind(place.name("board")).unwrap();
        let _feed = feed::Publisher::bind(place.name("feed")).unwrap();
        let listener = Listener::bind(place.name("stream")).unwrap();
        let theirs = |error: Error| match error {
            Error::Kind { theirs, .. } => theirs,
            other => panic!("{other}"),
        };
        let error = feed::Subscriber::connect(place.name("board")).unwrap_err();
        assert_eq!(theirs(error), "board");
        let error = slipring::Stream::connect(place.name("board")).unwrap_err();
        assert_eq!(theirs(error), "board");
        let error = Subscriber::connect(place.name("feed")).unwrap_err();
        assert_eq!(theirs(error), "feed");
        thread::scope(|scope| {
            scope.spawn(|| {
                let accepted = listener.accept_timeout(Duration::from_millis(200));
                assert!(accepted.is_err(), "a board's subscriber is no stream");
            });
            let error = Subscriber::connect(place.name("stream")).unwrap_err();
            assert_eq!(theirs(error), "stream");
        });
    });
}

/// Panels that ask now and then, by each way there is, and a publisher that does anything: a panel
/// that keeps what it is told has what is there.
#[test]
fn what_is_told_adds_up_to_the_board() {
    guard(|| {
        for (seed, ring) in [(1, 4096), (2, 4096), (3, 1 << 16)] {
            let place = Place::new();
            let mut random = Random::new(seed);
            let mut publisher = PublisherOptions::new()
                .max_keys(20)
                .max_value(100)
                .ring(ring)
                .bind(place.name("board"))
                .unwrap();
            let mut board = Mirror::new();
            let connect = || Subscriber::connect(place.name("board")).unwrap();
            let mut panels: Vec<(Subscriber, Mirror)> =
                (0..3).map(|_| (connect(), Mirror::new())).collect();
            for _ in 0..5000 {
                let mut batch = publisher.batch();
                for _ in 0..=random.below(4) {
                    let key = random.below(30).to_string().into_bytes();
                    if random.below(3) == 0 {
                        let number = batch.remove(&key).unwrap();
                        assert_eq!(number.is_some(), board.remove(&key).is_some());
                    } else {
                        let value = value(&mut random, 100);
                        match batch.set(&key, &value) {
                            Ok(number) => drop(board.insert(key, (number, value))),
                            Err(SetError::Full { max_keys: 20 }) => {
                                assert!(board.len() == 20 && !board.contains_key(&key));
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                drop(batch);
                assert_eq!(publisher.len(), board.len());
                let which = random.below(3) as usize;
                let (panel, mirror) = &mut panels[which];
                match random.below(40) {
                    0 | 1 => {
                        let snapshot = panel.snapshot().unwrap();
                        assert_eq!(snapshot.next, publisher.next());
                        *mirror = snapshot.entries;
                        assert_eq!(mirror, &board);
                    }
                    2 | 3 => {
                        follow(mirror, panel.try_changed().unwrap());
                        assert_eq!(mirror, &board);
                    }
                    4 => {
                        let next = panel.next();
                        let mut events = panel.events();
                        let mut expected = next;
                        while let Some(update) = events.try_recv().unwrap() {
                            match update {
                                Update::Change { sequence, change } => {
                                    assert_eq!(sequence, expected);
                                    expected += 1;
                                    note(mirror, change);
                                }
                                Update::Lagged(lagged) => {
                                    expected += lagged.missed;
                                    assert_eq!(lagged.next, expected);
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                        assert_eq!(panel.next(), publisher.next());
                        // What was lost is told key by key.
                        follow(mirror, panel.try_changed().unwrap());
                        assert_eq!(mirror, &board);
                    }
                    5 => {
                        let key = random.below(30).to_string().into_bytes();
                        let got = panel.get(&key).unwrap();
                        let got = got.map(|got| (got.version, got.value.to_vec()));
                        assert_eq!(got.as_ref(), board.get(&key));
                    }
                    6 => (*panel, *mirror) = (connect(), Mirror::new()),
                    _ => {}
                }
            }
        }
    });
}

#[test]
fn a_panel_that_waits_is_woken() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        let mut panel = Subscriber::connect(place.name("board")).unwrap();
        let brief = Duration::from_millis(5);
        assert!(panel.changed_timeout(brief).unwrap().is_none());
        assert!(panel.events().recv_timeout(brief).unwrap().is_none());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut mirror = Mirror::new();
                follow(&mut mirror, Some(panel.changed().unwrap()));
                mirror
            });
            publisher.set(b"a", b"1").unwrap();
            let mirror = waiting.join().unwrap();
            assert_eq!(mirror[&b"a"[..]], (0, b"1".to_vec()));
        });
        // In a foreign event loop.
        assert_eq!(panel.arm().unwrap(), Readiness::Pending);
        publisher.set(b"a", b"2").unwrap();
        let mut fds = [PollFd::new(&panel, PollFlags::IN)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        assert!(panel.try_changed().unwrap().is_some());
        // Before anything was asked there may be something.
        let mut other = Subscriber::connect(place.name("board")).unwrap();
        assert_eq!(other.arm().unwrap(), Readiness::Ready);
        let mut never = SubscriberOptions::new()
            .wake(Wake::Never)
            .connect(place.name("board"))
            .unwrap();
        assert!(never.try_changed().unwrap().is_some());
        assert_eq!(never.changed().unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn an_end_comes_after_the_changes_and_a_restart_before_the_new_ones() {
    guard(|| {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        let mut panel = Subscriber::connect(place.name("board")).unwrap();
        let mut faithful = SubscriberOptions::new()
            .reconnect(true)
            .connect(place.name("board"))
            .unwrap();
        publisher.set(b"a", b"1").unwrap();
        eventually("both are known", || publisher.subscribers().len() == 2);
        publisher.abort(7);
        let mut mirror = Mirror::new();
        follow(&mut mirror, Some(panel.changed().unwrap()));
        for _ in 0..2 {
            let Event::Ended(end) = panel.changed().unwrap() else {
                panic!();
            };
            assert_eq!((end.reason, end.next), (EndReason::Aborted { code: 7 }, 1));
        }
        assert_eq!(panel.get(b"a").unwrap().unwrap().value, b"1");
        assert_eq!(panel.snapshot().unwrap().entries, mirror);
        assert!(matches!(
            panel.events().recv().unwrap(),
            Update::Ended(end) if end.next == 1
        ));
        // An abort is not followed by another publisher.
        follow(&mut Mirror::new(), Some(faithful.changed().unwrap()));
        assert!(matches!(faithful.changed().unwrap(), Event::Ended(_)));

        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        publisher.set(b"old", b"1").unwrap();
        let mut faithful = SubscriberOptions::new()
            .reconnect(true)
            .connect(place.name("board"))
            .unwrap();
        publisher.set(b"a", b"1").unwrap();
        drop(publisher);
        let mut mirror = Mirror::new();
        follow(&mut mirror, Some(faithful.changed().unwrap()));
        assert_eq!(mirror.len(), 2);
        eventually("it waits for another one", || {
            assert!(faithful.try_changed().unwrap().is_none());
            faithful.reconnects_at().is_some()
        });
        let end = faithful.end().unwrap();
        assert_eq!((end.reason, end.next), (EndReason::Finished, 2));
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        publisher.set(b"b", b"2").unwrap();
        let epoch = publisher.epoch();
        let Event::Restarted(restarted) = faithful.changed().unwrap() else {
            panic!();
        };
        assert_eq!(restarted.epoch, epoch);
        let mut mirror = Mirror::new();
        follow(&mut mirror, Some(faithful.changed().unwrap()));
        assert_eq!(mirror[&b"b"[..]], (0, b"2".to_vec()));
        assert_eq!(mirror.len(), 1);
        assert_eq!(faithful.get(b"a").unwrap(), None);
        eventually("it is known", || !publisher.subscribers().is_empty());
        let subscribers = publisher.subscribers();
        assert!(publisher.disconnect(subscribers[0].id, 3));
        let Event::Ended(end) = faithful.changed().unwrap() else {
            panic!();
        };
        assert_eq!(end.reason, EndReason::Disconnected { reason: 3 });
    });
}
