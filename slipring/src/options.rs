//! What a stream is made with.

#[cfg(doc)]
use crate::error::Error;
use crate::peer::{Admission, Peers};
use crate::sys::user;
use crate::wait::Spin;
use std::time::{Duration, Instant};

/// How to set up a stream or a listener.
///
/// Each side chooses for itself; only the [`protocol`](Self::protocol) has to be the same on both.
///
/// # Examples
///
/// ```
/// use slipring::{Options, Spin};
/// use std::time::Duration;
///
/// let options = Options::new()
///     .capacity(1 << 20)
///     .protocol("ticks/1")
///     .spin(Spin::Never)
///     .handshake_timeout(Duration::from_secs(1));
/// let (left, right) = options.pair()?;
/// assert_eq!(left.capacity(), 1 << 20);
/// # drop(right);
/// # Ok::<(), slipring::Error>(())
/// ```
#[must_use = "options do nothing until a stream is made with them"]
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) capacity: usize,
    max_capacity: Option<usize>,
    pub(crate) max_peer_capacity: usize,
    pub(crate) protocol: String,
    pub(crate) spin: Spin,
    #[cfg(feature = "tokio")]
    pub(crate) poll_spin: Duration,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) backlog_timeout: Option<Duration>,
    pub(crate) wait_for_listener: Option<Duration>,
    pub(crate) peers: Peers,
    pub(crate) copy_reads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

impl Options {
    /// The defaults: rings that begin with 16 KiB and grow to 1 MiB, peers of up to 64 MiB, no
    /// protocol name, [`Spin::default`], five seconds for the handshake, no waiting for a listener,
    /// peers of the same user.
    pub fn new() -> Options {
        Options {
            capacity: 16 * 1024,
            max_capacity: None,
            max_peer_capacity: 64 << 20,
            protocol: String::new(),
            spin: Spin::default(),
            #[cfg(feature = "tokio")]
            poll_spin: Duration::ZERO,
            handshake_timeout: None,
            backlog_timeout: None,
            wait_for_listener: None,
            peers: Peers::SameUser,
            copy_reads: false,
        }
    }

    /// Size of the ring that this side begins to write into, in bytes: a power of two from one page
    /// to 1 GiB; 16 KiB by default. The memory is allocated when the stream is made.
    ///
    /// It grows by itself up to [`max_capacity`](Self::max_capacity) while that is of use, and
    /// shrinks to this again once it is not.
    ///
    /// Checked when it is used: [`Error::Capacity`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options};
    /// let error = Options::new().capacity(1000).pair().unwrap_err();
    /// assert!(matches!(error, Error::Capacity { asked: 1000, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "SO_SNDBUF")]
    pub fn capacity(mut self, bytes: usize) -> Options {
        self.capacity = bytes;
        self
    }

