//! What a stream is made with.

use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::link::{
    self, Dial, First, Handshake, Origin, Patience, Places, Queue, Rendezvous, Waits, check_options,
};
use crate::listener::Listener;
use crate::name::Name;
use crate::stream::Stream;
use crate::sys::closing::Link;
use crate::sys::user;
use crate::wait::Spin;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which users may be at the other end.
///
/// This process's own user and root are always allowed: they could do anything to this process
/// anyway. Towards any other user borrowed views are copied through private memory and bells are of
/// a kind that cannot block the ringer; that needs Linux 5.8. Both sides have to allow each other.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Peers {
    /// Only this process's effective user, and root. The default.
    #[default]
    SameUser,
    /// These users as well, by their numbers.
    Users(Vec<u32>),
    /// Anyone who can reach the name.
    Anyone,
}

/// What a user may do at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Be there, and be relied on: it is this process's own user, or root.
    Trusted,
    /// Be there.
    Allowed,
    /// Nothing, and why.
    Refused(&'static str),
}

/// Who is at the other end, by the kernel's word at the time of the handshake.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The process; `None` if it is not visible from this pid namespace.
    pub pid: Option<u32>,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

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
    pub(crate) max_peer_capacity: usize,
    pub(crate) protocol: String,
    pub(crate) spin: Spin,
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
    /// The defaults: 256 KiB, peers of up to 64 MiB, no protocol name, [`Spin::default`], five
    /// seconds for the handshake, no waiting for a listener, peers of the same user.
    pub fn new() -> Options {
        Options {
            capacity: 256 * 1024,
            max_peer_capacity: 64 << 20,
            protocol: String::new(),
            spin: Spin::default(),
            handshake_timeout: None,
            backlog_timeout: None,
            wait_for_listener: None,
            peers: Peers::SameUser,
            copy_reads: false,
        }
    }

    /// Size of the ring that this side writes into, in bytes: a power of two from one page to 1
    /// GiB. The memory is allocated when the stream is made.
    ///
    /// Checked when it is used: [`Error::Capacity`].
    pub fn capacity(mut self, bytes: usize) -> Options {
        self.capacity = bytes;
        self
    }

    /// The largest ring of a peer's that is accepted, in bytes. It is the peer's memory, but this
    /// side's address space.
    pub fn max_peer_capacity(mut self, bytes: usize) -> Options {
        self.max_peer_capacity = bytes;
        self
    }

    /// The application protocol, up to 64 bytes, such as `ticks/1`. Two sides that name different
    /// ones refuse each other ([`Error::Protocol`]), so that crossed wires are found at once.
    pub fn protocol(mut self, name: impl Into<String>) -> Options {
        self.protocol = name.into();
        self
    }

    /// How blocked calls of this side wait. Spinning has a bound for the whole process; see
    /// [`Spin`].
    pub fn spin(mut self, spin: Spin) -> Options {
        self.spin = spin;
        self
    }

    /// How long a handshake may take, on either side. The default is 5 s. `Duration::MAX` is no
    /// limit.
    ///
    /// The time of a client begins when the listener takes it up, not while it waits in the
    /// listener's queue: that has a limit of its own, [`backlog_timeout`](Self::backlog_timeout),
    /// for which this one stands in where it alone is set. On tokio the caller's own `timeout` ends
    /// either.
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
    pub fn wait_for_listener(mut self, timeout: Duration) -> Options {
        self.wait_for_listener = Some(timeout);
        self
    }

    /// Which users may be at the other end.
    pub fn allow(mut self, peers: Peers) -> Options {
        self.peers = peers;
        self
    }

    /// Copies bytes into private memory before they are lent by
    /// [`fill_buf`](std::io::BufRead::fill_buf) and the like, even if the peer is of the same user.
    /// For those who do not trust a peer to leave published bytes alone.
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

    /// How long a handshake may take.
    pub(crate) fn handshake_timeout_or_default(&self) -> Duration {
        self.handshake_timeout.unwrap_or(Duration::from_secs(5))
    }

    /// How long to wait in the queue of a living listener.
    pub(crate) fn queue(&self) -> Queue {
        Queue {
            of_another: self.backlog_timeout.or(self.handshake_timeout),
            of_this: self.handshake_timeout_or_default(),
        }
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

    /// Connecting to a name.
    pub(crate) fn dialling(&self, name: &Name) -> Dial {
        let patience = match self.wait_for_listener {
            None => Patience::None,
            patience => Patience::of(patience),
        };
        Dial::new(Places::from_env(), name.clone(), patience, self.queue())
    }

    /// Binds a name and listens; see [`Listener`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::PathTooLong`], [`Error::NameInUse`],
    /// [`Error::NoRuntimeDirectory`], [`Error::UnsafeDirectory`], [`Error::Capacity`],
    /// [`Error::ProtocolTooLong`], [`Error::Os`].
    pub fn bind(&self, name: impl AsRef<OsStr>) -> Result<Listener> {
        check_options(self)?;
        Listener::new(Arc::new(self.clone()), Name::parse(name)?)
    }

    /// Connects to a name that a [`Listener`] is bound to.
    ///
    /// Returns when the listener has *accepted* and the handshake is done; a Unix socket would
    /// return from the backlog. It waits its turn there, for up to the
    /// [`backlog_timeout`](Self::backlog_timeout). A thread that binds, connects and only then
    /// accepts waits for itself, until the [`handshake_timeout`](Self::handshake_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::NotBound`], [`Error::SocketGone`], [`Error::Timeout`], [`Error::Protocol`],
    /// [`Error::Refused`], [`Error::UntrustedPeer`], [`Error::NotSlipring`], [`Error::PeerGone`]
    /// and others, each with what to do about it.
    pub fn connect(&self, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(self)?;
        let name = Name::parse(name)?;
        let dialed = self.dialling(&name).drive(&|uid| self.trusts(uid))?;
        let handshake =
            Handshake::of_client(dialed, Arc::new(self.clone()), name, Waits::Blocking)?;
        Stream::new(link::drive(handshake)?, self.spin)
    }

    /// Meets one other process at a name, whoever comes first: both call this, and each gets its
    /// end of one stream.
    ///
    /// The first one waits for the second ([`wait_for_listener`](Self::wait_for_listener)); a third
    /// is refused for as long as the first keeps its end. A [`Listener`] that is bound to the name
    /// is met as a first one.
    ///
    /// # Errors
    ///
    /// [`Error::RendezvousTaken`]; [`Error::Timeout`]; otherwise as [`bind`](Self::bind) and
    /// [`connect`](Self::connect).
    pub fn rendezvous(&self, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(self)?;
        let options = Arc::new(self.clone());
        Stream::new(
            Rendezvous::new(options, Name::parse(name)?).meet()?,
            self.spin,
        )
    }

    /// Makes a stream of any connected Unix stream socket: an inherited one, one from a
    /// socket-activated listener, one half of [`UnixStream::pair`]. The process at the other end
    /// does the same.
    ///
    /// What had been sent over the socket before must have been read.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), except for those about names.
    #[doc(alias = "from_raw_fd")]
    pub fn upgrade(&self, socket: UnixStream) -> Result<Stream> {
        check_options(self)?;
        let handshake = self.upgrading(socket.into(), Waits::Blocking)?;
        Stream::new(link::drive(handshake)?, self.spin)
    }

    /// A handshake over a socket that was not made here, whose other end begins one as well.
    pub(crate) fn upgrading(&self, socket: OwnedFd, waits: Waits) -> Result<Handshake> {
        let origin = Origin {
            mine_alone: false,
            until: Some(Self::deadline(self.handshake_timeout_or_default())),
        };
        let link = Link::new(socket)?;
        Handshake::new(link, Arc::new(self.clone()), None, First::Me, waits, origin)
    }

    /// Two connected endpoints within this process, for threads and tests.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], [`Error::ProtocolTooLong`], [`Error::Os`], [`Error::Unsupported`].
    #[doc(alias = "socketpair")]
    pub fn pair(&self) -> Result<(Stream, Stream)> {
        let [left, right] = self.connected_pair(Waits::Blocking)?;
        Ok((
            Stream::new(left, self.spin)?,
            Stream::new(right, self.spin)?,
        ))
    }

    pub(crate) fn connected_pair(&self, waits: Waits) -> Result<[Connected; 2]> {
        check_options(self)?;
        let options = Arc::new(self.clone());
        let (left, right) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(Error::os("making a pair of sockets (socketpair)"))?;
        let origin = Origin {
            mine_alone: true,
            until: None,
        };
        let side = |socket| -> Result<Handshake> {
            let link = Link::new(socket)?;
            Handshake::new(link, Arc::clone(&options), None, First::Me, waits, origin)
        };
        link::drive_pair(side(left)?, side(right)?)
    }
}
