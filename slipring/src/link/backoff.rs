//! Connecting again after a failure: pauses that grow, and which failures a pause may help.

use crate::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses between tries.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff { pause: FIRST_PAUSE }
    }

    /// The next pause: twice the last one, up to a second, and by chance up to half as long again,
    /// so that hundreds of clients do not come at once.
    pub(crate) fn next(&mut self) -> Duration {
        let by_chance = RandomState::new().build_hasher().finish() % 512;
        let pause = self.pause + self.pause * by_chance as u32 / 1024;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// Whether a connection that has lasted so long counts as a failure: it was shorter than the
    /// next pause. After any other the pauses begin anew.
    pub(crate) fn has_failed(&mut self, lasted: Duration) -> bool {
        let failed = lasted < self.pause;
        if !failed {
            self.pause = FIRST_PAUSE;
        }
        failed
    }

    /// The end of the next pause.
    pub(crate) fn until(&mut self) -> Instant {
        Instant::now() + self.next()
    }
}

/// Whether it may be otherwise the next time. It will not while the other side is another one than
/// what is asked for, and what is asked for is wrong.
pub(crate) fn may_pass(error: &Error) -> bool {
    !matches!(
        error,
        Error::Kind { .. }
            | Error::Protocol { .. }
            | Error::Version { .. }
            | Error::UntrustedPeer { .. }
            | Error::NotSlipring
            | Error::InvalidName { .. }
            | Error::PathTooLong { .. }
            | Error::Capacity { .. }
            | Error::ProtocolTooLong { .. }
            | Error::NeverSleeps
            | Error::Unsupported { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_not_the_same_for_all() {
        let pauses = |count: usize| {
            let mut backoff = Backoff::new();
            (0..count).map(move |_| backoff.next())
        };
        let mut least = FIRST_PAUSE;
        for pause in pauses(20) {
            assert!(pause >= least && pause <= least * 3 / 2, "{pause:?}");
            least = (least * 2).min(LONGEST_PAUSE);
        }
        let mut backoff = Backoff::new();
        assert!(backoff.has_failed(FIRST_PAUSE / 2));
        assert!(backoff.next() < FIRST_PAUSE * 2);
        assert!(
            backoff.has_failed(FIRST_PAUSE),
            "twice as long is asked for now"
        );
        assert!(!backoff.has_failed(FIRST_PAUSE * 2));
        assert!(backoff.next() < FIRST_PAUSE * 2, "they begin anew");
        let first: std::collections::HashSet<_> = (0..50).flat_map(|_| pauses(1)).collect();
        assert!(first.len() > 10, "{first:?}");
    }
}
