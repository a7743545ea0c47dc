//! Why setting up a stream failed.
//!
//! Every text says what happened and what to do next. Once a stream is up, its ends are reported as
//! plain [`std::io::Error`]s; an [`Error`] converts into one (so that `?` works) and stays inside
//! as its inner error.

use crate::sys::errno::Errno;
use crate::sys::failure::Failure;
use std::fmt::{self, Write};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of setting up a stream.
pub type Result<T> = std::result::Result<T, Error>;

/// Setting up failed. The text says what happened and what to do next.
///
/// Its `Debug` is its text as well, so that it is what a `main` that returns it, or an
/// [`io::Error`] made of it, prints.
///
/// # As an [`io::Error`]
///
/// `?` makes an [`io::Error`] of it, whose [`kind`](io::Error::kind) tells the usual cases apart,
/// and which has this error inside ([`Error::of`]). The number of the operating system is in here:
/// [`raw_os_error`](Error::raw_os_error). (The `io::Error` itself has none: it could hold either
/// that or the text.) `WouldBlock` and `Interrupted`, upon which callers try again, are kinds of
/// none of these errors.
///
/// ```
/// use slipring::{Error, Listener};
/// use std::io;
///
/// fn listen() -> io::Result<Listener> {
///     Ok(Listener::bind("/nowhere/at/all")?)
/// }
///
/// let error = listen().unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
/// assert_eq!(Error::of(&error).and_then(Error::raw_os_error), Some(2));
/// ```
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum Error {
    /// The text is not a name.
    #[error(
        "{name:?} is not a name: {why}. A name is 1 to 64 bytes of A-Z a-z 0-9 . _ -, optionally \
         after Local/ or Global/, or an absolute path"
    )]
    InvalidName {
        /// The text that was given (shortened, if it was very long).
        name: String,
        /// The reason why it is no name.
        why: &'static str,
    },

    /// The path does not fit into the address of a Unix socket.
    #[error(
        "the socket path {} has {} bytes, and a Unix socket takes at most {limit}. Choose a \
         shorter name, or a directory with a shorter path",
        path.display(),
        path.as_os_str().len()
    )]
    PathTooLong {
        /// The path of the socket.
        path: PathBuf,
        /// The most bytes that it may have.
        limit: usize,
    },

    /// None of the directories for names can be used.
    #[error(
        "there is no directory to keep names in. Make one of these usable: {}",
        reasons(tried)
    )]
    NoRuntimeDirectory {
        /// Each directory, and why it cannot be used.
        tried: Vec<(PathBuf, String)>,
    },

    /// A directory for names is there, but others may have put something into it.
    #[error("the directory {} cannot be trusted: {why}", path.display())]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner or mode, and the remedy.
        why: String,
    },

    /// Somebody else is bound to the name.
    #[error(
        "the name {name} is in use by {}{}{}",
        user_of_name(*pid, *activated),
        unreachable_at(socket_gone.as_deref()),
        remedy(*activated)
    )]
    NameInUse {
        /// The name.
        name: String,
        /// The process that is bound to it, if that can be told.
        pid: Option<u32>,
        /// Where its socket was, if that has been removed, so that nobody can connect to it.
        socket_gone: Option<PathBuf>,
        /// A service manager holds the socket (socket activation), whether its service runs or not.
        activated: bool,
    },

    /// Nobody is bound to the name. At most a stale socket is left of its last holder.
    #[error("nobody is bound to the name {name}{}", not_bound(tried, passed_over, *waited))]
    NotBound {
        /// The name.
        name: String,
        /// Every socket path that was tried.
        tried: Vec<PathBuf>,
        /// Everything that was found on the way and could not be used, with the reason: a stale
        /// socket, a directory that is not safe.
        passed_over: Vec<(PathBuf, String)>,
        /// How long the name was waited for; zero without waiting.
        waited: Duration,
    },

    /// A process is bound to the name, but its socket has been removed, so that nobody can connect.
    /// That process learns it by [`Listener::check`](crate::Listener::check), and mends it by
    /// [`Listener::repair`](crate::Listener::repair).
    #[error(
        "{} is bound to the name {name}, but its socket {} has been removed, as cleaners of \
         temporary files do, so that nobody can connect{}. Start that process anew, unless it \
         repairs that itself (Listener::repair)",
        holder(*pid),
        path.display(),
        after_waiting(*waited)
    )]
    SocketGone {
        /// The name.
        name: String,
        /// Where its socket was.
        path: PathBuf,
        /// The process that is bound to it, if that can be told.
        pid: Option<u32>,
        /// How long the name was waited for; zero without waiting.
        waited: Duration,
    },

    /// Two others have met under this name already.
    #[error(
        "two others have met at {name} already, and a rendezvous is for two. Choose another name"
    )]
    RendezvousTaken {
        /// The name.
        name: String,
    },

    /// The capacity cannot be had.
    #[error(
        "a capacity of {asked} bytes cannot be had: {why}. Ask for a power of two from one page to \
         1 GiB, within what the peer accepts"
    )]
    Capacity {
        /// The capacity asked for, in bytes.
        asked: usize,
        /// The reason why it cannot be had.
        why: String,
    },

    /// The peer speaks another application protocol.
    #[error(
        "the peer speaks the protocol {theirs:?}, and this side {ours:?}. Connect to the right \
         name, or set the same protocol on both sides"
    )]
    Protocol {
        /// The protocol of this side.
        ours: String,
        /// The protocol of the peer.
        theirs: String,
    },

    /// Behind the name is something else: a feed where a stream was asked for, or the other way
    /// round.
    #[error(
        "the name is that of a {theirs}, and this side asked for a {ours}. Connect to another \
         name, or as a {theirs}"
    )]
    Kind {
        /// What this side asked for.
        ours: &'static str,
        /// What is there.
        theirs: String,
    },

    /// The name of the application protocol is too long.
    #[error(
        "a protocol name of {len} bytes is too long: {limit} is the most. Choose a shorter one"
    )]
    ProtocolTooLong {
        /// Its length, in bytes.
        len: usize,
        /// The most that it may have.
        limit: usize,
    },

    /// There is no version of slipring that both sides understand.
    #[error(
        "this side understands the versions {} to {} of slipring, and the peer {} to {}. Bring \
         both programs to the same release",
        ours.0, ours.1, theirs.0, theirs.1
    )]
    Version {
        /// Lowest and highest version of this side.
        ours: (u16, u16),
        /// Lowest and highest version of the peer.
        theirs: (u16, u16),
    },

    /// Something answers there, but it is not slipring.
    #[error(
        "the program that listens there does not speak slipring. Check the name, and which program \
         is bound to it"
    )]
    NotSlipring,

    /// The other side belongs to a user that was not allowed.
    #[error(
        "user {uid} is not trusted: {why}. Allow that user in the options if this is meant to be"
    )]
    UntrustedPeer {
        /// The user.
        uid: u32,
        /// How that user comes into it.
        why: String,
    },

    /// The peer refused this side and said why.
    #[error("the peer refused: {why}. Change what it objects to and connect again")]
    Refused {
        /// The reason given by the peer.
        why: String,
    },

    /// The peer sent something wrong during the handshake.
    #[error(
        "the peer broke the rules of the handshake: {what}. This is a fault of the other program; \
            report it there"
    )]
    BadPeer {
        /// The fault that was found.
        what: String,
    },

    /// The peer went away during the handshake.
    #[error("the peer went away during the handshake. See why it ended, and connect again")]
    PeerGone,

    /// A deadline passed.
    #[error(
        "{what} took longer than {after:?}. See whether the other side hangs, or allow more time"
    )]
    Timeout {
        /// The step that was under way.
        what: &'static str,
        /// How long it went on.
        after: Duration,
    },

    /// A blocked accept was ended from another thread.
    #[error("accepting was stopped. Bind the name again to go on")]
    Stopped,

    /// A stream that spins for ever was to be polled.
    #[error(
        "a stream with Spin::Always never sleeps and is never woken, so it cannot be polled. \
         Make it with another Spin"
    )]
    NeverSleeps,

    /// The system cannot do what is needed.
    #[error("this system has no {what}. It needs {needs}")]
    Unsupported {
        /// The feature that is missing.
        what: &'static str,
        /// A system that would have it.
        needs: &'static str,
    },

    /// A system call failed.
    #[error("{doing} failed: {source}")]
    Os {
        /// The step that failed.
        doing: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// An error of the operating system about one path; names the path, and keeps the cause as its
/// source.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct AtPath {
    path: PathBuf,
    source: io::Error,
}

