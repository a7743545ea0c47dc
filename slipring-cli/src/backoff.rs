//! A pause after a failed accept, so that a lasting shortage (of descriptors, of memory) neither
//! ends a server nor makes it spin.

use std::{fmt::Display, thread, time::Duration};

use crate::console;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    pub fn succeeded(&mut self) {
        self.next = FIRST;
    }

    /// Logs the failure and pauses, each time in a row twice as long up to a second.
    pub fn failed(&mut self, what: impl Display) {
        let pause = self.step();
        console::log(format_args!(
            "{what}; trying again in {} ms",
            pause.as_millis()
        ));
        thread::sleep(pause);
    }

    fn step(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_of_a_backoff_grow_to_a_bound_and_start_anew() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.step(), FIRST);
        assert_eq!(backoff.step(), FIRST * 2);
        for _ in 0..20 {
            backoff.step();
        }
        assert_eq!(backoff.step(), LONGEST);
        backoff.succeeded();
        assert_eq!(backoff.step(), FIRST);
    }
}
