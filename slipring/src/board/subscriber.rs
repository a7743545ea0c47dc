//! The subscriber of a board.

use super::error::ReadError;
use super::event::{Event, Snapshot, Update, Value};
use super::options::SubscriberOptions;
use super::view::View;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::feed::{self, End, Sequence};
use crate::peer::Peer;
use crate::stream::Readiness;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// A reader of a board.
///
/// It knows the board key by key: [`changed`](Self::changed) tells each key that has changed, once
/// however often it did, and [`get`](Self::get) reads one. Nothing is lost to a subscriber that is
/// slow: it is told less often. Where each change counts, [`snapshot`](Self::snapshot) gives the
/// whole board at one number, and [`events`](Self::events) every change from that number on.
///
/// # Examples
///
/// A panel that paints sixty times a second what has changed since the last time:
///
/// ```
/// use slipring::board::{Change, Event, Publisher, SubscriberOptions};
/// use slipring::feed::Wake;
/// # let name = format!("doc-board-panel-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut panel = SubscriberOptions::new().wake(Wake::Never).connect(&name)?;
/// for price in 0..1000u64 {
///     publisher.set(b"X", &price.to_le_bytes())?;
/// }
/// // In each frame:
/// if let Some(Event::Changes(changes)) = panel.try_changed()? {
///     for change in changes {
///         println!("{change:?}");
///         let Change::Set { value, version, .. } = change else { panic!() };
///         assert_eq!((value, version), (&999u64.to_le_bytes()[..], 999));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Subscriber {
    feed: feed::Subscriber,
    view: View,
}

impl SubscriberOptions {
    /// Connects to the board of a name.
    ///
    /// # Errors
    ///
    /// As [`feed::SubscriberOptions::connect`]; [`Error::Kind`] if the name is not that of a board.
    pub fn connect(&self, name: impl AsRef<OsStr>) -> Result<Subscriber> {
        let mut feed = self.feed.connect(name)?;
        let view = View::new(&mut feed, self.feed.base.max_peer_capacity)?;
        Ok(Subscriber { feed, view })
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

    /// Each key that has changed since the last call, once, with its newest value or its removal.
    /// Blocks until there is one, or something else to know. The first call tells everything that
    /// is there.
    ///
    /// Nothing is told again that [`snapshot`](Self::snapshot) or [`events`](Self::events) has
    /// told. A key that came and went since the last call may be told as removed.
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    pub fn changed(&mut self) -> io::Result<Event<'_>> {
        while !self.wait(None)? {}
        Ok(self.view.tell().expect("there is news"))
    }

