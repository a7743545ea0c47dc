//! The world that two processes share, in a model: two regions, four doorbells, and the kernel's
//! part.

use super::flaw::Flaw;
use super::mutant::weakly;
use super::time::Time;
use crate::ring::{self, Atomics, Header, Headers, RingId, Word, ended};
use crate::wait::wake_word;
use loom::cell::UnsafeCell;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The bytes of a ring. loom sees to it that no thread reads or writes one that another may be
/// writing.
pub(super) struct Bytes(Vec<UnsafeCell<u8>>);

impl Bytes {
    fn new(capacity: u64) -> Bytes {
        Bytes((0..capacity).map(|_| UnsafeCell::new(0)).collect())
    }

    pub(super) fn capacity(&self) -> u64 {
        self.0.len() as u64
    }

    /// As if the ring were mapped twice in a row, so `at` may lie in the second copy.
    fn cell(&self, at: usize) -> &UnsafeCell<u8> {
        assert!(at < 2 * self.0.len(), "outside of the ring");
        &self.0[at % self.0.len()]
    }

    pub(super) fn write(&self, at: usize, byte: u8) {
        // SAFETY: the pointer is that of a live cell, and loom ends the model if another thread
        // uses it at the same time.
        self.cell(at).with_mut(|cell| unsafe { *cell = byte });
    }

    pub(super) fn read(&self, at: usize) -> u8 {
        // SAFETY: as in `write`.
        self.cell(at).with(|cell| unsafe { *cell })
    }
}

/// The doorbell that a half sleeps on. As an eventfd that is watched edge-triggered and never
/// drained, it keeps an edge for a sleeper that comes later; any number of wake-ups ends one sleep.
///
/// loom also lets one sleep end without a wake-up: a wake-up is a hint. A wake-up happens before
/// the end of the sleep that it ends, as the lock of a real eventfd has it; it orders nothing else.
pub(super) struct Doorbell {
    edge: Notify,
    /// For [`Flaw::BellForgets`].
    forgets: bool,
    asleep: AtomicBool,
    /// Whether the set that the doorbell is in is readable; only where an event loop polls it.
    readable: Option<AtomicBool>,
}

impl Doorbell {
    fn new(flaw: Flaw, polled: bool) -> Doorbell {
        Doorbell {
            edge: Notify::new(),
            forgets: flaw == Flaw::BellForgets,
            asleep: AtomicBool::new(false),
            readable: polled.then(|| AtomicBool::new(false)),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(readable) = &self.readable {
            // Release: the lock of the set orders the wake-up, and everything before it, before the
            // drain that takes it out.
            readable.store(true, Ordering::Release);
        }
        // An exchange, since it sees the latest value.
        if !self.forgets || self.asleep.swap(false, Ordering::AcqRel) {
            self.edge.notify();
        }
    }

    pub(super) fn wait(&self) {
        if self.forgets {
            self.asleep.swap(true, Ordering::AcqRel);
        }
        self.edge.wait();
    }

    /// Takes out the edges that are there.
    pub(super) fn drain(&self) {
        if let Some(readable) = &self.readable {
            // An exchange, since it sees the latest value; acquire: see `ring`.
            readable.swap(false, Ordering::AcqRel);
        }
    }

    /// Blocks until there is an edge, and leaves it there.
    pub(super) fn poll(&self) {
        let readable = self.readable.as_ref().expect("a doorbell for polling");
        while !readable.load(Ordering::Acquire) {
            self.edge.wait();
        }
    }
}

/// The part of one process in the stream.
pub(super) struct Side<A: Atomics> {
    pub(super) header: Header<A>,
    /// The rings that follow each other.
    rings: Vec<Bytes>,
    /// The generation whose descriptor lies in the link, or lay there last.
    passed: AtomicU32,
    pub(super) reader: Arc<Doorbell>,
    pub(super) writer: Arc<Doorbell>,
    /// The kernel has hung up the link, since this process has let go of it.
    hung_up: AtomicBool,
    /// This process has written down that its peer has hung up.
    gone: AtomicBool,
}

impl<A: Atomics> Side<A> {
    fn new(capacities: &[u64], flaw: Flaw, polled: bool) -> Side<A> {
        Side {
            header: Header::new(4096, RingId::new(0, capacities[0])),
            rings: capacities.iter().copied().map(Bytes::new).collect(),
            passed: AtomicU32::new(0),
            reader: Arc::new(Doorbell::new(flaw, polled)),
            writer: Arc::new(Doorbell::new(flaw, polled)),
            hung_up: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// The ring that it begins with.
    pub(super) fn first_ring(&self) -> RingId {
        RingId::new(0, self.rings[0].capacity())
    }

    /// The bytes of a ring.
    pub(super) fn bytes(&self, generation: u32) -> &Bytes {
        &self.rings[generation as usize]
    }

    /// The descriptor of a ring is passed over the link.
    pub(super) fn pass(&self, generation: u32) {
        // Release, and acquire below: the lock of the socket orders what was done before.
        self.passed.store(generation, Ordering::Release);
    }

    /// The descriptor of a ring that was announced is received from the link.
    pub(super) fn receive(&self, generation: u32) {
        assert_eq!(
            self.passed.load(Ordering::Acquire),
            generation,
            "an announced ring was not passed"
        );
    }

    pub(super) fn is_hung_up(&self) -> bool {
        // Acquire: a process that learns of the other's end sees everything that the other did
        // before.
        self.hung_up.load(Ordering::Acquire)
    }
}

/// The process that a half belongs to. In the models of one direction the left one writes and the
/// right one reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Left,
    Right,
}

/// A stream between two processes.
pub(super) struct World<A: Atomics> {
    left: Side<A>,
    right: Side<A>,
    pub(super) time: Arc<Time>,
    pub(super) flaw: Flaw,
}

impl<A: Atomics> World<A> {
    /// With a ring of `capacity` from left to right, and the smallest the other way.
    pub(super) fn one_way(capacity: u64, flaw: Flaw) -> Arc<World<A>> {
        World::both_ways(capacity, 1, flaw)
    }

