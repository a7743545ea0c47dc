//! Listening at a name.

use crate::error::{Error, Result};
use crate::link::{Accepted, Acceptor, Condition, ListenerFd, Stopper};
use crate::name::Name;
use crate::options::Options;
use crate::stream::Stream;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bound name, at which other processes connect.
///
/// Several threads may accept at a time. Clients shake hands side by side: one that says nothing
/// delays nobody, and is let go after [`Options::handshake_timeout`]. A client that is refused
/// never makes `accept` fail; see [`refused`](Self::refused).
///
/// Dropping it removes the name and refuses the clients that are still in the backlog; streams that
/// were accepted go on.
///
/// # Examples
///
/// ```
/// use slipring::{Listener, Stream};
/// use std::io::{Read, Write};
/// # let name = format!("doc-listener-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// let client = std::thread::spawn({
///     let name = name.clone();
///     move || -> std::io::Result<()> { Stream::connect(&name)?.write_all(b"hello") }
/// });
/// let mut stream = listener.accept()?;
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # client.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "UnixListener")]
#[derive(Debug)]
pub struct Listener {
    acceptor: Acceptor,
}

impl Listener {
    pub(crate) fn new(options: Arc<Options>, name: Name) -> Result<Listener> {
        Ok(Listener {
            acceptor: Acceptor::new(options, name)?,
        })
    }

