//! The messages between the process that compares and the processes that it measures.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::case::Case;

/// Why a process was started: its one argument.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// process id of the process that started it
    pub parent: u32,
    pub contender: String,
    pub case: Case,
    pub host: bool,
    /// core of this half
    pub cpu: Option<usize>,
    /// core of the other half, if that is a thread of this process
    pub other_cpu: Option<usize>,
    /// where files go
    pub directory: PathBuf,
}

/// To a process, before the orders.
#[derive(Serialize, Deserialize)]
pub(crate) enum Join {
    /// One more connection, over the socket that comes along.
    Stream,
    /// That was all.
    Complete,
}

/// To a half, or to both.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// how many messages, or round trips of each stream
    pub messages: u64,
    /// Decides where in their pages the messages lie.
    pub round: u32,
    /// Every byte is compared with what it has to be.
    pub verify: bool,
}

/// From a process.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is there.
    Ready,
    /// Its connections stand.
    Connected,
    Done(Report),
    Failed(String),
}

/// The result of an order in one half. Times are nanoseconds.
#[derive(Default, Serialize, Deserialize)]
pub struct Report {
    /// the monotonic clock before the first message
    pub start: u64,
    /// and after the last one
    pub end: u64,
    /// CPU time
    pub cpu: u64,
    /// inside `send`, where only that was counted
    pub sending: u64,
    /// values and how often each was seen
    pub latency: Vec<(u64, u64)>,
    /// likewise: calls that publish to many subscribers
    pub publishing: Vec<(u64, u64)>,
    /// CPU time of the thread that wakes subscribers
    pub waking: u64,
}

/// From the first message to the last one's arrival.
pub(crate) fn wall(here: &Report, there: &Report) -> u64 {
    here.end.max(there.end) - here.start
}
