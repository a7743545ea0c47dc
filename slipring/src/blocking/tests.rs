//! Waiting, with a half that is played.

use super::*;
use crate::Stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// For how long each wait lasts here.
const TIMEOUT: Duration = Duration::from_millis(5);

/// A half that sees its peer come nearer, as `look` has it.
struct Played<F> {
    looks: u64,
    reach: u64,
    look: F,
}

impl<F: FnMut(u64, &mut u64) -> bool> Waiting for Played<F> {
    type News = ();

    fn look(&mut self) -> Option<io::Result<()>> {
        self.looks += 1;
        (self.look)(self.looks, &mut self.reach).then_some(Ok(()))
    }

    fn arm(&mut self) {}

    fn announce(&mut self) {}

    fn disarm(&mut self) {}

    fn nudge(&mut self) {}

    fn look_at_link(&mut self) {}

    fn look_around(&mut self) {}

    fn stay_armed(&mut self) {}

    fn done(&self) -> u64 {
        0
    }

    fn reach(&self) -> u64 {
        self.reach
    }

    fn missing(&self) -> u64 {
        1 << 40
    }

    fn count_sleep(&self) {}

    fn count_spin(&self) {}
}

/// Each look, of those numbered from 1, may move its reach, and says whether there is news.
fn played<F: FnMut(u64, &mut u64) -> bool>(look: F) -> Played<F> {
    let (looks, reach) = (0, 0);
    Played { looks, reach, look }
}

/// One that never has its news, and whose peer comes a byte nearer with each look.
fn never() -> Played<impl FnMut(u64, &mut u64) -> bool> {
    played(|_, reach| {
        *reach += 1;
        false
    })
}

/// A stream, and what one of its readers would wait with.
fn waiting(spin: Spin) -> (Stream, Stream, Arc<Endpoint>, Blocking) {
    let (left, right) = Stream::pair().unwrap();
    let (reader, writer) = left.into_split();
    let endpoint = Arc::clone(reader.endpoint());
    let watch = Watch::new(&endpoint.own_bells.reader, endpoint.link.as_fd()).unwrap();
    let mut blocking = Blocking::new(&endpoint, watch, spin);
    blocking.set_timeout(Some(TIMEOUT)).unwrap();
    let left = Stream::reunite(reader, writer).unwrap();
    (left, right, endpoint, blocking)
}

fn kind(outcome: io::Result<()>) -> io::ErrorKind {
    outcome.unwrap_err().kind()
}

/// Without a pause it would be looked at ten times a microsecond or more.
#[test]
fn a_peer_that_comes_nearer_is_looked_at_now_and_then() {
    let (_left, _right, _endpoint, mut blocking) = waiting(Spin::Always);
    // Also on a single CPU, which the peer would get instead.
    blocking.yields = false;
    let mut half = never();
    assert_eq!(kind(blocking.wait(&mut half)), io::ErrorKind::WouldBlock);
    assert!(half.looks < 1000, "{} looks", half.looks);
}

/// A peer that gets on ten times as fast as long as nobody looks at it.
#[test]
fn a_peer_that_gets_on_faster_unseen_is_looked_away_from() {
    let (_left, _right, _endpoint, mut blocking) = waiting(Spin::Always);
    let mut before = Instant::now();
    let mut away = 0;
    let mut half = played(|look, reach| {
        // Each wait is two looks, the second one after perhaps looking away.
        if look % 2 == 1 {
            before = Instant::now();
            return false;
        }
        let looked_away = before.elapsed() >= Duration::from_micros(1);
        away += u32::from(looked_away);
        *reach += if looked_away { 40 * 64 } else { 64 };
        true
    });
    for _ in 0..300_000 {
        blocking.wait(&mut half).unwrap();
    }
    // A tick of the clock or another thread may look like it now and then.
    assert!(away > 30_000, "{away} times");
}

#[test]
fn a_bell_that_never_rests_does_not_outlast_a_timeout() {
    let (_left, _right, endpoint, mut blocking) = waiting(Spin::Never);
    let (done, rested) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(20);
            while !done.load(Ordering::Relaxed) {
                endpoint.own_bells.reader.ring();
                if Instant::now() >= end {
                    rested.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        for _ in 0..5 {
            assert_eq!(kind(blocking.wait(&mut never())), io::ErrorKind::WouldBlock);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(
        !rested.load(Ordering::Relaxed),
        "a wait lasted as long as the ringing"
    );
}

/// The first deadline stays that of a call that waits again.
#[test]
fn a_deadline_is_not_begun_anew() {
    for spin in [Spin::Never, Spin::Always] {
        let (_left, _right, _endpoint, mut blocking) = waiting(spin);
        blocking.set_timeout(None).unwrap();
        assert_eq!(blocking.deadline(), None);
        // It is over already: each further wait ends after its first looks.
        let deadline = Some(Instant::now());
        let mut half = never();
        assert_eq!(
            kind(blocking.wait_until(&mut half, deadline)),
            io::ErrorKind::WouldBlock
        );
        assert!(half.looks > 0);
        blocking.set_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(blocking.deadline(), None);
    }
}
