//! The lock file beside a socket: it decides whether the socket is live or stale.
//!
//! A process that is bound holds an exclusive `flock` on it. The kernel lets go of that when the
//! process ends, however it ends, so a lock that is free means that nobody is bound. A holder that
//! leaves in order removes the file, while it still holds the lock. That is safe because a process
//! that takes a lock then checks whether the file it locked is still the one at the path, and
//! starts anew if not: else two processes could hold "the" lock on two different files.
//!
//! It contains lines: the holder's process id; `pidns` and the number of the PID namespace in which
//! it is that; `kind` and what the name is, once somebody can connect; `activated`, if a service
//! manager holds the socket; and `paired`, once two have met in a rendezvous. That is for people
//! and for error texts: only the lock decides. A process id of another namespace is another
//! process's here, so it is told to nobody. The same for one without a namespace, which an older
//! build wrote, or a process that has no `/proc`.
//!
//! The lock is the open file's, not the process's. A process that takes over a name from another
//! one has a copy of that descriptor, and so the lock: there is no moment at which nobody holds it.
//!
//! Of a socket that a service manager holds the lock file stays when its service leaves, and tells
//! whose the name is. Nobody holds the lock then.
//!
//! A check takes a shared lock for a moment, without waiting. A process that wants to bind
//! meanwhile can tell that from a holder (a shared lock beside it is granted), and tries again.
//!
//! Each process that may open the file may lock it. So another user can keep a global name from
//! being bound, as by binding it first; nobody can make a name appear free that is held, or take it
//! over.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::sys::errno::{self, Errno};
use crate::sys::file::{
    FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, ftruncate, lstat, open,
    pread, pwrite, stat, unlink,
};

use super::directory::{is_absence, kind_of, owned_by, whose};
use super::message::Kind;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::sys::process::{ForkGuard, is_alive};

/// The last line of a lock file whose rendezvous has taken place.
const PAIRED: &str = "paired";
/// The start of the line that tells the PID namespace.
const NAMESPACE: &str = "pidns ";
/// The start of the line that tells what the name is.
const KIND: &str = "kind ";
/// The line of a name whose socket a service manager holds.
const ACTIVATED: &str = "activated";
/// No lock file of slipring is longer.
const LONGEST: usize = 112;
/// How long another process's check of the lock may last.
const CHECK_LASTS: Duration = Duration::from_millis(100);
/// How long a new holder may take to write its process id.
const WRITING_LASTS: Duration = Duration::from_millis(10);

/// NONBLOCK, because opening a FIFO would wait otherwise.
const CAREFULLY: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// A lock that this process holds until it is dropped. Dropped in a forked child it does nothing:
/// the lock is the parent's.
#[derive(Debug)]
pub(crate) struct Lock {
    file: OwnedFd,
    path: PathBuf,
    /// Whether the file is known to be a lock file, and was written to.
    signed: bool,
    /// What the name is, if it has been noted.
    kind: Option<Kind>,
    /// A service manager holds the socket: the file stays.
    activated: bool,
    /// Another process has it from now on.
    given_up: bool,
    /// The process that took it.
    maker: ForkGuard,
}

/// The text that a holder has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    pid: u32,
    /// The PID namespace in which it has that number.
    namespace: Option<u64>,
    /// What the name is, if it says so and this build knows it.
    kind: Option<Kind>,
    activated: bool,
    paired: bool,
}

/// The result of a check of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockState {
    /// Somebody is bound.
    Held {
        /// The process, if it can be told and is one that can be seen from here.
        pid: Option<u32>,
        /// Whether two have met in a rendezvous.
        paired: bool,
    },
    /// Nobody is bound. (Also if there is no lock file.)
    Free,
    /// It cannot be told, and why.
    Unreadable(String),
}

impl Lock {
    /// Takes the lock that decides over a name and writes this process's id into it. `uid` is this
    /// user.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if another process holds it; [`Error::Os`] if it cannot be opened or
    /// written, or belongs to another user, or is not a lock file (it is not touched then).
    pub(crate) fn acquire(path: &Path, name: &Name, uid: u32) -> Result<Lock> {
        let mut lock = Lock::take(path, name, uid)?;
        lock.sign()?;
        Ok(lock)
    }