/// An error of the operating system, and what is behind it.
#[derive(Debug, thiserror::Error)]
#[error("{text} ({source})")]
struct Because {
    text: String,
    source: io::Error,
}

impl Error {
    /// An [`Error::Os`], to be used as `map_err(Error::os("doing this"))`.
    pub(crate) fn os<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
        move |source| Error::Os {
            doing,
            source: clearly(source.into()),
        }
    }

    /// An [`Error::Os`] whose text names the path as well, to be used as
    /// `map_err(Error::os_at("doing this", path))`.
    pub(crate) fn os_at<E: Into<io::Error>>(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Error {
        move |source| {
            let source = clearly(source.into());
            let kind = source.kind();
            let path = path.to_owned();
            Error::Os {
                doing,
                source: io::Error::new(kind, AtPath { path, source }),
            }
        }
    }

    /// An [`Error::Os`] with a text that says more than the operating system, to be used as
    /// `map_err(Error::os_because("doing this", text))`.
    pub(crate) fn os_because<E: Into<io::Error>>(
        doing: &'static str,
        text: String,
    ) -> impl FnOnce(E) -> Error {
        move |source| {
            let source = clearly(source.into());
            let kind = source.kind();
            Error::Os {
                doing,
                source: io::Error::new(kind, Because { text, source }),
            }
        }
    }

    /// Whether this process lacks something, and nobody else did anything wrong.
    pub(crate) fn is_want(&self) -> bool {
        matches!(self, Error::Os { .. } | Error::Unsupported { .. })
    }

    /// Whether descriptors have run out.
    pub(crate) fn is_exhaustion(&self) -> bool {
        self.is_errno(Errno::MFILE) || self.is_errno(Errno::NFILE)
    }

    /// Whether too many descriptors of this user are on their way to others that do not receive
    /// them (unix(7)).
    pub(crate) fn is_too_much_in_flight(&self) -> bool {
        self.is_errno(Errno::TOOMANYREFS)
    }

    fn is_errno(&self, errno: Errno) -> bool {
        self.raw_os_error() == Some(errno.raw_os_error())
    }

    /// The error inside an [`io::Error`] that `?` made of it, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Stream};
    /// let error = std::io::Error::from(Stream::connect("no/such/scope").unwrap_err());
    /// assert!(matches!(Error::of(&error), Some(Error::InvalidName { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// The kind that an [`io::Error`] made of this has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Listener};
    /// # use std::io::ErrorKind;
    /// let error = Listener::bind("/nowhere/at/all").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidName { .. }
            | Error::PathTooLong { .. }
            | Error::Capacity { .. }
            | Error::ProtocolTooLong { .. } => ErrorKind::InvalidInput,
            Error::NotBound { .. }
            | Error::SocketGone { .. }
            | Error::NoRuntimeDirectory { .. } => ErrorKind::NotFound,
            Error::NameInUse { .. } | Error::RendezvousTaken { .. } => ErrorKind::AddrInUse,
            Error::UntrustedPeer { .. } | Error::UnsafeDirectory { .. } => {
                ErrorKind::PermissionDenied
            }
            Error::Refused { .. }
            | Error::Protocol { .. }
            | Error::Kind { .. }
            | Error::Version { .. } => ErrorKind::ConnectionRefused,
            Error::NotSlipring | Error::BadPeer { .. } => ErrorKind::InvalidData,
            Error::PeerGone => ErrorKind::ConnectionReset,
            Error::Timeout { .. } => ErrorKind::TimedOut,
            // Not Interrupted: callers take that as "try again", and would never stop.
            Error::Stopped => ErrorKind::Other,
            Error::NeverSleeps | Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::Os { source, .. } => match source.kind() {
                // Callers take these two as "nothing there yet" and "try again". Here the first is
                // a want of something that the kernel limits, and no call is left for the second.
                ErrorKind::WouldBlock => ErrorKind::OutOfMemory,
                ErrorKind::Interrupted => ErrorKind::Other,
                kind => kind,
            },
        }
    }

    /// The number of the operating system's error (`errno`), if this is one of its failed calls.
    pub fn raw_os_error(&self) -> Option<i32> {
        let Error::Os { source, .. } = self else {
            return None;
        };
        let mut error: &(dyn std::error::Error + 'static) = source;
        loop {
            if let Some(number) = error.downcast_ref().and_then(io::Error::raw_os_error) {
                return Some(number);
            }
            error = error.source()?;
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error of the operating system, in words that can be acted upon.
fn clearly(source: io::Error) -> io::Error {
    match source.kind() {
        // The calls made here ask for nothing that could be there later. So this error means that a
        // limit is reached.
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::OutOfMemory, AtLimit { source }),
        _ => source,
    }
}

/// EAGAIN of a call that does not wait for anything.
#[derive(Debug, thiserror::Error)]
#[error("the limit of locked memory (RLIMIT_MEMLOCK; `ulimit -l`) is reached: {source}")]
struct AtLimit {
    source: io::Error,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Call { doing, source } => Error::os(doing)(source),
            Failure::Unsupported { what, needs } => Error::Unsupported { what, needs },
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// "PATH (WHY), PATH (WHY)".
fn reasons(list: &[(PathBuf, String)]) -> String {
    let each: Vec<String> = list
        .iter()
        .map(|(path, why)| format!("{} ({why})", path.display()))
        .collect();
    each.join(", ")
}

/// The holder of a name, in words.
fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// Who uses a name.
fn user_of_name(pid: Option<u32>, activated: bool) -> String {
    match (pid, activated) {
        (pid, false) => holder(pid),
        (Some(pid), true) => format!("process {pid}, and a service manager holds its socket"),
        (None, true) => "a service manager, which holds its socket".into(),
    }
}

/// What can be done about a name in use.
fn remedy(activated: bool) -> &'static str {
    if activated {
        ". Choose another name, or stop the socket unit and the service"
    } else {
        ". Choose another name, or end that process"
    }
}

/// The part of a text that says where the holder's socket was removed; or nothing.
fn unreachable_at(socket_gone: Option<&Path>) -> String {
    socket_gone.map_or_else(String::new, |path| {
        let path = path.display();
        format!(", whose socket {path} has been removed, so that nobody can connect to it")
    })
}

/// " after 1.5s of waiting", or nothing.
fn after_waiting(waited: Duration) -> String {
    if waited.is_zero() {
        return String::new();
    }
    format!(" after {waited:.1?} of waiting")
}

/// The middle of the text of [`Error::NotBound`]: the time waited, the paths tried and those passed
/// over.
fn not_bound(tried: &[PathBuf], passed_over: &[(PathBuf, String)], waited: Duration) -> String {
    let mut text = after_waiting(waited);
    if !tried.is_empty() {
        let tried: Vec<String> = tried
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let _ = write!(text, "; tried {}", tried.join(", "));
    }
    if !passed_over.is_empty() {
        let _ = write!(text, "; passed over {}", reasons(passed_over));
    }
    text.push_str(". Start the listener first");
    if waited.is_zero() {
        text.push_str(", or wait for it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each, with its kind and the words that its text must contain: the event and the
    /// remedy.
    fn each() -> Vec<(Error, ErrorKind, &'static [&'static str])> {
        let path = || PathBuf::from("/run/here");
        let name = || String::from("Local/clock");
        let text = |text: &str| String::from(text);
        vec![
            (
                Error::InvalidName {
                    name: text("a\nb"),
                    why: "it has a newline",
                },
                ErrorKind::InvalidInput,
                &[r#""a\nb""#, "it has a newline", "1 to 64 bytes"],
            ),
            (
                Error::PathTooLong {
                    path: path(),
                    limit: 107,
                },
                ErrorKind::InvalidInput,
                &["/run/here", "9 bytes", "107", "shorter"],
            ),
            (
                Error::NoRuntimeDirectory {
                    tried: vec![(path(), text("is missing")), (path(), text("is full"))],
                },
                ErrorKind::NotFound,
                &["/run/here (is missing), /run/here (is full)", "usable"],
            ),
            (
                Error::UnsafeDirectory {
                    path: path(),
                    why: text("its mode is 0755; run chmod 700"),
                },
                ErrorKind::PermissionDenied,
                &["/run/here", "0755", "chmod"],
            ),
            (
                Error::NameInUse {
                    name: name(),
                    pid: Some(17),
                    socket_gone: None,
                    activated: false,
                },
                ErrorKind::AddrInUse,
                &["Local/clock", "process 17", "Choose"],
            ),
            (
                Error::NameInUse {
                    name: name(),
                    pid: Some(17),
                    socket_gone: None,
                    activated: true,
                },
                ErrorKind::AddrInUse,
                &[
                    "process 17, and a service manager holds",
                    "stop the socket unit",
                ],
            ),
            (
                Error::NameInUse {
                    name: name(),
                    pid: None,
                    socket_gone: Some(path()),
                    activated: false,
                },
                ErrorKind::AddrInUse,
                &["another process, whose socket /run/here has been removed"],
            ),
            (
                Error::NotBound {
                    name: name(),
                    tried: vec![path()],
                    passed_over: vec![(path(), text("is stale"))],
                    waited: Duration::from_millis(1500),
                },
                ErrorKind::NotFound,
                &[
                    "Local/clock",
                    "after 1.5s",
                    "tried /run/here",
                    "passed over /run/here (is stale)",
                    "Start",
                ],
            ),
            (
                Error::SocketGone {
                    name: name(),
                    path: path(),
                    pid: Some(17),
                    waited: Duration::from_millis(1500),
                },
                ErrorKind::NotFound,
                &[
                    "process 17 is bound",
                    "Local/clock",
                    "socket /run/here has been removed",
                    "after 1.5s",
                    "Start that process anew",
                ],
            ),
            (
                Error::RendezvousTaken { name: name() },
                ErrorKind::AddrInUse,
                &["Local/clock", "Choose"],
            ),
            (
                Error::Capacity {
                    asked: 3,
                    why: text("3 is no power of two"),
                },
                ErrorKind::InvalidInput,
                &["3 bytes", "no power of two", "Ask for"],
            ),
            (
                Error::Protocol {
                    ours: text("a/1"),
                    theirs: text("b/1"),
                },
                ErrorKind::ConnectionRefused,
                &[r#""a/1""#, r#""b/1""#, "same protocol"],
            ),
            (
                Error::Kind {
                    ours: "stream",
                    theirs: text("feed"),
                },
                ErrorKind::ConnectionRefused,
                &["that of a feed", "asked for a stream", "another name"],
            ),
            (
                Error::Version {
                    ours: (1, 2),
                    theirs: (3, 4),
                },
                ErrorKind::ConnectionRefused,
                &["1 to 2", "3 to 4", "same release"],
            ),
            (
                Error::NotSlipring,
                ErrorKind::InvalidData,
                &["does not speak slipring", "Check"],
            ),
            (
                Error::UntrustedPeer {
                    uid: 1000,
                    why: text("it owns the socket"),
                },
                ErrorKind::PermissionDenied,
                &["user 1000", "it owns the socket", "Allow"],
            ),
            (
                Error::Refused {
                    why: text("too many"),
                },
                ErrorKind::ConnectionRefused,
                &["too many", "again"],
            ),
            (
                Error::BadPeer {
                    what: text("not sealed"),
                },
                ErrorKind::InvalidData,
                &["not sealed", "report"],
            ),
            (
                Error::PeerGone,
                ErrorKind::ConnectionReset,
                &["went away", "again"],
            ),
            (
                Error::Timeout {
                    what: "the handshake",
                    after: Duration::from_secs(5),
                },
                ErrorKind::TimedOut,
                &["the handshake took longer than 5s", "more time"],
            ),
            (Error::Stopped, ErrorKind::Other, &["stopped", "Bind"]),
            (
                Error::NeverSleeps,
                ErrorKind::Unsupported,
                &["Spin::Always", "another Spin"],
            ),
            (
                Error::Unsupported {
                    what: "sealing",
                    needs: "Linux 5.1",
                },
                ErrorKind::Unsupported,
                &["no sealing", "Linux 5.1"],
            ),
            (
                Error::os_at("binding", Path::new("/run/here"))(Errno::ROFS),
                ErrorKind::ReadOnlyFilesystem,
                &["binding failed", "/run/here", "Read-only"],
            ),
            (
                Error::os("binding")(Errno::ACCESS),
                ErrorKind::PermissionDenied,
                &["binding failed"],
            ),
        ]
    }

    #[test]
    fn texts_of_errors_say_what_happened_and_what_to_do() {
        for (error, _, parts) in each() {
            let text = error.to_string();
            for part in parts {
                assert!(text.contains(part), "{part:?} is missing from {text:?}");
            }
            assert!(!text.ends_with('.') && !text.contains("  "), "{text:?}");
        }
    }

    #[test]
    fn an_error_becomes_an_io_error_of_the_right_kind_and_stays_inside() {
        for (error, kind, _) in each() {
            let text = error.to_string();
            let io = io::Error::from(error);
            assert_eq!(io.kind(), kind, "{text}");
            assert_eq!(io.to_string(), text);
            assert!(
                io.get_ref().is_some_and(|inner| inner.is::<Error>()),
                "{text}"
            );
        }
    }

    #[test]
    fn debug_of_an_error_is_its_text_also_inside_an_io_error() {
        for (error, ..) in each() {
            let text = error.to_string();
            assert_eq!(format!("{error:?}"), text);
            let io = format!("{:?}", io::Error::from(error));
            assert!(io.contains(&text), "{io}");
        }
    }

    #[test]
    fn no_error_has_a_kind_upon_which_callers_try_again() {
        for (errno, kind) in [
            (Errno::AGAIN, ErrorKind::OutOfMemory),
            (Errno::INTR, ErrorKind::Other),
            (Errno::NOMEM, ErrorKind::OutOfMemory),
        ] {
            for error in [
                Error::os("mapping shared memory (mmap)")(errno),
                Error::os_at("mapping", Path::new("/run/here"))(errno),
            ] {
                assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{error}");
                let text = error.to_string();
                assert_eq!(
                    text.contains("RLIMIT_MEMLOCK"),
                    errno == Errno::AGAIN,
                    "{text}"
                );
                assert_eq!(io::Error::from(error).kind(), kind, "{text}");
            }
        }
    }

    #[test]
    fn the_number_of_the_operating_system_stays_reachable() {
        let error = io::Error::from(Error::os_at("binding", Path::new("/run/here"))(
            Errno::MFILE,
        ));
        let inside = error
            .get_ref()
            .and_then(|inside| inside.downcast_ref::<Error>());
        assert_eq!(
            inside.and_then(Error::raw_os_error),
            Some(Errno::MFILE.raw_os_error())
        );
        assert_eq!(Error::PeerGone.raw_os_error(), None);
        let made = Error::os("doing")(io::Error::other("no number"));
        assert_eq!(made.raw_os_error(), None);
    }

    #[test]
    fn a_name_that_is_not_waited_for_says_nothing_of_waiting() {
        let error = Error::NotBound {
            name: "Local/x".into(),
            tried: vec![],
            passed_over: vec![],
            waited: Duration::ZERO,
        };
        assert_eq!(
            error.to_string(),
            "nobody is bound to the name Local/x. Start the listener first, or wait for it"
        );
    }
}
