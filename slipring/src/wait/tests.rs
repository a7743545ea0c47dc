//! How a half waits, with one that is played: each part of [`SpinPolicy`] is connected.

use super::permits::Shared;
use super::*;
use std::cell::Cell;
use std::sync::atomic::AtomicU32;
use std::thread;

/// Longer than any spinning here.
const LONG: Duration = Duration::from_millis(2);

/// A half whose news come with the poll of this number, or with the first one after a sleep.
struct Played<'a> {
    news_at: u32,
    polls: u32,
    slept: &'a Cell<bool>,
}

impl PollHalf for Played<'_> {
    type News = ();

    fn poll(&mut self) -> Option<io::Result<()>> {
        self.polls += 1;
        (self.slept.get() || self.polls >= self.news_at).then_some(Ok(()))
    }

    fn check_peer(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where it sleeps, once.
struct Bed<'a>(&'a Cell<bool>);

impl Park for Bed<'_> {
    fn park(&mut self, _: bool) -> io::Result<Parked> {
        thread::sleep(LONG);
        self.0.set(true);
        Ok(Parked::Woken)
    }
}

/// Waits for the poll of this number. Says how often it polled before it had its news, and whether
/// it slept.
fn polls(policy: &mut SpinPolicy, news_at: u32) -> (u32, bool) {
    let slept = Cell::new(false);
    let mut half = Played {
        news_at,
        polls: 0,
        slept: &slept,
    };
    let outcome = wait(&mut half, policy, Limit::default(), |_| Bed(&slept));
    outcome.expect("it sleeps here").unwrap();
    (half.polls, slept.get())
}

/// Polls of a half that sleeps at once: when it is armed, and when it is woken.
const AT_ONCE: u32 = 2;

/// Of a half that has no permit: the first microsecond as well.
const WITHOUT_A_PERMIT: u32 = AT_ONCE + pause::SHORT_POLLS;

const NEVER: u32 = u32::MAX;

fn up_to(time: Duration) -> Spin {
    Spin::UpTo(time)
}

#[test]
fn a_half_spins_before_it_sleeps() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let mut policy = SpinPolicy::new(up_to(LONG), 2, 2, &SPINNING);
    let (polls_before, slept) = polls(&mut policy, NEVER);
    assert!(
        polls_before > WITHOUT_A_PERMIT + pause::LONG_POLLS,
        "{polls_before}"
    );
    assert!(slept);
    // Its permit has been given back.
    let (polls_again, _) = polls(&mut policy, NEVER);
    assert!(
        polls_again > WITHOUT_A_PERMIT + pause::LONG_POLLS,
        "{polls_again}"
    );
}

#[test]
fn news_end_the_spinning() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    for news_at in [1, pause::SHORT_POLLS, WITHOUT_A_PERMIT + 100] {
        let mut policy = SpinPolicy::new(up_to(Duration::from_secs(60)), 2, 2, &SPINNING);
        assert_eq!(polls(&mut policy, news_at), (news_at, false));
    }
}

#[test]
fn a_half_that_never_spins_sleeps_at_once() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    for (spin, cpus) in [(Spin::Never, 2), (up_to(LONG), 1), (Spin::default(), 1)] {
        let mut policy = SpinPolicy::new(spin, cpus, cpus, &SPINNING);
        assert_eq!(polls(&mut policy, NEVER), (AT_ONCE, true), "{spin:?}");
    }
}

#[test]
fn a_half_that_always_spins_does_not_sleep() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    for cpus in [1, 2] {
        let mut policy = SpinPolicy::new(Spin::Always, cpus, cpus, &SPINNING);
        assert!(policy.is_endless());
        assert_eq!(polls(&mut policy, 10_000), (10_000, false));
    }
}

#[test]
fn a_half_without_a_permit_sleeps_after_its_first_polls() {
    // The other one of two CPUs' halves spins.
    static SPINNING: Shared = [AtomicU32::new(1), AtomicU32::new(0)];
    let mut policy = SpinPolicy::new(up_to(LONG), 2, 2, &SPINNING);
    assert_eq!(polls(&mut policy, NEVER), (WITHOUT_A_PERMIT, true));
}

#[test]
fn a_half_learns_from_long_waits_to_sleep_at_once() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let max = Duration::from_micros(50);
    let mut policy = SpinPolicy::new(Spin::Adaptive { max }, 2, 2, &SPINNING);
    let waits: Vec<bool> = (0..16)
        .map(|_| polls(&mut policy, NEVER).0 > AT_ONCE)
        .collect();
    // Eight waits are remembered, and more than half of them have to have been long.
    assert_eq!(waits[..5], [true; 5]);
    assert_eq!(waits[5..], [false; 11]);
}

