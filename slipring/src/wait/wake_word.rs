//! Wake words: how a half says that it sleeps, and how its peer finds out whether to wake it.
//!
//! # When a half may say that it needs no fence
//!
//! While a half says [`UNFENCED`], its peer publishes without a fence, and wakes nobody. A half may
//! not simply go to sleep afterwards:
//!
//! ```text
//! reader, which has said UNFENCED              writer
//! -------------------------------              ------
//!                                              tail.store(new)     still in the store buffer
//!                                              wake_at_tail.load() == UNFENCED: wakes nobody
//! wake_at_tail.store(wanted)
//! fence(SeqCst)
//! poll: the old tail
//! sleep, for ever
//! ```
//!
//! The fence of the reader orders its own store and load. It does not empty the store buffer of the
//! writer, which had no reason to. So there are two kinds of halves that say it.
//!
//! *A half that never sleeps* (`Spin::Always`) says it from its beginning, for ever, and each way
//! to sleep is closed to it: a blocking call spins until there is news or its time is up, and `arm`
//! and `tokio::Stream::from_blocking` fail with [`Error::NeverSleeps`](crate::Error::NeverSleeps).
//!
//! *A half in full flow* says it: a half of blocking calls after many waits that ended while it
//! spun, and a writer after a run of publications, whether it has waited or not. When it arms,
//! it takes that back, and is *in doubt*: a store that the peer has made without a fence may be
//! under way. No processor keeps a store back for longer than it takes to get its line, which is
//! well below a microsecond. A thread that is stopped has retired both the store and the load that
//! comes after it in the program, or will do the load again. So a half in doubt sleeps for [a
//! moment](super::a_moment), a millisecond, at most, and polls again. After a whole moment it is no
//! longer in doubt:
//!
//! * A store that the peer made before it could see the half armed is visible by now. The poll
//!   finds it.
//! * At each later store the peer sees the half armed, fences, and wakes it.
//!
//! A sleep that ends sooner settles nothing: a stale wake-up may have ended it. A half on tokio
//! sleeps where no time is set, so it does not say it, and one that comes to tokio out of a flow
//! lets the moment pass before.
//!
//! The model `unfenced` runs both kinds, and its controls, which sleep without a second look,
//! deadlock. loom knows no time. The millisecond is stated there as an order of events, and is the
//! one assumption that no model can prove.
//!
//! A half whose peer does not check for this word loses nothing: the peer fences, and at worst
//! wakes in vain. A peer of any user may say it, as it puts only itself at risk.

use super::atomics::{Atomics, Word};
use crate::fail_points;
use std::sync::atomic::Ordering;

/// The half is awake.
pub(crate) const AWAKE: u64 = 0;

/// The half is awake, and finds by itself what its peer publishes: the peer need not wake it, nor
/// fence before loading this word.
pub(crate) const UNFENCED: u64 = u64::MAX;

/// Why a half says [`UNFENCED`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Unfenced {
    /// It does not.
    #[default]
    No,
    InFlow,
    NeverSleeps,
}

/// The state that one half keeps of its own wake word, which it alone stores.
#[derive(Debug, Default)]
pub(crate) struct WakeWord {
    unfenced: Unfenced,
    may_flow: bool,
    in_doubt: bool,
    left_armed: bool,
}

impl WakeWord {
    /// The half never sleeps from now on.
    pub(crate) fn never_sleep<A: Atomics>(&mut self, word: &A::U64) {
        self.unfenced = Unfenced::NeverSleeps;
        self.disarm::<A>(word);
    }

    /// Whether the half may enter a flow: one of blocking calls that spin. One that is polled in an
    /// event loop would have to leave the flow each time before.
    pub(crate) fn allow_flow(&mut self, yes: bool) {
        self.may_flow = yes && fail_points::may_flow();
    }

    /// The half needs no waking from now on, until it arms: it finds its news by spinning, or is a
    /// writer that publishes again and again. Does nothing for a half that may not.
    pub(crate) fn enter_flow<A: Atomics>(&mut self, word: &A::U64) {
        if self.may_flow && self.unfenced == Unfenced::No {
            self.unfenced = Unfenced::InFlow;
            self.disarm::<A>(word);
        }
    }

    /// Whether a store of the peer's may be under way of which it will not tell: the half sleeps
    /// for a moment at most.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// To be called after a whole moment in which the half was armed.
    pub(crate) fn settle(&mut self) {
        self.in_doubt = false;
    }

    /// Ends a flow, for a half that is going to sleep where no sleep ends by itself. Blocks for a
    /// moment if there was one.
    #[cfg(feature = "tokio")]
    pub(crate) fn leave_flow<A: Atomics>(&mut self, word: &A::U64) {
        self.may_flow = false;
        if self.unfenced == Unfenced::InFlow {
            self.unfenced = Unfenced::No;
            self.in_doubt = true;
            self.disarm::<A>(word);
            // SeqCst: the peer sees the half awake before the moment begins.
            A::fence(Ordering::SeqCst);
        }
        if self.in_doubt {
            std::thread::sleep(super::moment::a_moment());
            self.settle();
        }
    }

    /// Says that the half sleeps until the peer's index reaches `at`. The caller polls again before
    /// it sleeps. Not to be called after [`never_sleep`](Self::never_sleep).
    #[inline]
    pub(crate) fn arm<A: Atomics>(&mut self, word: &A::U64, at: u64) {
        debug_assert!(
            self.unfenced != Unfenced::NeverSleeps,
            "a half that never sleeps is about to"
        );
        if self.unfenced == Unfenced::InFlow {
            self.unfenced = Unfenced::No;
            self.in_doubt = true;
        }
        self.advertise::<A>(word, at);
    }