    /// Binds a name with the default [`Options`]; see [`Options::bind`].
    ///
    /// # Errors
    ///
    /// See [`Options::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> Result<Listener> {
        Options::new().bind(name)
    }

    pub(crate) fn take_over(options: Arc<Options>, fds: ListenerFd) -> Result<Listener> {
        Ok(Listener {
            acceptor: Acceptor::take_over(options, fds)?,
        })
    }

    /// A listener of the descriptors of one, with the default [`Options`]; see
    /// [`Options::from_fd`].
    ///
    /// # Errors
    ///
    /// See [`Options::from_fd`].
    pub fn from_fd(fds: impl Into<ListenerFd>) -> Result<Listener> {
        Options::new().from_fd(fds)
    }

    /// The descriptors of this listener once more, for a successor. This one goes on accepting
    /// until it [retires](Self::retire), and both may accept meanwhile. Does not block.
    ///
    /// A listener that is dropped without having retired removes the name, whoever has a copy.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] for want of descriptors, and in a forked child.
    ///
    /// # Examples
    ///
    /// See [`ListenerFd::pass_to`].
    pub fn to_fd(&self) -> Result<ListenerFd> {
        self.acceptor.copy()
    }

    /// Says that the name stays this listener's, after a successor has taken it over and failed:
    /// from here on `ls` and clients are shown this process again. Does nothing in a forked child,
    /// and after [`retire`](Self::retire). Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if the lock file cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Listener;
    /// # let name = format!("doc-reclaim-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// // After a successor that was given `listener.to_fd()` and has ended:
    /// listener.reclaim()?;
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn reclaim(&self) -> Result<()> {
        self.acceptor.reclaim()
    }

    /// Leaves the name, the lock and the socket to those that have a [copy](Self::to_fd). Does not
    /// block.
    ///
    /// No client is taken out of the queue any more; they wait there for the successor. Those that
    /// this listener has begun to shake hands with are still accepted: [`accept`](Self::accept)
    /// goes on, and returns [`Error::Stopped`] once none of them is left, after the
    /// [`Options::handshake_timeout`] at the latest. Does nothing in a forked child.
    ///
    /// Without any copy the name stays in use until this listener is dropped, and then two files
    /// are left, as by a process that was killed.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Error, Listener, Stream};
    /// # let name = format!("doc-retire-{}", std::process::id());
    ///
    /// let predecessor = Listener::bind(&name)?;
    /// let successor = Listener::from_fd(predecessor.to_fd()?)?;
    /// predecessor.retire();
    /// assert!(matches!(predecessor.accept(), Err(Error::Stopped)));
    /// drop(predecessor);
    ///
    /// let client = std::thread::spawn(move || Stream::connect(&name));
    /// let stream = successor.accept()?;
    /// # client.join().unwrap()?;
    /// # drop(stream);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn retire(&self) {
        self.acceptor.retire();
    }

    /// The descriptors of this listener, which is gone. The name stays bound, and clients wait in
    /// the queue, for as long as somebody has the descriptors. Does not block.
    ///
    /// Clients that were just shaking hands are let go: their `connect` fails. A server that is
    /// replaced under load uses [`to_fd`](Self::to_fd) and [`retire`](Self::retire) instead.
    ///
    /// # Errors
    ///
    /// As [`to_fd`](Self::to_fd); the listener is dropped then, and removes the name.
    ///
    /// # Examples
    ///
    /// See [`ListenerFd`].
    pub fn into_fd(self) -> Result<ListenerFd> {
        let fds = self.to_fd()?;
        self.retire();
        Ok(fds)
    }

    /// Blocks until a client has connected and completed the handshake.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] after [`Stopper::stop`], and after [`retire`](Self::retire) once every
    /// client that was begun with has been accepted or refused; [`Error::Os`] if this process runs
    /// out of descriptors or memory: the listener stays usable.
    pub fn accept(&self) -> Result<Stream> {
        loop {
            if let Some(stream) = self.accept_until(None)? {
                return Ok(stream);
            }
        }
    }

    /// A client that has completed its handshake by now, without blocking.
    ///
    /// While very many come it returns `None` after some of them, and the
    /// [descriptor](#impl-AsFd-for-Listener) stays readable.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Listener;
    /// # let name = format!("doc-try-accept-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// assert!(listener.try_accept()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "set_nonblocking")]
    pub fn try_accept(&self) -> Result<Option<Stream>> {
        self.accept_until(Some(Instant::now()))
    }

    /// Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], and as [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Listener};
    /// # use std::time::Duration;
    /// # let name = format!("doc-accept-timeout-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// let accepted = listener.accept_timeout(Duration::from_millis(1));
    /// assert!(matches!(accepted, Err(Error::Timeout { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Stream> {
        // A timeout beyond the end of the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        self.accept_until(deadline)?.ok_or(Error::Timeout {
            what: "waiting for a connection",
            after: timeout,
        })
    }

    fn accept_until(&self, deadline: Option<Instant>) -> Result<Option<Stream>> {
        match self.acceptor.accept(deadline)? {
            Accepted::Stream(connected) => Stream::new(connected).map(Some),
            Accepted::Nothing | Accepted::Busy => Ok(None),
        }
    }

    /// As [`try_accept`](Self::try_accept), for another kind of stream.
    #[cfg(feature = "tokio")]
    pub(crate) fn try_accept_connected(&self) -> Result<Accepted> {
        self.acceptor.accept(Some(Instant::now()))
    }

    /// From now on streams are for an event loop.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_polled(&self) {
        self.acceptor.set_polled();
    }

    /// Accepts for ever; ends after [`Stopper::stop`]. `for stream in &listener` is the same.
    ///
    /// Other errors are passed on, and the iterator goes on after them: a loop that ends at the
    /// first one would end a server for want of a descriptor that is free again a moment later.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// A handle that ends blocked calls of `accept` from any thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Listener};
    /// # let name = format!("doc-stopper-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// let stopper = listener.stopper();
    /// let accepting = std::thread::spawn(move || listener.accept());
    /// stopper.stop();
    /// assert!(matches!(accepting.join().unwrap(), Err(Error::Stopped)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        self.acceptor.stopper()
    }

    /// The name that is bound.
    #[doc(alias = "local_addr")]
    pub fn name(&self) -> &Name {
        self.acceptor.name()
    }

    /// Where its socket lies.
    #[doc(alias = "local_addr")]
    pub fn path(&self) -> &Path {
        self.acceptor.path()
    }

    /// Whether a service manager holds the socket (socket activation), which stays when this
    /// listener is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Listener;
    /// # let name = format!("doc-is-activated-{}", std::process::id());
    /// assert!(!Listener::bind(&name)?.is_activated());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn is_activated(&self) -> bool {
        self.acceptor.is_activated()
    }

    /// Whether clients still find this listener. Programs that clean up `/tmp` remove files that
    /// are in use, and nobody tells the one that uses them. Looks at two files; does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be told.
    pub fn check(&self) -> Result<Condition> {
        self.acceptor.condition()
    }

    /// Makes the files of the name anew that were removed, and says whether any was. Clients that
    /// wait in the queue are served all the same. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if somebody else has bound the name meanwhile, and in a forked child;
    /// otherwise as [`Options::bind`]. The listener stays as it was then.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{Condition, Listener, Stream};
    /// # let name = format!("doc-repair-{}", std::process::id());
    ///
    /// let listener = Listener::bind(&name)?;
    /// std::fs::remove_file(listener.path()).unwrap();
    /// assert!(Stream::connect(&name).is_err());
    /// assert_eq!(listener.check()?, Condition::SocketGone);
    ///
    /// assert!(listener.repair()?);
    /// assert_eq!(listener.check()?, Condition::Sound);
    /// # let client = std::thread::spawn(move || Stream::connect(&name).is_ok());
    /// # listener.accept()?;
    /// # assert!(client.join().unwrap());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn repair(&self) -> Result<bool> {
        self.acceptor.repair()
    }

    /// How many clients have been refused or given up so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Listener, Options};
    /// # let name = format!("doc-refused-{}", std::process::id());
    /// let listener = Options::new().protocol("ticks/1").bind(&name)?;
    /// # let accepting = std::thread::spawn({
    /// #     let stopper = listener.stopper();
    /// #     let name = name.clone();
    /// #     move || (Options::new().protocol("orders/1").connect(&name).is_err(), stopper.stop())
    /// # });
    /// # assert!(listener.accept().is_err());
    /// # assert!(accepting.join().unwrap().0);
    /// if listener.refused() > 0 {
    ///     println!("refused, the last one since {}", listener.last_refusal().unwrap());
    /// }
    /// # assert_eq!(listener.refused(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refused(&self) -> u64 {
        self.acceptor.refused()
    }

    /// Why the last of them was.
    pub fn last_refusal(&self) -> Option<String> {
        self.acceptor.last_refusal()
    }
}

/// A descriptor that is readable while `accept` has something to do: for `poll`, with
/// [`Listener::try_accept`] afterwards.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// As [`incoming`](Listener::incoming): `for stream in &listener`.
impl<'a> IntoIterator for &'a Listener {
    type Item = Result<Stream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// Streams as they are accepted; see [`Listener::incoming`].
///
/// # Examples
///
/// ```
/// use slipring::{Listener, Stream};
/// # let name = format!("doc-incoming-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// # let stopper = listener.stopper();
/// # let client = std::thread::spawn(move || Stream::connect(&name).map(drop));
/// for stream in &listener {
///     match stream {
///         Ok(stream) => println!("process {:?}", stream.peer().pid),
///         Err(error) => eprintln!("no new client: {error}"),
///     }
///     # stopper.stop();
/// }
/// # client.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a Listener,
}

impl Iterator for Incoming<'_> {
    type Item = Result<Stream>;

    fn next(&mut self) -> Option<Result<Stream>> {
        match self.listener.accept() {
            Err(Error::Stopped) => None,
            accepted => Some(accepted),
        }
    }
}
