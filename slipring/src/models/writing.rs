//! The writing half of the models: the real [`Producer`] between loom's bytes and doorbells.
//!
//! It does what `endpoint::WriteHalf` does, less what a [`Flaw`] leaves out.

use super::asleep::Half;
use super::byte_at;
use super::flaw::Flaw;
use super::mutant::weakly;
use super::time::Time;
use super::world::{Doorbell, Who, World};
use crate::ring::{Atomics, Producer, Status, Word};
use crate::wait::WakeWord;
use crate::wait::wake_word::UNFENCED;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) struct Writing<A: Atomics> {
    world: Arc<World<A>>,
    who: Who,
    wake_word: WakeWord,
    never_sleeps: bool,
    pub(super) ring: Producer<A>,
}

impl<A: Atomics> Writing<A> {
    pub(super) fn new(world: &Arc<World<A>>, who: Who) -> Writing<A> {
        Writing {
            ring: Producer::new(world.own(who).first_ring()),
            world: Arc::clone(world),
            who,
            wake_word: WakeWord::default(),
            never_sleeps: false,
        }
    }

    /// This half never sleeps from now on.
    pub(super) fn never_sleep(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_head.0;
        self.wake_word.never_sleep::<A>(word);
        self.never_sleeps = true;
    }

    /// This half is in full flow from now on, until it arms.
    pub(super) fn enter_flow(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_head.0;
        self.wake_word.allow_flow(true);
        self.wake_word.enter_flow::<A>(word);
    }

    /// Writes the next `n` bytes, which are free, without publishing them.
    pub(super) fn put(&mut self, n: u64) {
        let (offset, generation) = (self.ring.offset(), self.ring.ring().generation);
        for i in 0..n {
            let byte = byte_at(self.ring.position() + i);
            let bytes = self.world.own(self.who).bytes(generation);
            bytes.write(offset + i as usize, byte);
        }
        self.ring.advance(n);
    }

    /// Exchanges the ring for the next one, as `WriteHalf::exchange` does.
    pub(super) fn exchange(&mut self) {
        let own = self.world.own(self.who);
        let before = self.ring.ring();
        let next = own.bytes(before.generation + 1);
        let id = before.followed_by(next.capacity());
        let (from, len) = self.ring.unread();
        if self.world.flaw != Flaw::NothingCopied {
            for position in from..from + len {
                let at = |capacity| (position % capacity) as usize;
                let byte = own.bytes(before.generation).read(at(before.capacity()));
                next.write(at(id.capacity()), byte);
            }
        }
        if self.world.flaw != Flaw::PassedLate {
            own.pass(id.generation);
        }
        let headers = self.world.headers(self.who);
        let must_wake = weakly(self.world.flaw.in_announce(), || {
            self.ring.announce(headers, id)
        });
        if self.world.flaw == Flaw::PassedLate {
            own.pass(id.generation);
        }
        if must_wake {
            self.world.peer(self.who).reader.wake();
        }
    }

    /// The order of a control: `n` bytes go into the next ring, and their tail is published before
    /// that ring is announced.
    pub(super) fn exchange_after(&mut self, n: u64) {
        let own = self.world.own(self.who);
        let before = self.ring.ring();
        let next = own.bytes(before.generation + 1);
        let id = before.followed_by(next.capacity());
        let (from, len) = self.ring.unread();
        let after = from + len..from + len + n;
        for position in after.clone() {
            next.write((position % id.capacity()) as usize, byte_at(position));
        }
        own.header
            .published
            .0
            .tail
            .store(after.end, Ordering::Release);
        own.pass(id.generation);
        let word = id.to_word();
        own.header.published.0.ring.store(word, Ordering::Release);
    }

    /// Exchanges the ring once the reader has taken the last one; says whether it has.
    pub(super) fn try_exchange(&mut self) -> bool {
        let taken = self.ring.untaken(self.world.headers(self.who)) == Ok(0);
        if taken {
            self.exchange();
        }
        taken
    }

