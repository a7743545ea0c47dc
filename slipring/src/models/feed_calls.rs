//! No subscriber of a feed sleeps on while there is news. One that does shows as a deadlock.

use super::feed_memory::Memory;
use super::mutant::{Mutant, weakly};
use super::time::Time;
use super::{Flaw, Why, fails, holds_within};
use crate::feed::calls::{self, NOBODY, SOMEBODY, Sleep, Sleeper};
use crate::ring::{Atomics, Word, load_peer};
use crate::wait::model::Loom;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Mutex, Notify};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A publisher, its waker, and one subscriber.
struct Feed<A: Atomics> {
    memory: Arc<Memory<A>>,
    /// The waker sleeps here, until it is called or announced to.
    called: Notify,
    /// The subscriber sleeps here.
    rung: Notify,
    done: AtomicBool,
    /// How many subscribers may sleep.
    sleepers: A::U32,
    /// The waker's, or the publisher's while that rings by itself.
    sleeper: Mutex<Sleeper>,
    /// The publisher rings by itself.
    is_few: bool,
    time: Arc<Time>,
}

impl<A: Atomics> Feed<A> {
    /// Publishes up to `tail`.
    fn publish(&self, tail: u64) {
        let header = &self.memory.header;
        header.published.0.tail.store(tail, Ordering::Release);
        let flaw = self.memory.flaw;
        let must_call = weakly(flaw.in_feed_call(), || {
            calls::must_call(header, &self.sleepers)
        });
        if !must_call {
            return;
        }
        match self.sleeper.try_lock() {
            Ok(mut sleeper) if self.is_few => self.round(&mut sleeper),
            _ => self.called.notify(),
        }
    }

    /// The waker, until everything is read.
    fn wake(&self) {
        loop {
            self.called.wait();
            // Acquire: as everything before it.
            if self.done.load(Ordering::Acquire) {
                return;
            }
            self.round(&mut self.sleeper.lock().unwrap());
        }
    }

    fn round(&self, sleeper: &mut Sleeper) {
        let mut scan = |tail| {
            let sleep = sleeper.look(&self.memory.page, tail);
            if sleep == Sleep::Due {
                self.rung.notify();
            }
            sleep != Sleep::Awake
        };
        let header = &self.memory.header;
        let flaw = self.memory.flaw;
        if flaw == Flaw::FeedNoSecondLook {
            header.calls.0.store(NOBODY, Ordering::Relaxed);
            A::fence(Ordering::SeqCst);
            if scan(header.published.0.tail.load(Ordering::Relaxed)) {
                header.calls.0.store(SOMEBODY, Ordering::Relaxed);
            }
        } else {
            weakly(flaw.in_feed_round(), || calls::round(header, scan));
        }
    }

    /// Lets in the first subscriber that may sleep.
    fn let_in(&self) {
        self.sleepers.store(1, Ordering::Relaxed);
        self.round(&mut self.sleeper.lock().unwrap());
        if self.memory.flaw != Flaw::FeedNoLookAfterJoin {
            self.time.moment();
            self.round(&mut self.sleeper.lock().unwrap());
        }
    }

    /// The subscriber: reads up to `last`, one after the other.
    fn read(&self, last: u64) {
        let (header, page) = (&self.memory.header, &self.memory.page);
        let flaw = self.memory.flaw;
        let mut position = 0;
        let look = |position| {
            let tail = load_peer::<A, _>(&header.published.0.tail);
            (tail > position).then_some(tail)
        };
        while position < last {
            let must_announce = weakly(flaw.in_feed_arm(), || {
                calls::arm(page, header, position + 1)
            });
            if must_announce && flaw != Flaw::FeedNoAnnouncement {
                self.called.notify();
            }
            position = loop {
                match look(position) {
                    Some(tail) => break tail,
                    None => self.rung.wait(),
                }
            };
            calls::disarm(page);
        }
    }
}

fn feed<A: Atomics>(flaw: Flaw, sleepers: u32, is_few: bool) -> Arc<Feed<A>> {
    Arc::new(Feed {
        memory: Memory::new(64, flaw),
        called: Notify::new(),
        rung: Notify::new(),
        done: AtomicBool::new(false),
        sleepers: A::U32::new(sleepers),
        sleeper: Mutex::new(Sleeper::default()),
        is_few,
        time: Arc::default(),
    })
}

/// Two publications; the subscriber sleeps for each that it does not find.
fn sleeping<A: Atomics>(flaw: Flaw) {
    woken(feed::<A>(flaw, 1, false));
}

/// The same, of a publisher that rings by itself.
fn sleeping_with_few<A: Atomics>(flaw: Flaw) {
    woken(feed::<A>(flaw, 1, true));
}

fn woken<A: Atomics>(feed: Arc<Feed<A>>) {
    let publishing = thread::spawn({
        let feed = feed.clone();
        move || (1..=2).for_each(|tail| feed.publish(tail))
    });
    let waking = thread::spawn({
        let feed = feed.clone();
        move || feed.wake()
    });
    feed.read(2);
    publishing.join().unwrap();
    // Release: pairs with the acquire of the waker.
    feed.done.store(true, Ordering::Release);
    feed.called.notify();
    waking.join().unwrap();
}

/// A publication without a fence, and one more, while the first subscriber that may sleep comes in.
fn coming_in<A: Atomics>(flaw: Flaw) {
    let feed = feed::<A>(flaw, 0, false);
    let publishing = thread::spawn({
        let feed = feed.clone();
        move || (1..=2).for_each(|tail| feed.time.publication(|| feed.publish(tail)))
    });
    let waking = thread::spawn({
        let feed = feed.clone();
        move || {
            feed.let_in();
            feed.wake();
        }
    });
    feed.read(2);
    publishing.join().unwrap();
    // Release: pairs with the acquire of the waker.
    feed.done.store(true, Ordering::Release);
    feed.called.notify();
    waking.join().unwrap();
}

#[test]
fn no_subscriber_sleeps_on_that_comes_in_after_those_that_never_do() {
    holds_within(1, "a subscriber that may sleep comes in", coming_in::<Loom>);
}

#[test]
fn the_look_after_a_moment_is_needed() {
    fails(
        coming_in::<Mutant>,
        Flaw::FeedNoLookAfterJoin,
        Why::Deadlock,
    );
}

#[test]
fn no_subscriber_sleeps_on() {
    holds_within(2, "a subscriber sleeps", sleeping::<Loom>);
}

#[test]
fn no_subscriber_sleeps_on_whose_publisher_rings_by_itself() {
    holds_within(
        2,
        "a subscriber sleeps, and is rung by its publisher",
        sleeping_with_few::<Loom>,
    );
}

#[test]
fn each_part_of_ringing_by_itself_is_needed() {
    let model = sleeping_with_few::<Mutant>;
    fails(model, Flaw::FeedNoSecondLook, Why::Deadlock);
    fails(model, Flaw::FeedCallFence, Why::Deadlock);
    fails(model, Flaw::FeedArmFence, Why::Deadlock);
}

#[test]
fn each_part_of_calling_is_needed() {
    fails(sleeping::<Mutant>, Flaw::FeedNoAnnouncement, Why::Deadlock);
    fails(sleeping::<Mutant>, Flaw::FeedNoSecondLook, Why::Deadlock);
    fails(sleeping::<Mutant>, Flaw::FeedCallFence, Why::Deadlock);
    fails(sleeping::<Mutant>, Flaw::FeedArmFence, Why::Deadlock);
    fails(sleeping::<Mutant>, Flaw::FeedRoundFence, Why::Deadlock);
}
