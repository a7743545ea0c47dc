//! The subscriber.

use super::Sequence;
use super::error::forked;
use super::event::{End, EndReason, Event, Record, Restarted};
use super::interrupt::Interrupter;
use super::options::{SubscriberOptions, Wake};
use super::park::OnSocket;
use super::reader::Start;
use super::reconnect::Reconnecting;
use super::sides::{Attached, SubscriberSide};
use super::state::{Half, News, State};
use crate::error::{Error, Result};
use crate::link::{Handshake, check_protocol, drive};
use crate::name::Name;
use crate::peer::Peer;
use crate::stream::Readiness;
use crate::sys::closing::Passed;
use crate::sys::errno::Errno;
use crate::sys::poll;
use crate::sys::process;
use crate::wait::{self, Limit, PollHalf, Spin, SpinPolicy};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A reader of a feed.
///
/// Each call that receives returns an [`Event`]: a record, or what else there is to know.
/// Records that were overwritten before this subscriber read them are
/// [`Lagged`](Event::Lagged), and it goes on behind them. It can write nothing that the publisher
/// or another subscriber depends on.
///
/// # Examples
///
/// A panel that paints sixty times a second, and shows the newest:
///
/// ```
/// use slipring::feed::{Event, Publisher, SubscriberOptions, Wake};
/// # let name = format!("doc-feed-panel-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut panel = SubscriberOptions::new().wake(Wake::Never).connect(&name)?;
/// for price in 0..1000u64 {
///     publisher.publish(&price.to_le_bytes())?;
/// }
/// // In each frame:
/// if let Some(Event::Record(record)) = panel.latest()? {
///     println!("{:?}, {} were skipped", record.payload, record.skipped);
///     assert_eq!((record.sequence, record.skipped), (999, 999));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Subscriber {
    attached: Attached,
    state: State,
    policy: SpinPolicy,
    options: SubscriberOptions,
    reconnecting: Option<Reconnecting>,
    /// When a call that waited came back last.
    woken: Option<Instant>,
    /// Once there is one.
    interrupter: Option<Interrupter>,
}

impl SubscriberOptions {
    /// Connects to the feed of a name. A publisher takes this subscriber up by itself, or by
    /// [`Publisher::poll`](super::Publisher::poll).
    ///
    /// # Errors
    ///
    /// As [`Options::connect`](crate::Options::connect); [`Error::Kind`] if the name is not that of
    /// a feed; [`Error::Refused`] also if this subscriber is lossless and the feed admits none.
    pub fn connect(&self, name: impl AsRef<OsStr>) -> Result<Subscriber> {
        let (base, name) = self.checked(name)?;
        let dialed = base.dialling(&name).drive(&|uid| base.trusts(uid))?;
        let handshake = Handshake::of_client(dialed, Arc::new(base), name, self.side())?;
        Subscriber::new(drive(handshake)?, self.clone())
    }

    pub(crate) fn checked(&self, name: impl AsRef<OsStr>) -> Result<(crate::Options, Name)> {
        check_protocol(&self.base)?;
        Ok((self.base.clone(), Name::parse(name)?))
    }

    pub(crate) fn side(&self) -> SubscriberSide {
        SubscriberSide {
            kind: self.kind,
            lossless: self.lossless,
            never_sleeps: self.never_sleeps(),
        }
    }
}

impl Subscriber {
    /// Connects with the default [`SubscriberOptions`].
    ///
    /// # Errors
    ///
    /// See [`SubscriberOptions::connect`].
    pub fn connect(name: impl AsRef<OsStr>) -> Result<Subscriber> {
        SubscriberOptions::new().connect(name)
    }

    pub(crate) fn new(attached: Attached, options: SubscriberOptions) -> Result<Subscriber> {
        let state = State::begin(&attached, options.start, options.lossless)?;
        let cpus = process::cpus(attached.peer.pid);
        let spin = match options.wake {
            Wake::AtOnce => options.base.spin,
            // It has time.
            Wake::Every(_) | Wake::Never => Spin::Never,
        };
        let shared = attached.link.fork_guard().shared();
        Ok(Subscriber {
            policy: SpinPolicy::new(spin, cpus.own, cpus.both, shared),
            attached,
            state,
            options,
            reconnecting: None,
            woken: None,
            interrupter: None,
        })
    }