    pub(super) fn both_ways(left: u64, right: u64, flaw: Flaw) -> Arc<World<A>> {
        World::new(&[left], right, flaw, false)
    }

    /// As [`one_way`](Self::one_way), with rings that follow each other.
    pub(super) fn exchanging(capacities: &[u64], flaw: Flaw) -> Arc<World<A>> {
        World::new(capacities, 1, flaw, false)
    }

    /// As [`one_way`](Self::one_way), with doorbells that event loops poll.
    pub(super) fn polled(capacity: u64, flaw: Flaw) -> Arc<World<A>> {
        World::new(&[capacity], 1, flaw, true)
    }

    fn new(left: &[u64], right: u64, flaw: Flaw, polled: bool) -> Arc<World<A>> {
        Arc::new(World {
            left: Side::new(left, flaw, polled),
            right: Side::new(&[right], flaw, polled),
            time: Arc::default(),
            flaw,
        })
    }

    pub(super) fn own(&self, who: Who) -> &Side<A> {
        match who {
            Who::Left => &self.left,
            Who::Right => &self.right,
        }
    }

    pub(super) fn peer(&self, who: Who) -> &Side<A> {
        match who {
            Who::Left => &self.right,
            Who::Right => &self.left,
        }
    }

    pub(super) fn headers(&self, who: Who) -> Headers<'_, A> {
        Headers {
            own: &self.own(who).header,
            peer: &self.peer(who).header,
        }
    }

    /// Ends the writing of `who`, as `Endpoint::end_writing` does. Says whether it was the first
    /// to.
    pub(super) fn end_writing(&self, who: Who, how: u32) -> bool {
        let Headers { own, peer } = self.headers(who);
        let by_formula = || {
            A::fence(Ordering::SeqCst);
            let tail = own.published.0.tail.load(Ordering::Relaxed);
            let wake = peer.wake_at_tail.0.load(Ordering::Relaxed);
            tail < wake && wake <= tail
        };
        let (first, ring) = self.end(&own.published.0.fin, how, &peer.wake_at_tail.0, by_formula);
        if ring {
            self.peer(who).reader.wake();
        }
        first
    }

    /// Ends the reading of `who`, as `Endpoint::end_reading` does. Says whether it was the first
    /// to.
    pub(super) fn end_reading(&self, who: Who, how: u32) -> bool {
        let Headers { own, peer } = self.headers(who);
        let by_formula = || {
            A::fence(Ordering::SeqCst);
            let head = own.consumed.0.head.load(Ordering::Relaxed);
            let wake = peer.wake_at_head.0.load(Ordering::Relaxed);
            head < wake && wake <= head
        };
        let (first, ring) = self.end(&own.consumed.0.stop, how, &peer.wake_at_head.0, by_formula);
        if ring {
            self.peer(who).writer.wake();
        }
        first
    }

    /// Stores an end; says whether it is the first one, and whether the half that owns `wake` has
    /// to be woken.
    fn end(
        &self,
        word: &A::U32,
        how: u32,
        wake: &A::U64,
        by_formula: impl Fn() -> bool,
    ) -> (bool, bool) {
        weakly(self.flaw.in_end(), || match self.flaw {
            Flaw::EndOverwrites => {
                word.store(how, Ordering::Release);
                (true, wake_word::is_armed::<A>(wake))
            }
            Flaw::EndByFormula => {
                let first = word.replace(ended::OPEN, how, Ordering::Release);
                (first, first && by_formula())
            }
            _ => ring::end::<A>(word, how, wake),
        })
    }

    /// Both directions, with a code, as `Endpoint::abort` does.
    pub(super) fn abort(&self, who: Who, code: u32) {
        let store = || {
            self.own(who)
                .header
                .published
                .0
                .code
                .store(code, Ordering::Relaxed)
        };
        if self.flaw != Flaw::CodeAfterEnd {
            store();
        }
        self.end_writing(who, ended::ABORTED);
        self.end_reading(who, ended::ABORTED);
        if self.flaw == Flaw::CodeAfterEnd {
            store();
        }
    }

    /// The process lets go of the link, in order or by dying. The kernel tells every sleeper that
    /// watches the other end.
    pub(super) fn hang_up(&self, who: Who) {
        // Release: see `is_hung_up`.
        self.own(who).hung_up.store(true, Ordering::Release);
        self.peer(who).reader.wake();
        self.peer(who).writer.wake();
    }

    /// As `Endpoint::check_peer` does.
    pub(super) fn check_peer(&self, who: Who) {
        let order = match self.flaw {
            Flaw::GoneRelease => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        if self.peer(who).is_hung_up() {
            self.own(who).gone.store(true, order);
        }
    }

    /// As `Endpoint::is_gone` does.
    pub(super) fn is_gone(&self, who: Who) -> bool {
        let order = match self.flaw {
            Flaw::GoneAcquire => Ordering::Relaxed,
            _ => Ordering::Acquire,
        };
        self.own(who).gone.load(order)
    }
}
