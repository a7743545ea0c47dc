//! What publishers and subscribers of boards are made with.

use crate::feed::{self, Start, Wake};
use crate::link::Kind;
use crate::peer::Peers;
use crate::wait::Spin;
use std::time::Duration;

/// How to set up a publisher of a board.
///
/// # Examples
///
/// ```
/// use slipring::board::PublisherOptions;
/// # let name = format!("doc-board-options-{}", std::process::id());
///
/// let board = PublisherOptions::new()
///     .max_keys(10_000)
///     .max_value(64)
///     .protocol("quotes/1")
///     .bind(&name)?;
/// # drop(board);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "options do nothing until a publisher is made with them"]
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    pub(super) feed: feed::PublisherOptions,
    pub(super) max_keys: u32,
    pub(super) max_value: usize,
    pub(super) ring: Option<usize>,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        PublisherOptions::new()
    }
}

impl PublisherOptions {
    /// The defaults: 1,024 keys, values of up to 256 bytes, 1 MiB of changes or as much as the
    /// longest one needs, subscribers of the same user, a thread that serves them.
    pub fn new() -> PublisherOptions {
        PublisherOptions {
            feed: feed::PublisherOptions::new(),
            max_keys: 1024,
            max_value: 256,
            ring: None,
        }
    }

    /// The most keys that are there at the same time. A board takes about `2 * max_value + 192`
    /// bytes for each of them, all of it from the start, and 1 GiB at most.
    ///
    /// Checked when it is used: [`Error::Capacity`](crate::Error::Capacity).
    pub fn max_keys(mut self, keys: u32) -> PublisherOptions {
        self.max_keys = keys;
        self
    }

    /// The longest value, in bytes.
    pub fn max_value(mut self, bytes: usize) -> PublisherOptions {
        self.max_value = bytes;
        self
    }

    /// Size of the ring that holds the newest changes, in bytes: a power of two from one page to
    /// 1 GiB. A quarter of it has room for the longest key and value, and 96 bytes more.
    ///
    /// A subscriber that is further behind than that compares all keys.
    pub fn ring(mut self, bytes: usize) -> PublisherOptions {
        self.ring = Some(bytes);
        self
    }

    /// The application protocol; see [`Options::protocol`](crate::Options::protocol).
    pub fn protocol(mut self, name: impl Into<String>) -> PublisherOptions {
        self.feed = self.feed.protocol(name);
        self
    }

    /// Which users may subscribe; see [`Options::allow`](crate::Options::allow).
    pub fn allow(mut self, peers: Peers) -> PublisherOptions {
        self.feed = self.feed.allow(peers);
        self
    }

    /// How long the handshake of a subscriber may take; see
    /// [`Options::handshake_timeout`](crate::Options::handshake_timeout).
    pub fn handshake_timeout(mut self, timeout: Duration) -> PublisherOptions {
        self.feed = self.feed.handshake_timeout(timeout);
        self
    }

    /// Whether a thread of this process, `slipring-feed`, serves the subscribers; see
    /// [`feed::PublisherOptions::own_thread`].
    pub fn own_thread(mut self, yes: bool) -> PublisherOptions {
        self.feed = self.feed.own_thread(yes);
        self
    }
}

/// How to set up a subscriber of a board.
///
/// # Examples
///
/// ```
/// use slipring::board::{Publisher, SubscriberOptions};
/// use slipring::feed::Wake;
/// # let name = format!("doc-board-subscriber-options-{}", std::process::id());
///
/// let publisher = Publisher::bind(&name)?;
/// let panel = SubscriberOptions::new()
///     .wake(Wake::Never)
///     .reconnect(true)
///     .connect(&name)?;
/// # drop((publisher, panel));
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "options do nothing until a subscriber is made with them"]
#[derive(Debug, Clone)]
pub struct SubscriberOptions {
    pub(crate) feed: feed::SubscriberOptions,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        SubscriberOptions::new()
    }
}

impl SubscriberOptions {
    /// The defaults: woken at once, no reconnecting, a publisher of the same user.
    pub fn new() -> SubscriberOptions {
        let mut feed = feed::SubscriberOptions::new().start(Start::Newest);
        feed.kind = Kind::Board;
        SubscriberOptions { feed }
    }

    /// When to be woken. With [`Wake::Never`] the calls that wait fail, and
    /// [`try_changed`](super::Subscriber::try_changed) does not.
    pub fn wake(mut self, wake: Wake) -> SubscriberOptions {
        self.feed = self.feed.wake(wake);
        self
    }

    /// Whether to go on by itself with the next publisher of the name; see
    /// [`feed::SubscriberOptions::reconnect`]. [`Event::Restarted`](super::Event::Restarted) tells
    /// of it, and then all of the new board comes.
    pub fn reconnect(mut self, yes: bool) -> SubscriberOptions {
        self.feed = self.feed.reconnect(yes);
        self
    }

    /// How a call that waits spins before it sleeps; see [`Spin`].
    pub fn spin(mut self, spin: Spin) -> SubscriberOptions {
        self.feed = self.feed.spin(spin);
        self
    }

    /// The application protocol; see [`Options::protocol`](crate::Options::protocol).
    pub fn protocol(mut self, name: impl Into<String>) -> SubscriberOptions {
        self.feed = self.feed.protocol(name);
        self
    }

    /// Which users may publish; see [`Options::allow`](crate::Options::allow).
    pub fn allow(mut self, peers: Peers) -> SubscriberOptions {
        self.feed = self.feed.allow(peers);
        self
    }

    /// The largest ring, and the largest board, of a publisher that is accepted, in bytes: 64 MiB
    /// each by default.
    pub fn max_capacity(mut self, bytes: usize) -> SubscriberOptions {
        self.feed = self.feed.max_capacity(bytes);
        self
    }

    /// How long the handshake may take; see
    /// [`Options::handshake_timeout`](crate::Options::handshake_timeout).
    pub fn handshake_timeout(mut self, timeout: Duration) -> SubscriberOptions {
        self.feed = self.feed.handshake_timeout(timeout);
        self
    }

    /// How long to wait for the name to be bound; see
    /// [`Options::wait_for_listener`](crate::Options::wait_for_listener).
    pub fn wait_for_publisher(mut self, timeout: Duration) -> SubscriberOptions {
        self.feed = self.feed.wait_for_publisher(timeout);
        self
    }
}
