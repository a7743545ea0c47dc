//! What a subscriber knows and does, without blocking: blocking calls, event loops and tokio drive
//! it.

use super::calls;
use super::event::{End, EndReason};
use super::farewell::{Listening, NUDGE};
use super::interrupt::Interrupter;
use super::layout::Progress;
use super::lossless::{begins, has_read};
use super::reader::{Lagged, Polled, Reader, Start};
use super::sides::Attached;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::ring::{Corrupt, Std, ended, load_peer};
use crate::sys::clock::CoarseInstant;
use crate::sys::closing::{Heard, hear};
use crate::sys::errno::Errno;
use crate::sys::socket;
use crate::wait::PollHalf;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Records that are read before the link is looked at, by a subscriber that never waits.
const LOOK_AT_LINK: u32 = 256;

/// How often a lossless subscriber looks for a place to begin before it gives up.
const ATTEMPTS: u32 = 1000;

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It lies in [`State::copied`], so that nothing of it is moved on the way to the caller.
    Record,
    Lagged(Lagged),
    Ended(End),
}

/// The last record that was found.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) sequence: u64,
    pub(crate) time: Option<u64>,
    pub(crate) skipped: u64,
    len: usize,
    buffer: Vec<u8>,
}

impl Copied {
    pub(crate) fn payload(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// A subscriber's place in the feed.
#[derive(Debug)]
pub(crate) struct State {
    reader: Reader,
    pub(crate) copied: Copied,
    /// To be told before anything else.
    first: Option<News>,
    missed: u64,
    lossless: bool,
    listening: Listening,
    farewell: Option<EndReason>,
    /// The link has hung up. Kept for good.
    gone: bool,
    pub(crate) end: Option<End>,
    /// The wake word may be set, by a call that slept elsewhere.
    armed: bool,
    until_link: u32,
    listened: Option<CoarseInstant>,
}

/// A subscriber that waits.
#[derive(Debug)]
pub(crate) struct Half<'a> {
    pub(crate) attached: &'a Attached,
    pub(crate) state: &'a mut State,
    /// What ends a wait from another thread.
    pub(crate) interrupter: Option<&'a Interrupter>,
}

impl State {
    /// Begins where `start` says.
    pub(crate) fn begin(attached: &Attached, start: Start, lossless: bool) -> Result<State> {
        let bad = |Corrupt| Error::BadPeer {
            what: "the publisher's memory makes no sense".into(),
        };
        let (header, ring) = (attached.feed.header(), attached.feed.ring());
        let max_record = attached.feed.facts.max_record;
        let join = || Reader::join(header, &ring, max_record, start).map_err(bad);
        let (mut reader, mut lagged) = join()?;
        let progress = &attached.page.words().progress.0;
        if lossless {
            let mut attempts = 0;
            loop {
                let is_safe = || reader.is_safe(header);
                if begins::<Std>(&progress.read, reader.position(), is_safe) {
                    break;
                }
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Err(bad(Corrupt));
                }
                // The oldest records are about to be overwritten: begin a little later, or anew.
                if start == Start::Newest || !reader.skip_one(header, &ring).map_err(bad)? {
                    (reader, lagged) = join()?;
                }
            }
        }
        let mut state = State {
            reader,
            copied: Copied::default(),
            first: lagged.map(News::Lagged),
            missed: lagged.map_or(0, |lagged| lagged.missed),
            lossless,
            listening: Listening::default(),
            farewell: None,
            gone: false,
            end: None,
            armed: false,
            until_link: LOOK_AT_LINK,
            listened: None,
        };
        state.note(progress);
        Ok(state)
    }

    /// The number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.reader.next()
    }

    /// The next look finds this again.
    pub(crate) fn put_back(&mut self, news: News) {
        self.first = Some(news);
    }

    /// Publishes how far this subscriber has come.
    #[inline]
    fn note(&mut self, progress: &Progress<Std>) {
        has_read::<Std>(&progress.read, self.reader.position());
        // Relaxed, both: numbers for people.
        progress.next.store(self.reader.next(), Ordering::Relaxed);
        progress.missed.store(self.missed, Ordering::Relaxed);
    }
}

