//! The engine of one feed or one board: a thread publishes each message once for all panels, and
//! one per panel reads the answers.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use slipring::{Stream, board, feed};

use super::{
    Engine,
    publisher::{BURST, prepare, wait},
    threads,
};
use crate::{
    demo::{
        board::Board,
        book::{self, Feed},
        schedule::Schedule,
    },
    failure::Failure,
    harness::clock::{self, SECOND},
};

/// The one place from which all panels have their prices.
pub enum Publisher {
    Feed(Box<feed::Publisher>),
    /// The newest update of each symbol.
    Board(Box<board::Publisher>),
}

impl Publisher {
    /// The number of the next message.
    fn next(&self) -> u64 {
        match self {
            Publisher::Feed(feed) => feed.next(),
            Publisher::Board(board) => board.next(),
        }
    }

    /// Publishes together what `write` makes of each number. A message is not too long, a board has
    /// room for all symbols, and this process has forked nothing that runs this code: so nothing
    /// here fails.
    fn publish(&mut self, numbers: Range<u64>, mut write: impl FnMut(u64, &mut Vec<u8>)) {
        let mut message = Vec::new();
        match self {
            Publisher::Feed(feed) => {
                let mut batch = feed.batch();
                for number in numbers {
                    write(number, &mut message);
                    let _ = batch.publish(&message);
                }
            }
            Publisher::Board(board) => {
                let mut batch = board.batch();
                for number in numbers {
                    write(number, &mut message);
                    let _ = batch.set(book::symbol(&message), &message);
                }
            }
        }
    }

    pub fn finish(self) {
        match self {
            Publisher::Feed(feed) => feed.finish(),
            Publisher::Board(board) => board.finish(),
        }
    }
}

pub struct OneFeed {
    /// Wait for the next message's time without sleeping.
    pub never_sleep: bool,
    /// Taken by the run.
    pub publisher: Mutex<Option<Publisher>>,
}

impl Engine for OneFeed {
    fn name(&self) -> &'static str {
        let publisher = self.publisher.lock();
        match *publisher.unwrap_or_else(PoisonError::into_inner) {
            Some(Publisher::Board(_)) => "board",
            _ => "feed",
        }
    }

    fn run(&self, streams: Vec<Stream>, schedule: Schedule, board: &Board) -> Result<(), Failure> {
        let publisher = &self.publisher;
        let taken = publisher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut publisher =
            taken.ok_or_else(|| Failure::failed("the prices have been published already"))?;
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
    let start = clock::now();
    let end = start + schedule.seconds * SECOND;
    while !board.is_stopped() {
        let now = clock::now();
        let due = schedule.due(now - start);
        let burst = due.min(publisher.next() + BURST);
        let numbers = publisher.next()..burst;
        publisher.publish(numbers, |number, message| {
            message.resize(feed.length(), 0);
            feed.write(message, number, clock::now);
            // All of them have this one's count.
            if let Some(panel) = board.panels.first() {
                panel.add_published(message.len() as u64);
            }
        });
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