    pub(super) fn publish(&mut self) {
        let headers = self.world.headers(self.who);
        let early = (self.world.flaw == Flaw::WakeBeforeIndex)
            .then(|| headers.peer.wake_at_tail.0.load(Ordering::Relaxed));
        let must_wake = weakly(self.world.flaw.in_publish(), || self.ring.publish(headers));
        if must_wake && early != Some(UNFENCED) {
            self.world.peer(self.who).reader.wake();
        }
    }

    pub(super) fn write(&mut self, n: u64) {
        self.put(n);
        self.publish();
    }

    /// Takes in what the reader has consumed. An honest reader never seems corrupt.
    pub(super) fn refresh(&mut self) {
        let headers = self.world.headers(self.who);
        weakly(self.world.flaw.in_writer_refresh(), || {
            self.ring.refresh(headers)
        })
        .expect("an honest reader");
    }

    /// [`Producer::poll`] that takes the reader's wake word for newer than it may be.
    fn poll_once(&mut self, want: u64) -> Status {
        self.refresh();
        let published = self.ring.position() - self.ring.unpublished();
        let peer = &self.world.peer(self.who).header;
        let free = self.ring.free();
        if free >= want {
            Status::Ready
        } else if free > 0 && peer.wake_at_tail.0.load(Ordering::Relaxed) > published {
            if self.world.flaw == Flaw::WakeAcquire {
                self.refresh();
            }
            if self.ring.free() >= want {
                Status::Ready
            } else {
                Status::Starving
            }
        } else {
            Status::Pending
        }
    }

    /// Ends the writing; the first reason stays.
    pub(super) fn end(&self, how: u32) {
        self.world.end_writing(self.who, how);
    }
}

impl<A: Atomics> Half for Writing<A> {
    fn flaw(&self) -> Flaw {
        self.world.flaw
    }

    fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.world.own(self.who).writer)
    }

    fn known(&self) -> u64 {
        self.ring.free()
    }

    fn time(&self) -> Arc<Time> {
        Arc::clone(&self.world.time)
    }

    fn wake_word(&mut self) -> &mut WakeWord {
        &mut self.wake_word
    }

    fn arm(&mut self, want: u64) {
        let word = &self.world.own(self.who).header.wake_at_head.0;
        let at = self.ring.wake_at(want.min(self.ring.capacity())).max(1);
        weakly(self.world.flaw.in_writer_arm(), || {
            if self.never_sleeps {
                self.wake_word.advertise::<A>(word, at);
            } else {
                self.wake_word.arm::<A>(word, at);
            }
        });
    }

    fn disarm(&mut self) {
        let word = &self.world.own(self.who).header.wake_at_head.0;
        self.wake_word.disarm::<A>(word);
    }

    fn poll(&mut self, want: u64) -> Status {
        if matches!(self.world.flaw, Flaw::StarvingByOldHead | Flaw::WakeAcquire) {
            return self.poll_once(want);
        }
        while want > self.ring.capacity() {
            if !self.try_exchange() {
                return Status::Pending;
            }
        }
        let world = Arc::clone(&self.world);
        let gone = world.peer(self.who).is_hung_up();
        match weakly(world.flaw.in_writer_poll(), || {
            self.ring.poll(world.headers(self.who), want, gone)
        })
        .expect("an honest reader")
        {
            Status::Starving if self.world.flaw == Flaw::NoStarvingRule => Status::Pending,
            // As in `WriteHalf::poll`: a dead reader's wake word still says what it waited for.
            Status::Starving if self.world.peer(self.who).is_hung_up() => match self.world.flaw {
                Flaw::HangUpAfterStop => Status::PeerDied,
                _ => self.poll(want),
            },
            look => look,
        }
    }

    fn wake_starved_peer(&mut self) {
        // As in `WriteWait`: a starving reader is seen by `look`.
    }
}
