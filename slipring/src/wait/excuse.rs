//! A half that never sleeps excuses its peer from the fences.
//!
//! A fence is half of what a small message costs, and it is there for a half that is about to
//! sleep. A blocking half with [`Spin::Always`](super::Spin::Always) never is. Its wake word says
//! [`UNFENCED`](wake::UNFENCED) from its beginning, and its peer then neither fences nor rings.
//!
//! # Why an excuse is for ever
//!
//! A half that has given it may never sleep again, not even after its wake word says something
//! else:
//!
//! ```text
//! reader, excused its writer before         writer
//! ----------------------------------        ------
//!                                           tail.store(new)     still in the store buffer
//!                                           wake_at_tail.load() == UNFENCED: rings nobody
//! wake_at_tail.store(wanted)
//! fence(SeqCst)
//! look: the old tail
//! sleep, for ever
//! ```
//!
//! The fence of the reader orders its own store and load. It does not empty the store buffer of the
//! writer, which had no reason to. So an excuse has no end, and each way to sleep is closed to a
//! half that gives one:
//!
//! * A blocking call spins until there is news or its time is up (`Blocking::spin_or_sleep`).
//! * `Reader::arm` and `Writer::arm` fail ([`Error::NeverSleeps`](crate::Error::NeverSleeps)), so
//!   that no event loop polls it. Its descriptor alone promises nothing without `arm`.
//! * A stream of tokio's is not made of it (`tokio::Stream::from_blocking` fails likewise).
//!
//! The model `unfenced` in `ring::models` runs both halves so, and its control sleeps: it
//! deadlocks.
//!
//! A half that is not excused, or not yet, loses nothing: its peer fences, and at worst rings in
//! vain. A peer of any user may be excused and may excuse, as it puts nobody but itself at risk.

use super::sleep::{arm, disarm};
use crate::ring::{Std, wake};
use std::sync::atomic::AtomicU64;

/// What the wake word of one half says while it is awake.
#[derive(Debug, Default)]
pub(crate) struct Excuse {
    given: bool,
}

impl Excuse {
    /// The half never sleeps from now on.
    pub(crate) fn give(&mut self, word: &AtomicU64) {
        self.given = true;
        self.disarm(word);
    }

    /// Lets it be seen that this half waits until its peer's index reaches `at`, though it goes on
    /// looking for that by itself.
    #[inline]
    pub(crate) fn announce(&self, word: &AtomicU64, at: u64) {
        arm::<Std>(word, at);
    }

    /// Announces that it sleeps until then. Not to be called after [`give`](Self::give).
    #[inline]
    pub(crate) fn arm(&self, word: &AtomicU64, at: u64) {
        debug_assert!(!self.given, "a half that never sleeps is about to");
        arm::<Std>(word, at);
    }

    /// Takes either announcement back.
    #[inline]
    pub(crate) fn disarm(&self, word: &AtomicU64) {
        disarm::<Std>(
            word,
            if self.given {
                wake::UNFENCED
            } else {
                wake::AWAKE
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_wake_word_says_each_step_of_an_excuse() {
        let word = AtomicU64::new(wake::AWAKE);
        let says = || word.load(Ordering::Relaxed);
        let mut excuse = Excuse::default();
        excuse.arm(&word, 7);
        assert_eq!(says(), 7);
        excuse.disarm(&word);
        assert_eq!(says(), wake::AWAKE);
        excuse.give(&word);
        assert_eq!(says(), wake::UNFENCED);
        excuse.announce(&word, 8);
        assert_eq!(says(), 8);
        excuse.disarm(&word);
        assert_eq!(says(), wake::UNFENCED);
    }

    #[test]
    #[should_panic(expected = "never sleeps")]
    #[cfg(debug_assertions)]
    fn after_an_excuse_nobody_sleeps() {
        let word = AtomicU64::new(wake::AWAKE);
        let mut excuse = Excuse::default();
        excuse.give(&word);
        excuse.arm(&word, 9);
    }
}
