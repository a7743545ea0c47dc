//! A measurement under way: a connection to a peer process, measured slice by slice.

use hdrhistogram::Histogram;

use crate::failure::Failure;

/// What the parent's half of a case does. The peer's half answers.
pub trait Measurement {
    /// Checks that what is received is what was sent, and warms up for slices of this length.
    fn prepare(&mut self, slice: u64) -> Result<(), Failure>;

    /// Measures for about this many nanoseconds.
    fn measure(&mut self, slice: u64) -> Result<Slice, Failure>;
}

/// What one slice has given.
pub struct Slice {
    /// nanoseconds that the messages took
    pub wall: u64,
    /// messages, or round trips
    pub messages: u64,
    /// bytes in one direction
    pub bytes: u64,
    /// of every round trip, in nanoseconds; nothing for throughput
    pub latency: Option<Histogram<u64>>,
    /// nanoseconds of CPU time in the parent
    pub cpu_here: u64,
    /// nanoseconds of CPU time in the peer process
    pub cpu_there: u64,
}
