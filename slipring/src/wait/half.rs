//! A half that waits, and the place where it sleeps.

use std::io;
use std::time::{Duration, Instant};

/// A half that waits for something.
pub(crate) trait PollHalf {
    /// The result of the wait.
    type News;

    /// Polls once, without blocking; `None`: not yet.
    fn poll(&mut self) -> Option<io::Result<Self::News>>;

    /// Asks the peer to wake this half when it is time to poll again. The half may sleep after it
    /// has polled once more.
    fn arm(&mut self) {}

    /// Lets the peer leave out its fences until this half arms, since this half finds its news by
    /// spinning. Only for a half whose sleep can end by itself.
    fn enter_flow(&mut self) {}

    /// Whether the peer may have published something without telling, when it left out a fence: a
    /// sleep has to end by itself after a moment.
    fn is_in_doubt(&mut self) -> bool {
        false
    }

    /// Called after such a sleep, a whole moment long.
    fn settle(&mut self) {}

    /// Lets the peer see what this half waits for, though the half goes on polling.
    fn advertise(&mut self) {}

    /// Takes back either of the two.
    fn disarm(&mut self) {}

    /// Leaves the half armed, for a caller that sleeps elsewhere. The next operation that moves an
    /// index disarms it.
    fn leave_armed(&mut self) {}

    /// Takes back what [`leave_armed`](Self::leave_armed) has left.
    #[cfg(feature = "tokio")]
    fn disarm_stale(&mut self) {}

    /// Wakes the peer if it cannot go on because of this wait.
    fn wake_starved_peer(&mut self) {}

    /// Checks whether the peer is still there. The kernel tells a sleeping half; a spinning half
    /// has to check.
    fn check_peer(&mut self) -> io::Result<()>;

    /// The same, but no more than once in a tick of the coarse clock: for a half that polls again
    /// and again without ever sleeping.
    fn check_peer_if_due(&mut self) {}

    /// To be called when the wait is given up. A half that will poll again without ever sleeping
    /// stays visible to a peer that waits for it.
    fn give_up(&mut self) {}

    /// How far the peer is known to have come, in bytes.
    fn progress(&self) -> u64 {
        0
    }

    /// A count of what this side has done that its peer may have waited for. The number changes
    /// with each. `None`: that is not known.
    fn answers(&self) -> Option<u64> {
        None
    }

    /// Counts a sleep in the header.
    fn count_sleep(&self) {}

    /// Counts a wait that ended while spinning.
    fn count_spin(&self) {}
}

/// Where a half sleeps.
pub(crate) trait Park {
    /// Sleeps until woken, or until its time is up. `briefly`: at most for [a
    /// moment](super::a_moment).
    fn park(&mut self, briefly: bool) -> io::Result<Parked>;

    /// Takes out the edges that would end the next [`park`](Self::park) at once. Does not sleep.
    /// Returns whether there was news of the link.
    fn drain(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Something happened, perhaps.
    Woken,
    /// The link has news of the peer.
    Link,
    /// A whole moment has passed without anything.
    Briefly,
    /// The time was up.
    TimedOut,
    /// The wait goes on elsewhere: the caller sleeps, and calls again.
    Elsewhere,
}

/// How long a wait may last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limit {
    /// The end of a call that waits several times. It comes before `timeout`.
    pub(crate) deadline: Option<Instant>,
    /// From the beginning of the wait.
    pub(crate) timeout: Option<Duration>,
}

impl Limit {
    /// When a wait that began at `start` ends. `None`: never. A time that no clock reaches is none.
    pub(crate) fn end(self, start: impl FnOnce() -> Instant) -> Option<Instant> {
        self.deadline.or_else(|| {
            self.timeout
                .and_then(|timeout| start().checked_add(timeout))
        })
    }
}
