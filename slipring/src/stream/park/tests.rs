//! Waiting, with a half that is played.

use super::*;
use crate::Stream;
use crate::endpoint::Endpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// For how long each wait lasts here.
const TIMEOUT: Duration = Duration::from_millis(5);

/// A half that sees its peer come nearer, as `poll` has it.
struct Played<F> {
    polls: u64,
    progress: u64,
    poll: F,
}

impl<F: FnMut(u64, &mut u64) -> bool> PollHalf for Played<F> {
    type News = ();

    fn poll(&mut self) -> Option<io::Result<()>> {
        self.polls += 1;
        (self.poll)(self.polls, &mut self.progress).then_some(Ok(()))
    }

    fn check_peer(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn progress(&self) -> u64 {
        self.progress
    }
}

/// Each poll, of those numbered from 1, may move its progress, and says whether there is news.
fn played<F: FnMut(u64, &mut u64) -> bool>(poll: F) -> Played<F> {
    let (polls, progress) = (0, 0);
    Played {
        polls,
        progress,
        poll,
    }
}

/// One that never has its news, and whose peer comes a byte nearer with each poll.
fn never() -> Played<impl FnMut(u64, &mut u64) -> bool> {
    played(|_, progress| {
        *progress += 1;
        false
    })
}

/// A stream, and what one of its readers would wait with.
fn waiting(spin: Spin) -> (Stream, Stream, Arc<Endpoint>, Blocking) {
    let (left, right) = Stream::pair().unwrap();
    let (reader, writer) = left.into_split();
    let endpoint = Arc::clone(reader.endpoint());
    let watch = Watch::new(&endpoint.own_doorbells.reader, endpoint.link.as_fd()).unwrap();
    let mut blocking = Blocking::new(&endpoint, watch, spin);
    blocking.set_timeout(Some(TIMEOUT)).unwrap();
    let left = reader.reunite(writer).unwrap();
    (left, right, endpoint, blocking)
}

fn kind(outcome: io::Result<()>) -> io::ErrorKind {
    outcome.unwrap_err().kind()
}

/// A peer that gets on ten times as fast while nobody polls.
#[test]
fn the_first_poll_is_delayed_where_a_peer_gets_on_faster_for_it() {
    let (_left, _right, _endpoint, mut blocking) = waiting(Spin::Always);
    let mut before = Instant::now();
    let mut delays = 0;
    let mut half = played(|poll, progress| {
        // Each wait is two polls, the second one perhaps after a delay.
        if poll % 2 == 1 {
            before = Instant::now();
            return false;
        }
        let delayed = before.elapsed() >= Duration::from_micros(4);
        delays += u32::from(delayed);
        *progress += if delayed { 160 * 64 } else { 64 };
        true
    });
    for _ in 0..300_000 {
        blocking.wait(&mut half, None).unwrap();
    }
    // A tick of the clock or another thread may look like it now and then.
    assert!(delays > 30_000, "{delays} times");
}

#[test]
fn a_bell_that_never_rests_does_not_outlast_a_timeout() {
    let (_left, _right, endpoint, mut blocking) = waiting(Spin::Never);
    let (done, rested) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(20);
            while !done.load(Ordering::Relaxed) {
                endpoint.own_doorbells.reader.wake();
                if Instant::now() >= end {
                    rested.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        for _ in 0..5 {
            assert_eq!(
                kind(blocking.wait(&mut never(), None)),
                io::ErrorKind::WouldBlock
            );
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
        // It is over already: each further wait ends after its first polls.
        let deadline = Some(Instant::now());
        let mut half = never();
        assert_eq!(
            kind(blocking.wait(&mut half, deadline)),
            io::ErrorKind::WouldBlock
        );
        assert!(half.polls > 0);
        blocking.set_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(blocking.deadline(), None);
    }
}
