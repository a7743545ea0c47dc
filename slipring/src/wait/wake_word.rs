//! Wake words: how a half says that it sleeps, and how its peer finds out whether to wake it.
//!
//! # Why a half that never sleeps stays so
//!
//! A half with [`Spin::Always`](super::Spin::Always) says [`NEVER_SLEEPS`] from its beginning, and
//! its peer then neither fences nor wakes it. Such a half may never sleep again, not even after its
//! wake word says something else:
//!
//! ```text
//! reader, said before that it never sleeps     writer
//! ----------------------------------------     ------
//!                                              tail.store(new)     still in the store buffer
//!                                              wake_at_tail.load() == NEVER_SLEEPS: wakes nobody
//! wake_at_tail.store(wanted)
//! fence(SeqCst)
//! poll: the old tail
//! sleep, for ever
//! ```
//!
//! The fence of the reader orders its own store and load. It does not empty the store buffer of the
//! writer, which had no reason to. So each way to sleep is closed to such a half:
//!
//! * A blocking call spins until there is news or its time is up (`SpinPolicy::spin`).
//! * `Reader::arm` and `Writer::arm` fail ([`Error::NeverSleeps`](crate::Error::NeverSleeps)), so
//!   that no event loop polls it. Its descriptor alone promises nothing without `arm`.
//! * A stream of tokio's is not made of it (`tokio::Stream::from_blocking` fails likewise).
//!
//! The model `unfenced` runs both halves so, and its control sleeps: it deadlocks.
//!
//! A half whose peer does not check for this word loses nothing: the peer fences, and at worst
//! wakes in vain. A peer of any user may say it, as it puts only itself at risk.

use super::atomics::{Atomics, Word};
use std::sync::atomic::Ordering;

/// The half is awake.
pub(crate) const AWAKE: u64 = 0;

/// The half is awake and never sleeps: its peer need not wake it, nor fence before loading this
/// word.
pub(crate) const NEVER_SLEEPS: u64 = u64::MAX;

/// The state that one half keeps of its own wake word, which it alone stores.
#[derive(Debug, Default)]
pub(crate) struct WakeWord {
    never_sleeps: bool,
    left_armed: bool,
}

impl WakeWord {
    /// The half never sleeps from now on.
    pub(crate) fn never_sleep<A: Atomics>(&mut self, word: &A::U64) {
        self.never_sleeps = true;
        self.disarm::<A>(word);
    }

    /// Says that the half sleeps until the peer's index reaches `at`. The caller polls again before
    /// it sleeps. Not to be called after [`never_sleep`](Self::never_sleep).
    #[inline]
    pub(crate) fn arm<A: Atomics>(&self, word: &A::U64, at: u64) {
        debug_assert!(!self.never_sleeps, "a half that never sleeps is about to");
        self.advertise::<A>(word, at);
    }

    /// Lets the peer see that the half waits for `at`, though it goes on polling by itself.
    #[inline]
    pub(crate) fn advertise<A: Atomics>(&self, word: &A::U64, at: u64) {
        debug_assert!(at != AWAKE && at != NEVER_SLEEPS);
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
        let awake = if self.never_sleeps {
            NEVER_SLEEPS
        } else {
            AWAKE
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
/// been stored, and has gone from `old` to `new`. `may_never_sleep`: it may say [`NEVER_SLEEPS`].
#[inline(always)]
pub(crate) fn must_wake<A: Atomics>(
    word: &A::U64,
    old: u64,
    new: u64,
    may_never_sleep: bool,
) -> bool {
    // Relaxed: a half that ever says this never sleeps, so nobody waits for a value that this load
    // may miss.
    if may_never_sleep && word.load(Ordering::Relaxed) == NEVER_SLEEPS {
        return false;
    }
    // SeqCst: between this side's index and the load of the peer's wake word, as the peer has it
    // between its wake word and its load of this side's index. Without it both loads may miss both
    // stores, and the peer sleeps on.
    A::fence(Ordering::SeqCst);
    // Relaxed: ordered by the fence. `NEVER_SLEEPS` is more than any index.
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
    index < word && word != NEVER_SLEEPS
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
        assert_eq!(says(), NEVER_SLEEPS);
        own.advertise::<Std>(&word, 8);
        assert_eq!(says(), 8);
        own.disarm::<Std>(&word);
        assert_eq!(says(), NEVER_SLEEPS);
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
