//! A half that never sleeps excuses its peer from the fences.
//!
//! They are half of what a small message costs, and are for a peer that is about to sleep. Whoever spins for ever
//! ([`Spin::Always`](super::Spin::Always)) need not be rung, so nobody has to look whether it has to be. There is one way for such a half
//! to sleep all the same, in an event loop; then it has the kernel fence in its peer's way, and excuses nobody any more.

use super::pause;
use super::sleep::{arm, arm_by, disarm};
use crate::ring::{Std, wake};
use crate::sys::barrier;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

/// How long a store may be under way, if there is no means to make sure. A processor writes out what it has to as fast as it
/// can, within microseconds.
const UNDER_WAY: Duration = Duration::from_millis(1);

/// What the wake word of one half says while it is awake.
#[derive(Debug, Default)]
pub(crate) struct Excuse {
    given: bool,
}

impl Excuse {
    /// The half does not sleep.
    pub(crate) fn give(&mut self, word: &AtomicU64) {
        self.given = true;
        self.disarm(word);
    }

    /// Lets it be seen that this half waits until its peer's index reaches `at`, though it goes on looking for that by itself.
    #[inline]
    pub(crate) fn announce(&self, word: &AtomicU64, at: u64) {
        arm::<Std>(word, at);
    }

    /// Announces that it sleeps until then.
    #[inline]
    pub(crate) fn arm(&mut self, word: &AtomicU64, at: u64) {
        if self.given {
            self.take_back(word, at);
        } else {
            arm::<Std>(word, at);
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&mut self, word: &AtomicU64, at: u64) {
        self.given = false;
        arm_by::<Std>(word, at, || {
            if !barrier::everywhere() {
                // Forbidden since the handshake: this once, by waiting.
                fence(Ordering::SeqCst);
                pause::away(UNDER_WAY);
            }
        });
    }

    /// Takes either announcement back.
    #[inline]
    pub(crate) fn disarm(&self, word: &AtomicU64) {
        disarm::<Std>(word, if self.given { wake::UNFENCED } else { wake::AWAKE });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_on_the_way() {
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
        // It is taken back by going to sleep.
        excuse.arm(&word, 9);
        assert_eq!(says(), 9);
        excuse.disarm(&word);
        assert_eq!(says(), wake::AWAKE);
    }
}
