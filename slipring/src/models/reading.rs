//! The reading half of the models: the real [`Consumer`] between loom's bytes and doorbells.
//!
//! It does what `endpoint::ReadHalf` does, less what a [`Flaw`] leaves out.

use super::asleep::Half;
use super::byte_at;
use super::flaw::Flaw;
use super::mutant::weakly;
use super::time::Time;
use super::world::{Doorbell, Who, World};
use crate::ring::{Atomics, Consumer, Status, Turn, Word, ended};
use crate::wait::WakeWord;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) struct Reading<A: Atomics> {
    world: Arc<World<A>>,
    who: Who,
    wake_word: WakeWord,
    never_sleeps: bool,
    pub(super) ring: Consumer<A>,
    generation: u32,
}

impl<A: Atomics> Reading<A> {
    pub(super) fn new(world: &Arc<World<A>>, who: Who) -> Reading<A> {
        Reading {
            ring: Consumer::new(world.peer(who).first_ring()),
            generation: 0,
            world: Arc::clone(world),
            who,
            wake_word: WakeWord::default(),
            never_sleeps: false,
        }
    }

    /// This half never sleeps from now on.
    pub(super) fn never_sleep(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_tail.0;
        self.wake_word.never_sleep::<A>(word);
        self.never_sleeps = true;
    }

    /// This half is in full flow from now on, until it arms.
    pub(super) fn enter_flow(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_tail.0;
        self.wake_word.allow_flow(true);
        self.wake_word.enter_flow::<A>(word);
    }

    /// Takes in what the writer has published. An honest writer never seems corrupt.
    pub(super) fn refresh(&mut self) {
        let world = Arc::clone(&self.world);
        let headers = world.headers(self.who);
        loop {
            let refreshed = weakly(world.flaw.in_reader_refresh(), || {
                self.ring.refresh(headers)
            });
            match refreshed {
                Ok(()) => return,
                Err(turn) => self.take_ring(turn),
            }
        }
    }

    /// Goes over to the ring that was announced, as `ReadHalf::take_ring` does.
    fn take_ring(&mut self, turn: Turn) {
        let Turn::Moved(word) = turn else {
            panic!("an honest writer seems corrupt");
        };
        let world = Arc::clone(&self.world);
        let next = self.ring.next_ring(word).expect("an honest writer");
        world.peer(self.who).receive(next.generation);
        self.generation = next.generation;
        let must_wake = weakly(world.flaw.in_take(), || {
            self.ring.take(world.headers(self.who), next)
        });
        if must_wake {
            world.peer(self.who).writer.wake();
        }
    }

    /// Looks at all available bytes, as through a slice that was lent.
    pub(super) fn check(&self) {
        let offset = self.ring.offset();
        for i in 0..self.ring.available() {
            let bytes = self.world.peer(self.who).bytes(self.generation);
            let byte = bytes.read(offset + i as usize);
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
            self.world.peer(self.who).writer.wake();
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
    pub(super) fn poll_knowing(&mut self, want: u64, gone: bool) -> Status {
        let world = Arc::clone(&self.world);
        match world.flaw {
            Flaw::FinAfterTail | Flaw::FinAcquire => self.poll_wrongly(want, gone),
            _ => loop {
                match self.ring.poll(world.headers(self.who), want, gone) {
                    Ok(status) => return status,
                    Err(turn) => self.take_ring(turn),
                }
            },
        }
    }

    /// Gives up waiting for `want` bytes, as `ReadWait::give_up`: stays armed with something there,
    /// but too little.
    pub(super) fn give_up(&mut self, want: u64) {
        if self.ring.available() > 0 && self.world.flaw != Flaw::NoGiveUp {
            self.arm(want);
            self.wake_starved_peer();
        }
    }

    /// [`Consumer::poll`] with `fin` and `tail` loaded in another way than it does.
    fn poll_wrongly(&mut self, want: u64, gone: bool) -> Status {
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
            Status::Ready
        } else if fin != ended::OPEN {
            Status::Ended(fin)
        } else if gone {
            Status::PeerDied
        } else {
            Status::Pending
        }
    }
}

impl<A: Atomics> Half for Reading<A> {
    fn flaw(&self) -> Flaw {
        self.world.flaw
    }

    fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.world.own(self.who).reader)
    }

    fn known(&self) -> u64 {
        self.ring.available()
    }

    fn time(&self) -> Arc<Time> {
        Arc::clone(&self.world.time)
    }

    fn wake_word(&mut self) -> &mut WakeWord {
        &mut self.wake_word
    }

    fn arm(&mut self, want: u64) {
        let word = &self.world.own(self.who).header.wake_at_tail.0;
        let at = self.ring.wake_at(want);
        weakly(self.world.flaw.in_reader_arm(), || {
            if self.never_sleeps {
                self.wake_word.advertise::<A>(word, at);
            } else {
                self.wake_word.arm::<A>(word, at);
            }
        });
    }

    fn disarm(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_tail.0;
        self.wake_word.disarm::<A>(word);
    }

    fn poll(&mut self, want: u64) -> Status {
        let world = Arc::clone(&self.world);
        let peer = world.peer(self.who);
        let gone = world.flaw != Flaw::HangUpAfterFin && peer.is_hung_up();
        match self.poll_knowing(want, gone) {
            Status::Pending if world.flaw == Flaw::HangUpAfterFin && peer.is_hung_up() => {
                Status::PeerDied
            }
            found => found,
        }
    }

    fn wake_starved_peer(&mut self) {
        if self.world.flaw != Flaw::NoStarvedWake
            && self.ring.blocks_writer(self.world.headers(self.who))
        {
            self.world.peer(self.who).writer.wake();
        }
    }
}
