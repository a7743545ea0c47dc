//! Two processes that meet at a name, whoever comes first.

use super::acceptor::{Accepted, Acceptor};
use super::dial::{Queue, dial};
use super::directory::{Places, Standing};
use super::handshake::{Handshake, Waits, drive};
use super::lock::{LockState, lock_state};
use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::options::Options;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait before looking again while the other side is between two steps of coming or going. Nothing is
/// awaited by this that would be told otherwise: the steps are a few system calls of a process that runs.
const BETWEEN_STEPS: Duration = Duration::from_millis(2);

/// Meets somebody at `name`, before `deadline` if there is one.
pub(crate) fn rendezvous(options: &Arc<Options>, name: Name, deadline: Option<Instant>) -> Result<Connected> {
    let start = Instant::now();
    loop {
        match Acceptor::new(Arc::clone(options), name.clone()) {
            Ok(first) => return wait_for_second(first, deadline, start),
            Err(Error::NameInUse { .. }) => {}
            Err(e) => return Err(e),
        }
        if is_paired(&name)? {
            return Err(Error::RendezvousTaken { name: name.to_string() });
        }
        match join_first(options, &name, deadline) {
            // The first one is not listening yet or has met somebody else in the meantime; or it is gone.
            Err(Error::NotBound { .. } | Error::SocketGone { .. } | Error::PeerGone) => {}
            Err(Error::Timeout { .. }) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(late(start));
            }
            outcome => return outcome,
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(late(start));
        }
        thread::sleep(BETWEEN_STEPS);
    }
}

fn wait_for_second(first: Acceptor, deadline: Option<Instant>, start: Instant) -> Result<Connected> {
    let Accepted::Stream(connected) = first.accept(deadline)? else {
        return Err(late(start));
    };
    let mut binding = first.into_binding();
    // From here on a third one is told; those in the backlog were hung up on, and come back to see it.
    binding.mark_paired()?;
    binding.retire_socket();
    connected.endpoint.keep(binding);
    Ok(connected)
}

fn join_first(options: &Arc<Options>, name: &Name, deadline: Option<Instant>) -> Result<Connected> {
    let within = options.handshake_timeout_or_default();
    let usual = Options::deadline(within);
    let deadline = deadline.map_or(usual, |deadline| deadline.min(usual));
    let left = deadline.saturating_duration_since(Instant::now());
    let queue = Queue {
        of_another: Some(left),
        of_this: left,
    };
    let dialed = dial(name, queue, &|uid| options.trusts(uid))?;
    let handshake = Handshake::of_client(dialed, Arc::clone(options), name.clone(), Waits::Blocking)?;
    drive(handshake)
}

/// Whether the two that meet at this name have met.
fn is_paired(name: &Name) -> Result<bool> {
    for candidate in Places::from_env().candidates(name)? {
        if candidate.standing == Standing::Safe
            && let LockState::Held { paired: true, .. } = lock_state(&candidate.spot.lock)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn late(start: Instant) -> Error {
    Error::Timeout {
        what: "waiting for the other side of the rendezvous",
        after: start.elapsed(),
    }
}