    /// Takes the lock of a name whose socket a service manager holds.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Lock::acquire).
    pub(super) fn acquire_activated(path: &Path, name: &Name, uid: u32) -> Result<Lock> {
        let mut lock = Lock::take(path, name, uid)?;
        lock.activated = true;
        lock.sign()?;
        Ok(lock)
    }

    /// Takes over the lock that a predecessor has passed on, and writes this process's id into it.
    /// It is left to the predecessor until this process [keeps](Lock::keep) it.
    ///
    /// # Errors
    ///
    /// [`Error::NameInUse`] if it is not that lock, and another process holds it; [`Error::Os`] as
    /// for [`acquire`](Lock::acquire), and if the file is not the one at the path any more.
    pub(super) fn take_over(file: OwnedFd, path: &Path, name: &Name, uid: u32) -> Result<Lock> {
        let maker = ForkGuard::here().map_err(Error::os("marking this process (madvise)"))?;
        let failed = || Error::os_at("taking over the lock file", path);
        let stat = fstat(&file).map_err(failed())?;
        check(path, &file, &stat, uid)?;
        let at_path = lstat(path).map_err(failed())?;
        if !same_file(&at_path, &stat) {
            return Err(not_ours(
                path,
                "is another file than the one that was passed on",
            ));
        }
        // The file was opened by the predecessor: if that holds the lock, this changes nothing.
        match try_exclusive(&file).map_err(failed())? {
            Attempt::Mine => {}
            Attempt::Held | Attempt::BeingChecked => {
                return Err(in_use(name, read_held(&file, Instant::now()).0));
            }
        }
        let written = read(&file).ok().as_deref().and_then(parse);
        let mut lock = Lock {
            file,
            path: path.to_owned(),
            signed: false,
            kind: None,
            activated: written.is_some_and(|holder| holder.activated),
            // The predecessor's, until this process serves.
            given_up: true,
            maker,
        };
        lock.sign()?;
        Ok(lock)
    }

    /// The descriptor once more, which has the lock as well.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] for want of descriptors.
    pub(super) fn copy(&self) -> Result<OwnedFd> {
        let copy = self.file.try_clone();
        copy.map_err(Error::os("copying the descriptor of the lock file (fcntl)"))
    }

    /// Leaves the lock and the file to those that have a copy.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// It is this process's from now on.
    pub(super) fn keep(&mut self) {
        self.given_up = false;
    }

    pub(super) fn is_activated(&self) -> bool {
        self.activated
    }

    /// Takes the lock of a name that its holder has left, to clear it away: the file goes with it.
    /// Nothing is written, so that others that want the name know to wait for that moment. `uid` is
    /// the user whose file it is.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Lock::acquire).
    pub(super) fn acquire_left(path: &Path, name: &Name, uid: u32) -> Result<Lock> {
        let mut lock = Lock::take(path, name, uid)?;
        lock.signed = true;
        Ok(lock)
    }

    fn take(path: &Path, name: &Name, uid: u32) -> Result<Lock> {
        let maker = ForkGuard::here().map_err(Error::os("marking this process (madvise)"))?;
        let give_up = Instant::now() + CHECK_LASTS;
        let mut pause = Duration::from_micros(200);
        loop {
            let file = open_or_create(path, name)?;
            match try_exclusive(&file).map_err(Error::os_at("locking", path))? {
                Attempt::Mine => {
                    let lock = Lock {
                        file,
                        path: path.to_owned(),
                        signed: false,
                        kind: None,
                        activated: false,
                        given_up: false,
                        maker,
                    };
                    let stat =
                        fstat(&lock.file).map_err(Error::os_at("checking the lock file", path))?;
                    check(path, &lock.file, &stat, uid)?;
                    // The file may have been removed in between; then this lock is worth
                    // nothing.
                    match lstat(path) {
                        Ok(at_path) if same_file(&at_path, &stat) => return Ok(lock),
                        Ok(_) | Err(Errno::NOENT) => {}
                        Err(errno) => {
                            return Err(Error::os_at("checking the lock file", path)(errno));
                        }
                    }
                }
                Attempt::Held => {
                    let (pid, _) = read_held(&file, Instant::now() + WRITING_LASTS);
                    // A holder that does not say which process it is may be about to leave: a
                    // holder that only clears away files that others have left.
                    if pid.is_some() || Instant::now() >= give_up {
                        return Err(in_use(name, pid));
                    }
                }
                Attempt::BeingChecked => {}
            }
            if Instant::now() >= give_up {
                return Err(in_use(name, None));
            }
            std::thread::sleep(pause);
            pause = pause * 3 / 2;
        }
    }

