//! The state that the engine's threads share about the run. The display and the summary read it
//! while the run goes on.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{inbound::Tally, report::Report};
use crate::harness::clock;

/// How a panel's stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It read everything, reported and finished.
    Complete,
    /// It went away before that; the reason is for people.
    Gone(String),
}

/// The counts of one panel's messages.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// the latest report
    pub report: Option<Report>,
    /// latencies between the last two reports, and when the last one came
    pub recent: Option<(Histogram<u64>, Instant)>,
    pub tally: Tally,
    pub acknowledgements: u64,
    pub orders: u64,
    /// The panel did not get to the end in time, and its process is being killed for that.
    pub given_up: bool,
    pub finish: Option<Finish>,
}

/// What has been published to a panel, or over a feed to all of them.
#[derive(Default)]
struct Sent {
    published: AtomicU64,
    bytes: AtomicU64,
}

pub struct PanelBoard {
    pub pid: u32,
    sent: Arc<Sent>,
    held_back: AtomicU64,
    heard: AtomicU64,
    received: Mutex<Received>,
}

impl PanelBoard {
    fn new(pid: u32, sent: &Arc<Sent>) -> Self {
        PanelBoard {
            pid,
            sent: Arc::clone(sent),
            held_back: AtomicU64::new(0),
            heard: AtomicU64::new(clock::now()),
            received: Mutex::default(),
        }
    }

    /// Called by the publisher before the message can be seen by the panel; for a feed on one
    /// panel's behalf for all of them.
    pub fn add_published(&self, bytes: u64) {
        // Relaxed: only the publisher writes. The receiver that compares an acknowledgement with
        // the count has got the acknowledgement through the rings, whose own release and acquire
        // order it behind this addition. All others just display the count.
        self.sent.published.fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn add_held_back(&self, messages: u64) {
        // Relaxed: a statistic that orders nothing.
        self.held_back.fetch_add(messages, Ordering::Relaxed);
    }

    /// Something has come from the panel just now.
    pub fn set_heard(&self) {
        // Relaxed: it is displayed, and orders nothing.
        self.heard.store(clock::now(), Ordering::Relaxed);
    }

    /// When something came last; before that, when the run began. See [`clock::now`].
    pub fn heard(&self) -> u64 {
        // Relaxed: see `set_heard`.
        self.heard.load(Ordering::Relaxed)
    }

    pub fn published(&self) -> u64 {
        // Relaxed: see `add_published`.
        self.sent.published.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        // Relaxed: see `add_published`.
        self.sent.bytes.load(Ordering::Relaxed)
    }

    pub fn held_back(&self) -> u64 {
        // Relaxed: a statistic that orders nothing.
        self.held_back.load(Ordering::Relaxed)
    }

    pub fn received(&self) -> MutexGuard<'_, Received> {
        // A thread that panicked while it held the lock left plain counters, which stay readable.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Board {
    pub panels: Vec<PanelBoard>,
    pub started: Instant,
    stop: AtomicBool,
    published: OnceLock<Instant>,
}

impl Board {
    /// For panels with these process ids and a stream each.
    pub fn new(pids: impl IntoIterator<Item = u32>) -> Self {
        let panels = pids.into_iter();
        Board::of(panels.map(|pid| PanelBoard::new(pid, &Arc::default())))
    }

    /// For panels that all get the messages of one feed.
    pub fn shared(pids: impl IntoIterator<Item = u32>) -> Self {
        let sent = Arc::default();
        Board::of(pids.into_iter().map(|pid| PanelBoard::new(pid, &sent)))
    }

    fn of(panels: impl Iterator<Item = PanelBoard>) -> Self {
        Board {
            panels: panels.collect(),
            started: Instant::now(),
            stop: AtomicBool::new(false),
            published: OnceLock::new(),
        }
    }

    /// Asks the engine to publish no more.
    pub fn stop(&self) {
        // Relaxed: nothing but the request itself is handed over.
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        // Relaxed: see `stop`; the publisher soon loads it again.
        self.stop.load(Ordering::Relaxed)
    }

    /// The engine has published everything it will and finished its directions.
    pub fn set_all_published(&self) {
        self.published.get_or_init(Instant::now);
    }

    pub fn all_published(&self) -> Option<Instant> {
        self.published.get().copied()
    }

    /// How long the engine has published, or did.
    pub fn publishing(&self) -> Duration {
        let end = self.all_published().unwrap_or_else(Instant::now);
        end.duration_since(self.started)
    }
}
