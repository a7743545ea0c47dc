//! How the halves of the models sleep: by the real [`wait::sleep`](crate::wait::sleep), or in an
//! event loop by the real [`wait::prepare`](crate::wait::prepare).

use super::flaw::Flaw;
use super::time::Time;
use super::world::Doorbell;
use crate::ring::Status;
use crate::wait::{Park, Parked, PollHalf, WakeWord, prepare, sleep};
use std::io;
use std::mem;
use std::sync::Arc;

/// The operations of a half that its sleeping needs.
pub(super) trait Half {
    fn flaw(&self) -> Flaw;
    /// The doorbell that it sleeps on.
    fn doorbell(&self) -> Arc<Doorbell>;
    /// How many bytes are known to be there.
    fn known(&self) -> u64;
    fn time(&self) -> Arc<Time>;
    fn wake_word(&mut self) -> &mut WakeWord;
    fn arm(&mut self, want: u64);
    fn disarm(&mut self);
    fn poll(&mut self, want: u64) -> Status;
    fn wake_starved_peer(&mut self);

    /// Sleeps until `want` bytes are there, or something else that ends the wait.
    fn wait(&mut self, want: u64) -> Status
    where
        Self: Sized,
    {
        self.sleep(want, true)
    }

    /// Goes to sleep and is out of time at once, wherever the other threads are by then. `Pending`:
    /// out of time.
    fn wait_a_moment(&mut self, want: u64) -> Status
    where
        Self: Sized,
    {
        self.sleep(want, false)
    }

    /// Waits as an event loop does: arms, polls the descriptor, and comes back to the operation,
    /// which withdraws when it succeeds.
    fn wait_polling(&mut self, want: u64) -> Status
    where
        Self: Sized,
    {
        let mut bed = Bed::new(self, true);
        loop {
            let found = prepare(&mut Waiting { half: self, want }, &mut bed);
            if self.flaw() == Flaw::DrainAfterPoll {
                bed.doorbell.drain();
            }
            if let Some(status) = found.expect("the model's doorbells do not fail") {
                self.disarm();
                return status.expect("the models have no errors");
            }
            bed.doorbell.poll();
        }
    }

    fn sleep(&mut self, want: u64, patient: bool) -> Status
    where
        Self: Sized,
    {
        if self.known() >= want {
            return Status::Ready;
        }
        // The real halves poll and spin before. A model for which that matters calls `poll` itself.
        let mut bed = Bed::new(self, patient);
        match sleep(&mut Waiting { half: self, want }, &mut bed).expect("it sleeps here") {
            Ok(status) => status,
            Err(_) => Status::Pending,
        }
    }
}

struct Waiting<'a, H> {
    half: &'a mut H,
    want: u64,
}

impl<H: Half> PollHalf for Waiting<'_, H> {
    type News = Status;

    fn poll(&mut self) -> Option<io::Result<Status>> {
        let found = match self.half.poll(self.want) {
            Status::Pending => None,
            news => Some(Ok(news)),
        };
        if self.half.flaw() == Flaw::PollBeforeArm {
            self.half.arm(self.want);
        }
        found
    }

    fn arm(&mut self) {
        if self.half.flaw() != Flaw::PollBeforeArm {
            self.half.arm(self.want);
        }
    }

    fn is_in_doubt(&mut self) -> bool {
        self.half.wake_word().is_in_doubt()
    }

    fn settle(&mut self) {
        self.half.wake_word().settle();
    }

    fn disarm(&mut self) {
        self.half.disarm();
    }

    fn wake_starved_peer(&mut self) {
        self.half.wake_starved_peer();
    }

    fn check_peer(&mut self) -> io::Result<()> {
        // The models poll with the hang-up as it is.
        Ok(())
    }
}

/// Where a half sleeps.
struct Bed {
    doorbell: Arc<Doorbell>,
    time: Arc<Time>,
    /// A wake-up of an earlier sleep has not ended one yet.
    stale: bool,
    flaw: Flaw,
    patient: bool,
}

impl Bed {
    fn new(half: &impl Half, patient: bool) -> Bed {
        Bed {
            doorbell: half.doorbell(),
            time: half.time(),
            stale: true,
            flaw: half.flaw(),
            patient,
        }
    }
}

impl Park for Bed {
    fn park(&mut self, briefly: bool) -> io::Result<Parked> {
        if !self.patient {
            return Ok(Parked::TimedOut);
        }
        if briefly && self.flaw != Flaw::NoSecondLook {
            if mem::take(&mut self.stale) {
                return Ok(match self.flaw {
                    Flaw::SettlesSoon => Parked::Briefly,
                    _ => Parked::Woken,
                });
            }
            self.time.moment();
            return Ok(Parked::Briefly);
        }
        self.doorbell.wait();
        Ok(Parked::Woken)
    }

    fn drain(&mut self) -> io::Result<bool> {
        if self.flaw != Flaw::DrainAfterPoll {
            self.doorbell.drain();
        }
        Ok(false)
    }
}
