//! Feeds on tokio: a subscriber whose waiting is the runtime's.
//!
//! A [`feed::Publisher`] needs no other form: it does not wait, unless it
//! admits lossless subscribers, and then for its [`Budget`](crate::feed::Budget) at most.

use super::finding;
use super::handshake::drive;
use super::register;
use crate::error::Result;
use crate::feed::{self, End, Event, Found, Sequence, SubscriberOptions, Wake};
use crate::link::Handshake;
use crate::peer::Peer;
use crate::stream::Readiness;
use futures_core::Stream;
use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;
use tokio::time::{Sleep, sleep_until};

/// Between two steps of a handshake with the next publisher.
const STEP: Duration = Duration::from_millis(5);

/// A reader of a feed, for tokio.
///
/// It has the events of [`feed::Subscriber`], and the same options, and is a
/// [`futures_core::Stream`] of events with bytes of their own. It takes one descriptor more.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Event, Publisher};
/// use slipring::tokio::feed::Subscriber;
/// # let name = format!("doc-tokio-feed-{}", std::process::id());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut subscriber = Subscriber::connect(&name).await?;
/// publisher.publish(b"tick")?;
/// match subscriber.recv().await? {
///     Event::Record(record) => assert_eq!(record.payload, b"tick"),
///     Event::Lagged(lagged) => eprintln!("{} records are gone", lagged.missed),
///     Event::Restarted(restarted) => eprintln!("a new publisher: {:x}", restarted.epoch),
///     Event::Ended(end) => eprintln!("{end}"),
/// }
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Subscriber {
    inner: feed::Subscriber,
    /// A copy of the socket, so that what is registered stays the same until it is replaced.
    socket: AsyncFd<OwnedFd>,
    /// The epoch of the publisher that it leads to.
    registered: u64,
    timer: Option<Pin<Box<Sleep>>>,
    /// When a call that waited came back last.
    woken: Option<Instant>,
    waited: bool,
    ended: bool,
}

impl Subscriber {
    /// Connects with the default [`SubscriberOptions`].
    ///
    /// # Errors
    ///
    /// See [`SubscriberOptions::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it leaves nothing behind but a client that the publisher lets
    /// go.
    pub async fn connect(name: impl AsRef<OsStr>) -> Result<Subscriber> {
        Subscriber::connect_with(&SubscriberOptions::new(), name).await
    }

    /// Connects to the feed of a name.
    ///
    /// # Errors
    ///
    /// See [`SubscriberOptions::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(
        options: &SubscriberOptions,
        name: impl AsRef<OsStr>,
    ) -> Result<Subscriber> {
        // A task sleeps.
        let options = options.clone().spin(crate::Spin::Never);
        let (base, name) = options.checked(name)?;
        let base = Arc::new(base);
        let dialed = finding::dial(&base, &name).await?;
        let handshake = Handshake::of_client(dialed, base, name, options.side())?;
        let attached = drive(handshake).await?;
        let inner = feed::Subscriber::new(attached, options)?;
        let socket =
            registered(&inner).map_err(crate::error::Error::os("registering with the runtime"))?;
        Ok(Subscriber {
            registered: inner.epoch(),
            inner,
            socket,
            timer: None,
            woken: None,
            waited: false,
            ended: false,
        })
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has received nothing.
    pub async fn recv(&mut self) -> io::Result<Event<&[u8]>> {
        let found = poll_fn(|context| self.poll_found(context)).await?;
        Ok(self.inner.event(found))
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    pub fn try_recv(&mut self) -> io::Result<Option<Event<&[u8]>>> {
        self.inner.try_recv()
    }

    /// The newest record; see [`feed::Subscriber::latest`].
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    pub fn latest(&mut self) -> io::Result<Option<Event<&[u8]>>> {
        self.inner.latest()
    }

    /// The number of the record that comes next.
    pub fn next_sequence(&self) -> Sequence {
        self.inner.next()
    }

    /// How the feed ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.inner.end()
    }

    /// A number that the publisher alone has.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    /// The publisher's process.
    pub fn peer(&self) -> &Peer {
        self.inner.peer()
    }

    pub(super) fn inner(&mut self) -> &mut feed::Subscriber {
        &mut self.inner
    }

    /// Takes part in the cooperative budget: a feed that always has something does not starve its
    /// worker.
    pub(super) fn poll_found(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let budget = ready!(coop::poll_proceed(context));
        loop {
            if let Some(found) = self.inner.look()? {
                if std::mem::take(&mut self.waited) {
                    self.woken = Some(Instant::now());
                }
                budget.made_progress();
                return Poll::Ready(Ok(found));
            }
            self.waited = true;
            if let Some(until) = self.later() {
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(sleep_until(until.into())));
                ready!(timer.as_mut().poll(context));
                self.timer = None;
                continue;
            }
            // Another publisher has another one; `try_recv` may have found it as well.
            if self.registered != self.inner.epoch() {
                self.socket = registered(&self.inner)?;
                self.registered = self.inner.epoch();
            }
            if self.inner.arm()? == Readiness::Ready {
                continue;
            }
            // After the socket was drained: what comes from now on is a new event.
            ready!(self.socket.poll_read_ready(context))?.clear_ready();
        }
    }

    /// If there is nothing to be woken by: when to look again.
    fn later(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if let Some(until) = self.inner.reconnects_at() {
            return Some(until.min(now + STEP));
        }
        let Wake::Every(interval) = self.inner.wake_option() else {
            return None;
        };
        let until = self.woken.take()?.checked_add(interval)?;
        (until > now).then_some(until)
    }
}

/// A copy of the socket, registered with the reactor of the runtime that this is called in.
fn registered(subscriber: &feed::Subscriber) -> io::Result<AsyncFd<OwnedFd>> {
    let copy = subscriber.as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` keeps its descriptor open, and always returns the same.
    unsafe { register(copy, Interest::READABLE) }
}

/// The events, with bytes of their own; [`Event::Ended`] is the last one.
impl Stream for Subscriber {
    type Item = io::Result<Event<Vec<u8>>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let subscriber = self.get_mut();
        if subscriber.ended {
            return Poll::Ready(None);
        }
        let event = ready!(subscriber.poll_found(context))
            .map(|found| subscriber.inner.event(found).into_owned());
        subscriber.ended = matches!(event, Ok(Event::Ended(_)) | Err(_));
        Poll::Ready(Some(event))
    }
}
