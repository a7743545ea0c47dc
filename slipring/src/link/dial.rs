//! Connecting to a name: finding its socket, and whose it is, and the connection itself. The
//! handshake comes after this.
//!
//! A socket is opened (as a place, `O_PATH`), judged, and connected to through that very
//! descriptor: what was judged is what is connected to, even if somebody exchanges the file.
//! Its owner must be trusted; who is at the other end then, the handshake asks the kernel.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::directory::{Places, Standing, kind_of};
use super::spot::Candidate;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::name::Name;

/// How long a listener may take from binding its socket to setting its mode.
const SETTLING: Duration = Duration::from_millis(20);

/// The longest pause between two looks, where only looking tells.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Connects to a name. The socket returned is blocking, and closed on exec.
///
/// While the listener's backlog is full it waits, until the deadline. It does not wait for a name
/// that nobody is bound to. `trusted_owner` is asked whether the socket may belong to that user.
///
/// # Errors
///
/// [`Error::NotBound`], with everything that was tried and passed over; [`Error::UntrustedPeer`];
/// [`Error::Timeout`]; [`Error::PathTooLong`]; [`Error::NotSlipring`] for a socket that is no
/// stream; [`Error::Os`], among others if this user may not connect.
pub(crate) fn dial(name: &Name, deadline: Instant, trusted_owner: &dyn Fn(u32) -> bool) -> Result<OwnedFd> {
    dial_in(&Places::from_env(), name, deadline, trusted_owner)
}

/// As [`dial`], with an environment of one's own.
pub(crate) fn dial_in(
    places: &Places,
    name: &Name,
    deadline: Instant,
    trusted_owner: &dyn Fn(u32) -> bool,
) -> Result<OwnedFd> {
    let settled = Instant::now() + SETTLING;
    loop {
        match look_everywhere(&places.candidates(name)?, deadline, trusted_owner)? {
            Look::Connected(socket) => return Ok(socket),
            // Perhaps it is just being bound, and still has the mode that the umask left.
            Look::Nobody(nobody) if nobody.denied.is_some() && Instant::now() < settled => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Look::Nobody(nobody) => return Err(nobody.into_error(name, Duration::ZERO)),
        }
    }
}

/// Connects to a name as soon as somebody is bound to it: waits for that for as long as `patience` (None: for
/// ever), and then up to `connect_within` for a place in the backlog.
///
/// # Errors
///
/// As [`dial`], at once but for [`Error::NotBound`], which says how long was waited.
pub(crate) fn dial_waiting(
    name: &Name,
    patience: Option<Duration>,
    connect_within: Duration,
    trusted_owner: &dyn Fn(u32) -> bool,
) -> Result<OwnedFd> {
    dial_waiting_in(&Places::from_env(), name, patience, connect_within, trusted_owner)
}

/// As [`dial_waiting`], with an environment of one's own.
///
/// Why no wake-up is lost: the watch is armed before each look, so whatever makes the look succeed
/// either came before it, or is an event that ends the wait. There is one thing without an event:
/// that `listen` is called on a socket that is bound. Only while there is a socket that does not
/// take connections, it is looked at again after a pause; the pause grows from 1 ms and starts anew
/// with every event, so that a listener which is about to listen is found at once, and a stale
/// socket costs next to nothing. The same where a directory cannot be watched (no inotify instances
/// left, no right to read it). As long as everything is watched and there is no socket, nothing is
/// looked at without an event, so that no event that was lost could be covered up.
pub(crate) fn dial_waiting_in(
    places: &Places,
    name: &Name,
    patience: Option<Duration>,
    connect_within: Duration,
    trusted_owner: &dyn Fn(u32) -> bool,
) -> Result<OwnedFd> {
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    let started = Instant::now();
    let until = patience.map(|patience| after(started, patience));
    let candidates = places.candidates(name)?;
    let sockets: Vec<&Path> = candidates
        .iter()
        .map(|candidate| candidate.spot.socket.as_path())
        .collect();
    let mut watch = Watch::new();
    let mut pause = FIRST_PAUSE;
    let mut denied_since = None;
    loop {
        let all_watched = watch.arm(sockets.iter().copied());
        let deadline = after(Instant::now(), connect_within);
        // Judged after the watch was armed, each time: a directory may have come.
        let nobody = match look_everywhere(&places.candidates(name)?, deadline, trusted_owner)? {
            Look::Connected(socket) => return Ok(socket),
            Look::Nobody(nobody) => nobody,
        };
        let now = Instant::now();
        denied_since = nobody.denied.as_ref().and(denied_since.or(Some(now)));
        let denied_for_good = denied_since.is_some_and(|since| now >= since + SETTLING);
        if denied_for_good || until.is_some_and(|until| now >= until) {
            return Err(nobody.into_error(name, started.elapsed()));
        }
        let pauses = nobody.refusing || !all_watched;
        let next_look = if pauses { Some(now + pause) } else { None };
        let event = watch.wait(next_look.into_iter().chain(until).min())?;
        pause = if event || !pauses {
            FIRST_PAUSE
        } else {
            LONGEST_PAUSE.min(pause * 2)
        };
    }
}

