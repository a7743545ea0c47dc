//! Listening on tokio.

use super::register;
use super::stream::Stream;
use crate::error::{Error, Result};
use crate::link::{Accepted, Condition, ListenerFd, Stopper};
use crate::name::Name;
use crate::options::Options;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A bound name, at which other processes connect; the counterpart of [`crate::Listener`].
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use slipring::tokio::{Listener, Stream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # let name = format!("doc-tokio-listener-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// let (server, client) = tokio::join!(listener.accept(), Stream::connect(&name));
/// let (mut server, mut client) = (server?, client?);
/// client.write_all(b"hello").await?;
/// server.read_exact(&mut [0; 5]).await?;
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "UnixListener")]
#[derive(Debug)]
pub struct Listener {
    listener: AsyncFd<Pollable>,
}

/// A listener as the reactor sees it: the epoll set of its acceptor.
#[derive(Debug)]
struct Pollable(crate::Listener);

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Listener {
    /// Binds a name with the default [`Options`].
    ///
    /// # Errors
    ///
    /// See [`Options::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> Result<Listener> {
        Listener::bind_with(&Options::new(), name)
    }

    /// Binds a name.
    ///
    /// # Errors
    ///
    /// See [`Options::bind`].
    pub fn bind_with(options: &Options, name: impl AsRef<OsStr>) -> Result<Listener> {
        Listener::from_blocking(options.bind(name)?)
    }

    /// Takes over a listener that was bound for blocking use.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be registered with the runtime.
    pub fn from_blocking(listener: crate::Listener) -> Result<Listener> {
        listener.set_polled();
        // SAFETY: the listener owns its epoll set and keeps it for as long as it is registered.
        let registered = unsafe { register(Pollable(listener), Interest::READABLE) };
        registered
            .map(|listener| Listener { listener })
            .map_err(Error::os("registering with the runtime"))
    }

    /// Takes over the listener of this name that this process was started with, or binds the name;
    /// see [`Options::inherit_or_bind`].
    ///
    /// # Errors
    ///
    /// See [`Options::inherit_or_bind`].
    pub fn inherit_or_bind(options: &Options, name: impl AsRef<OsStr>) -> Result<Listener> {
        Listener::from_blocking(options.inherit_or_bind(name)?)
    }

    /// The descriptors of this listener once more, for a successor; see [`crate::Listener::to_fd`].
    ///
    /// # Errors
    ///
    /// As [`crate::Listener::to_fd`].
    pub fn to_fd(&self) -> Result<ListenerFd> {
        self.listener.get_ref().0.to_fd()
    }

    /// Says that the name stays this listener's, after a successor that has failed; see
    /// [`crate::Listener::reclaim`].
    ///
    /// # Errors
    ///
    /// As [`crate::Listener::reclaim`].
    pub fn reclaim(&self) -> Result<()> {
        self.listener.get_ref().0.reclaim()
    }

    /// Leaves the name to those that have a copy: [`accept`](Self::accept) ends with
    /// [`Error::Stopped`] once the clients that were begun with are there. See
    /// [`crate::Listener::retire`].
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::{Error, Options, tokio::{Listener, Stream}};
    /// # let name = format!("doc-tokio-retire-{}", std::process::id());
    /// let predecessor = Listener::bind(&name)?;
    /// let fds = predecessor.to_fd()?;
    /// predecessor.retire();
    /// assert!(matches!(predecessor.accept().await, Err(Error::Stopped)));
    ///
    /// // In another process, to which the descriptors have gone.
    /// let successor = Listener::from_blocking(Options::new().from_fd(fds)?)?;
    /// let (server, client) = tokio::join!(successor.accept(), Stream::connect(&name));
    /// # drop((server?, client?));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn retire(&self) {
        self.listener.get_ref().0.retire();
    }

    /// Waits until a client has connected and completed the handshake. Any number of tasks may wait
    /// at a time. Clients shake hands side by side: one that says nothing delays nobody.
    ///
    /// # Errors
    ///
    /// As [`crate::Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no client is lost.
    pub async fn accept(&self) -> Result<Stream> {
        loop {
            // Unlike a poll this keeps a waker for each task.
            let mut ready = self.listener.readable().await.map_err(waiting)?;
            match self.try_accept()? {
                Accepted::Stream(connected) => return Stream::new(connected),
                Accepted::Nothing => ready.clear_ready(),
                Accepted::Busy => {
                    drop(ready);
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// As [`accept`](Self::accept), for one task at a time: the waker of the last call is kept, and
    /// no other.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Stream>> {
        loop {
            let mut ready = ready!(self.listener.poll_read_ready(cx)).map_err(waiting)?;
            match self.try_accept()? {
                Accepted::Stream(connected) => return Poll::Ready(Stream::new(connected)),
                Accepted::Nothing => ready.clear_ready(),
                Accepted::Busy => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn try_accept(&self) -> Result<Accepted> {
        self.listener.get_ref().0.try_accept_connected()
    }

    /// A handle that ends `accept` from any thread or task.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use slipring::{Error, tokio::Listener};
    /// # let name = format!("doc-tokio-stopper-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// listener.stopper().stop();
    /// assert!(matches!(listener.accept().await, Err(Error::Stopped)));
    /// # Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        self.listener.get_ref().0.stopper()
    }

    /// The name that is bound.
    #[doc(alias = "local_addr")]
    pub fn name(&self) -> &Name {
        self.listener.get_ref().0.name()
    }

    /// Where its socket lies.
    #[doc(alias = "local_addr")]
    pub fn path(&self) -> &Path {
        self.listener.get_ref().0.path()
    }

    /// Whether clients still find this listener; see [`crate::Listener::check`].
    ///
    /// # Errors
    ///
    /// As [`crate::Listener::check`].
    pub fn check(&self) -> Result<Condition> {
        self.listener.get_ref().0.check()
    }

    /// Makes the files of the name anew that were removed; see [`crate::Listener::repair`].
    ///
    /// # Errors
    ///
    /// As [`crate::Listener::repair`].
    pub fn repair(&self) -> Result<bool> {
        self.listener.get_ref().0.repair()
    }

    /// How many clients have been refused or given up so far.
    pub fn refused(&self) -> u64 {
        self.listener.get_ref().0.refused()
    }

    /// Why the last of them was.
    pub fn last_refusal(&self) -> Option<String> {
        self.listener.get_ref().0.last_refusal()
    }
}

/// A descriptor that is readable while [`accept`](Listener::accept) has something to do. It belongs
/// to the reactor of the runtime: it may be looked at, and polled by others as well, but not read.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.get_ref().0.as_fd()
    }
}

/// The number of the descriptor that [`AsFd`] lends.
impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn waiting(error: io::Error) -> Error {
    Error::os("waiting for connections")(error)
}
