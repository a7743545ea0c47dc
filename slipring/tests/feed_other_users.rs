//! A feed and subscribers of other users: refused by default; served like any other if they are
//! allowed. The tests need root, which can be both.

mod common;

use common::process::{self, say};
use common::{guard, users};
use slipring::Peers;
use slipring::feed::{Event, PublisherOptions, SubscriberOptions};

const STRANGER: u32 = 12345;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("subscribes", subscribes)]);
}

/// Subscribes to root's feed, and says what came of it.
fn subscribes(arguments: &[&str]) {
    let options = SubscriberOptions::new().allow(Peers::Users(vec![0]));
    let mut subscriber = match options.connect(arguments[0]) {
        Ok(subscriber) => subscriber,
        Err(error) => return say(&format!("{error}")),
    };
    say(&format!("connected to {}", subscriber.peer().uid));
    for sequence in 0..50u64 {
        let Event::Record(record) = subscriber.recv().unwrap() else {
            panic!();
        };
        assert_eq!(record.payload, sequence.to_le_bytes());
        say(&sequence.to_string());
    }
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_subscriber_of_another_user_is_served_if_it_is_allowed() {
        guard(|| {
            let place = users::open_place();
            let name = place.name("feed");
            let mut publisher = PublisherOptions::new()
                .allow(Peers::Users(vec![STRANGER]))
                .bind(&name)
                .unwrap();
            let arguments = [name.to_str().unwrap()];
            let mut other = users::start(&place, STRANGER, "subscribes", &arguments);
            other.expect("connected to 0");
            common::eventually("it is known", || !publisher.subscribers().is_empty());
            assert_eq!(publisher.subscribers()[0].peer.uid, STRANGER);
            // It sleeps and is woken for each.
            for sequence in 0..50u64 {
                publisher.publish(&sequence.to_le_bytes()).unwrap();
                other.expect(&sequence.to_string());
            }
            other.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_subscriber_of_another_user_is_refused_by_default() {
        guard(|| {
            let place = users::open_place();
            let name = place.name("feed");
            let publisher = PublisherOptions::new()
                .allow(Peers::Users(vec![STRANGER + 1]))
                .bind(&name)
                .unwrap();
            let arguments = [name.to_str().unwrap()];
            let mut other = users::start(&place, STRANGER, "subscribes", &arguments);
            let said = other.hear();
            assert!(said.contains("does not allow user 12345"), "{said}");
            other.succeed();
            assert_eq!(publisher.refused(), 1);
        });
    }
}