#[test]
fn a_half_learns_from_short_waits_to_go_on_spinning() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let max = Duration::from_micros(50);
    let mut policy = SpinPolicy::new(Spin::Adaptive { max }, 2, 2, &SPINNING);
    for _ in 0..10 {
        for _ in 0..4 {
            polls(&mut policy, NEVER);
        }
        // Each counts when the next wait begins.
        for _ in 0..8 {
            assert_eq!(polls(&mut policy, 3), (3, false));
        }
    }
}

#[test]
fn a_wait_ends_at_its_deadline() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let mut policy = SpinPolicy::new(Spin::Always, 2, 2, &SPINNING);
    let slept = Cell::new(false);
    let mut half = Played {
        news_at: NEVER,
        polls: 0,
        slept: &slept,
    };
    let limit = Limit {
        deadline: None,
        timeout: Some(LONG),
    };
    let outcome = wait(&mut half, &mut policy, limit, |_| Bed(&slept)).unwrap();
    assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!slept.get());
}

#[test]
fn the_time_of_the_spinning_counts() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    for (spin, spins) in [(up_to(LONG), true), (Spin::Never, false)] {
        let mut policy = SpinPolicy::new(spin, 2, 2, &SPINNING);
        let slept = Cell::new(false);
        let mut half = Played {
            news_at: NEVER,
            polls: 0,
            slept: &slept,
        };
        let mut told = None;
        let outcome = wait(&mut half, &mut policy, Limit::default(), |began| {
            told = began;
            Bed(&slept)
        });
        outcome.unwrap().unwrap();
        assert_eq!(told.is_some(), spins);
        assert_eq!(policy.spun_since(), None);
    }
}

/// A half that gets nothing, and remembers whether it gave up.
struct Fruitless {
    gave_up: bool,
}

impl PollHalf for Fruitless {
    type News = ();

    fn poll(&mut self) -> Option<io::Result<()>> {
        None
    }

    fn check_peer(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn give_up(&mut self) {
        self.gave_up = true;
    }
}

struct OutOfTime;

impl Park for OutOfTime {
    fn park(&mut self, _: bool) -> io::Result<Parked> {
        Ok(Parked::TimedOut)
    }
}

/// Its peer may wait for it until it comes again.
#[test]
fn a_half_that_runs_out_of_time_gives_up_spinning_or_asleep() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    for spin in [Spin::Always, Spin::Never, up_to(LONG)] {
        let mut policy = SpinPolicy::new(spin, 2, 2, &SPINNING);
        let limit = Limit {
            deadline: None,
            timeout: Some(2 * LONG),
        };
        let mut half = Fruitless { gave_up: false };
        let outcome = wait(&mut half, &mut policy, limit, |_| OutOfTime).unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(half.gave_up, "{spin:?}");
    }
}

/// A half that has its news at the first poll.
#[derive(Default)]
struct Flowing {
    entered: u32,
}

impl PollHalf for Flowing {
    type News = ();

    fn poll(&mut self) -> Option<io::Result<()>> {
        Some(Ok(()))
    }

    fn check_peer(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn enter_flow(&mut self) {
        self.entered += 1;
    }
}

/// Sleeps for no time at all.
struct Nap;

impl Park for Nap {
    fn park(&mut self, _: bool) -> io::Result<Parked> {
        Ok(Parked::Woken)
    }
}

fn flows(half: &mut Flowing, policy: &mut SpinPolicy, waits: u32) -> bool {
    half.entered = 0;
    for _ in 0..waits {
        wait(half, policy, Limit::default(), |_| Nap)
            .expect("it sleeps here")
            .unwrap();
    }
    half.entered > 0
}

#[test]
fn a_half_enters_a_flow_after_many_waits_without_a_sleep() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let mut policy = SpinPolicy::new(up_to(LONG), 2, 2, &SPINNING);
    let mut half = Flowing::default();
    assert!(!flows(&mut half, &mut policy, 1000));
    // A sleep begins the count anew.
    polls(&mut policy, NEVER);
    assert!(!flows(&mut half, &mut policy, 1000));
    assert!(flows(&mut half, &mut policy, 100));
}

/// What one half finds out, another one of the process goes by.
#[test]
fn a_half_sleeps_at_once_where_the_others_have_spun_in_vain() {
    static SPINNING: Shared = [AtomicU32::new(0), AtomicU32::new(0)];
    let max = Duration::from_micros(50);
    let policy = || SpinPolicy::new(Spin::Adaptive { max }, 2, 2, &SPINNING);
    for _ in 0..10 {
        let mut policy = policy();
        for _ in 0..5 {
            polls(&mut policy, NEVER);
        }
    }
    assert_eq!(polls(&mut policy(), NEVER), (WITHOUT_A_PERMIT, true));
    // A half for which it pays lets all know.
    let mut half = Flowing::default();
    flows(&mut half, &mut policy(), 256);
    assert!(polls(&mut policy(), NEVER).0 > WITHOUT_A_PERMIT);
}
