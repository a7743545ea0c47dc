//! Boards on tokio: a panel is woken, told of ends and restarts, and reads as a blocking one does.

mod common;

use common::{Place, guard};
use slipring::board::{Change, Event, Publisher, SubscriberOptions};
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
