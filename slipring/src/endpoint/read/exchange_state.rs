//! What a reader keeps for the exchanges of the peer's ring.

use crate::growth::Limit;
use crate::sys::clock::CoarseInstant;
use std::time::Duration;

/// An honest writer shrinks once a second at most, and there are 18 steps from the smallest to the
/// largest ring. Twice that, as this side may see those of two seconds at once, is allowed.
const MOST: (u32, Duration) = (64, Duration::from_secs(1));

/// What a reader keeps for it.
#[derive(Debug)]
pub(super) struct Exchanges {
    /// The largest ring that may come, and what limits it.
    pub(super) most: usize,
    pub(super) limit: Limit,
    /// When the second began in which the last one came, and how many have come in it.
    since: CoarseInstant,
    count: u32,
    /// How many have come in all.
    pub(super) taken: u64,
    /// The generation of the last ring that was taken out of the link.
    pub(super) received: u32,
    /// The number of the last refusal that was told.
    pub(super) answers: u32,
}

impl Exchanges {
    /// For rings of up to `most` bytes.
    pub(super) fn new((most, limit): (usize, Limit)) -> Exchanges {
        Exchanges {
            most,
            limit,
            since: CoarseInstant::now(),
            count: 0,
            taken: 0,
            received: 0,
            answers: 0,
        }
    }

    /// Whether another one may come now.
    pub(super) fn is_allowed(&mut self) -> bool {
        let now = CoarseInstant::now();
        if now.since(self.since) >= MOST.1 {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        self.count <= MOST.0
    }
}
