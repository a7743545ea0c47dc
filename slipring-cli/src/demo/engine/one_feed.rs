//! The engine of one feed: a thread publishes each message once for all panels, and one per panel
//! reads the answers.

use std::sync::{Mutex, PoisonError};

use slipring::{Stream, feed::Publisher};

use super::{
    Engine,
    publisher::{BURST, prepare, wait},
    threads,
};
use crate::{
    demo::{board::Board, book::Feed, schedule::Schedule},
    failure::Failure,
    harness::clock::{self, SECOND},
};

pub struct OneFeed {
    /// Wait for the next message's time without sleeping.
    pub never_sleep: bool,
    /// Taken by the run.
    pub publisher: Mutex<Option<Publisher>>,
}

impl Engine for OneFeed {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn run(&self, streams: Vec<Stream>, schedule: Schedule, board: &Board) -> Result<(), Failure> {
        let publisher = &self.publisher;
        let taken = publisher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut publisher =
            taken.ok_or_else(|| Failure::failed("the feed has been published already"))?;
        let pause = threads::pause(self.never_sleep);
        threads::serve(streams, board, |writers| {
            publish(&mut publisher, schedule, pause, board);
            publisher.finish();
            for mut writer in writers {
                // Fails only if the panel has gone, which its receiver notices.
                let _ = writer.finish();
            }
            board.set_all_published();
        })
    }
}

/// Publishes until the schedule is done.
fn publish(publisher: &mut Publisher, schedule: Schedule, pause: u64, board: &Board) {
    prepare();
    let mut feed = Feed::new(0);
    let mut message = Vec::new();
    let start = clock::now();
    let end = start + schedule.seconds * SECOND;
    while !board.is_stopped() {
        let now = clock::now();
        let due = schedule.due(now - start);
        let burst = due.min(publisher.next() + BURST);
        let numbers = publisher.next()..burst;
        let mut batch = publisher.batch();
        for number in numbers {
            message.resize(feed.length(), 0);
            feed.write(&mut message, number, clock::now);
            // All of them have this one's count.
            if let Some(panel) = board.panels.first() {
                panel.add_published(message.len() as u64);
            }
            // Cannot fail: no message is longer than the feed's longest, and this process has
            // forked nothing that runs this code.
            let _ = batch.publish(&message);
        }
        drop(batch);
        let next = match publisher.next() {
            next if next < due => continue,
            // The last message has a time of its own, too, until the next one would be due.
            _ if due == schedule.total() && now >= end => break,
            _ if due == schedule.total() => end,
            _ => start + schedule.time_of(due),
        };
        wait(next, now, pause);
    }
}
