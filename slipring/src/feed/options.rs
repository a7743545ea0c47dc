//! What publishers and subscribers are made with.

use super::lossless::Budget;
use super::reader::Start;
use crate::link::Kind;
use crate::options::Options;
use crate::peer::Peers;
use crate::wait::Spin;
use std::time::Duration;

/// How to set up a publisher.
///
/// # Examples
///
/// ```
/// use slipring::feed::PublisherOptions;
/// # let name = format!("doc-feed-options-{}", std::process::id());
///
/// let publisher = PublisherOptions::new()
///     .capacity(4 << 20)
///     .max_record(1024)
///     .protocol("ticks/1")
///     .timestamps(true)
///     .bind(&name)?;
/// # drop(publisher);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "options do nothing until a publisher is made with them"]
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    pub(super) base: Options,
    pub(super) max_record: Option<usize>,
    pub(super) lossless: Option<Budget>,
    pub(super) timestamps: bool,
    pub(super) own_thread: bool,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        PublisherOptions::new()
    }
}

impl PublisherOptions {
    /// The defaults: 1 MiB, records of up to nearly a quarter of that, subscribers of the same
    /// user, no lossless ones, no times, a thread that serves the subscribers.
    pub fn new() -> PublisherOptions {
        PublisherOptions {
            base: Options::new().capacity(1 << 20),
            max_record: None,
            lossless: None,
            timestamps: false,
            own_thread: true,
        }
    }

    /// Size of the ring in bytes: a power of two from one page to 1 GiB. At least 15/16 of it hold
    /// the newest records, each with 16 bytes more than its payload, rounded up to a multiple of 8.
    ///
    /// Checked when it is used: [`Error::Capacity`](crate::Error::Capacity).
    pub fn capacity(mut self, bytes: usize) -> PublisherOptions {
        self.base.capacity = bytes;
        self
    }

    /// The longest record, in bytes: up to a quarter of the capacity, less 24. By default just
    /// that.
    pub fn max_record(mut self, bytes: usize) -> PublisherOptions {
        self.max_record = Some(bytes);
        self
    }

    /// The application protocol; see [`Options::protocol`](crate::Options::protocol).
    pub fn protocol(mut self, name: impl Into<String>) -> PublisherOptions {
        self.base = self.base.protocol(name);
        self
    }

    /// Which users may subscribe; see [`Options::allow`](crate::Options::allow).
    pub fn allow(mut self, peers: Peers) -> PublisherOptions {
        self.base = self.base.allow(peers);
        self
    }

    /// How long the handshake of a subscriber may take; see
    /// [`Options::handshake_timeout`](crate::Options::handshake_timeout).
    pub fn handshake_timeout(mut self, timeout: Duration) -> PublisherOptions {
        self.base = self.base.handshake_timeout(timeout);
        self
    }

    /// Admits lossless subscribers. A publication waits for them within this budget; without it,
    /// they are refused, and no publication ever waits.
    pub fn lossless(mut self, budget: Budget) -> PublisherOptions {
        self.lossless = Some(budget);
        self
    }

    /// Whether each record carries the time of its publication.
    pub fn timestamps(mut self, yes: bool) -> PublisherOptions {
        self.timestamps = yes;
        self
    }

    /// Whether a thread of this process, `slipring-feed`, lets subscribers in, wakes them, and
    /// notices that they are gone. Without it [`Publisher::poll`](super::Publisher::poll) does so,
    /// whenever the publisher's descriptor is readable.
    pub fn own_thread(mut self, yes: bool) -> PublisherOptions {
        self.own_thread = yes;
        self
    }
}

/// When a subscriber is woken for news.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wake {
    /// Each time. The default.
    #[default]
    AtOnce,
    /// At most once in this time: a call that waits looks again when it is over, and asks to be
    /// woken if there is nothing then.
    Every(Duration),
    /// Not at all, for a program with a timer of its own. It costs the publisher nothing.
    /// [`recv`](super::Subscriber::recv) and other calls that wait fail;
    /// [`try_recv`](super::Subscriber::try_recv) and [`latest`](super::Subscriber::latest) do not.
    Never,
}

