//! A board and panels of other users: refused by default; served like any other if they are
//! allowed. The tests need root, which can be both.

mod common;

use common::process::{self, say};
use common::{GENEROUS, guard, users};
use slipring::Peers;
use slipring::board::{Change, Event, PublisherOptions, SubscriberOptions};

const STRANGER: u32 = 12346;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("watches", watches)]);
}

/// Watches root's board, and says what came of it.
fn watches(arguments: &[&str]) {
    let options = SubscriberOptions::new().allow(Peers::Users(vec![0]));
    let mut panel = match options.connect(arguments[0]) {
        Ok(panel) => panel,
        Err(error) => return say(&format!("{error}")),
    };
    say(&format!("connected to {}", panel.peer().uid));
    for number in 0..50u64 {
        let Event::Changes(mut changes) = panel.changed().unwrap() else {
            panic!();
        };
        let Some(Change::Set { key, value, .. }) = changes.next() else {
            panic!();
        };
        assert_eq!((key, value), (&b"price"[..], &number.to_le_bytes()[..]));
        assert_eq!(changes.len(), 0);
        let snapshot = panel.snapshot().unwrap();
        assert_eq!(snapshot.next, number + 1);
        say(&number.to_string());
    }
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_panel_of_another_user_is_served_if_it_is_allowed() {
        guard(|| {
            let place = users::open_place();
            let name = place.name("board");
            let mut publisher = PublisherOptions::new()
                .allow(Peers::Users(vec![STRANGER]))
                .bind(&name)
                .unwrap();
            let arguments = [name.to_str().unwrap()];
            let mut other = users::start(&place, STRANGER, "watches", &arguments);
            other.expect("connected to 0");
            assert!(publisher.wait_for_subscribers(1, GENEROUS).unwrap());
            assert_eq!(publisher.subscribers()[0].peer.uid, STRANGER);
            // It sleeps and is woken for each.
            for number in 0..50u64 {
                publisher.set(b"price", &number.to_le_bytes()).unwrap();
                other.expect(&number.to_string());
            }
            other.succeed();
        });
    }

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_panel_of_another_user_is_refused_by_default() {
        guard(|| {
            let place = users::open_place();
            let name = place.name("board");
            let publisher = PublisherOptions::new()
                .allow(Peers::Users(vec![STRANGER + 1]))
                .bind(&name)
                .unwrap();
            let arguments = [name.to_str().unwrap()];
            let mut other = users::start(&place, STRANGER, "watches", &arguments);
            let said = other.hear();
            assert!(said.contains("does not allow user 12346"), "{said}");
            other.succeed();
            assert_eq!(publisher.refused(), 1);
        });
    }
}
