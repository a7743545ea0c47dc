//! When a ring is exchanged for a larger or a smaller one, as far as it is the writer's choice.
//!
//! *It grows* by steps of four. A wait for room in which this half slept asks for a larger ring,
//! and so does a write that found too little room, unless it is short beside the ring: a reader
//! that is slower than short writes gains nothing by a larger ring, whose lines fall out of the
//! cache (docs/experiments/elastic-rings.md). Several such calls make a step. A write of more than
//! half the ring makes it grow at once, to several times its length.
//!
//! *It shrinks*, to what it began with, when nothing has asked for a larger ring for a second, nor
//! moved more bytes than the first ring holds between two looks at the clock. Each time that it
//! grows again the second becomes two, up to a minute.
//!
//! All of it is decided after a publication.

use crate::sys::clock::CoarseInstant;
use std::time::Duration;

/// So many calls that ask for a larger ring make it grow.
const CALLS: u64 = 4;

/// A write asks for a larger ring if it is longer than this part of the one that there is, or if
/// that is smaller than [`SMALL`].
const SHORT: usize = 256;

/// Streaming of the shortest messages gains up to this capacity.
const SMALL: usize = 64 << 10;

/// A ring that is too small for a long write grows to hold so many of it.
const LONG: usize = 16;

/// A step multiplies the capacity by this.
const STEP: usize = 4;

/// From one step to the next this many times the capacity is written. Calls that lie further apart
/// make no step.
const MOVED: (u64, u64) = (2, 64);

/// For how long a ring has to be calm before it shrinks: at first, and at most.
const CALM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(64));

/// What a writer remembers of its calls.
#[derive(Debug)]
pub(super) struct Demand {
    /// The capacities that the ring begins with, and that it may grow to.
    start: usize,
    most: usize,
    /// A call found too little room since the last look.
    asked: bool,
    /// Calls that asked for a larger ring, without those that slept.
    calls: u64,
    /// The longest write of more than half the ring since then.
    longest: usize,
    /// The position from which on they are counted.
    since: u64,
    /// How often this half had slept by then.
    sleeps: u64,
    /// When something asked for the ring that there is, and when the clock was read last, with the
    /// position at that time.
    busy: CoarseInstant,
    looked: (CoarseInstant, u64),
    calm: Duration,
    shrunk: bool,
    /// No step before: the last one was refused.
    refused: Option<CoarseInstant>,
}

impl Demand {
    pub(super) fn new(start: usize, most: usize) -> Demand {
        let now = CoarseInstant::now();
        Demand {
            start,
            most,
            asked: false,
            calls: 0,
            longest: 0,
            since: 0,
            sleeps: 0,
            busy: now,
            looked: (now, 0),
            calm: CALM.0,
            shrunk: false,
            refused: None,
        }
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A write of `len` bytes found too little room in a ring of `capacity`, or is longer than half
    /// of it. Says whether that is to be looked into after the next publication.
    pub(super) fn cramped(&mut self, len: usize, capacity: usize) -> bool {
        self.asked = self.start < self.most;
        if len > capacity / SHORT || capacity < SMALL {
            self.calls += 1;
        }
        if len > capacity / 2 {
            self.longest = self.longest.max(len);
        }
        self.asked
    }

    /// Whether a call has found too little room since [`take_asked`](Self::take_asked).
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    pub(super) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    /// The capacity to grow to from `capacity`, with everything published up to `position`, and
    /// `sleeps` of this half so far.
    pub(super) fn step(&mut self, capacity: usize, position: u64, sleeps: u64) -> Option<usize> {
        let now = CoarseInstant::now();
        self.busy = now;
        self.looked = (now, position);
        let refused = self.refused.is_some_and(|at| now.since(at) < CALM.0);
        if capacity >= self.most || refused {
            return None;
        }
        if self.longest > 0 {
            let for_longest = self
                .longest
                .saturating_mul(LONG)
                .checked_next_power_of_two();
            return Some(for_longest.map_or(self.most, |capacity| capacity.min(self.most)));
        }
        let calls = self.calls + (sleeps - self.sleeps);
        let moved = (position - self.since) / capacity as u64;
        if moved > MOVED.1 {
            self.begin_anew(position, sleeps);
            return None;
        }
        (calls >= CALLS && moved >= MOVED.0).then(|| (STEP * capacity).min(self.most))
    }

    /// Counts the calls from here on.
    fn begin_anew(&mut self, position: u64, sleeps: u64) {
        self.since = position;
        self.sleeps = sleeps;
        self.calls = 0;
        self.longest = 0;
    }

    /// Whether the clock has ticked since it was read last.
    pub(super) fn is_new(&self, now: CoarseInstant) -> bool {
        self.looked.0 != now
    }

    /// The clock was read after a publication: whether the ring, of `capacity`, has been calm for
    /// long enough to shrink, or for a second where the process needs the memory.
    pub(super) fn is_calm(&mut self, now: CoarseInstant, position: u64, pressed: bool) -> bool {
        let (then, before) = std::mem::replace(&mut self.looked, (now, position));
        // Few publications lie between two looks.
        if now.since(then) < CALM.0 && position - before > self.start as u64 {
            self.busy = now;
        }
        let calm = if pressed { CALM.0 } else { self.calm };
        now.since(self.busy) >= calm
    }

    /// For how long the ring has to stay calm until it shrinks.
    pub(super) fn calm_in(&self, now: CoarseInstant) -> Duration {
        self.calm.saturating_sub(now.since(self.busy))
    }

    /// A step was refused.
    pub(super) fn refused(&mut self) {
        self.refused = Some(CoarseInstant::now());
        self.calls = 0;
        self.longest = 0;
    }

    /// The ring was exchanged for a larger one, or a smaller one.
    pub(super) fn exchanged(&mut self, grown: bool, position: u64, sleeps: u64) {
        if grown && self.shrunk {
            self.calm = (2 * self.calm).min(CALM.1);
        }
        self.shrunk = !grown;
        self.busy = CoarseInstant::now();
        self.refused = None;
        self.begin_anew(position, sleeps);
    }
}
