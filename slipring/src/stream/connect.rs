//! How blocking streams and listeners are made: the verbs of [`Options`].

use super::{Listener, Stream};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::link::{self, Handshake, ListenerFd, Rendezvous, Waits, check_options};
use crate::name::Name;
use crate::options::Options;
use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

impl Options {
    /// Binds a name and listens; see [`Listener`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::PathTooLong`], [`Error::NameInUse`],
    /// [`Error::NoRuntimeDirectory`], [`Error::UnsafeDirectory`], [`Error::Capacity`],
    /// [`Error::ProtocolTooLong`], [`Error::Os`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options};
    /// # let name = format!("doc-options-bind-{}", std::process::id());
    /// let listener = Options::new().capacity(1 << 20).bind(&name)?;
    /// assert!(matches!(Options::new().bind(&name), Err(Error::NameInUse { .. })));
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(&self, name: impl AsRef<OsStr>) -> Result<Listener> {
        check_options(self)?;
        Listener::new(Arc::new(self.clone()), Name::parse(name)?)
    }

    /// Makes a listener of the descriptors of one: of a predecessor's, or of a socket that a
    /// service manager has bound. Does not block.
    ///
    /// From here on clients are shown this process at the other end, and `ls` names it. A socket
    /// from a service manager comes without a lock file: it is made beside the socket, if this user
    /// may write there. When this listener is dropped, such a socket stays the service manager's,
    /// and the name stays in use.
    ///
    /// The name is the one that is looked for at the socket's path, or else the path itself.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if another process holds the lock of the name; [`Error::Os`] if the
    /// socket is not a Unix stream socket at an absolute path, or was shut down;
    /// [`Error::Capacity`], [`Error::ProtocolTooLong`]. The descriptors are closed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Options, Stream};
    /// use std::os::fd::OwnedFd;
    /// use std::os::unix::net::UnixListener;
    /// # let directory = std::env::temp_dir().join(format!("doc-from-fd-{}", std::process::id()));
    /// # std::fs::create_dir(&directory).unwrap();
    /// # let path = directory.join("prices");
    ///
    /// // A service manager does this.
    /// let socket = UnixListener::bind(&path).unwrap();
    /// # let client = std::thread::spawn({
    /// #     let path = path.clone();
    /// #     move || Stream::connect(path).is_ok()
    /// # });
    /// let listener = Options::new().from_fd(OwnedFd::from(socket))?;
    /// assert_eq!(listener.path(), path);
    /// # listener.accept()?;
    /// # assert!(client.join().unwrap());
    /// # drop(listener);
    /// # std::fs::remove_dir_all(&directory).unwrap();
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn from_fd(&self, fds: impl Into<ListenerFd>) -> Result<Listener> {
        check_options(self)?;
        Listener::take_over(Arc::new(self.clone()), fds.into())
    }

    /// Takes over the listener of this name that this process was started with, by a service
    /// manager or by its predecessor; or [binds](Self::bind) the name, if there is none. Does not
    /// block.
    ///
    /// So one line serves all three: a program that is started by hand, by socket activation, and
    /// by itself.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), [`from_fd`](Self::from_fd) and [`ListenerFd::inherited`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # let name = format!("doc-inherit-or-bind-{}", std::process::id());
    /// let listener = Options::new().inherit_or_bind(&name)?;
    /// # drop(listener);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    ///
    /// [`ListenerFd::pass_to`] has the predecessor's part.
    pub fn inherit_or_bind(&self, name: impl AsRef<OsStr>) -> Result<Listener> {
        match ListenerFd::inherited(&name)? {
            Some(fds) => self.from_fd(fds),
            None => self.bind(name),
        }
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options};
    /// # let name = format!("doc-options-connect-{}", std::process::id());
    /// let error = Options::new().connect(&name).unwrap_err();
    /// assert!(matches!(error, Error::NotBound { .. }), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&self, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(self)?;
        let name = Name::parse(name)?;
        let dialed = self.dialling(&name).drive(&|uid| self.trusts(uid))?;
        let handshake =
            Handshake::of_client(dialed, Arc::new(self.clone()), name, Waits::Blocking)?;
        Stream::new(link::drive(handshake)?)
    }

    /// Meets one other process at a name, in any order: both call this, and each gets its
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # use std::io::{Read, Write};
    /// # let name = format!("doc-options-rendezvous-{}", std::process::id());
    /// # let other = std::thread::spawn({ let name = name.clone(); move || {
    /// #     Options::new().rendezvous(name)?.write_all(b"hello") } });
    /// // The other process says just the same.
    /// let mut stream = Options::new().rendezvous(&name)?;
    /// stream.read_exact(&mut [0; 5])?;
    /// # other.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rendezvous(&self, name: impl AsRef<OsStr>) -> Result<Stream> {
        check_options(self)?;
        let options = Arc::new(self.clone());
        Stream::new(Rendezvous::new(options, Name::parse(name)?).meet()?)
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// # use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let other = std::thread::spawn(move || Options::new().upgrade(theirs)?.write_all(b"hello"));
    /// let mut stream = Options::new().upgrade(ours)?;
    /// stream.read_exact(&mut [0; 5])?;
    /// # other.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "from_raw_fd")]
    pub fn upgrade(&self, socket: UnixStream) -> Result<Stream> {
        check_options(self)?;
        let handshake = self.upgrading(socket.into(), Waits::Blocking)?;
        Stream::new(link::drive(handshake)?)
    }

    /// Two connected endpoints within this process, for threads and tests.
    ///
    /// # Errors
    ///
    /// [`Error::Capacity`], [`Error::ProtocolTooLong`], [`Error::Os`], [`Error::Unsupported`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Options;
    /// let (left, right) = Options::new().capacity(64 * 1024).pair()?;
    /// assert_eq!((left.capacity(), right.peer_capacity()), (65536, 65536));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "socketpair")]
    pub fn pair(&self) -> Result<(Stream, Stream)> {
        let [left, right] = self.connected_pair(Waits::Blocking)?;
        Ok((Stream::new(left)?, Stream::new(right)?))
    }
}