    /// How far the ring that this side writes into may grow, in bytes: a power of two from the
    /// [`capacity`](Self::capacity) to 1 GiB. The default is 1 MiB, or the `capacity` where that is
    /// more. Equal to the `capacity` it means a ring of a fixed size.
    ///
    /// A ring grows after some writes that had to wait for room, or one of more than half the ring;
    /// and at once when [`Writer::reserve`](crate::Writer::reserve) or the peer's
    /// [`fill_at_least`](crate::Reader::fill_at_least) ask for more than it holds. It shrinks when
    /// none of this has happened for a second: at the next write, while the stream as a whole waits
    /// to read, and on [`Writer::shrink`](crate::Writer::shrink). Growing takes a few system calls
    /// and a copy of the unread bytes, between two calls of the program; no thread is behind it.
    /// The peer's [`max_peer_capacity`](Self::max_peer_capacity), and
    /// [`set_memory_limit`](crate::set_memory_limit), bound it as well.
    ///
    /// Checked when it is used: [`Error::Capacity`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # use std::io::Write;
    /// let (mut left, _right) = Options::new().max_capacity(4 << 20).pair()?;
    /// assert_eq!(left.capacity(), 16 << 10);
    /// left.writer().reserve(3 << 20)?.commit(1);
    /// assert_eq!(left.capacity(), 4 << 20);
    ///
    /// let fixed = Options::new().capacity(1 << 16).max_capacity(1 << 16);
    /// let (mut left, _right) = fixed.pair()?;
    /// assert!(left.writer().reserve(100_000).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_capacity(mut self, bytes: usize) -> Options {
        self.max_capacity = Some(bytes);
        self
    }

    /// The largest ring of a peer's that is accepted, in bytes; 64 MiB by default. It is the peer's
    /// memory, but this side's address space.
    ///
    /// A peer whose ring begins larger is refused ([`Error::Capacity`]); one whose ring begins
    /// smaller grows no further than this.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # use std::os::unix::net::UnixStream;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// let small = Options::new().max_peer_capacity(64 * 1024);
    /// let large = Options::new().capacity(1 << 20);
    /// let other = std::thread::spawn(move || large.upgrade(theirs).is_err());
    /// assert!(small.upgrade(ours).is_err());
    /// assert!(other.join().unwrap());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "SO_RCVBUF")]
    pub fn max_peer_capacity(mut self, bytes: usize) -> Options {
        self.max_peer_capacity = bytes;
        self
    }

    /// The application protocol, up to 64 bytes, such as `ticks/1`. Two sides that name different
    /// ones refuse each other ([`Error::Protocol`]), so that crossed wires are found at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options};
    /// # use std::os::unix::net::UnixStream;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// let ticks = Options::new().protocol("ticks/1");
    /// let orders = Options::new().protocol("orders/1");
    /// let other = std::thread::spawn(move || orders.upgrade(theirs).is_err());
    /// assert!(matches!(ticks.upgrade(ours), Err(Error::Protocol { .. })));
    /// assert!(other.join().unwrap());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn protocol(mut self, name: impl Into<String>) -> Options {
        self.protocol = name.into();
        self
    }

    /// How blocked calls of this side wait, those of [`Stream`](crate::Stream) and its halves.
    /// Spinning has a bound for the whole process; see [`Spin`]. A stream on tokio has
    /// [`poll_spin`](Self::poll_spin) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Options, Spin};
    /// # use std::time::Duration;
    /// let seldom = Options::new().spin(Spin::Never);
    /// let quick = Options::new().spin(Spin::UpTo(Duration::from_micros(20)));
    /// # drop((seldom.pair()?, quick.pair()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spin(mut self, spin: Spin) -> Options {
        self.spin = spin;
        self
    }

    /// How long a poll of a stream on tokio looks for news before it is pending; zero, the default,
    /// not at all.
    ///
    /// It holds up the worker's other tasks, so it is for a runtime with one or two streams, and
    /// for a few microseconds. On a single CPU, and while as many halves of this process spin as
    /// may ([`Spin`]), it does not look. Blocking streams have [`spin`](Self::spin) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::{Options, tokio::Stream};
    /// # use std::time::Duration;
    /// let options = Options::new().poll_spin(Duration::from_micros(20));
    /// let (left, right) = Stream::pair_with(&options)?;
    /// # drop((left, right));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub fn poll_spin(mut self, time: Duration) -> Options {
        self.poll_spin = time;
        self
    }

    /// How long a handshake may take, on either side. The default is 5 s. `Duration::MAX` is no
    /// limit.
    ///
    /// The time of a client begins when the listener takes it up, not while it waits in the
    /// listener's queue: that has a limit of its own, [`backlog_timeout`](Self::backlog_timeout),
    /// for which this one stands in where it alone is set. On tokio the caller's own `timeout` ends
    /// either.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options};
    /// # use std::time::Duration;
    /// # use std::os::unix::net::UnixStream;
    /// let (ours, _silent) = UnixStream::pair()?;
    /// let hasty = Options::new().handshake_timeout(Duration::from_millis(10));
    /// assert!(matches!(hasty.upgrade(ours), Err(Error::Timeout { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handshake_timeout(mut self, timeout: Duration) -> Options {
        self.handshake_timeout = Some(timeout);
        self
    }

    /// How long [`connect`](Self::connect) waits in the queue of a living listener: for a place in
    /// its backlog, and until it takes this client up. `Duration::MAX` is no limit.
    ///
    /// By default it is the [`handshake_timeout`](Self::handshake_timeout), if that is set; else
    /// there is no limit, as there is none for a client of a Unix socket that is connected and not
    /// accepted yet. A dropped future, or the caller's own `timeout`, ends the waiting on tokio.
    ///
    /// Where the listener belongs to the connecting process itself, the limit is that of the
    /// handshake, 5 s by default: a thread that binds, connects and only then accepts waits for
    /// itself.
    ///
    /// ```
    /// use slipring::{Error, Listener, Options};
    /// use std::time::Duration;
    /// # let name = format!("doc-backlog-{}", std::process::id());
    ///
    /// let busy = Listener::bind(&name)?;
    /// let hasty = Options::new().backlog_timeout(Duration::from_millis(10));
    /// assert!(matches!(hasty.connect(&name), Err(Error::Timeout { .. })));
    /// # drop(busy);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn backlog_timeout(mut self, timeout: Duration) -> Options {
        self.backlog_timeout = Some(timeout);
        self
    }

    /// How long [`connect`](Self::connect) waits for the name to be bound (by default not at all),
    /// and how long [`rendezvous`](Self::rendezvous) waits for the other side (by default for
    /// ever). `Duration::MAX` is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Listener, Options};
    /// # use std::time::Duration;
    /// # let name = format!("doc-options-wait-{}", std::process::id());
    /// let patient = Options::new().wait_for_listener(Duration::from_secs(30));
    /// let client = std::thread::spawn({
    ///     let name = name.clone();
    ///     move || patient.connect(name)
    /// });
    /// // It does not matter which of the two comes first.
    /// let stream = Listener::bind(&name)?.accept()?;
    /// # client.join().unwrap()?;
    /// # drop(stream);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_listener(mut self, timeout: Duration) -> Options {
        self.wait_for_listener = Some(timeout);
        self
    }

    /// Which users may be at the other end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Options, Peers};
    /// # let name = format!("doc-options-allow-{}", std::process::id());
    /// let listener = Options::new().allow(Peers::Users(vec![1000, 1001])).bind(&name)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow(mut self, peers: Peers) -> Options {
        self.peers = peers;
        self
    }

    /// Copies bytes into private memory before they are lent by
    /// [`fill_buf`](std::io::BufRead::fill_buf) and the like, even if the peer is of the same user.
    /// For those who do not trust a peer to leave published bytes alone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # use std::io::{BufRead, Write};
    /// let (mut left, mut right) = Options::new().copy_reads(true).pair()?;
    /// left.write_all(b"cannot change any more")?;
    /// assert_eq!(right.fill_buf()?, b"cannot change any more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copy_reads(mut self, yes: bool) -> Options {
        self.copy_reads = yes;
        self
    }

    /// Whether this user may be at the other end. `mine_alone`: the kernel lets no other user but
    /// root get there, so that a number which says nothing elsewhere says who it is.
    pub(crate) fn admits(&self, uid: u32, mine_alone: bool) -> Admission {
        let is_told = user::is_told(uid);
        if user::is_same(uid, mine_alone) || is_told && uid == 0 {
            return Admission::Trusted;
        }
        match &self.peers {
            Peers::Anyone => Admission::Allowed,
            Peers::Users(users) if is_told && users.contains(&uid) => Admission::Allowed,
            _ if !is_told => Admission::Refused(
                "it is the number of all users that have none in this user namespace, and so tells \
                 nobody from another; Peers::Anyone lets them in",
            ),
            _ => Admission::Refused(
                "a peer of this user is not allowed; allow it with Options::allow",
            ),
        }
    }

    /// Whether this user may own the socket that is connected to.
    pub(crate) fn trusts(&self, uid: u32) -> bool {
        !matches!(self.admits(uid, false), Admission::Refused(_))
    }

    /// How far this side's ring may grow.
    pub(crate) fn max_capacity_or_default(&self) -> usize {
        self.max_capacity.unwrap_or(self.capacity.max(1 << 20))
    }

    /// How long a handshake may take.
    pub(crate) fn handshake_timeout_or_default(&self) -> Duration {
        self.handshake_timeout.unwrap_or(Duration::from_secs(5))
    }

    /// The moment `after` from now; an absurd one is a century away.
    pub(crate) fn deadline(after: Duration) -> Instant {
        Self::later(Instant::now(), after)
    }

    /// The moment `after` from `start`; an absurd one is a century away.
    pub(crate) fn later(start: Instant, after: Duration) -> Instant {
        start
            .checked_add(after)
            .unwrap_or_else(|| start + Duration::from_secs(100 * 365 * 24 * 3600))
    }
}
