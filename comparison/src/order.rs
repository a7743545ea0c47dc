//! What passes between the process that compares and the processes that it measures: lines of
//! JSON over their standard input and output.

use serde::{Deserialize, Serialize};

/// To both halves.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// how many messages, or round trips of each stream
    pub messages: u64,
    /// Decides where in their pages the messages lie.
    pub round: u32,
    /// Every byte is compared with what it has to be.
    pub verify: bool,
}

/// From a half.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// The host listens here.
    Listening(String),
    /// The connection stands.
    Connected,
    Done(Report),
    Failed(String),
}

/// What one half did with an order. Times are nanoseconds.
#[derive(Default, Serialize, Deserialize)]
pub struct Report {
    pub start: u64,
    pub end: u64,
    pub cpu: u64,
    /// inside `send`, where only that was counted
    pub sending: u64,
    /// bytes of memory that the streams take in this process, where that was looked at
    pub memory: u64,
    /// values and how often each was seen
    pub latency: Vec<(u64, u64)>,
}
