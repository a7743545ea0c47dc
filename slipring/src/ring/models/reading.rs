//! The reading half of the models: the real [`Consumer`] between loom's bytes and bells.
//!
//! It does what `half::ReadHalf` does, less what a [`Flaw`] leaves out.

use super::super::{Atomics, Consumer, Look, Word, ended, wake};
use super::asleep::Half;
use super::byte_at;
use super::flaw::Flaw;
use super::mutant::weakly;
use super::world::{Bell, Who, World};
use crate::wait;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) struct Reading<A: Atomics> {
    world: Arc<World<A>>,
    who: Who,
    /// What its wake word says while it is awake.
    awake: u64,
    pub(super) ring: Consumer<A>,
}

impl<A: Atomics> Reading<A> {
    pub(super) fn new(world: &Arc<World<A>>, who: Who) -> Reading<A> {
        Reading {
            ring: Consumer::new(world.peer(who).bytes.capacity()),
            world: Arc::clone(world),
            who,
            awake: wake::AWAKE,
        }
    }

    /// Excuses the peer from its fences, as `wait::Excuse` does.
    pub(super) fn never_sleeps(&mut self) {
        self.awake = wake::UNFENCED;
        self.disarm();
    }

    /// Takes in what the writer has published. An honest writer never seems corrupt.
    pub(super) fn refresh(&mut self) {
        let world = Arc::clone(&self.world);
        let headers = world.headers(self.who);
        let refreshed = weakly(world.flaw.in_reader_refresh(), || {
            self.ring.refresh(headers)
        });
        refreshed.expect("an honest writer");
    }

    /// Looks at all available bytes, as through a slice that was lent.
    pub(super) fn check(&self) {
        let offset = self.ring.offset();
        for i in 0..self.ring.available() {
            let byte = self.world.peer(self.who).bytes.read(offset + i as usize);
            assert_eq!(
                byte,
                byte_at(self.ring.position() + i),
                "a byte that was not written here"
            );
        }
    }

    pub(super) fn consume(&mut self, n: u64) {
        let headers = self.world.headers(self.who);
        if n == 0 {
            return;
        }
        if weakly(self.world.flaw.in_consume(), || {
            self.ring.consume(headers, n)
        }) {
            self.world.peer(self.who).writer.ring();
        }
    }

    /// Reads all that is available.
    pub(super) fn take(&mut self) {
        self.check();
        self.consume(self.ring.available());
    }

    /// Reads until the end, without waiting for anything: the writer is done.
    pub(super) fn drain(&mut self) {
        self.refresh();
        self.take();
    }

    /// Ends the reading; the first reason stays.
    pub(super) fn stop(&self, how: u32) {
        self.world.end_reading(self.who, how);
    }

    /// Looks, with the hang-up as it was known before.
    pub(super) fn look_knowing(&mut self, want: u64, gone: bool) -> Look {
        let world = Arc::clone(&self.world);
        match world.flaw {
            Flaw::FinAfterTail | Flaw::FinAcquire => self.look_wrongly(want, gone),
            _ => self
                .ring
                .look(world.headers(self.who), want, gone)
                .expect("an honest writer"),
        }
    }

    /// Gives up waiting for `want` bytes, as `ReadWait::give_up`: stays armed with something there,
    /// but too little.
    pub(super) fn give_up(&mut self, want: u64) {
        if self.ring.available() > 0 && self.world.flaw != Flaw::NoGiveUp {
            self.arm(want);
            self.nudge();
        }
    }

    /// [`Consumer::look`] with `fin` and `tail` looked at in another way than it does.
    fn look_wrongly(&mut self, want: u64, gone: bool) -> Look {
        let world = Arc::clone(&self.world);
        let fin = || {
            world
                .peer(self.who)
                .header
                .published
                .0
                .fin
                .load(Ordering::Relaxed)
        };
        let early = fin();
        self.ring
            .refresh(world.headers(self.who))
            .expect("an honest writer");
        let fin = match world.flaw {
            Flaw::FinAfterTail => world
                .peer(self.who)
                .header
                .published
                .0
                .fin
                .load(Ordering::Acquire),
            _ => early,
        };
        if self.ring.available() >= want {
            Look::Ready
        } else if fin != ended::OPEN {
            Look::Ended(fin)
        } else if gone {
            Look::Gone
        } else {
            Look::Pending
        }
    }
}

impl<A: Atomics> Half for Reading<A> {
    fn flaw(&self) -> Flaw {
        self.world.flaw
    }

    fn bell(&self) -> &Bell {
        &self.world.own(self.who).reader
    }

    fn known(&self) -> u64 {
        self.ring.available()
    }

    fn arm(&mut self, want: u64) {
        let wake = &self.world.own(self.who).header.wake_at_tail.0;
        let at = self.ring.wake_at(want);
        weakly(self.world.flaw.in_reader_arm(), || wait::arm::<A>(wake, at));
    }

    fn disarm(&mut self) {
        wait::disarm::<A>(&self.world.own(self.who).header.wake_at_tail.0, self.awake);
    }

    fn look(&mut self, want: u64) -> Look {
        let world = Arc::clone(&self.world);
        let peer = world.peer(self.who);
        let gone = world.flaw != Flaw::HangUpAfterFin && peer.is_hung_up();
        match self.look_knowing(want, gone) {
            Look::Pending if world.flaw == Flaw::HangUpAfterFin && peer.is_hung_up() => Look::Gone,
            found => found,
        }
    }

    fn nudge(&mut self) {
        if self.world.flaw != Flaw::NoNudge && self.ring.blocks_writer(self.world.headers(self.who))
        {
            self.world.peer(self.who).writer.ring();
        }
    }
}
