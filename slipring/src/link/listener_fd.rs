//! The descriptors of a listener, on their way from one process to another.

use super::directory::RuntimeDirs;
use crate::error::{Error, Result};
use crate::name::{Name, Scope};
use crate::sys::errno::Errno;
use crate::sys::inherited::{self, Inherited};
use crate::sys::poll;
use crate::sys::socket::{self, path_of};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The labels under which a listener's descriptors are passed on.
const SOCKET: &str = "slipring";
const LOCK: &str = "slipring-lock";

/// The descriptors of a listener: its socket, and its lock file, which carries the lock of the
/// name.
///
/// A process that is replaced takes them from its listener ([`Listener::to_fd`]) and lets its
/// successor inherit them ([`pass_to`](Self::pass_to)). The successor makes a listener of them
/// ([`Listener::from_fd`], [`Options::inherit_or_bind`]). The name is bound all the time: no client
/// is refused, and no other process can take the name.
///
/// A socket that a service manager has bound is one without a lock file: `ListenerFd::from(fd)`.
///
/// Dropped, it closes the descriptors, and the files stay.
///
/// [`Listener::to_fd`]: crate::Listener::to_fd
/// [`Listener::from_fd`]: crate::Listener::from_fd
/// [`Options::inherit_or_bind`]: crate::Options::inherit_or_bind
///
/// # Examples
///
/// Over a Unix socket, or any other way, the two descriptors go by themselves:
///
/// ```
/// use slipring::{Listener, ListenerFd, Stream};
/// # let name = format!("doc-listener-fd-{}", std::process::id());
///
/// let predecessor = Listener::bind(&name)?;
/// let (socket, lock) = predecessor.into_fd()?.into_parts();
///
/// let successor = Listener::from_fd(ListenerFd::from_parts(socket, lock))?;
/// assert!(Listener::bind(&name).is_err());
/// # let client = std::thread::spawn(move || Stream::connect(&name).is_ok());
/// # successor.accept()?;
/// # assert!(client.join().unwrap());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct ListenerFd {
    pub(super) socket: OwnedFd,
    pub(super) lock: Option<OwnedFd>,
}

impl ListenerFd {
    /// Of a socket that listens, and the lock file if there is one.
    pub fn from_parts(socket: OwnedFd, lock: Option<OwnedFd>) -> ListenerFd {
        ListenerFd { socket, lock }
    }

    /// The socket, and the lock file if there is one.
    pub fn into_parts(self) -> (OwnedFd, Option<OwnedFd>) {
        (self.socket, self.lock)
    }

    /// The descriptors of a listener of this name that this process was started with: by a service
    /// manager (socket activation, `LISTEN_FDS`), or by its predecessor
    /// ([`pass_to`](Self::pass_to)). `None` if there are none, or they have been taken already.
    /// Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`]; [`Error::Os`] if the environment names descriptors in a way that
    /// makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// // This process was started by hand.
    /// assert!(slipring::ListenerFd::inherited("prices")?.is_none());
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn inherited(name: impl AsRef<std::ffi::OsStr>) -> Result<Option<ListenerFd>> {
        let name = Name::parse(name)?;
        inherited_in(&RuntimeDirs::from_env(), &name)
    }

    /// Lets the process that `command` starts inherit the descriptors. To be called as the last
    /// thing before it is started; the command holds the descriptors until it is dropped. Does not
    /// block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if a descriptor cannot be looked at.
    ///
    /// # Examples
    ///
    /// A server replaces itself by its new version. That runs [`Options::inherit_or_bind`], and
    /// says when it is ready, here by its first line of output:
    ///
    /// [`Options::inherit_or_bind`]: crate::Options::inherit_or_bind
    ///
    /// ```no_run
    /// # fn handle(_: slipring::Stream) {}
    /// use slipring::{Error, Options};
    /// use std::io::{BufRead, BufReader};
    /// use std::process::{Command, Stdio};
    ///
    /// let listener = Options::new().inherit_or_bind("prices")?;
    /// // When a signal tells it to:
    /// let mut command = Command::new(std::env::current_exe().unwrap());
    /// command.stdout(Stdio::piped());
    /// listener.to_fd()?.pass_to(&mut command)?;
    /// let mut successor = command.spawn().unwrap();
    /// let mut ready = String::new();
    /// BufReader::new(successor.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    ///
    /// // The successor accepts from here on. Clients that this process has begun with come yet.
    /// listener.retire();
    /// loop {
    ///     match listener.accept() {
    ///         Ok(stream) => handle(stream),
    ///         Err(Error::Stopped) => break,
    ///         Err(error) => eprintln!("no new client: {error}"),
    ///     }
    /// }
    /// // And then the streams that it has are drained.
    /// # Ok::<(), Error>(())
    /// ```
    pub fn pass_to(self, command: &mut Command) -> Result<()> {
        pass_fd(command, SOCKET, self.socket)?;
        match self.lock {
            Some(lock) => pass_fd(command, LOCK, lock),
            None => Ok(()),
        }
    }

    /// The path that the socket is bound to.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it is no Unix stream socket that is bound to an absolute path.
    pub(super) fn path(&self) -> Result<PathBuf> {
        path_of(&self.socket)
            .filter(|path| path.is_absolute())
            .ok_or_else(|| {
                let text = "the descriptor is no Unix stream socket that is bound to an absolute \
                    path; in a systemd unit that is `ListenStream=/an/absolute/path`";
                Error::os_because(TAKING_OVER, text.into())(inherited::WRONG)
            })
    }
}