    /// Lets the peer see that the half waits for `at`, though it goes on polling by itself.
    #[inline]
    pub(crate) fn advertise<A: Atomics>(&self, word: &A::U64, at: u64) {
        debug_assert!(at != AWAKE && at != UNFENCED);
        // Release: a peer that sees this half wait sees all that the half has given back before.
        // The fence orders everything else.
        word.store(at, Ordering::Release);
        // SeqCst: between this half's wake word and its poll of the peer's indexes; pairs with the
        // fence in `must_wake`, and with that of the peer's own arming.
        A::fence(Ordering::SeqCst);
    }

    /// Takes back either of the two.
    #[inline]
    pub(crate) fn disarm<A: Atomics>(&mut self, word: &A::U64) {
        self.left_armed = false;
        let awake = match self.unfenced {
            Unfenced::No => AWAKE,
            Unfenced::InFlow | Unfenced::NeverSleeps => UNFENCED,
        };
        // Relaxed: a peer that still sees the old value wakes once too often, which is allowed.
        word.store(awake, Ordering::Relaxed);
    }

    /// Leaves the half armed, for a caller that sleeps elsewhere or polls again. The next operation
    /// that moves an index disarms it.
    pub(crate) fn leave_armed(&mut self) {
        self.left_armed = true;
    }

    #[inline(always)]
    pub(crate) fn is_left_armed(&self) -> bool {
        self.left_armed
    }
}

/// Whether the half that owns `word` has to be woken, now that the index which it waits for has
/// been stored, and has gone from `old` to `new`.
#[inline(always)]
pub(crate) fn must_wake<A: Atomics>(word: &A::U64, old: u64, new: u64) -> bool {
    // A thread that was stopped between a load that the compiler had moved up and the store would
    // make that store at any time later.
    A::index_stored();
    // Relaxed: a half that has said this does not rely on being woken for an index that was stored
    // before this load could see anything else; see the beginning of this file.
    if word.load(Ordering::Relaxed) == UNFENCED {
        return false;
    }
    // SeqCst: between this side's index and the load of the peer's wake word, as the peer has it
    // between its wake word and its load of this side's index. Without it both loads may miss both
    // stores, and the peer sleeps on.
    A::fence(Ordering::SeqCst);
    // Relaxed: ordered by the fence. `UNFENCED` is more than any index.
    let word = word.load(Ordering::Relaxed);
    old < word && word <= new
}

/// Whether the half that owns `word` sleeps, or is about to: asked after an end was stored.
#[inline]
pub(crate) fn is_armed<A: Atomics>(word: &A::U64) -> bool {
    // SeqCst: between the `fin` or `stop` stored before and the load of the wake word, as in
    // `must_wake`.
    A::fence(Ordering::SeqCst);
    is_beyond(word.load(Ordering::Relaxed), AWAKE)
}

/// Whether `word` says that its owner waits for an index beyond `index`.
#[inline(always)]
pub(crate) fn is_beyond(word: u64, index: u64) -> bool {
    index < word && word != UNFENCED
}

#[cfg(test)]
mod tests {
    use super::super::atomics::Std;
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_word_says_what_its_half_does() {
        let word = AtomicU64::new(AWAKE);
        let says = || word.load(Ordering::Relaxed);
        let mut own = WakeWord::default();
        own.arm::<Std>(&word, 7);
        assert_eq!(says(), 7);
        own.leave_armed();
        assert!(own.is_left_armed());
        own.disarm::<Std>(&word);
        assert!(!own.is_left_armed());
        assert_eq!(says(), AWAKE);
        own.never_sleep::<Std>(&word);
        assert_eq!(says(), UNFENCED);
        own.advertise::<Std>(&word, 8);
        assert_eq!(says(), 8);
        own.disarm::<Std>(&word);
        assert_eq!(says(), UNFENCED);
        own.enter_flow::<Std>(&word);
        assert_eq!(own.unfenced, Unfenced::NeverSleeps);
    }

    #[test]
    fn a_half_that_arms_after_a_flow_is_in_doubt_until_it_settles() {
        let word = AtomicU64::new(AWAKE);
        let says = || word.load(Ordering::Relaxed);
        let mut own = WakeWord::default();
        own.arm::<Std>(&word, 7);
        assert!(!own.is_in_doubt());
        own.disarm::<Std>(&word);
        own.enter_flow::<Std>(&word);
        assert_eq!(says(), AWAKE);
        own.allow_flow(true);
        own.enter_flow::<Std>(&word);
        assert_eq!(says(), UNFENCED);
        // Seen to wait, it goes on polling.
        own.advertise::<Std>(&word, 8);
        own.disarm::<Std>(&word);
        assert_eq!(says(), UNFENCED);
        assert!(!own.is_in_doubt());
        own.arm::<Std>(&word, 9);
        assert_eq!(says(), 9);
        own.disarm::<Std>(&word);
        assert_eq!(says(), AWAKE);
        own.arm::<Std>(&word, 9);
        assert!(own.is_in_doubt());
        own.settle();
        assert!(!own.is_in_doubt());
    }

    #[test]
    #[should_panic(expected = "never sleeps")]
    #[cfg(debug_assertions)]
    fn a_half_that_never_sleeps_cannot_arm() {
        let word = AtomicU64::new(AWAKE);
        let mut own = WakeWord::default();
        own.never_sleep::<Std>(&word);
        own.arm::<Std>(&word, 9);
    }
}
