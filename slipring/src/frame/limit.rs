//! When a call of a receiver is over, whatever comes meanwhile.
//!
//! A message that is begun and given up brings a receiver no further, and a peer can send such ones
//! for ever. So a call looks at its limit whenever it has not got a message, and not only when
//! nothing has happened.

use crate::endpoint::ReadHalf;
use crate::stream::Reader;
use std::time::Instant;

/// The most that one call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    deadline: Option<Instant>,
    /// The position from which on it goes no further.
    until: u64,
}

impl Limit {
    /// Of a call that does not block: as much as a ring holds, which is all that may have been
    /// there when it began. It takes less than twice that, as it looks at the limit before it looks
    /// for more.
    pub(super) fn at_once(half: &ReadHalf) -> Limit {
        Limit {
            deadline: None,
            until: half.position().saturating_add(half.capacity() as u64),
        }
    }

    /// Of a call that blocks, unless the reader does not.
    #[inline]
    pub(super) fn of(reader: &Reader) -> Limit {
        if reader.is_nonblocking() {
            return Limit::at_once(&reader.half);
        }
        Limit {
            deadline: reader.deadline(),
            until: u64::MAX,
        }
    }

    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    #[inline(never)]
    pub(super) fn is_over(&self, half: &ReadHalf) -> bool {
        half.position() >= self.until
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}
