//! Connecting to a name: finding its socket, and whose it is, and the connection itself. The
//! handshake comes after this.
//!
//! [`Dial`] is a state machine: [`Dial::search`] never waits for longer than a search takes, and
//! names the events to wait for then. [`Dial::drive`] does so for threads.
//!
//! A socket is opened (without access, `O_PATH`), checked, and connected to through that very
//! descriptor. So the socket that was checked is the one that is connected to, even if the file is
//! exchanged. Its owner must be trusted; the handshake then asks the kernel which process is at the
//! other end.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys::errno::Errno;
use crate::sys::file::{FileType, Mode, OFlags, Stat, fstat, open};
use crate::sys::socket::{self, SocketAddrUnix, connect};

use super::directory::{DirTrust, RuntimeDirs, kind_of, whose};
use super::file_watch::FileWatch;
use super::lock::{LockState, lock_state_until};
use super::paths::Candidate;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::options::Options;
use crate::sys::user;

/// How long a listener may take from taking its lock to binding its socket and setting its mode.
pub(super) const SETTLING: Duration = Duration::from_millis(20);

/// The pause before the second search, where no event tells.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two searches, where no event tells.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before a full backlog is tried again.
const LONGEST_IN_LINE: Duration = Duration::from_millis(32);

/// A socket that is connected to a listener, which has perhaps not taken it up yet.
#[derive(Debug)]
pub(crate) struct Dialed {
    /// Blocking, and closed on exec.
    pub(crate) socket: OwnedFd,
    /// Whether the socket's file is known to be of this process's user: by a number that says so,
    /// or since this process was allowed what only its owner is.
    pub(crate) owner_is_me: bool,
    /// By when the listener has to take this client up. `None`: there is no limit.
    pub(crate) queue_until: Option<Instant>,
}

/// How long to wait in the queue of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    /// Of another process. `None`: there is no limit.
    pub(crate) of_another: Option<Duration>,
    /// Of this very process, which cannot accept while it waits for itself.
    pub(crate) of_this: Duration,
}

impl Queue {
    /// By when a listener has to take up a client that comes to it now.
    fn until(self, its_own: bool) -> Option<Instant> {
        let limit = if its_own {
            Some(self.of_another.unwrap_or(self.of_this).min(self.of_this))
        } else {
            self.of_another
        };
        limit.map(Options::deadline)
    }
}

/// How long to wait for a listener to be bound to the name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    None,
    For(Duration),
    Endless,
}

impl Patience {
    /// That long; for ever if it is not said how long.
    pub(crate) fn of(patience: Option<Duration>) -> Patience {
        patience.map_or(Patience::Endless, Patience::For)
    }
}

/// The behaviour when the listener's backlog is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Block in the kernel, which wakes those in line in turn.
    Block,
    /// Come back after a pause.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "for event loops"))]
    Return,
}

/// The result of a search.
#[derive(Debug)]
pub(crate) enum Step {
    Connected(Dialed),
    /// To search again once the watch has something to tell ([`Dial::watch`]), or at this moment.
    Wait {
        until: Option<Instant>,
    },
}

/// Connecting to one name.
///
/// Why no wake-up is lost: the watch is armed before each search but the first, and the second
/// follows at once. So everything that makes a search succeed either came before it, or is an event
/// that ends the wait. There is one thing without an event: that `listen` is called on a socket
/// that is bound. Only while there is a socket that does not take connections, it is tried again
/// after a pause. The pause grows from 1 ms and starts anew with every event, so that a listener
/// which is about to listen is found at once, and a stale socket costs next to nothing. The same is
/// done where a directory cannot be watched (no inotify instances left, no right to read it). As
/// long as everything is watched and there is no socket, nothing is searched without an event, so
/// that no event that was lost could be covered up.
///
/// The first search does without a watch: making one and closing it again costs more than
/// connecting, and most names that are waited for are there.
#[derive(Debug)]
pub(crate) struct Dial {
    dirs: RuntimeDirs,
    name: Name,
    patience: Patience,
    queue: Queue,
    started: Instant,
    /// When the patience ends.
    until: Option<Instant>,
    watch: Option<FileWatch>,
    pause: Duration,
    /// Since when a listener seems to be between two steps of binding the name.
    unsettled: Option<Instant>,
    /// When the listener's backlog was first found full, and by when a place must come free.
    in_line: Option<(Instant, Option<Instant>)>,
}

