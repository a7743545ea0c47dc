//! Boards on tokio: a panel is woken, told of ends and restarts, and reads as a blocking one does.

mod common;

use common::{Place, guard};
use slipring::board::{Change, Event, Publisher, PublisherOptions, SubscriberOptions, Update};
use slipring::feed::EndReason;
use slipring::tokio::board::Subscriber;
use std::time::Duration;
use tokio::time::timeout;

fn run(future: impl Future<Output = ()> + Send + 'static) {
    guard(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future);
    });
}

fn only<'a>(event: Event<'a>) -> Change<'a> {
    let Event::Changes(mut changes) = event else {
        panic!("{event:?}");
    };
    assert_eq!(changes.len(), 1);
    changes.next().unwrap()
}

#[test]
fn a_panel_on_tokio_is_woken_and_told_each_key_once() {
    run(async {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        let mut panel = Subscriber::connect(place.name("board")).await.unwrap();
        for number in 0..100u64 {
            let waiting = timeout(Duration::from_millis(1), panel.changed());
            assert!(waiting.await.is_err(), "nothing has changed");
            let (changed, ()) = tokio::join!(panel.changed(), async {
                publisher.set(b"a", &number.to_le_bytes()).unwrap();
            });
            let expected = Change::Set {
                key: b"a",
                value: &number.to_le_bytes(),
                version: number,
            };
            assert_eq!(only(changed.unwrap()), expected);
        }
        assert!(panel.try_changed().unwrap().is_none());
        assert_eq!(panel.get(b"a").unwrap().unwrap().version, 99);
        assert_eq!(panel.snapshot().unwrap().next, 100);
        assert_eq!(panel.next_sequence(), 100);
    });
}

#[test]
fn a_panel_on_tokio_is_told_of_a_restart_and_is_woken_by_the_new_publisher() {
    run(async {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        publisher.set(b"old", b"1").unwrap();
        let options = SubscriberOptions::new().reconnect(true);
        let connected = Subscriber::connect_with(&options, place.name("board")).await;
        let mut panel = connected.unwrap();
        assert_eq!(only(panel.changed().await.unwrap()).key(), b"old");
        drop(publisher);
        let mut publisher = Publisher::bind(place.name("board")).unwrap();
        let Event::Restarted(restarted) = panel.changed().await.unwrap() else {
            panic!();
        };
        assert_eq!(restarted.epoch, publisher.epoch());
        // It sleeps on the socket of the new one.
        for _ in 0..3 {
            let waiting = timeout(Duration::from_millis(1), panel.changed());
            assert!(waiting.await.is_err(), "nothing has changed");
            let (changed, ()) = tokio::join!(panel.changed(), async {
                publisher.set(b"new", b"2").unwrap();
            });
            assert_eq!(only(changed.unwrap()).key(), b"new");
        }
        publisher.abort(5);
        let Event::Ended(end) = panel.changed().await.unwrap() else {
            panic!();
        };
        assert_eq!(end.reason, EndReason::Aborted { code: 5 });
        assert_eq!(panel.end(), Some(end));
    });
}

#[test]
fn every_change_comes_on_tokio_from_the_number_of_a_snapshot_on() {
    run(async {
        let place = Place::new();
        let mut publisher = PublisherOptions::new()
            .ring(4096)
            .max_value(64)
            .bind(place.name("board"))
            .unwrap();
        publisher.set(b"a", b"before").unwrap();
        let mut panel = Subscriber::connect(place.name("board")).await.unwrap();
        let snapshot = panel.snapshot().unwrap();
        assert_eq!(snapshot.next, 1);
        assert_eq!(panel.events().try_recv().unwrap(), None);
        for number in 1..10u64 {
            let mut events = panel.events();
            let (update, ()) = tokio::join!(events.recv(), async {
                publisher.set(b"a", &number.to_le_bytes()).unwrap();
            });
            let Update::Change { sequence, change } = update.unwrap() else {
                panic!();
            };
            assert_eq!(sequence, number);
            let Change::Set { value, .. } = change else {
                panic!();
            };
            assert_eq!(value, number.to_le_bytes());
        }
        // Nothing is told twice.
        assert!(panel.try_changed().unwrap().is_none());
        // One that is lapped is told, and the board knows what came of it.
        for number in 0..1000u64 {
            publisher.set(b"b", &number.to_le_bytes()).unwrap();
        }
        let mut events = panel.events();
        let update = events.recv().await.unwrap();
        assert!(matches!(update, Update::Lagged(lagged) if lagged.missed > 500));
        publisher.remove(b"a").unwrap();
        publisher.finish();
        let mut last = None;
        loop {
            match panel.events().recv().await.unwrap() {
                Update::Change { sequence, .. } => last = Some(sequence),
                Update::Ended(end) => break assert_eq!(end.reason, EndReason::Finished),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(last, Some(1010));
    });
}
