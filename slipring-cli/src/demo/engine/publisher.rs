//! The publisher: one thread that writes the due messages to every panel, and never waits for any.

use std::{
    io::{self, Write},
    num::NonZeroU64,
    ops::Range,
};

use slipring::Writer;

use crate::{
    demo::{
        board::{Board, PanelBoard},
        book::Feed,
        schedule::Schedule,
    },
    harness::clock::{self, MICROSECOND, MILLISECOND, SECOND},
};

/// Messages written to one panel before the next one gets its turn.
pub const BURST: u64 = 64;
/// The interval at which the rings are polled while messages wait for room.
const LOOK_AGAIN: u64 = 500 * MICROSECOND;
/// An interruption is noticed at least this often.
const LONGEST_SLEEP: u64 = 50 * MILLISECOND;
/// Messages that still wait for room when the time is up get this long to leave.
const DRAIN: u64 = 5 * SECOND;

/// Publishes until the schedule is done, then finishes every panel's direction. Between two checks
/// of the schedule it sleeps for at least `pause` nanoseconds; 0 means that it never sleeps.
pub fn publish(writers: Vec<Writer>, schedule: Schedule, pause: u64, board: &Board) {
    prepare();
    let mut outlets: Vec<Outlet> = writers.into_iter().enumerate().map(Outlet::new).collect();

    let start = clock::now();
    let end = start + schedule.seconds * SECOND;
    let last_moment = end + DRAIN;
    while !board.is_stopped() {
        let now = clock::now();
        let due = schedule.due(now - start);
        let dealt = schedule.deal(due);
        let mut turn = Turn::UpToDate;
        for (index, (outlet, panel)) in outlets.iter_mut().zip(&board.panels).enumerate() {
            turn = turn.max(outlet.take_turn(dealt.share(index), panel));
        }
        let next = match turn {
            Turn::MoreToWrite => continue,
            // The last message has a time of its own, too, until the next one would be due.
            Turn::UpToDate if due == schedule.total() && now >= end => break,
            Turn::UpToDate if due == schedule.total() => end,
            _ if now >= last_moment => break,
            Turn::UpToDate => start + schedule.time_of(due),
            Turn::Full if due == schedule.total() => now + LOOK_AGAIN,
            Turn::Full => (start + schedule.time_of(due)).min(now + LOOK_AGAIN),
        };
        wait(next, now, pause);
    }
    for outlet in &mut outlets {
        outlet.finish();
    }
    board.set_all_published();
}

/// To be called by a thread that publishes.
pub fn prepare() {
    // The kernel may let sleeps of a normal thread take 50 µs longer to save wake-ups; the request
    // is only an optimization, so a kernel that refuses it is no reason to stop.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

pub fn wait(next: u64, now: u64, pause: u64) {
    if pause == 0 {
        while clock::now() < next.min(now + LONGEST_SLEEP) {
            std::hint::spin_loop();
        }
    } else {
        // At high rates the next message is due sooner than a sleep can end: a short nap and a
        // small burst instead of a core that never rests.
        clock::sleep_until(next.clamp(now + pause, now + LONGEST_SLEEP));
    }
}

/// How a panel's turn ended. The greatest of all panels decides how the publisher goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    UpToDate,
    /// No room in the ring; the rest has to wait.
    Full,
    /// The burst is over, but more is due.
    MoreToWrite,
}

/// One panel's direction.
struct Outlet {
    /// `None` when the panel has gone.
    writer: Option<Writer>,
    feed: Feed,
    published: u64,
    /// Messages up to this number have been counted as held back, or were written at once.
    judged: u64,
}

impl Outlet {
    fn new((panel, mut writer): (usize, Writer)) -> Self {
        writer.set_nonblocking(true);
        Outlet {
            writer: Some(writer),
            feed: Feed::new(panel),
            published: 0,
            judged: 0,
        }
    }

    /// Writes the due messages that find room.
    fn take_turn(&mut self, due: u64, panel: &PanelBoard) -> Turn {
        if self.published == due {
            return Turn::UpToDate;
        }
        let turn = self.write(due, panel);
        if turn == Turn::Full {
            panel.add_held_back(due - self.judged.max(self.published));
            self.judged = due;
        }
        turn
    }

    fn write(&mut self, due: u64, panel: &PanelBoard) -> Turn {
        let Some(writer) = &mut self.writer else {
            return Turn::UpToDate;
        };
        let burst = due.min(self.published + BURST);
        match write_burst(writer, &mut self.feed, self.published..burst, panel) {
            Ok(end) => {
                self.published = end;
                match end {
                    _ if end == due => Turn::UpToDate,
                    _ if end == burst => Turn::MoreToWrite,
                    _ => Turn::Full,
                }
            }
            // The writer does not wait, so this is the end of the direction: the panel has gone,
            // and its receiver finds out why.
            Err(_) => {
                self.writer = None;
                Turn::UpToDate
            }
        }
    }

    fn finish(&mut self) {
        if let Some(writer) = &mut self.writer {
            // Fails only if the panel has gone, which its receiver notices.
            let _ = writer.finish();
        }
    }
}

/// Writes the updates with these numbers as far as there is room, and tells which comes next. They
/// are published as a whole, so that the panel is woken once.
fn write_burst(
    writer: &mut Writer,
    feed: &mut Feed,
    numbers: Range<u64>,
    panel: &PanelBoard,
) -> io::Result<u64> {
    let mut room = writer.space()?;
    let mut batch = writer.batch();
    for number in numbers.clone() {
        let length = feed.length();
        if length > room {
            return Ok(number);
        }
        let mut message = batch.reserve(length)?;
        feed.write(&mut message, number, clock::now);
        panel.add_published(length as u64);
        message.commit(length);
        room -= length;
    }
    batch.flush()?;
    Ok(numbers.end)
}