    /// The same, if there is anything within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`changed`](Self::changed).
    pub fn changed_timeout(&mut self, timeout: Duration) -> io::Result<Option<Event<'_>>> {
        // A timeout beyond the end of the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        self.wait(deadline)?;
        Ok(self.view.tell())
    }

    /// The same, if there is anything now. Does not block.
    ///
    /// # Errors
    ///
    /// As [`changed`](Self::changed).
    pub fn try_changed(&mut self) -> io::Result<Option<Event<'_>>> {
        self.view.look(&mut self.feed)?;
        Ok(self.view.tell())
    }

    /// The newest value of a key, and its version; `None` if the key is not there. It may be newer
    /// than what [`changed`](Self::changed) has told, and never older.
    ///
    /// It ends in bounded time, whatever the publisher does: if it writes without pause, is
    /// stopped, or has died half-way. After the end the board stays as it was.
    ///
    /// # Errors
    ///
    /// [`ReadError::Busy`] if this key was changed again and again while it was read.
    pub fn get(&mut self, key: &[u8]) -> std::result::Result<Option<Value<'_>>, ReadError> {
        self.feed.check_owner()?;
        self.view.get(key)
    }

    /// The whole board, exactly as it was before the change of number [`Snapshot::next`].
    /// [`events`](Self::events) goes on with that change, and [`changed`](Self::changed) tells what
    /// came of it and of those after it.
    ///
    /// # Errors
    ///
    /// [`ReadError::Busy`] if the ring of changes was overwritten again and again while the board
    /// was read: a larger [`ring`](super::PublisherOptions::ring) helps.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::board::{Change, Publisher, Subscriber, Update};
    /// # let name = format!("doc-board-snapshot-{}", std::process::id());
    ///
    /// let mut publisher = Publisher::bind(&name)?;
    /// publisher.set(b"EUR/USD", b"1.17")?;
    /// let mut panel = Subscriber::connect(&name)?;
    /// let snapshot = panel.snapshot()?;
    /// assert_eq!(snapshot.entries[&b"EUR/USD"[..]], (0, b"1.17".to_vec()));
    ///
    /// publisher.set(b"EUR/USD", b"1.18")?;
    /// publisher.set(b"EUR/USD", b"1.19")?;
    /// let mut events = panel.events();
    /// for expected in snapshot.next..3 {
    ///     let Update::Change { sequence, .. } = events.recv()? else { panic!() };
    ///     assert_eq!(sequence, expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&mut self) -> std::result::Result<Snapshot, ReadError> {
        self.feed.check_owner()?;
        self.view.snapshot(&mut self.feed)
    }

    /// Every change, one by one: from the one on that the last [`snapshot`](Self::snapshot),
    /// [`changed`](Self::changed) or update has come to.
    pub fn events(&mut self) -> Events<'_> {
        Events { subscriber: self }
    }

    /// Prepares for an event loop that polls this subscriber's
    /// [descriptor](#impl-AsFd-for-Subscriber); see [`feed::Subscriber::arm`]. `Ready` is when to
    /// call [`try_changed`](Self::try_changed), or [`Events::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`changed`](Self::changed).
    pub fn arm(&mut self) -> io::Result<Readiness> {
        if self.view.has_news() {
            self.feed.check_owner()?;
            return Ok(Readiness::Ready);
        }
        self.feed.arm()
    }

    /// What interrupts the calls of this subscriber that wait; see
    /// [`feed::Subscriber::interrupter`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn interrupter(&mut self) -> Result<feed::Interrupter> {
        self.feed.interrupter()
    }

    /// When a subscriber that reconnects has to be asked again. `None` while it is connected.
    pub fn reconnects_at(&self) -> Option<Instant> {
        self.feed.reconnects_at()
    }

    /// The number of the change that comes next.
    pub fn next(&self) -> Sequence {
        self.view.next()
    }

    /// How the board ended, if it has. While a subscriber that reconnects waits for another
    /// publisher, this is how the last one ended.
    pub fn end(&self) -> Option<End> {
        self.view.end().or_else(|| self.feed.end())
    }

    /// A number that the publisher alone has: another one of the same name has another.
    pub fn epoch(&self) -> u64 {
        self.feed.epoch()
    }

    /// The publisher's process.
    pub fn peer(&self) -> &Peer {
        self.feed.peer()
    }

    /// Waits until there is something to tell. `false`: the deadline has come first.
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            self.view.look(&mut self.feed)?;
            if self.view.has_news() {
                return Ok(true);
            }
            let Some(found) = self.feed.wait(deadline)? else {
                return Ok(false);
            };
            self.view.take(&mut self.feed, found)?;
        }
    }
}

/// The descriptor to poll for readability after [`arm`](Subscriber::arm): the socket to the
/// publisher. Another publisher has another one.
impl AsFd for Subscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.feed.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Subscriber {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The changes of a board, one by one; see [`Subscriber::events`].
///
/// # Examples
///
/// ```
/// use slipring::board::{Publisher, Subscriber, Update};
/// # let name = format!("doc-board-events-{}", std::process::id());
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut log = Subscriber::connect(&name)?;
/// publisher.set(b"EUR/USD", b"1.17")?;
/// let mut events = log.events();
/// match events.recv()? {
///     Update::Change { sequence, change } => println!("{sequence}: {change:?}"),
///     Update::Lagged(lagged) => println!("{} changes are gone", lagged.missed),
///     Update::Restarted(restarted) => println!("a new publisher: {:x}", restarted.epoch),
///     Update::Ended(end) => println!("{end}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Events<'a> {
    subscriber: &'a mut Subscriber,
}

impl Events<'_> {
    /// The next update. Blocks until there is one.
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    pub fn recv(&mut self) -> io::Result<Update<'_>> {
        loop {
            if let Some(step) = self.step(None)? {
                return self.update(step);
            }
        }
    }

    /// The next update, if there is one within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> io::Result<Option<Update<'_>>> {
        // A timeout beyond the end of the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        let step = self.step(deadline)?;
        step.map(|step| self.update(step)).transpose()
    }

    /// The next update, if there is one now. Does not block.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> io::Result<Option<Update<'_>>> {
        if let Some(update) = self.subscriber.view.known_update() {
            return Ok(Some(update));
        }
        let found = self.subscriber.feed.look()?;
        found
            .map(|found| self.update(Step::Found(found)))
            .transpose()
    }

    fn step(&mut self, deadline: Option<Instant>) -> io::Result<Option<Step>> {
        if let Some(update) = self.subscriber.view.known_update() {
            return Ok(Some(Step::Known(update)));
        }
        Ok(self.subscriber.feed.wait(deadline)?.map(Step::Found))
    }

    fn update(&mut self, step: Step) -> io::Result<Update<'_>> {
        let Subscriber { feed, view } = &mut *self.subscriber;
        match step {
            Step::Known(update) => Ok(update),
            Step::Found(found) => view.update(feed, found),
        }
    }
}

/// What comes next.
enum Step {
    /// Something that is known already.
    Known(Update<'static>),
    /// Something in the log.
    Found(feed::Found),
}
