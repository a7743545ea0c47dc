//! Finding a name, and another process at it, without blocking.
//!
//! What touches the file system runs beside the workers, for as long as one look takes. What is
//! waited for, the reactor tells. So a future that is dropped leaves nothing that goes on: at most
//! a look, whose outcome is dropped with it.

use super::handshake::drive;
use super::register;
use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::link::{
    self, Accepted, Acceptor, BETWEEN_STEPS, Claim, Dial, Dialed, Rendezvous, Step, Waits, WhenFull,
};
use crate::name::Name;
use crate::options::Options;
use std::io;
use std::os::fd::RawFd;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::Interest;
use tokio::time::{sleep, timeout_at};

/// Connects to a name.
pub(super) async fn dial(options: &Arc<Options>, name: &Name) -> Result<Dialed> {
    dialled(options.dialling(name), options).await
}

/// Meets one other process at a name.
pub(super) async fn meet(options: &Arc<Options>, name: Name) -> Result<Connected> {
    let mut rendezvous = Rendezvous::new(Arc::clone(options), name);
    loop {
        let claim = {
            let rendezvous = rendezvous.clone();
            beside(move || rendezvous.claim()).await?
        };
        let deadline = rendezvous.deadline();
        let joined = match claim {
            Claim::First(first) => {
                return match before(deadline, wait_for_second(*first)).await {
                    Some(met) => met,
                    None => Err(rendezvous.late()),
                };
            }
            Claim::Second => before(deadline, join(&rendezvous, options)).await,
        };
        let Some(joined) = joined else {
            return Err(rendezvous.late());
        };
        match rendezvous.after_joining(joined) {
            Some(outcome) => return outcome,
            None => sleep(BETWEEN_STEPS).await,
        }
    }
}

/// Accepts the next client. Dropped, it gives the name up.
async fn wait_for_second(first: Acceptor) -> Result<Connected> {
    first.set_polled();
    // SAFETY: the acceptor owns its epoll set and keeps it for as long as it is registered.
    let registered = unsafe { register(First(first), Interest::READABLE) };
    let first = registered.map_err(Error::os("registering with the runtime"))?;
    let connected = loop {
        let mut ready = first
            .readable()
            .await
            .map_err(Error::os("waiting for connections"))?;
        match first.get_ref().0.accept(Some(Instant::now()))? {
            Accepted::Stream(connected) => break connected,
            Accepted::Nothing => ready.clear_ready(),
            Accepted::Busy => {
                drop(ready);
                tokio::task::yield_now().await;
            }
        }
    };
    link::met(first.into_inner().0.into_binding(), connected)
}

async fn join(rendezvous: &Rendezvous, options: &Arc<Options>) -> Result<Connected> {
    let dialed = dialled(rendezvous.dialling(), options).await?;
    drive(rendezvous.handshake(dialed, Waits::Polled)?).await
}

/// Connects, by looks and waits in turn.
async fn dialled(mut dial: Dial, options: &Arc<Options>) -> Result<Dialed> {
    loop {
        let (looked, step) = {
            let options = Arc::clone(options);
            beside(move || {
                let step = dial.search(&|uid| options.trusts(uid), WhenFull::Return)?;
                Ok((dial, step))
            })
            .await?
        };
        match step {
            Step::Connected(dialed) => return Ok(dialed),
            Step::Wait { until } => dial = wait(looked, until).await?,
        }
    }
}

/// Waits until it may be worth to look again.
async fn wait(dial: Dial, until: Option<Instant>) -> Result<Dial> {
    if dial.watch().is_none_or(|watch| watch.inotify().is_none()) {
        let until = until.unwrap_or_else(|| Options::deadline(BETWEEN_STEPS));
        tokio::time::sleep_until(until.into()).await;
        return Ok(dial);
    }
    // SAFETY: the dial owns its watch and keeps it for as long as it is registered.
    let registered = unsafe { register(Waiting(dial), Interest::READABLE) };
    let waiting = registered.map_err(Error::os("registering with the runtime"))?;
    let event = loop {
        let Some(ready) = before(until, waiting.readable()).await else {
            break false;
        };
        let mut ready = ready.map_err(Error::os("waiting for inotify events"))?;
        let Some(watch) = waiting.get_ref().0.watch() else {
            break false;
        };
        let events = watch.take_events()?;
        if events.are_all {
            ready.clear_ready();
        }
        if events.matter {
            break true;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            break false;
        }
    };
    let mut dial = waiting.into_inner().0;
    dial.noticed(event);
    Ok(dial)
}

/// The outcome; `None` if the moment comes first.
async fn before<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline.into(), future).await.ok(),
        None => Some(future.await),
    }
}

/// Runs what takes a moment beside the workers.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(e) => Err(Error::os("looking for a name beside the runtime")(
            io::Error::other(e),
        )),
    }
}

/// An acceptor as the reactor sees it: its epoll set.
struct First(Acceptor);

impl AsRawFd for First {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// What is waited for, as the reactor sees it: the inotify instance.
struct Waiting(Dial);

impl AsRawFd for Waiting {
    fn as_raw_fd(&self) -> RawFd {
        let inotify = self.0.watch().and_then(|watch| watch.inotify());
        inotify.map_or(-1, |inotify| inotify.as_raw_fd())
    }
}