/// The step in the text of an error.
pub(super) const TAKING_OVER: &str = "taking over a listener";

/// A listening socket without a lock file: one that a service manager has bound.
impl From<OwnedFd> for ListenerFd {
    fn from(socket: OwnedFd) -> ListenerFd {
        ListenerFd { socket, lock: None }
    }
}

/// Takes one of the descriptors that this process was started with: the first one that `wanted`,
/// which is asked of each with its label, says yes to. A service manager's have the labels of
/// `FileDescriptorName=`; those of a predecessor have those of [`pass_fd`]. Each can be taken once.
/// Does not block.
///
/// For what a server has beside its slipring names, such as a TCP listener; for those there is
/// [`ListenerFd::inherited`].
///
/// # Errors
///
/// [`Error::Os`] if the environment names descriptors in a way that makes no sense.
///
/// # Examples
///
/// ```no_run
/// use std::net::TcpListener;
///
/// let tcp = match slipring::inherited_fd(|label, _| label == "web")? {
///     Some(fd) => TcpListener::from(fd),
///     None => TcpListener::bind("127.0.0.1:8080").unwrap(),
/// };
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn inherited_fd(
    mut wanted: impl FnMut(&str, BorrowedFd<'_>) -> bool,
) -> Result<Option<OwnedFd>> {
    let mut all = inherited::all().map_err(|why| {
        let doing = "reading which descriptors this process was started with";
        Error::os_because(doing, why.into())(inherited::WRONG)
    })?;
    let found = all
        .iter()
        .position(|Inherited { label, fd }| wanted(label, fd.as_fd()));
    Ok(found.map(|at| all.remove(at).fd))
}

/// Lets the process that `command` starts inherit a descriptor, under a label, for
/// [`inherited_fd`]. The command holds it until it is dropped. Does not block.
///
/// # Errors
///
/// [`Error::Os`] if the label is not one word of ASCII characters, or the descriptor cannot be
/// looked at.
///
/// # Examples
///
/// ```
/// use std::process::Command;
///
/// let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let mut successor = Command::new("true");
/// slipring::pass_fd(&mut successor, "web", web)?;
/// assert!(successor.status().unwrap().success());
/// # Ok::<(), slipring::Error>(())
/// ```
pub fn pass_fd(command: &mut Command, label: &str, fd: impl Into<OwnedFd>) -> Result<()> {
    const DOING: &str = "passing a descriptor on";
    if !inherited::is_label(label) {
        let text = format!("{label:?} is no label: it has to be one word of ASCII characters");
        return Err(Error::os_because(DOING, text)(inherited::WRONG));
    }
    inherited::pass(command, label, fd.into()).map_err(Error::os(DOING))
}

fn inherited_in(dirs: &RuntimeDirs, name: &Name) -> Result<Option<ListenerFd>> {
    let candidates = dirs.candidates(name)?;
    let is_its = |path: &Path| {
        let mut paths = candidates.iter().map(|candidate| &candidate.paths.socket);
        paths.any(|its| is_same(its, path))
    };
    let is_socket = |_: &str, fd: BorrowedFd<'_>| path_of(fd).is_some_and(|path| is_its(&path));
    let Some(socket) = inherited_fd(is_socket)? else {
        return Ok(None);
    };
    let path = path_of(&socket);
    let lock = path.and_then(|path| {
        let lock = candidates
            .iter()
            .find(|candidate| is_same(&candidate.paths.socket, &path))?;
        let there = crate::sys::file::lstat(&lock.paths.lock).ok()?;
        inherited_fd(|label, fd| {
            let stat = crate::sys::file::fstat(fd);
            label == LOCK && stat.is_ok_and(|stat| super::lock::same_file(&stat, &there))
        })
        .ok()?
    });
    Ok(Some(ListenerFd { socket, lock }))
}

/// Whether two paths lead to the same place, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
        directory.map(|directory| (directory, path.file_name().map(ToOwned::to_owned)))
    };
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// The name whose socket lies at this path: one of a directory for names, or the path itself.
pub(super) fn name_at(dirs: &RuntimeDirs, path: &Path) -> Result<Name> {
    for (scope, prefix) in [(Scope::Local, "Local/"), (Scope::Global, "Global/")] {
        for (directory, _) in dirs.directories(scope)? {
            if path.parent() == Some(&directory)
                && let Some(file) = path.file_name().and_then(|file| file.to_str())
                && let Some(bare) = file.strip_suffix(".sock")
                && let Ok(name) = Name::parse(format!("{prefix}{bare}"))
            {
                return Ok(name);
            }
        }
    }
    Name::parse(path)
}

/// Makes an inherited socket one to accept from: it does not block, and clients are shown this
/// process at its other end (listen(2) on a socket that listens already).
pub(super) fn accept_from(socket: BorrowedFd<'_>, path: &Path, backlog: i32) -> Result<()> {
    let failed = || Error::os_at::<Errno>(TAKING_OVER, path);
    socket::set_nonblocking(socket).map_err(failed())?;
    socket::listen(socket, backlog).map_err(failed())?;
    if poll::is_shut_down(socket).map_err(failed())? {
        let text = "the socket was shut down by a listener that had it and was dropped without \
            having retired";
        let source = io::Error::new(io::ErrorKind::InvalidInput, text);
        return Err(Error::os_at(TAKING_OVER, path)(source));
    }
    Ok(())
}
