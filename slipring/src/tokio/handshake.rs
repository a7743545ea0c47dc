//! Shaking hands without blocking.

use super::register;
use crate::error::{Error, Result};
use crate::link::{Handshake, Progress, Side};
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use tokio::io::Interest;
use tokio::time::timeout_at;

/// A handshake whose socket is registered with the reactor.
struct Shaking<S: Side>(Handshake<S>);

impl<S: Side> AsRawFd for Shaking<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.link().as_raw_fd()
    }
}

/// Drives a handshake to its end, until its deadline.
pub(super) async fn drive<S: Side>(handshake: Handshake<S>) -> Result<S::Connected> {
    // SAFETY: the handshake owns the socket and keeps it for as long as it is registered.
    let registered =
        unsafe { register(Shaking(handshake), Interest::READABLE | Interest::WRITABLE) };
    let mut shaking = registered.map_err(Error::os("registering with the runtime"))?;
    loop {
        let handshake = &mut shaking.get_mut().0;
        let interest = match handshake.step()? {
            Progress::Done => return shaking.into_inner().0.finish(),
            Progress::Arrived => continue,
            Progress::Wait { write: true } => Interest::READABLE | Interest::WRITABLE,
            Progress::Wait { write: false } => Interest::READABLE,
        };
        let deadline = handshake.deadline();
        let ready = shaking.ready(interest);
        let ready = match deadline {
            Some(deadline) => timeout_at(deadline.into(), ready).await,
            None => Ok(ready.await),
        };
        match ready {
            Ok(ready) => ready
                .map_err(Error::os("waiting for the handshake"))?
                .clear_ready(),
            Err(_) => return Err(shaking.get_ref().0.late()),
        }
    }
}