impl Dial {
    /// Connecting to `name`: as soon as a listener is bound to it, and has room for one more in the
    /// queue.
    pub(crate) fn new(dirs: RuntimeDirs, name: Name, patience: Patience, queue: Queue) -> Dial {
        let started = Instant::now();
        let until = match patience {
            Patience::For(patience) => Some(Options::later(started, patience)),
            Patience::None | Patience::Endless => None,
        };
        Dial {
            dirs,
            name,
            patience,
            queue,
            started,
            until,
            watch: None,
            pause: FIRST_PAUSE,
            unsettled: None,
            in_line: None,
        }
    }

    /// Goes on to the end, blocking. `trusted_owner` is asked whether the socket may belong to that
    /// user.
    ///
    /// # Errors
    ///
    /// As for [`search`](Dial::search).
    pub(crate) fn drive(mut self, trusted_owner: &dyn Fn(u32) -> bool) -> Result<Dialed> {
        loop {
            let until = match self.search(trusted_owner, WhenFull::Block)? {
                Step::Connected(dialed) => return Ok(dialed),
                Step::Wait { until } => until,
            };
            match (&self.watch, until) {
                (Some(watch), until) => {
                    let event = watch.wait(until)?;
                    self.noticed(event);
                }
                (None, Some(until)) => {
                    std::thread::sleep(until.saturating_duration_since(Instant::now()))
                }
                (None, None) => std::thread::sleep(LONGEST_PAUSE),
            }
        }
    }

