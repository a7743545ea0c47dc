//! Shaking hands without blocking.

use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::link::{Handshake, Progress};
use rustix::fd::AsRawFd;
use std::os::fd::RawFd;
use std::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A handshake whose socket is registered with the reactor.
struct Shaking(Handshake);

impl AsRawFd for Shaking {
    fn as_raw_fd(&self) -> RawFd {
        self.0.link().as_raw_fd()
    }
}

/// Drives a handshake to its end, until `deadline`.
pub(super) async fn drive(handshake: Handshake, deadline: Instant) -> Result<Connected> {
    let timeout = handshake.timeout();
    match tokio::time::timeout_at(deadline.into(), run(handshake)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Timeout {
            what: "the handshake (a listener may be there without calling accept)",
            after: timeout,
        }),
    }
}

async fn run(handshake: Handshake) -> Result<Connected> {
    // SAFETY: the handshake owns the socket and keeps it for as long as it is registered.
    let registered =
        unsafe { AsyncFd::register_with_interest(Shaking(handshake), Interest::READABLE | Interest::WRITABLE) };
    let mut shaking = registered.map_err(Error::os("registering with the runtime"))?;
    loop {
        let Progress::Wait { write } = shaking.get_mut().0.step()? else {
            return shaking.into_inner().0.finish();
        };
        let interest = if write {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let mut ready = shaking
            .ready(interest)
            .await
            .map_err(Error::os("waiting for the handshake"))?;
        ready.clear_ready();
    }
}
