//! How the halves of the models sleep: by the real [`wait::sleep`](crate::wait::sleep), or in an
//! event loop by the real [`wait::prepare`](crate::wait::prepare).

use super::super::Look;
use super::flaw::Flaw;
use super::world::Bell;
use crate::wait::{Sleeper, Slept, prepare, sleep};
use std::io;

/// What a half needs for it.
pub(super) trait Half {
    fn flaw(&self) -> Flaw;
    fn bell(&self) -> &Bell;
    /// How many bytes are known to be there.
    fn known(&self) -> u64;
    fn arm(&mut self, want: u64);
    fn disarm(&mut self);
    fn look(&mut self, want: u64) -> Look;
    fn nudge(&mut self);

    /// Sleeps until `want` bytes are there, or something else that ends the wait.
    fn wait(&mut self, want: u64) -> Look
    where
        Self: Sized,
    {
        self.sleep(want, true)
    }

    /// Goes to sleep and is out of time at once, wherever the other threads are by then. `Pending`:
    /// out of time.
    fn wait_a_moment(&mut self, want: u64) -> Look
    where
        Self: Sized,
    {
        self.sleep(want, false)
    }

    /// Waits as an event loop does: arms, polls, and comes back to the operation, which withdraws
    /// when it succeeds.
    fn wait_polling(&mut self, want: u64) -> Look
    where
        Self: Sized,
    {
        loop {
            let found = prepare(&mut Asleep {
                half: self,
                want,
                patient: true,
            });
            if self.flaw() == Flaw::DrainAfterLook {
                self.bell().drain();
            }
            if let Some(look) = found.expect("the model's bells do not fail") {
                self.disarm();
                return look;
            }
            self.bell().poll();
        }
    }

    fn sleep(&mut self, want: u64, patient: bool) -> Look
    where
        Self: Sized,
    {
        if self.known() >= want {
            return Look::Ready;
        }
        // The real halves try and spin before. A model for which that matters calls `look` itself.
        sleep(&mut Asleep {
            half: self,
            want,
            patient,
        })
    }
}

struct Asleep<'a, H> {
    half: &'a mut H,
    want: u64,
    patient: bool,
}

impl<H: Half> Sleeper for Asleep<'_, H> {
    type Outcome = Look;

    fn arm(&mut self) {
        if self.half.flaw() != Flaw::LookBeforeArm {
            self.half.arm(self.want);
        }
    }

    fn disarm(&mut self) {
        self.half.disarm();
    }

    fn look(&mut self) -> Option<Look> {
        let found = match self.half.look(self.want) {
            Look::Pending => None,
            news => Some(news),
        };
        if self.half.flaw() == Flaw::LookBeforeArm {
            self.half.arm(self.want);
        }
        found
    }

    fn nudge(&mut self) {
        self.half.nudge();
    }

    fn block(&mut self) -> Result<Slept, Look> {
        if self.patient {
            self.half.bell().wait();
            Ok(Slept::Woken)
        } else {
            Ok(Slept::TimedOut)
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        if self.half.flaw() != Flaw::DrainAfterLook {
            self.half.bell().drain();
        }
        Ok(())
    }

    fn timed_out(&mut self) -> Look {
        Look::Pending
    }
}