    /// The descriptor that tells that it is worth to search again, if there is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn watch(&self) -> Option<&FileWatch> {
        self.watch.as_ref()
    }

    /// Says whether the wait was ended by an event.
    pub(crate) fn noticed(&mut self, event: bool) {
        if event {
            self.pause = FIRST_PAUSE;
        }
    }

    /// Searches all directories once, and connects if it can.
    ///
    /// # Errors
    ///
    /// [`Error::NotBound`], with everything that was tried and passed over, and
    /// [`Error::SocketGone`], once there is no patience left; [`Error::UntrustedPeer`];
    /// [`Error::Timeout`] in the queue; [`Error::PathTooLong`]; [`Error::NotSlipring`] for a socket
    /// that is no stream; [`Error::Os`], among others if this user may not connect, or for want of
    /// descriptors.
    pub(crate) fn search(
        &mut self,
        trusted_owner: &dyn Fn(u32) -> bool,
        when_full: WhenFull,
    ) -> Result<Step> {
        loop {
            // Checked after the watch was armed, each time: a directory may have come.
            let all_watched = self.arm()?;
            let candidates = self.dirs.candidates(&self.name)?;
            let nobody = match self.try_candidates(&candidates, trusted_owner, when_full)? {
                Search::Connected(dialed) => return Ok(Step::Connected(dialed)),
                Search::Full => {
                    let limit = self.in_line.and_then(|(_, limit)| limit);
                    return Ok(self.pause(LONGEST_IN_LINE, limit));
                }
                Search::Nobody(nobody) => nobody,
            };
            self.in_line = None;
            let now = Instant::now();
            let hidden = match self.patience {
                Patience::None => hidden(&candidates)?,
                _ => None,
            };
            let unsettled = nobody.denied.is_some() || hidden.is_some();
            self.unsettled = if unsettled {
                self.unsettled.or(Some(now))
            } else {
                None
            };
            let settling = self.unsettled.is_some_and(|since| now < since + SETTLING);
            match self.patience {
                // Perhaps it is just being bound: without its socket yet, or with the mode that the
                // umask left.
                Patience::None if settling => return Ok(self.pause(FIRST_PAUSE, None)),
                Patience::None => return Err(self.nobody(nobody, hidden)),
                _ if self.until.is_some_and(|until| now >= until) => {
                    let hidden = self::hidden(&candidates)?;
                    return Err(self.nobody(nobody, hidden));
                }
                _ if unsettled && !settling => return Err(self.nobody(nobody, None)),
                _ => {}
            }
            if self.watch.is_none() {
                self.watch = Some(FileWatch::new());
                continue;
            }
            if nobody.refusing || !all_watched {
                return Ok(self.pause(LONGEST_PAUSE, self.until));
            }
            self.pause = FIRST_PAUSE;
            return Ok(Step::Wait { until: self.until });
        }
    }

    /// Watches every directory. `true` if nothing can come without an event.
    fn arm(&mut self) -> Result<bool> {
        let Some(watch) = &mut self.watch else {
            return Ok(false);
        };
        let candidates = self.dirs.candidates(&self.name)?;
        Ok(watch.arm(
            candidates
                .iter()
                .map(|candidate| candidate.paths.socket.as_path()),
        ))
    }

    /// Waits for a short time, the longer the more often, but not beyond `limit`.
    fn pause(&mut self, longest: Duration, limit: Option<Instant>) -> Step {
        let pause = self.pause.min(longest);
        self.pause = longest.min(pause * 2);
        let next = Instant::now() + pause;
        Step::Wait {
            until: Some(limit.map_or(next, |limit| limit.min(next))),
        }
    }

    fn nobody(&self, nobody: Nobody, hidden: Option<Hidden>) -> Error {
        let waited = match self.patience {
            Patience::None => Duration::ZERO,
            _ => self.started.elapsed(),
        };
        let name = self.name.to_string();
        match (nobody.denied, hidden) {
            (Some(denied), _) => denied,
            (None, Some(Hidden { path, pid })) => Error::SocketGone {
                name,
                path,
                pid,
                waited,
            },
            (None, None) => Error::NotBound {
                name,
                tried: nobody.tried,
                passed_over: nobody.passed_over,
                waited,
            },
        }
    }

    fn try_candidates(
        &mut self,
        candidates: &[Candidate],
        trusted_owner: &dyn Fn(u32) -> bool,
        when_full: WhenFull,
    ) -> Result<Search> {
        let mut nobody = Nobody::default();
        for candidate in candidates {
            let path = &candidate.paths.socket;
            nobody.tried.push(path.clone());
            match &candidate.trust {
                DirTrust::Safe => {}
                DirTrust::Missing => continue,
                DirTrust::Unusable(why) | DirTrust::Unsafe(why) => {
                    nobody
                        .passed_over
                        .push((candidate.directory.clone(), why.clone()));
                    continue;
                }
            }
            let Some((found, stat)) = find(candidate)? else {
                continue;
            };
            let owner_is_me = may_belong_to_its_owner(&found, &stat, path, trusted_owner)?;
            if !FileType::from_raw_mode(stat.st_mode).is_socket() {
                nobody.passed_over.push((
                    path.clone(),
                    format!("it is {}, not a socket", kind_of(&stat)),
                ));
                continue;
            }
            match self.try_connect(&found, candidate, when_full)? {
                Connecting::Opened(socket, queue_until) => {
                    return Ok(Search::Connected(Dialed {
                        socket,
                        owner_is_me,
                        queue_until,
                    }));
                }
                Connecting::Full => return Ok(Search::Full),
                Connecting::Gone => {}
                Connecting::Refused => {
                    let why = "nobody listens there: it is stale, or not listening yet";
                    nobody.passed_over.push((path.clone(), why.into()));
                    nobody.refusing = true;
                }
                Connecting::Denied(error) => {
                    nobody.denied = Some(error);
                    nobody.refusing = true;
                }
            }
        }
        Ok(Search::Nobody(nobody))
    }

    /// Connects to the socket that was found at the candidate's path.
    fn try_connect(
        &mut self,
        found: &OwnedFd,
        candidate: &Candidate,
        when_full: WhenFull,
    ) -> Result<Connecting> {
        const DOING: &str = "connecting";
        let path = candidate.paths.socket.as_path();
        let socket = socket::nonblocking().map_err(Error::os("making a socket"))?;
        // This thread's, not the process's: a thread can have descriptors of its own.
        let mut way = PathBuf::from(format!("/proc/thread-self/fd/{}", found.as_raw_fd()));
        let mut blocks = false;
        loop {
            match SocketAddrUnix::new(&way).and_then(|address| connect(&socket, &address)) {
                Ok(()) => {
                    if blocks {
                        socket::set_send_timeout(&socket, None)
                            .map_err(Error::os("lifting the time limit"))?;
                    } else {
                        socket::set_blocking(&socket)
                            .map_err(Error::os("making a socket block"))?;
                    }
                    let until = match self.in_line {
                        Some((_, until)) => until,
                        None => self.queue.until(false),
                    };
                    return Ok(Connecting::Opened(socket, until));
                }
                // A full backlog, or the time in it is up, or a signal: the clock is read each
                // time.
                Err(Errno::AGAIN | Errno::INTR) => {
                    let limit = self.stand_in_line(candidate)?;
                    if when_full == WhenFull::Return {
                        return Ok(Connecting::Full);
                    }
                    if !blocks {
                        socket::set_blocking(&socket)
                            .map_err(Error::os("making a socket block"))?;
                        blocks = true;
                    }
                    let left = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
                    socket::set_send_timeout(&socket, left)
                        .map_err(Error::os("limiting the time to connect"))?;
                }
                // The descriptor is open: so it is /proc that is not there, as in a bare chroot.
                Err(Errno::NOENT | Errno::NOTDIR) if way != path => way = path.to_owned(),
                Err(Errno::NOENT) => return Ok(Connecting::Gone),
                Err(Errno::CONNREFUSED) => return Ok(Connecting::Refused),
                Err(errno @ (Errno::ACCESS | Errno::PERM)) => {
                    return Ok(Connecting::Denied(Error::os_at(DOING, path)(errno)));
                }
                Err(Errno::PROTOTYPE) => return Err(Error::NotSlipring),
                Err(errno) => return Err(Error::os_at(DOING, path)(errno)),
            }
        }
    }

    /// By when a place in the backlog must come free.
    fn stand_in_line(&mut self, candidate: &Candidate) -> Result<Option<Instant>> {
        let now = Instant::now();
        let (since, limit) = match self.in_line {
            Some(line) => line,
            None => {
                let me = Some(std::process::id());
                let holder = lock_state_until(&candidate.paths.lock, now)?;
                let its_own = matches!(holder, LockState::Held { pid, .. } if pid == me);
                (now, self.queue.until(its_own))
            }
        };
        self.in_line = Some((since, limit));
        if limit.is_some_and(|limit| now >= limit) {
            return Err(Error::Timeout {
                what: "connecting (the listener's backlog is full)",
                after: now - since,
            });
        }
        Ok(limit)
    }
}

