//! Boards on tokio: a subscriber whose waiting is the runtime's.
//!
//! A [`board::Publisher`](crate::board::Publisher) needs no other form: it does not wait.

use super::feed;
use crate::board::view::View;
use crate::board::{Event, ReadError, Snapshot, SubscriberOptions, Update, Value};
use crate::error::Result;
use crate::feed::{End, Sequence};
use crate::peer::Peer;
use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;

/// A reader of a board, for tokio.
///
/// It has what [`board::Subscriber`](crate::board::Subscriber) has, key by key, and the same
/// options.
///
/// # Examples
///
/// ```
/// use slipring::board::{Event, Publisher};
/// use slipring::tokio::board::Subscriber;
/// # let name = format!("doc-tokio-board-{}", std::process::id());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut panel = Subscriber::connect(&name).await?;
/// publisher.set(b"EUR/USD", b"1.17")?;
/// match panel.changed().await? {
///     Event::Changes(changes) => changes.for_each(|change| println!("{change:?}")),
///     Event::Restarted(restarted) => println!("a new publisher: {:x}", restarted.epoch),
///     Event::Ended(end) => println!("{end}"),
/// }
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Subscriber {
    feed: feed::Subscriber,
    view: View,
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

    /// Connects to the board of a name.
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
        let mut feed = feed::Subscriber::connect_with(&options.feed, name).await?;
        let view = View::new(feed.inner(), options.feed.base.max_peer_capacity)?;
        Ok(Subscriber { feed, view })
    }

    /// Each key that has changed since the last call; see
    /// [`board::Subscriber::changed`](crate::board::Subscriber::changed).
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has told nothing.
    pub async fn changed(&mut self) -> io::Result<Event<'_>> {
        loop {
            self.view.look(self.feed.inner())?;
            if self.view.has_news() {
                break;
            }
            let found = poll_fn(|context| self.feed.poll_found(context)).await?;
            self.view.take(self.feed.inner(), found)?;
        }
        Ok(self.view.tell().expect("there is news"))
    }

    /// The same, if there is anything now.
    ///
    /// # Errors
    ///
    /// As [`changed`](Self::changed).
    pub fn try_changed(&mut self) -> io::Result<Option<Event<'_>>> {
        self.view.look(self.feed.inner())?;
        Ok(self.view.tell())
    }

    /// The newest value of a key; see
    /// [`board::Subscriber::get`](crate::board::Subscriber::get).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get(&mut self, key: &[u8]) -> std::result::Result<Option<Value<'_>>, ReadError> {
        self.feed.inner().check_owner()?;
        self.view.get(key)
    }

    /// The whole board at one number; see
    /// [`board::Subscriber::snapshot`](crate::board::Subscriber::snapshot).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn snapshot(&mut self) -> std::result::Result<Snapshot, ReadError> {
        self.feed.inner().check_owner()?;
        self.view.snapshot(self.feed.inner())
    }

    /// Every change, one by one; see
    /// [`board::Subscriber::events`](crate::board::Subscriber::events).
    pub fn events(&mut self) -> Events<'_> {
        Events { subscriber: self }
    }

    /// The number of the change that comes next.
    pub fn next_sequence(&self) -> Sequence {
        self.view.next()
    }

    /// How the board ended, if it has. While a subscriber that reconnects waits for another
    /// publisher, this is how the last one ended.
    pub fn end(&self) -> Option<End> {
        self.view.end().or_else(|| self.feed.end())
    }

    /// A number that the publisher alone has.
    pub fn epoch(&self) -> u64 {
        self.feed.epoch()
    }

    /// The publisher's process.
    pub fn peer(&self) -> &Peer {
        self.feed.peer()
    }
}

/// The changes of a board, one by one; see [`Subscriber::events`].
///
/// # Examples
///
/// ```
/// use slipring::board::{Publisher, Update};
/// use slipring::tokio::board::Subscriber;
/// # let name = format!("doc-tokio-board-events-{}", std::process::id());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
///
/// let mut publisher = Publisher::bind(&name)?;
/// let mut log = Subscriber::connect(&name).await?;
/// publisher.set(b"EUR/USD", b"1.17")?;
/// match log.events().recv().await? {
///     Update::Change { sequence, change } => println!("{sequence}: {change:?}"),
///     Update::Lagged(lagged) => println!("{} changes are gone", lagged.missed),
///     Update::Restarted(restarted) => println!("a new publisher: {:x}", restarted.epoch),
///     Update::Ended(end) => println!("{end}"),
/// }
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Events<'a> {
    subscriber: &'a mut Subscriber,
}

impl Events<'_> {
    /// The next update.
    ///
    /// # Errors
    ///
    /// As [`feed::Subscriber::recv`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has told nothing.
    pub async fn recv(&mut self) -> io::Result<Update<'_>> {
        let Subscriber { feed, view } = &mut *self.subscriber;
        if let Some(update) = view.known_update() {
            return Ok(update);
        }
        let found = poll_fn(|context| feed.poll_found(context)).await?;
        view.update(feed.inner(), found)
    }

    /// The next update, if there is one now.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> io::Result<Option<Update<'_>>> {
        let Subscriber { feed, view } = &mut *self.subscriber;
        if let Some(update) = view.known_update() {
            return Ok(Some(update));
        }
        let found = feed.inner().look()?;
        found
            .map(|found| view.update(feed.inner(), found))
            .transpose()
    }
}