    /// Notes that two have met, so that a third can be told.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be written.
    pub(crate) fn mark_paired(&self) -> Result<()> {
        self.write(true)
    }

    /// Notes what the name is.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if it cannot be written.
    pub(super) fn mark_kind(&mut self, kind: Kind) -> Result<()> {
        self.kind = Some(kind);
        self.write(false)
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    fn write(&self, paired: bool) -> Result<()> {
        let text = self.text(paired);
        write_all(&self.file, &text).map_err(Error::os("writing the lock file"))
    }

    fn text(&self, paired: bool) -> String {
        let holder = Holder {
            kind: self.kind,
            activated: self.activated,
            paired,
            ..Holder::here()
        };
        holder.to_string()
    }

    /// Whether this is the process that took it, and not a forked child.
    pub(crate) fn is_mine(&self) -> bool {
        self.maker.is_owner()
    }

    /// Removes the file, while the lock on it is still held. A process may have opened the file
    /// already and get its lock only now. It then finds another file at the path, or none, and
    /// tries again (see [`acquire`](Lock::acquire)).
    fn remove(&self) {
        if let (Ok(mine), Ok(at_path)) = (fstat(&self.file), lstat(&self.path))
            && same_file(&mine, &at_path)
        {
            let _ = unlink(&self.path);
        }
    }

    /// Whether the file is still at its path. If not, another process can take the name.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if that cannot be told.
    pub(super) fn is_in_place(&self) -> Result<bool> {
        let failed = || Error::os_at("checking the lock file", &self.path);
        let mine = fstat(&self.file).map_err(failed())?;
        match lstat(&self.path) {
            Ok(at_path) => Ok(same_file(&mine, &at_path)),
            Err(errno) if is_absence(errno) => Ok(false),
            Err(errno) => Err(failed()(errno)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes this process's id into it.
    pub(super) fn sign(&mut self) -> Result<()> {
        self.signed = true;
        ftruncate(&self.file, 0)
            .and_then(|()| write_all(&self.file, &self.text(false)))
            .map_err(Error::os_at("writing the lock file", &self.path))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.is_mine() || self.given_up {
            return;
        }
        if self.signed && !self.activated {
            // The file's text must not be taken for a statement about the next holder.
            let _ = ftruncate(&self.file, 0);
            self.remove();
        }
        // Closing would not do: a forked child may have the descriptor too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Whether somebody is bound, by the lock file at `path`. Waits for nothing (but up to 10 ms for a
/// holder to write its process id), changes nothing, and leaves no lock behind.
///
/// # Errors
///
/// [`Error::Os`] if it cannot be told for want of descriptors or memory.
pub(crate) fn lock_state(path: &Path) -> Result<LockState> {
    lock_state_until(path, Instant::now() + WRITING_LASTS)
}

/// Like [`lock_state`], but waits for a holder's process id until `give_up` at most.
pub(crate) fn lock_state_until(path: &Path, give_up: Instant) -> Result<LockState> {
    let unreadable = |doing: &str, errno: Errno| match errno {
        Errno::IO => Ok(LockState::Unreadable(format!(
            "the lock file cannot be {doing}: {errno}"
        ))),
        errno if is_absence(errno) => Ok(LockState::Unreadable(format!(
            "the lock file cannot be {doing}: {errno}"
        ))),
        errno => Err(Error::os_at("checking the lock file", path)(errno)),
    };
    let file = match open(path, OFlags::RDONLY | CAREFULLY, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(LockState::Free),
        // A socket.
        Err(errno @ Errno::NXIO) => {
            return Ok(LockState::Unreadable(format!(
                "the lock file is no file: {errno}"
            )));
        }
        Err(errno) => return unreadable("opened", errno),
    };
    match fstat(&file) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {}
        Ok(stat) => {
            return Ok(LockState::Unreadable(format!(
                "the lock file is {}",
                kind_of(&stat)
            )));
        }
        Err(errno) => return unreadable("checked", errno),
    }
    match try_shared(&file) {
        Ok(true) => Ok(LockState::Free),
        Ok(false) => {
            let (pid, paired) = read_held(&file, give_up);
            Ok(LockState::Held { pid, paired })
        }
        // No locks on this file system.
        Err(errno @ (Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS)) => Ok(LockState::Unreadable(
            format!("the lock file cannot be locked: {errno}"),
        )),
        Err(errno) => unreadable("locked", errno),
    }
}

enum Attempt {
    Mine,
    Held,
    /// Another process checks it, or did until just now: to be tried again.
    BeingChecked,
}

fn try_exclusive(file: &OwnedFd) -> errno::Result<Attempt> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Attempt::Mine),
        Err(Errno::WOULDBLOCK) if try_shared(file)? => Ok(Attempt::BeingChecked),
        Err(Errno::WOULDBLOCK) => Ok(Attempt::Held),
        Err(errno) => Err(errno),
    }
}

/// Whether nobody holds the lock exclusively. The shared lock is let go of at once.
fn try_shared(file: &OwnedFd) -> errno::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        // Explicitly, and not by closing: a child forked meanwhile would keep it.
        Ok(()) => flock(file, FlockOperation::Unlock).map(|()| true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens the lock file for writing; makes it, if it is not there.
fn open_or_create(path: &Path, name: &Name) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | CAREFULLY;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    for _ in 0..100 {
        // Without CREATE first: in a sticky directory fs.protected_regular refuses CREATE for a
        // file of another user.
        match open(path, flags, Mode::empty()) {
            Ok(file) => return Ok(file),
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                let what = lstat(path).map_or("a file", |stat| kind_of(&stat));
                return Err(not_ours(path, &format!("is {what}")));
            }
            Err(errno @ (Errno::ACCESS | Errno::PERM)) => return Err(shut_out(path, name, errno)?),
            Err(errno) => return Err(Error::os_at("opening the lock file", path)(errno)),
        }
        // Exclusively: then it is this process that must set the mode, whatever the umask.
        match open(path, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Ok(file) => {
                fchmod(&file, mode)
                    .map_err(Error::os_at("setting the mode of the lock file", path))?;
                return Ok(file);
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::os_at("making the lock file", path)(errno)),
        }
    }
    Err(not_ours(path, "comes and goes"))
}

/// Why this user may not open the lock file, which is another user's as a rule.
fn shut_out(path: &Path, name: &Name, errno: Errno) -> Result<Error> {
    Ok(match (lock_state(path)?, lstat(path)) {
        (LockState::Held { pid, .. }, _) => in_use(name, pid),
        (LockState::Free, Ok(stat)) => {
            let (path, owner) = (path.display(), whose(stat.st_uid));
            let text = format!(
                "{path} belongs to {owner}. Nobody holds it: a process of that user was killed and \
                 has left it. That user or root can remove it, by `slipring ls --clean` or `rm \
                 {path}`; or choose another name"
            );
            Error::os_because("locking the name", text)(errno)
        }
        _ => Error::os_at("opening the lock file", path)(errno),
    })
}

/// Whether the file is a lock file that this user may write to: it could be a file that has this
/// name by chance (`Cargo.lock` beside a path name `Cargo`), or a trap laid by another user.
fn check(path: &Path, file: &OwnedFd, stat: &Stat, uid: u32) -> Result<()> {
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(not_ours(path, &format!("is {}", kind_of(stat))));
    }
    if !owned_by(uid, file, stat) {
        return Err(not_ours(
            path,
            &format!("belongs to {}, not to user {uid}", whose(stat.st_uid)),
        ));
    }
    if stat.st_nlink > 1 {
        return Err(not_ours(path, "has a second name elsewhere"));
    }
    let text = read(file).map_err(Error::os_at("reading the lock file", path))?;
    if !text.is_empty() && parse(&text).is_none() {
        return Err(not_ours(path, "has contents that are not slipring's"));
    }
    Ok(())
}