/// The result of trying every candidate.
enum Search {
    Connected(Dialed),
    /// A process listens, and has no room just now.
    Full,
    Nobody(Nobody),
}

/// Why nobody was found.
#[derive(Default)]
struct Nobody {
    tried: Vec<PathBuf>,
    passed_over: Vec<(PathBuf, String)>,
    /// There is a socket that takes no connections: stale, or about to listen.
    refusing: bool,
    /// There is a socket that this user may not connect to, or not yet.
    denied: Option<Error>,
}

/// A process that is bound to the name, and cannot be reached.
struct Hidden {
    path: PathBuf,
    pid: Option<u32>,
}

/// The holder of the name's lock, where nobody was reached by its socket. None if two have met
/// there.
fn hidden(candidates: &[Candidate]) -> Result<Option<Hidden>> {
    let safe = candidates
        .iter()
        .filter(|candidate| candidate.trust == DirTrust::Safe);
    for candidate in safe {
        if let LockState::Held { pid, paired: false } =
            lock_state_until(&candidate.paths.lock, Instant::now())?
        {
            let path = candidate.paths.socket.clone();
            return Ok(Some(Hidden { path, pid }));
        }
    }
    Ok(None)
}

/// Whether the file is known to be of this user.
///
/// # Errors
///
/// [`Error::UntrustedPeer`] if its owner is none of those who may have made it.
fn may_belong_to_its_owner(
    found: &OwnedFd,
    stat: &Stat,
    path: &Path,
    trusted_owner: &dyn Fn(u32) -> bool,
) -> Result<bool> {
    let (uid, is_me) = (stat.st_uid, user::owns(found.as_fd(), stat));
    // A number that says nothing is no reason to trust a user; an operation that only the owner may
    // do is one.
    if trusted_owner(uid) || (is_me && !user::is_told(uid)) {
        return Ok(is_me);
    }
    let why = format!(
        "the {} {} belongs to {}",
        thing(stat),
        path.display(),
        whose(uid)
    );
    Err(Error::UntrustedPeer { uid, why })
}

/// For the text about a stranger's file.
fn thing(stat: &Stat) -> &'static str {
    if FileType::from_raw_mode(stat.st_mode).is_socket() {
        "socket"
    } else {
        "file"
    }
}

/// Opens what is at the candidate's path, without access. `None` if nothing is there. A link is
/// followed only where the user gave the path.
fn find(candidate: &Candidate) -> Result<Option<(OwnedFd, Stat)>> {
    let path = candidate.paths.socket.as_path();
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !candidate.follow_links {
        flags |= OFlags::NOFOLLOW;
    }
    let found = match open(path, flags, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(Error::os_at("searching for the socket", path)(errno)),
    };
    let stat = fstat(&found).map_err(Error::os_at("checking the socket", path))?;
    Ok(Some((found, stat)))
}

/// The result of connecting to one socket.
enum Connecting {
    /// With the moment by which the listener has to take it up.
    Opened(OwnedFd, Option<Instant>),
    Full,
    Refused,
    Gone,
    Denied(Error),
}

#[cfg(test)]
mod tests;
