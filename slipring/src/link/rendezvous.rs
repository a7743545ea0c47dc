//! Two processes that meet at a name, in whatever order they come.
//!
//! A rendezvous is a sequence of [claims](Rendezvous::claim). The one that gets the name is the
//! first, and waits for the other to come; the other joins it. Between two claims something was on
//! its way that has no event.

use super::acceptor::{Accepted, Acceptor};
use super::binding::Binding;
use super::dial::{Dial, Dialed, Patience, Queue};
use super::directory::{DirTrust, RuntimeDirs};
use super::handshake::{Handshake, drive};
use super::lock::{LockState, lock_state};
use super::stream_side::Waits;
use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::options::Options;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The pause before trying again while the peer is between two steps of coming or going. It covers
/// only steps that have no event: they are a few system calls of a process that runs.
pub(crate) const BETWEEN_STEPS: Duration = Duration::from_millis(2);

/// How long a process that has the name's lock may take to make its socket.
const COMING: Duration = Duration::from_secs(2);

/// Meeting one other process at a name.
#[derive(Debug, Clone)]
pub(crate) struct Rendezvous {
    options: Arc<Options>,
    name: Name,
    started: Instant,
    deadline: Option<Instant>,
    /// Since when the name has a holder whose socket is not there.
    hidden: Option<Instant>,
}

/// Which process has the name.
#[derive(Debug)]
pub(crate) enum Claim {
    /// This process's; it waits for its peer.
    First(Box<Acceptor>),
    /// The other's, which is there.
    Second,
}

impl Rendezvous {
    pub(crate) fn new(options: Arc<Options>, name: Name) -> Rendezvous {
        Rendezvous {
            deadline: options.wait_for_listener.map(Options::deadline),
            options,
            name,
            started: Instant::now(),
            hidden: None,
        }
    }

    /// Meets the peer, blocking.
    ///
    /// # Errors
    ///
    /// [`Error::RendezvousTaken`]; [`Error::Timeout`]; and as binding and connecting.
    pub(crate) fn meet(mut self) -> Result<Connected> {
        loop {
            match self.claim()? {
                Claim::First(first) => {
                    let Accepted::Stream(connected) = first.accept(self.deadline)? else {
                        return Err(self.late());
                    };
                    return met(first.into_binding(), connected);
                }
                Claim::Second => {}
            }
            let joined = self.dialling().drive(&|uid| self.options.trusts(uid));
            let joined = joined.and_then(|dialed| drive(self.handshake(dialed, Waits::Blocking)?));
            match self.after_joining(joined) {
                Some(outcome) => return outcome,
                None => thread::sleep(BETWEEN_STEPS),
            }
        }
    }

    /// Takes the name, if nobody has it.
    pub(crate) fn claim(&self) -> Result<Claim> {
        match Acceptor::new(Arc::clone(&self.options), self.name.clone()) {
            Ok(first) => return Ok(Claim::First(Box::new(first))),
            Err(Error::NameInUse { .. }) => {}
            Err(e) => return Err(e),
        }
        if is_paired(&self.name)? {
            let name = self.name.to_string();
            return Err(Error::RendezvousTaken { name });
        }
        Ok(Claim::Second)
    }

    /// By when the peer has to come.
    #[cfg(feature = "tokio")]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Connecting to the first.
    pub(crate) fn dialling(&self) -> Dial {
        let usual = Options::deadline(self.options.handshake_timeout_or_default());
        let until = self.deadline.map_or(usual, |deadline| deadline.min(usual));
        let left = until.saturating_duration_since(Instant::now());
        let queue = Queue {
            of_another: Some(left),
            of_this: left,
        };
        Dial::new(
            RuntimeDirs::from_env(),
            self.name.clone(),
            Patience::None,
            queue,
        )
    }

    /// The handshake with the first.
    pub(crate) fn handshake(&self, dialed: Dialed, waits: Waits) -> Result<Handshake> {
        Handshake::of_client(dialed, Arc::clone(&self.options), self.name.clone(), waits)
    }

    /// The result of joining the first. `None`: to be tried again.
    pub(crate) fn after_joining(&mut self, joined: Result<Connected>) -> Option<Result<Connected>> {
        let now = Instant::now();
        let is_late = self.deadline.is_some_and(|deadline| now >= deadline);
        match joined {
            Err(Error::Timeout { .. }) if is_late => Some(Err(self.late())),
            // Perhaps it is not listening yet.
            Err(gone @ Error::SocketGone { .. }) => {
                let since = *self.hidden.get_or_insert(now);
                if now >= since + COMING {
                    return Some(Err(gone));
                }
                is_late.then(|| Err(self.late()))
            }
            // It has met another process in the meantime; or it is gone.
            Err(Error::NotBound { .. } | Error::PeerGone) => {
                self.hidden = None;
                is_late.then(|| Err(self.late()))
            }
            outcome => Some(outcome),
        }
    }

    pub(crate) fn late(&self) -> Error {
        Error::Timeout {
            what: "waiting for the other side of the rendezvous",
            after: self.started.elapsed(),
        }
    }
}

/// The result of the first once the other has come. It listens no more, and goes on holding the
/// name.
pub(crate) fn met(mut binding: Binding, connected: Connected) -> Result<Connected> {
    // From here on a third one is told; those in the backlog were hung up on, and come back to see
    // it.
    binding.mark_paired()?;
    binding.retire_socket();
    connected.endpoint.hold(Box::new(binding));
    Ok(connected)
}

/// Whether the two that meet at this name have met.
fn is_paired(name: &Name) -> Result<bool> {
    for candidate in RuntimeDirs::from_env().candidates(name)? {
        if candidate.trust == DirTrust::Safe
            && let LockState::Held { paired: true, .. } = lock_state(&candidate.paths.lock)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