fn not_ours(path: &Path, why: &str) -> Error {
    let text = format!(
        "{} is in the way: it {why}. It was not touched; remove it, or choose another name",
        path.display()
    );
    Error::Os {
        doing: "locking the name",
        source: std::io::Error::new(std::io::ErrorKind::AlreadyExists, text),
    }
}

fn in_use(name: &Name, pid: Option<u32>) -> Error {
    Error::NameInUse {
        name: name.to_string(),
        pid,
        socket_gone: None,
        activated: false,
    }
}

/// Whether a lock file says that a service manager holds the socket, held or not.
pub(super) fn is_activated_at(path: &Path) -> bool {
    let file = open(path, OFlags::RDONLY | CAREFULLY, Mode::empty());
    let holder = file.and_then(|file| read(&file)).ok();
    holder
        .as_deref()
        .and_then(parse)
        .is_some_and(|holder| holder.activated)
}

/// Whether both are of the same file.
pub(crate) fn same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The holder, if it can be told, and whether it has met somebody. A holder that was killed leaves
/// its text to the next, which replaces it only after taking the lock. So a text that was not
/// written by a living process is read again for a short time.
fn read_held(file: &OwnedFd, give_up: Instant) -> (Option<u32>, bool) {
    let here = namespace();
    loop {
        let written = read(file).ok().as_deref().and_then(parse);
        match written {
            Some(Holder {
                pid,
                namespace,
                paired,
                ..
            }) if here.is_some() && namespace == here && is_alive(pid) => {
                return (Some(pid), paired);
            }
            Some(Holder { paired, .. }) if Instant::now() >= give_up => return (None, paired),
            None if Instant::now() >= give_up => return (None, false),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// What the name is, by the word of its holder, in a lock file that is held.
pub(super) fn kind_at(path: &Path) -> Option<Kind> {
    let file = open(path, OFlags::RDONLY | CAREFULLY, Mode::empty()).ok()?;
    parse(&read(&file).ok()?)?.kind
}

/// The PID namespace of this process, as a number that no other has at the time. `None` without
/// `/proc`.
fn namespace() -> Option<u64> {
    stat("/proc/self/ns/pid").ok().map(|stat| stat.st_ino)
}

/// The contents, or (of a long file, which is none of slipring's) a part that is too long.
fn read(file: &OwnedFd) -> errno::Result<Vec<u8>> {
    let mut buffer = [0; LONGEST + 1];
    let count = pread(file, &mut buffer, 0)?;
    Ok(buffer.iter().take(count).copied().collect())
}

impl Holder {
    fn here() -> Holder {
        Holder {
            pid: std::process::id(),
            namespace: namespace(),
            kind: None,
            activated: false,
            paired: false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.pid)?;
        if let Some(namespace) = self.namespace {
            writeln!(f, "{NAMESPACE}{namespace}")?;
        }
        if let Some(kind) = self.kind {
            writeln!(f, "{KIND}{}", kind.name())?;
        }
        if self.activated {
            writeln!(f, "{ACTIVATED}")?;
        }
        if self.paired {
            writeln!(f, "{PAIRED}")?;
        }
        Ok(())
    }
}

/// The text of a holder, if this is one.
fn parse(text: &[u8]) -> Option<Holder> {
    let mut lines = std::str::from_utf8(text)
        .ok()?
        .strip_suffix('\n')?
        .split('\n')
        .peekable();
    let pid = number(lines.next()?)?;
    let namespace = lines.next_if(|line| line.starts_with(NAMESPACE));
    let namespace = match namespace {
        Some(line) => Some(number(line.strip_prefix(NAMESPACE)?)?),
        None => None,
    };
    let kind = lines.next_if(|line| line.starts_with(KIND));
    let kind = kind.and_then(|line| Kind::named(line.strip_prefix(KIND)?));
    let activated = lines.next_if_eq(&ACTIVATED).is_some();
    let paired = lines.next_if_eq(&PAIRED).is_some();
    lines.next().is_none().then_some(Holder {
        pid,
        namespace,
        kind,
        activated,
        paired,
    })
}

/// A number of digits alone: `parse` would take a plus sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Writes at the start. (A few bytes into a regular file are written at once, or not for want of
/// space.)
fn write_all(file: &OwnedFd, text: &str) -> errno::Result<()> {
    match pwrite(file, text.as_bytes(), 0)? {
        count if count == text.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

#[cfg(test)]
mod tests;
