//! Two processes that meet at a name, whoever comes first.

use super::acceptor::Acceptor;
use super::dial::dial;
use super::directory::{Places, Standing};
use super::handshake::{First, Handshake, Waits, drive};
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
        match join_first(options, &name) {
            // The first one is not listening yet or has met somebody else in the meantime; or it is gone.
            Err(Error::NotBound { .. } | Error::PeerGone) => {}
            outcome => return outcome,
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(late(start));
        }
        thread::sleep(BETWEEN_STEPS);
    }
}

fn wait_for_second(first: Acceptor, deadline: Option<Instant>, start: Instant) -> Result<Connected> {
    let connected = first.accept(deadline)?.ok_or_else(|| late(start))?;
    let mut binding = first.into_binding();
    // From here on a third one is told; those in the backlog were hung up on, and come back to see it.
    binding.mark_paired()?;
    binding.retire_socket();
    connected.endpoint.keep(binding);
    Ok(connected)
}

fn join_first(options: &Arc<Options>, name: &Name) -> Result<Connected> {
    let deadline = Options::deadline(options.handshake_timeout_or_default());
    let link = dial(name, deadline, &|uid| options.trusts(uid))?;
    let handshake = Handshake::new(
        link,
        Arc::clone(options),
        Some(name.clone()),
        First::Me,
        Waits::Blocking,
    )?;
    drive(handshake, deadline)
}

/// Whether the two that meet at this name have met.
fn is_paired(name: &Name) -> Result<bool> {
    let places = Places::from_env();
    Ok(places
        .candidates(name)?
        .iter()
        .filter(|candidate| candidate.standing == Standing::Safe)
        .any(|candidate| matches!(lock_state(&candidate.spot.lock), LockState::Held { paired: true, .. })))
}

fn late(start: Instant) -> Error {
    Error::Timeout {
        what: "waiting for the other side of the rendezvous",
        after: start.elapsed(),
    }
}
