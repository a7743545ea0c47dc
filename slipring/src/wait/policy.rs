//! How a half spins before it sleeps: the one policy of blocking halves, tokio and `mmf`.

use super::coalescer::Coalescer;
use super::half::{Limit, PollHalf};
use super::pause;
use super::permits::{Permits, Shared};
use super::spinner::{Spin, Spinner};
use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

/// The interval at which a spinner checks whether its peer is still there, and the time after which
/// it lets the peer see that it waits.
const CHECK_EVERY: Duration = Duration::from_millis(1);

/// Waits in a row that end while spinning, from which on spinning pays for sure.
const MANY: u32 = 256;

/// And from which on a half is in full flow.
const FLOW: u32 = 4 * MANY;

/// How one half spins, and what it has learnt of its peer.
#[derive(Debug)]
pub(crate) struct SpinPolicy {
    spinner: Spinner,
    coalescer: Coalescer,
    permits: Permits,
    /// Waits that ended while spinning, since the last sleep.
    spins: u32,
    /// `Spin::Always` on a single CPU: the peer needs it too.
    yields: bool,
    /// [`PollHalf::answers`] when the spinner learnt last.
    answers: u64,
    /// When the wait began to spin that goes on now by sleeping.
    spun_since: Option<Instant>,
}

impl SpinPolicy {
    /// `own`: how many CPUs this process may use; `both`: it and its peer between them. `shared`:
    /// by all halves of this process.
    pub(crate) fn new(spin: Spin, own: usize, both: usize, shared: &'static Shared) -> SpinPolicy {
        SpinPolicy {
            spinner: Spinner::new(spin, both),
            coalescer: Coalescer::new(),
            permits: Permits::new(shared, own, both),
            spins: 0,
            yields: both < 2,
            answers: 0,
            spun_since: None,
        }
    }

    /// Whether its half ever spins.
    pub(crate) fn ever_spins(&self) -> bool {
        self.spinner.ever_spins()
    }

    /// Whether nothing ends the spinning but news and the limit of the wait.
    pub(crate) fn is_endless(&self) -> bool {
        self.spinner.is_endless()
    }

    /// Spins until there is news. `None`: it is time to sleep.
    ///
    /// Inlined with the polls and with the caller: the path from the arriving byte to the caller is
    /// part of the round trip.
    #[inline(always)]
    pub(crate) fn spin<H: PollHalf>(
        &mut self,
        half: &mut H,
        limit: Limit,
    ) -> Option<io::Result<H::News>> {
        let budget = self.spinner.budget();
        if budget == Some(Duration::ZERO) {
            self.spun_since = None;
            return None;
        }
        self.coalescer.delay_first_poll();
        // The first polls do not read the clock, which would cost as much as several of them.
        if let Some(outcome) = poll_often(half, pause::SHORT_POLLS, pause::short) {
            self.spinner.learn_later();
            self.coalescer.short(|| (Instant::now(), half.progress()));
            self.count(half);
            return Some(outcome);
        }
        self.spin_on(half, budget, limit)
    }

    /// Spins for as long as `budget` says, if there is a permit for it. Kept apart from the first
    /// polls, so that they stay one small piece of code.
    #[cold]
    #[inline(never)]
    fn spin_on<H: PollHalf>(
        &mut self,
        half: &mut H,
        budget: Option<Duration>,
        limit: Limit,
    ) -> Option<io::Result<H::News>> {
        self.coalescer.long();
        self.spun_since = None;
        let adapts = self.spinner.learns();
        if adapts && self.permits.is_in_vain() {
            return None;
        }
        let start = Instant::now();
        let permit = match budget {
            Some(_) => self.permits.try_acquire()?,
            // The user has asked by name for a core for each blocked call.
            None => self.permits.force_acquire(),
        };
        let outcome = self.poll_until(half, start, budget, limit.end(|| start));
        drop(permit);
        self.spun_since = Some(start);
        // A wait that ran out of time says nothing of spinning.
        let in_time = !matches!(outcome, Some(Err(_)));
        if adapts && in_time {
            self.permits.learn(outcome.is_some());
        }
        if outcome.is_some() {
            if in_time {
                self.count(half);
            }
            self.learn(half);
        }
        outcome
    }

    /// Counts a wait that ended while spinning.
    #[inline(always)]
    fn count<H: PollHalf>(&mut self, half: &mut H) {
        half.count_spin();
        self.spins = self.spins.wrapping_add(1);
        if self.spins.is_multiple_of(MANY) {
            self.paid_often(half);
        }
    }

    #[cold]
    #[inline(never)]
    fn paid_often<H: PollHalf>(&mut self, half: &mut H) {
        self.permits.forget();
        if self.spins >= FLOW {
            half.enter_flow();
        }
    }

    /// To be called before a sleep.
    pub(crate) fn sleeps(&mut self) {
        self.spins = 0;
    }

    fn poll_until<H: PollHalf>(
        &self,
        half: &mut H,
        start: Instant,
        budget: Option<Duration>,
        deadline: Option<Instant>,
    ) -> Option<io::Result<H::News>> {
        let mut checked = start;
        let mut advertised = false;
        let outcome = loop {
            if let Some(outcome) = poll_often(half, pause::LONG_POLLS, pause::long) {
                break Some(outcome);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                break Some(Err(io::ErrorKind::WouldBlock.into()));
            }
            if budget.is_some_and(|budget| now - start >= budget) {
                break None;
            }
            if now - checked >= CHECK_EVERY {
                checked = now;
                if let Err(e) = half.check_peer() {
                    break Some(Err(e));
                }
                if !advertised {
                    // A peer that waits for something this half will not give has to see that this
                    // half waits too.
                    half.advertise();
                    half.wake_starved_peer();
                    advertised = true;
                }
            }
            if self.yields {
                thread::yield_now();
            }
        };
        if advertised {
            half.disarm();
        }
        if matches!(&outcome, Some(Err(e)) if e.kind() == io::ErrorKind::WouldBlock) {
            half.give_up();
        }
        outcome
    }

    /// When the wait began to spin that goes on now by sleeping.
    pub(crate) fn spun_since(&self) -> Option<Instant> {
        self.spun_since
    }

    /// Learns how long a wait took that began by spinning, now that it is over. A wait that slept
    /// at once says nothing.
    pub(crate) fn learn<H: PollHalf>(&mut self, half: &H) {
        let Some(start) = self.spun_since.take() else {
            return;
        };
        if self.spinner.learns() {
            // A half that does not know may have been waited for.
            let answered = half
                .answers()
                .is_none_or(|answers| mem::replace(&mut self.answers, answers) != answers);
            self.spinner.learn(start.elapsed(), answered);
        }
    }
}

#[inline(always)]
fn poll_often<H: PollHalf>(
    half: &mut H,
    polls: u32,
    pause: impl Fn(),
) -> Option<io::Result<H::News>> {
    for _ in 0..polls {
        if let Some(outcome) = half.poll() {
            return Some(outcome);
        }
        pause();
    }
    None
}