/// How to set up a subscriber.
///
/// # Examples
///
/// ```
/// use slipring::feed::{Publisher, Start, SubscriberOptions, Wake};
/// use std::time::Duration;
/// # let name = format!("doc-feed-subscriber-options-{}", std::process::id());
///
/// let publisher = Publisher::bind(&name)?;
/// let subscriber = SubscriberOptions::new()
///     .start(Start::Oldest)
///     .wake(Wake::Every(Duration::from_millis(16)))
///     .reconnect(true)
///     .connect(&name)?;
/// # drop((publisher, subscriber));
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "options do nothing until a subscriber is made with them"]
#[derive(Debug, Clone)]
pub struct SubscriberOptions {
    pub(crate) base: Options,
    pub(super) start: Start,
    pub(super) lossless: bool,
    pub(super) wake: Wake,
    pub(super) reconnect: bool,
    /// What the name is.
    pub(crate) kind: Kind,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        SubscriberOptions::new()
    }
}

impl SubscriberOptions {
    /// The defaults: from the newest record on, lossy, woken at once, no reconnecting, a publisher
    /// of the same user.
    pub fn new() -> SubscriberOptions {
        SubscriberOptions {
            base: Options::new(),
            start: Start::Newest,
            lossless: false,
            wake: Wake::AtOnce,
            reconnect: false,
            kind: Kind::Feed,
        }
    }

    /// Where to begin.
    pub fn start(mut self, start: Start) -> SubscriberOptions {
        self.start = start;
        self
    }

    /// Whether the publisher has to wait for this subscriber, within its
    /// [`Budget`]. It may refuse such subscribers.
    pub fn lossless(mut self, yes: bool) -> SubscriberOptions {
        self.lossless = yes;
        self
    }

    /// When to be woken.
    pub fn wake(mut self, wake: Wake) -> SubscriberOptions {
        self.wake = wake;
        self
    }

    /// Whether to go on by itself with the next publisher of the name, after the first one has
    /// finished or died. [`Event::Restarted`](super::Event::Restarted) tells of it, and then its
    /// records come from number 0 on, or [`Lagged`](super::Lagged) says how many are gone. The
    /// publisher is looked for after 10 ms, then after pauses that grow to a second, each by chance
    /// up to half as long again.
    pub fn reconnect(mut self, yes: bool) -> SubscriberOptions {
        self.reconnect = yes;
        self
    }

    /// How a call that waits spins before it sleeps; see [`Spin`]. Towards subscribers that never
    /// sleep ([`Spin::Always`], [`Wake::Never`]) a publication needs no fence, as long as there are
    /// no others. A subscriber on tokio sleeps, whatever this says.
    pub fn spin(mut self, spin: Spin) -> SubscriberOptions {
        self.base = self.base.spin(spin);
        self
    }

    /// The application protocol; see [`Options::protocol`](crate::Options::protocol).
    pub fn protocol(mut self, name: impl Into<String>) -> SubscriberOptions {
        self.base = self.base.protocol(name);
        self
    }

    /// Whether it never has to be woken: it is not woken at all, or its blocking calls never sleep.
    pub(super) fn never_sleeps(&self) -> bool {
        match self.wake {
            Wake::AtOnce => self.base.spin == Spin::Always,
            Wake::Every(_) => false,
            Wake::Never => true,
        }
    }

    /// Which users may publish; see [`Options::allow`](crate::Options::allow).
    pub fn allow(mut self, peers: Peers) -> SubscriberOptions {
        self.base = self.base.allow(peers);
        self
    }

    /// The largest ring of a publisher that is accepted, in bytes: 64 MiB by default.
    pub fn max_capacity(mut self, bytes: usize) -> SubscriberOptions {
        self.base = self.base.max_peer_capacity(bytes);
        self
    }

    /// How long the handshake may take; see
    /// [`Options::handshake_timeout`](crate::Options::handshake_timeout).
    pub fn handshake_timeout(mut self, timeout: Duration) -> SubscriberOptions {
        self.base = self.base.handshake_timeout(timeout);
        self
    }

    /// How long to wait for the name to be bound; see
    /// [`Options::wait_for_listener`](crate::Options::wait_for_listener).
    pub fn wait_for_publisher(mut self, timeout: Duration) -> SubscriberOptions {
        self.base = self.base.wait_for_listener(timeout);
        self
    }
}