impl Half<'_> {
    /// Looks once.
    #[inline]
    pub(crate) fn look(&mut self) -> Option<News> {
        if let Some(first) = self.state.first.take() {
            return Some(first);
        }
        if let Some(end) = self.state.end {
            return Some(News::Ended(end));
        }
        let (header, ring) = (self.attached.feed.header(), self.attached.feed.ring());
        // A publisher that ends stores `tail`, then `fin`, then hangs up: so they are loaded in the
        // order opposite to that.
        let gone = self.state.gone;
        let fin = load_peer::<Std, _>(&header.published.0.fin);
        let state = &mut *self.state;
        let copied = &mut state.copied;
        let news = match state.reader.poll(header, &ring, &mut copied.buffer) {
            Ok(Polled::Record {
                sequence,
                time,
                len,
                skipped,
            }) => {
                point(Point::RecordCopied);
                (copied.sequence, copied.time) = (sequence, time);
                (copied.skipped, copied.len) = (skipped, len);
                News::Record
            }
            Ok(Polled::Lagged(lagged)) if state.lossless => {
                let next = lagged.next - lagged.missed;
                return self.end_at(EndReason::TooSlow, next);
            }
            Ok(Polled::Lagged(lagged)) => {
                state.missed += lagged.missed;
                News::Lagged(lagged)
            }
            Err(Corrupt) => return self.end(EndReason::Corrupt),
            Ok(Polled::Empty) => return self.look_for_end(gone, fin),
        };
        state.note(&self.attached.page.words().progress.0);
        if state.armed {
            state.armed = false;
            calls::disarm(self.attached.page.words());
        }
        state.until_link -= 1;
        if state.until_link == 0 {
            state.until_link = LOOK_AT_LINK;
            self.listen();
            if let Some(farewell) = self.state.farewell {
                // The next look tells it.
                self.end(farewell);
            }
        }
        Some(news)
    }

    /// The end, if there is one behind the last record.
    fn look_for_end(&mut self, gone: bool, fin: u32) -> Option<News> {
        if let Some(farewell) = self.state.farewell {
            return self.end(farewell);
        }
        match fin {
            ended::OPEN if gone => self.end(EndReason::PublisherDied),
            ended::OPEN => None,
            ended::CLOSED => self.end(EndReason::Finished),
            ended::ABORTED => {
                // Relaxed: stored before `fin`, which was loaded with an acquire.
                let code = self
                    .attached
                    .feed
                    .header()
                    .published
                    .0
                    .code
                    .load(Ordering::Relaxed);
                self.end(EndReason::Aborted { code })
            }
            _ => self.end(EndReason::Corrupt),
        }
    }

    fn end(&mut self, reason: EndReason) -> Option<News> {
        self.end_at(reason, self.state.reader.next())
    }

    fn end_at(&mut self, reason: EndReason, next: u64) -> Option<News> {
        let end = End { reason, next };
        self.state.end = Some(end);
        self.attached.link.hang_up();
        Some(News::Ended(end))
    }

    /// Passes over everything but the newest record.
    pub(crate) fn skip_to_newest(&mut self) {
        let (header, ring) = (self.attached.feed.header(), self.attached.feed.ring());
        let state = &mut *self.state;
        if state.end.is_some() {
            return;
        }
        // One that was found by `arm`, and not received yet.
        let found = match state.first {
            Some(News::Record) => Some(state.copied.skipped + 1),
            _ => None,
        };
        match state
            .reader
            .pass_to_newest(header, &ring, found.unwrap_or_default())
        {
            Ok(true) if found.is_some() => state.first = None,
            Ok(_) => {}
            Err(Corrupt) => {
                self.end(EndReason::Corrupt);
            }
        }
    }

    /// The same, but no more than once in a tick of the coarse clock: for a subscriber that only
    /// looks.
    pub(crate) fn listen_if_due(&mut self) {
        let now = CoarseInstant::now();
        if self.state.listened != Some(now) {
            self.state.listened = Some(now);
            self.listen();
        }
    }

    /// Hears what the publisher has said over the link, and whether it is gone.
    pub(crate) fn listen(&mut self) {
        let mut bytes = [0; 256];
        while !self.state.gone {
            match hear(
                self.attached.link.as_fd(),
                self.attached.trusted,
                &mut bytes,
            ) {
                Ok(Heard::Bytes(len)) => {
                    let farewell = self.state.listening.hear(&bytes[..len]);
                    self.state.farewell = self.state.farewell.or(farewell);
                    // Nothing was left behind it.
                    if len < bytes.len() {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Ok(Heard::Gone | Heard::Descriptors) | Err(_) => self.state.gone = true,
            }
        }
    }
}

impl PollHalf for Half<'_> {
    type News = News;

    fn poll(&mut self) -> Option<io::Result<News>> {
        self.look().map(Ok)
    }

    fn arm(&mut self) {
        let (page, header) = (self.attached.page.words(), self.attached.feed.header());
        // Everything up to `position` is read: the next record moves `tail` beyond it.
        let must_announce = calls::arm(page, header, self.state.reader.position() + 1);
        point(Point::SubscriberArmed);
        if must_announce {
            // If it is full of those, the publisher has enough of them to hear.
            let _ = socket::say(&self.attached.link, &[NUDGE]);
            point(Point::Announced);
        }
    }

    fn disarm(&mut self) {
        calls::disarm(self.attached.page.words());
    }

    fn leave_armed(&mut self) {
        self.state.armed = true;
    }

    #[cfg(feature = "tokio")]
    fn disarm_stale(&mut self) {
        if std::mem::take(&mut self.state.armed) {
            self.disarm();
        }
    }

    fn check_peer(&mut self) -> io::Result<()> {
        point(Point::SubscriberWoken);
        if let Some(interrupter) = self.interrupter {
            interrupter.drain();
            if interrupter.take() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.listen();
        Ok(())
    }

    fn progress(&self) -> u64 {
        self.state.reader.position()
    }
}
