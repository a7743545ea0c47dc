//! Finding the next publisher of a name: by pauses that grow, and without blocking in between.

use super::options::SubscriberOptions;
use super::sides::{Attached, SubscriberSide};
use crate::error::{Error, Result};
use crate::link::{Handshake, Progress, Step, WhenFull};
use crate::name::Name;
use crate::options::Options;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A subscriber on its way to the next publisher.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    name: Name,
    options: Arc<Options>,
    side: SubscriberSide,
    handshake: Option<Handshake<SubscriberSide>>,
    /// When to look for the name again.
    next: Instant,
    pause: Duration,
}

impl Reconnecting {
    pub(crate) fn new(name: Name, options: &SubscriberOptions) -> Reconnecting {
        let mut base = options.base.clone();
        // Each look is one look.
        base.wait_for_listener = None;
        let mut reconnecting = Reconnecting {
            name,
            options: Arc::new(base),
            side: options.side(),
            handshake: None,
            next: Instant::now(),
            pause: FIRST_PAUSE,
        };
        reconnecting.pause();
        reconnecting
    }

    /// Waits before the next look, by chance up to half as long again, so that hundreds of
    /// subscribers do not come at once.
    fn pause(&mut self) {
        self.handshake = None;
        let by_chance = RandomState::new().build_hasher().finish() % 512;
        self.next = Instant::now() + self.pause + self.pause * by_chance as u32 / 1024;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Goes as far as it can. `None`: later, when [`until`](Self::until) has come or the
    /// [`socket`](Self::socket) has something.
    ///
    /// # Errors
    ///
    /// The publisher that is there now is another one than what this subscriber asks for, and
    /// waiting does not help.
    pub(crate) fn step(&mut self) -> Result<Option<Attached>> {
        match self.try_step() {
            Ok(outcome) => Ok(outcome),
            Err(
                error @ (Error::Kind { .. }
                | Error::Protocol { .. }
                | Error::Version { .. }
                | Error::UntrustedPeer { .. }),
            ) => Err(error),
            Err(_) => {
                self.pause();
                Ok(None)
            }
        }
    }

    fn try_step(&mut self) -> Result<Option<Attached>> {
        if self.handshake.is_none() {
            if Instant::now() < self.next {
                return Ok(None);
            }
            let mut dial = self.options.dialling(&self.name);
            let Step::Connected(dialed) =
                dial.search(&|uid| self.options.trusts(uid), WhenFull::Return)?
            else {
                self.pause();
                return Ok(None);
            };
            let (options, name) = (Arc::clone(&self.options), self.name.clone());
            self.handshake = Some(Handshake::of_client(dialed, options, name, self.side)?);
        }
        while let Some(handshake) = &mut self.handshake {
            match handshake.step()? {
                Progress::Arrived => {}
                Progress::Wait { .. } => {
                    if handshake
                        .deadline()
                        .is_some_and(|deadline| Instant::now() >= deadline)
                    {
                        return Err(handshake.late());
                    }
                    return Ok(None);
                }
                Progress::Done => {
                    if let Some(handshake) = self.handshake.take() {
                        return handshake.finish().map(Some);
                    }
                }
            }
        }
        Ok(None)
    }

    /// When to go on at the latest.
    pub(crate) fn until(&self) -> Option<Instant> {
        match &self.handshake {
            Some(handshake) => handshake.deadline(),
            None => Some(self.next),
        }
    }

    /// The socket that is waited on meanwhile, if there is one.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.handshake.as_ref().map(Handshake::link)
    }
}