/// That long after `start`; a year, if that is more than can be counted.
fn after(start: Instant, duration: Duration) -> Instant {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    start.checked_add(duration.min(year)).unwrap_or(start)
}

/// What came of looking at every candidate.
enum Look {
    Connected(OwnedFd),
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

impl Nobody {
    fn into_error(self, name: &Name, waited: Duration) -> Error {
        let Nobody {
            tried,
            passed_over,
            denied,
            ..
        } = self;
        denied.unwrap_or_else(|| Error::NotBound {
            name: name.to_string(),
            tried,
            passed_over,
            waited,
        })
    }
}

fn look_everywhere(candidates: &[Candidate], deadline: Instant, trusted_owner: &dyn Fn(u32) -> bool) -> Result<Look> {
    let mut nobody = Nobody::default();
    for candidate in candidates {
        let path = &candidate.spot.socket;
        nobody.tried.push(path.clone());
        match &candidate.standing {
            Standing::Safe => {}
            Standing::Missing => continue,
            Standing::Unusable(why) | Standing::Unsafe(why) => {
                nobody.passed_over.push((candidate.directory.clone(), why.clone()));
                continue;
            }
        }
        let Some((socket, stat)) = find(candidate)? else {
            continue;
        };
        if !trusted_owner(stat.st_uid) {
            let why = format!("the {} {} is that user's", thing(&stat), path.display());
            return Err(Error::UntrustedPeer { uid: stat.st_uid, why });
        }
        if !FileType::from_raw_mode(stat.st_mode).is_socket() {
            nobody
                .passed_over
                .push((path.clone(), format!("it is {}, not a socket", kind_of(&stat))));
            continue;
        }
        match knock(&socket, path, deadline)? {
            Knock::Opened(socket) => return Ok(Look::Connected(socket)),
            Knock::Gone => {}
            Knock::Refused => {
                let why = "nobody listens there: it is stale, or not listening yet";
                nobody.passed_over.push((path.clone(), why.into()));
                nobody.refusing = true;
            }
            Knock::Denied(error) => {
                nobody.denied = Some(error);
                nobody.refusing = true;
            }
        }
    }
    Ok(Look::Nobody(nobody))
}

/// For the text about a stranger's file.
fn thing(stat: &Stat) -> &'static str {
    if FileType::from_raw_mode(stat.st_mode).is_socket() {
        "socket"
    } else {
        "file"
    }
}

/// Opens what is at the candidate's path, as a place only. None if nothing is there. A link is
/// followed only where the user gave the path.
fn find(candidate: &Candidate) -> Result<Option<(OwnedFd, Stat)>> {
    let path = candidate.spot.socket.as_path();
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !candidate.follow_links {
        flags |= OFlags::NOFOLLOW;
    }
    let found = match open(path, flags, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(Error::os_at("looking for the socket", path)(errno)),
    };
    let stat = fstat(&found).map_err(Error::os_at("looking at the socket", path))?;
    Ok(Some((found, stat)))
}

/// What came of connecting to one socket.
enum Knock {
    Opened(OwnedFd),
    Refused,
    Gone,
    Denied(Error),
}

/// Connects to the socket that was found at the path.
fn knock(found: &OwnedFd, path: &Path, deadline: Instant) -> Result<Knock> {
    const DOING: &str = "connecting";
    let started = Instant::now();
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(Error::os("making a socket"))?;
    // This thread's, not the process's: a thread can have descriptors of its own.
    let mut way = PathBuf::from(format!("/proc/thread-self/fd/{}", found.as_raw_fd()));
    loop {
        // Else a full backlog blocks for ever. (Zero would mean no limit.)
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        set_socket_timeout(&socket, Timeout::Send, Some(left)).map_err(Error::os("limiting the time to connect"))?;
        match SocketAddrUnix::new(&way).and_then(|address| connect(&socket, &address)) {
            Ok(()) => {
                set_socket_timeout(&socket, Timeout::Send, None).map_err(Error::os("lifting the time limit"))?;
                return Ok(Knock::Opened(socket));
            }
            Err(Errno::INTR) => {}
            // The descriptor is open: so it is /proc that is not there, as in a bare chroot.
            Err(Errno::NOENT | Errno::NOTDIR) if way != path => way = path.to_owned(),
            Err(Errno::NOENT) => return Ok(Knock::Gone),
            Err(Errno::CONNREFUSED) => return Ok(Knock::Refused),
            Err(Errno::AGAIN) => {
                let what = "connecting (the listener's backlog is full)";
                return Err(Error::Timeout {
                    what,
                    after: started.elapsed(),
                });
            }
            Err(errno @ (Errno::ACCESS | Errno::PERM)) => {
                return Ok(Knock::Denied(Error::os_at(DOING, path)(errno)));
            }
            Err(Errno::PROTOTYPE) => return Err(Error::NotSlipring),
            Err(errno) => return Err(Error::os_at(DOING, path)(errno)),
        }
    }
}

#[cfg(test)]
mod tests;
