//! Feeds on tokio.

mod common;

use common::{GENEROUS, Place};
use futures_util::StreamExt;
use slipring::feed::{EndReason, Event, Publisher, Start, SubscriberOptions, Wake};
use slipring::tokio::feed::Subscriber;
use std::time::Duration;
use tokio::time::{sleep, timeout};

fn on_one_thread<F: Future<Output = ()>>(body: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(GENEROUS, body).await.expect("it hangs") });
}

#[test]
fn a_hundred_tasks_sleep_and_are_woken() {
    on_one_thread(async {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let name = place.name("feed");
                tokio::spawn(async move {
                    let from_first = SubscriberOptions::new().start(Start::At(0));
                    let mut subscriber = Subscriber::connect_with(&from_first, name).await.unwrap();
                    for sequence in 0..100u64 {
                        match subscriber.recv().await.unwrap() {
                            Event::Record(record) => {
                                assert_eq!(record.sequence, sequence);
                                assert_eq!(record.payload, sequence.to_le_bytes());
                            }
                            event => panic!("{event:?}"),
                        }
                    }
                    let ended = subscriber.recv().await.unwrap().into_owned();
                    assert!(matches!(ended, Event::Ended(end)
                        if end.reason == EndReason::Finished && end.next == 100));
                })
            })
            .collect();
        for sequence in 0..100u64 {
            publisher.publish(&sequence.to_le_bytes()).unwrap();
            if sequence % 10 == 0 {
                sleep(Duration::from_millis(3)).await;
            }
        }
        while publisher.subscribers().len() < 100 {
            sleep(Duration::from_millis(1)).await;
        }
        publisher.finish();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_cancelled_call_has_received_nothing() {
    on_one_thread(async {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let mut subscriber = Subscriber::connect(place.name("feed")).await.unwrap();
        for sequence in 0..50u64 {
            let brief = Duration::from_micros(500);
            assert!(timeout(brief, subscriber.recv()).await.is_err());
            publisher.publish(b"tick").unwrap();
            let Event::Record(record) = subscriber.recv().await.unwrap() else {
                panic!();
            };
            assert_eq!(record.sequence, sequence);
        }
    });
}

#[test]
fn a_subscriber_is_a_stream_and_goes_on_with_the_next_publisher() {
    on_one_thread(async {
        let place = Place::new();
        let mut publisher = Publisher::bind(place.name("feed")).unwrap();
        let options = SubscriberOptions::new()
            .reconnect(true)
            .wake(Wake::Every(Duration::from_millis(2)));
        let mut subscriber = Subscriber::connect_with(&options, place.name("feed"))
            .await
            .unwrap();
        for publisher_number in 0..3 {
            if publisher_number > 0 {
                publisher = Publisher::bind(place.name("feed")).unwrap();
                let event = subscriber.next().await.unwrap().unwrap();
                assert!(matches!(event, Event::Restarted(restarted)
                    if restarted.epoch == publisher.epoch()));
            }
            for sequence in 0..20 {
                publisher.publish(b"tick").unwrap();
                let event = subscriber.next().await.unwrap().unwrap();
                assert!(matches!(event, Event::Record(record) if record.sequence == sequence));
            }
            publisher = {
                publisher.finish();
                Publisher::bind(place.name("other")).unwrap()
            };
        }
        let mut other = Subscriber::connect(place.name("other")).await.unwrap();
        publisher.abort(3);
        let event = other.next().await.unwrap().unwrap();
        assert!(matches!(event, Event::Ended(end)
            if end.reason == EndReason::Aborted { code: 3 }));
        assert!(other.next().await.is_none());
    });
}
