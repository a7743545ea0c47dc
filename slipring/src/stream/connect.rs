//! How blocking streams and listeners are made: the verbs of [`Options`].

use super::{Listener, Stream};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::link::{self, Handshake, Rendezvous, Waits, check_options};
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
