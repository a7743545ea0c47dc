//! Finding the next publisher of a name: by pauses that grow, and without blocking in between.

use super::options::SubscriberOptions;
use super::sides::{Attached, SubscriberSide};
use crate::error::Result;
use crate::link::{Backoff, Handshake, Progress, Step, WhenFull, may_pass};
use crate::name::Name;
use crate::options::Options;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// A subscriber on its way to the next publisher.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    name: Name,
    options: Arc<Options>,
    side: SubscriberSide,
    handshake: Option<Handshake<SubscriberSide>>,
    /// When to look for the name again.
    next: Instant,
    backoff: Backoff,
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
            backoff: Backoff::new(),
        };
        reconnecting.pause();
        reconnecting
    }

    /// Waits before the next look.
    fn pause(&mut self) {
        self.handshake = None;
        self.next = self.backoff.until();
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
            Err(error) if !may_pass(&error) => Err(error),
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