    /// The next event. Blocks until there is one.
    ///
    /// # Errors
    ///
    /// Only if this process is a forked child, if the operating system fails, if the subscriber is
    /// [never woken](Wake::Never), if it is [interrupted](Self::interrupter), or if it reconnects
    /// and the name has become that of something else.
    pub fn recv(&mut self) -> io::Result<Event<&[u8]>> {
        loop {
            if let Some(news) = self.wait(None)? {
                return Ok(self.event(news));
            }
        }
    }

    /// The next event, if there is one within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> io::Result<Option<Event<&[u8]>>> {
        // A timeout beyond the end of the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        let news = self.wait(deadline)?;
        Ok(news.map(|news| self.event(news)))
    }

    /// The next event, if there is one now. Does not block.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&mut self) -> io::Result<Option<Event<&[u8]>>> {
        let news = self.look()?;
        Ok(news.map(|news| self.event(news)))
    }

    /// The newest record, if there is one that was not received yet. Those before it are skipped,
    /// and [`Record::skipped`] says how many. Does not block.
    ///
    /// [`Lagged`](Event::Lagged) comes of it only if the newest record itself was overwritten while
    /// it was copied; then the next call has a newer one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn latest(&mut self) -> io::Result<Option<Event<&[u8]>>> {
        self.check_owner()?;
        self.half().skip_to_newest();
        self.try_recv()
    }

    /// The events as they come, with bytes of their own; ends with the feed. The last one is
    /// [`Event::Ended`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::feed::{Event, Publisher, Subscriber};
    /// # let name = format!("doc-feed-iter-{}", std::process::id());
    /// # let mut publisher = Publisher::bind(&name)?;
    /// # let mut subscriber = Subscriber::connect(&name)?;
    /// publisher.publish(b"tick")?;
    /// publisher.finish();
    /// let events: Vec<_> = subscriber.iter().collect::<Result<_, _>>()?;
    /// assert!(matches!(events[..], [Event::Record(_), Event::Ended(_)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_> {
        Iter {
            subscriber: self,
            done: false,
        }
    }

    /// Prepares for an event loop that polls this subscriber's
    /// [descriptor](#impl-AsFd-for-Subscriber), in the two steps of [`Readiness`]: `Pending` is
    /// when to poll it for readability, and `Ready` when to call [`try_recv`](Self::try_recv)
    /// instead.
    ///
    /// While it reconnects, `Pending` means to call [`try_recv`](Self::try_recv) again at
    /// [`reconnects_at`](Self::reconnects_at), or as soon as the descriptor that is lent then is
    /// readable; if it was readable from the beginning, there is no other publisher yet, and
    /// nothing to poll.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); [`Error::NeverSleeps`] with [`Spin::Always`].
    pub fn arm(&mut self) -> io::Result<Readiness> {
        self.check_may_wait()?;
        if self.options.never_sleeps() {
            return Err(Error::NeverSleeps.into());
        }
        if self.reconnecting.is_some() {
            return Ok(Readiness::Pending);
        }
        let mut half = Half {
            attached: &self.attached,
            state: &mut self.state,
            interrupter: None,
        };
        let mut park = OnSocket {
            socket: self.attached.link.as_fd(),
            interrupter: None,
            deadline: None,
        };
        Ok(match wait::prepare(&mut half, &mut park)? {
            // It is taken out again by the next call.
            Some(news) => {
                self.state.put_back(news?);
                Readiness::Ready
            }
            None => Readiness::Pending,
        })
    }

    /// What interrupts the calls of this subscriber that wait, from any thread. The first one costs
    /// a descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if there is no descriptor for it.
    pub fn interrupter(&mut self) -> Result<Interrupter> {
        if self.interrupter.is_none() {
            self.interrupter = Some(Interrupter::new()?);
        }
        Ok(self.interrupter.clone().expect("made just now"))
    }

    /// When a subscriber that reconnects has to be asked again. `None` while it is connected.
    pub fn reconnects_at(&self) -> Option<Instant> {
        self.reconnecting
            .as_ref()
            .map(|reconnecting| reconnecting.until().unwrap_or_else(Instant::now))
    }

    /// The number of the record that comes next.
    pub fn next(&self) -> Sequence {
        self.state.next()
    }

    /// How the feed ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.state.end
    }

    /// A number that the publisher alone has: another one of the same name has another.
    pub fn epoch(&self) -> u64 {
        self.attached.feed.facts.epoch
    }

    /// The publisher's process.
    pub fn peer(&self) -> &Peer {
        &self.attached.peer
    }

    /// What was passed beside the feed's memory, once.
    pub(crate) fn take_beside(&mut self) -> Option<Passed> {
        self.attached.beside.take()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn wake_option(&self) -> Wake {
        self.options.wake
    }

    fn half(&mut self) -> Half<'_> {
        Half {
            attached: &self.attached,
            state: &mut self.state,
            interrupter: None,
        }
    }

    #[inline]
    pub(crate) fn check_owner(&self) -> io::Result<()> {
        if self.attached.link.fork_guard().is_owner() {
            Ok(())
        } else {
            Err(forked())
        }
    }

    fn check_may_wait(&self) -> io::Result<()> {
        self.check_owner()?;
        if self.options.wake == Wake::Never {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this subscriber is never woken (Wake::Never): use `try_recv` or `latest`, or \
                 another `Wake`",
            ));
        }
        Ok(())
    }

    /// Looks once, at the feed or for the next publisher.
    #[inline]
    pub(crate) fn look(&mut self) -> io::Result<Option<Found>> {
        self.check_owner()?;
        if self.reconnecting.is_some() {
            return self.reconnect();
        }
        match self.half().look() {
            Some(news) => self.found(news),
            None => {
                // A subscriber that only looks learns of an end by looking.
                self.half().listen_if_due();
                Ok(None)
            }
        }
    }

    /// News; or, if they are an end after which another publisher may come, none yet.
    #[inline]
    fn found(&mut self, news: News) -> io::Result<Option<Found>> {
        match news {
            News::Ended(End {
                reason: EndReason::Finished | EndReason::PublisherDied,
                ..
            }) if self.options.reconnect && self.attached.name.is_some() => {
                let name = self.attached.name.clone();
                self.reconnecting = name.map(|name| Reconnecting::new(name, &self.options));
                self.reconnect()
            }
            news => Ok(Some(Found::News(news))),
        }
    }

    #[cold]
    fn reconnect(&mut self) -> io::Result<Option<Found>> {
        let Some(reconnecting) = &mut self.reconnecting else {
            return Ok(None);
        };
        let Some(attached) = reconnecting.step()? else {
            return Ok(None);
        };
        let before = self.state.end.expect("it reconnects after an end");
        self.state = State::begin(&attached, Start::At(0), self.options.lossless)?;
        self.attached = attached;
        self.reconnecting = None;
        let epoch = self.attached.feed.facts.epoch;
        Ok(Some(Found::Restarted(Restarted { epoch, before })))
    }

    /// Waits for news until `deadline`. `None`: it has come.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<Found>> {
        self.check_may_wait()?;
        let mut waited = false;
        loop {
            if let Some(found) = self.look_in_a_wait()? {
                self.note_woken(waited);
                return Ok(Some(found));
            }
            waited = true;
            if self.interrupter.as_ref().is_some_and(Interrupter::take) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            if self.rest(deadline)? {
                continue;
            }
            match self.sleep(deadline)? {
                Some(news) => {
                    if let Some(found) = self.found(news)? {
                        self.note_woken(true);
                        return Ok(Some(found));
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// As [`look`](Self::look); the link is the matter of the wait.
    #[inline]
    fn look_in_a_wait(&mut self) -> io::Result<Option<Found>> {
        if self.reconnecting.is_some() {
            return self.reconnect();
        }
        match self.half().look() {
            Some(news) => self.found(news),
            None => Ok(None),
        }
    }

    fn note_woken(&mut self, waited: bool) {
        if waited && matches!(self.options.wake, Wake::Every(_)) {
            self.woken = Some(Instant::now());
        }
    }

    /// Waits for something else than news: the next publisher, or the end of the interval in which
    /// this subscriber is not woken. `false`: there is nothing of the kind to wait for.
    fn rest(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        if let Some(reconnecting) = &self.reconnecting {
            let until = reconnecting.until().into_iter().chain(deadline).min();
            nap(reconnecting.socket(), self.interrupter.as_ref(), until)?;
            return Ok(true);
        }
        let (Wake::Every(interval), Some(woken)) = (self.options.wake, self.woken.take()) else {
            return Ok(false);
        };
        let until = woken.checked_add(interval);
        if until.is_none_or(|until| until <= Instant::now()) {
            return Ok(false);
        }
        nap(
            Some(self.attached.link.as_fd()),
            self.interrupter.as_ref(),
            until.into_iter().chain(deadline).min(),
        )?;
        self.half().listen();
        Ok(true)
    }

    /// Spins, then sleeps, until there is news. `None`: the deadline has come.
    fn sleep(&mut self, deadline: Option<Instant>) -> io::Result<Option<News>> {
        let limit = Limit {
            deadline,
            timeout: None,
        };
        let socket = self.attached.link.as_fd();
        let interrupter = self.interrupter.as_ref();
        let mut half = Half {
            attached: &self.attached,
            state: &mut self.state,
            interrupter,
        };
        let park = |_| OnSocket {
            socket,
            interrupter,
            deadline,
        };
        match wait::wait(&mut half, &mut self.policy, limit, park).expect("a socket sleeps here") {
            Ok(news) => Ok(Some(news)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    #[inline]
    pub(crate) fn event(&self, found: Found) -> Event<&[u8]> {
        match found {
            Found::News(News::Record) => {
                let copied = &self.state.copied;
                let since_1970 = copied.time.map(Duration::from_nanos);
                Event::Record(Record {
                    sequence: copied.sequence,
                    time: since_1970.map(|time| SystemTime::UNIX_EPOCH + time),
                    skipped: copied.skipped,
                    payload: copied.payload(),
                })
            }
            Found::News(News::Lagged(lagged)) => Event::Lagged(lagged),
            Found::News(News::Ended(end)) => Event::Ended(end),
            Found::Restarted(restarted) => Event::Restarted(restarted),
        }
    }
}

/// What an event is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    News(News),
    Restarted(Restarted),
}

/// Waits until the socket has something, or there is an interrupt, or until the moment.
fn nap(
    socket: Option<BorrowedFd<'_>>,
    interrupter: Option<&Interrupter>,
    until: Option<Instant>,
) -> io::Result<()> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let bell = interrupter.map(AsFd::as_fd);
    let polled = match (socket, bell) {
        (Some(socket), Some(bell)) => poll::wait_for_either(socket, bell, left),
        (one, other) => poll::wait(one.or(other), false, left),
    };
    if let Some(interrupter) = interrupter {
        interrupter.drain();
    }
    match polled {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // A process that goes on while its pages are unmapped is not asked to be woken.
        if self.attached.link.fork_guard().is_owner() {
            self.half().disarm();
        }
    }
}

/// The descriptor to poll for readability after [`arm`](Subscriber::arm): the socket to the
/// publisher. Another publisher has another one, which is lent from the beginning of its handshake
/// on. There is nothing to poll until [`reconnects_at`](Subscriber::reconnects_at) before that.
impl AsFd for Subscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let shaking = self.reconnecting.as_ref().and_then(Reconnecting::socket);
        shaking.unwrap_or(self.attached.link.as_fd())
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Subscriber {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The events of a feed; see [`Subscriber::iter`].
#[derive(Debug)]
pub struct Iter<'a> {
    subscriber: &'a mut Subscriber,
    done: bool,
}

impl Iterator for Iter<'_> {
    type Item = io::Result<Event<Vec<u8>>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let event = self.subscriber.recv().map(Event::into_owned);
        self.done = matches!(event, Ok(Event::Ended(_)) | Err(_));
        Some(event)
    }
}
