//! Closing the descriptors that a peer has passed, where it blocks nothing.
//!
//! The process that closes a descriptor last waits for what is behind it: a TCP socket with
//! `SO_LINGER` (socket(7)) for bytes that nobody takes, a file of FUSE for the program that serves
//! it. So a peer that passes such a descriptor would decide for how long a thread of this process
//! blocks. Every descriptor of a peer's that has not been found to be harmless is closed by one
//! thread of its own, which is started when it is needed for the first time.
//!
//! The lingering of sockets is turned off first, so that one does not keep the next from being
//! closed. A file of FUSE whose server hangs can still do that: then descriptors are held, and
//! nobody waits for them.

use super::errno::{self, Errno};
use super::failure::Failure;
use super::mapping::has_room;
use super::process::ForkGuard;
use super::socket;
use rustix::fs::{fcntl_get_seals, readlink};
use rustix::net::sockopt::{set_socket_linger, set_socket_oobinline};
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// More messages than a Unix socket holds.
const MOST_MESSAGES: u32 = 1024;

/// Bytes of addresses that a thread with a small stack takes, and more.
const ROOM_FOR_A_THREAD: usize = 1 << 20;

/// The thread that closes.
struct Closer {
    fork_guard: ForkGuard,
    queue: Sender<OwnedFd>,
}

impl Closer {
    /// The one of this process. `None` if there can be none now: no thread is to be had, or this is
    /// a forked child, which has its parent's queue without the thread.
    fn get() -> Option<&'static Closer> {
        static CLOSER: OnceLock<Closer> = OnceLock::new();
        if CLOSER.get().is_none() {
            // Of two that start one at the same time, one ends again with its queue.
            let _ = CLOSER.set(Closer::start()?);
        }
        CLOSER.get().filter(|closer| closer.fork_guard.is_owner())
    }

    fn start() -> Option<Closer> {
        let fork_guard = ForkGuard::here().ok()?;
        // A thread that finds no memory for its signal stack ends the process.
        if !has_room(ROOM_FOR_A_THREAD) {
            return None;
        }
        let (queue, closing) = channel::<OwnedFd>();
        thread::Builder::new()
            .name("slipring-close".into())
            .stack_size(64 << 10)
            .spawn(move || closing.iter().for_each(close))
            .ok()?;
        Some(Closer { fork_guard, queue })
    }
}

/// Closes a descriptor elsewhere; or here, if there is no other way.
pub(crate) fn elsewhere(fd: OwnedFd) {
    match Closer::get() {
        Some(closer) => {
            if let Err(unsent) = closer.queue.send(fd) {
                close(unsent.0);
            }
        }
        None => close(fd),
    }
}

/// Closes a descriptor, and the descriptors that are on their way through it if it is a socket, and
/// so on. Each call fails, and does nothing, for a descriptor that it does not fit.
fn close(fd: OwnedFd) {
    let mut left = vec![fd];
    while let Some(fd) = left.pop() {
        let _ = shutdown(&fd, Shutdown::Both);
        for _ in 0..MOST_MESSAGES {
            match socket::receive(fd.as_fd(), &mut [0; 4096]) {
                Ok(received) if received.len > 0 || !received.fds.is_empty() => {
                    left.extend(received.fds)
                }
                _ => break,
            }
        }
        let _ = set_socket_linger(&fd, None);
    }
}

/// A descriptor that a peer has passed, whatever it is. Dropping it does not block.
#[derive(Debug)]
pub(crate) struct Passed(Option<OwnedFd>);

impl Passed {
    pub(crate) fn new(fd: OwnedFd) -> Passed {
        Passed(Some(fd))
    }

    /// An ordinary descriptor again, for one whose closing nobody waits for.
    pub(crate) fn harmless(mut self) -> OwnedFd {
        self.0.take().expect(THERE)
    }

    /// Whether it is an eventfd: asked of /proc, since even adding a strange file to an epoll set
    /// calls into its file system.
    pub(crate) fn is_eventfd(&self) -> errno::Result<bool> {
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        Ok(readlink(path, Vec::new())?.as_bytes() == b"anon_inode:[eventfd]")
    }

    /// Whether it is memory with seals, which is asked of no file system of another program.
    fn is_memory(&self) -> bool {
        fcntl_get_seals(self).is_ok()
    }
}

impl AsFd for Passed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect(THERE).as_fd()
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        // The descriptors that belong to a handshake are harmless.
        if self.0.is_some()
            && !self.is_memory()
            && self.is_eventfd() != Ok(true)
            && let Some(fd) = self.0.take()
        {
            elsewhere(fd);
        }
    }
}

/// Messages that are taken out of a link as it is dropped: those of a handshake, and a few more.
const MOST_INLINE: u32 = 8;

const THERE: &str = "it is there until it is dropped";

/// The message that lies ahead on a socket.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// How many descriptors came along.
    pub(crate) descriptors: usize,
    /// This process has no room for them.
    pub(crate) truncated: bool,
}

/// Reads what comes next, and takes nothing. The copies of descriptors that come of it are dropped
/// as those of a peer are. Closing one that is not the last may block as well, as a file of FUSE is
/// flushed each time.
pub(crate) fn peek(socket: BorrowedFd<'_>) -> errno::Result<Ahead> {
    let ahead = socket::peek(socket, &mut [0])?;
    let copies: Vec<_> = ahead.fds.into_iter().map(Passed::new).collect();
    Ok(Ahead {
        descriptors: copies.len(),
        truncated: ahead.truncated,
    })
}

/// A message of a few bytes and one descriptor, of which nothing has been taken.
#[derive(Debug)]
pub(crate) enum Parcel<const LEN: usize> {
    /// It, with a copy of its descriptor.
    Whole([u8; LEN], Passed),
    /// This process has no room for the descriptor.
    NoRoom,
    /// There is none, or another message.
    None,
}

/// Looks at the message that comes next. [`take_parcel`] takes it away.
pub(crate) fn peek_parcel<const LEN: usize>(socket: BorrowedFd<'_>) -> errno::Result<Parcel<LEN>> {
    let mut bytes = [0; LEN];
    let ahead = match socket::peek(socket, &mut bytes) {
        Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(Parcel::None),
        ahead => ahead?,
    };
    let mut copies: Vec<_> = ahead.fds.into_iter().map(Passed::new).collect();
    Ok(match (copies.pop(), copies.is_empty(), ahead.truncated) {
        (Some(copy), true, false) if ahead.len == LEN => Parcel::Whole(bytes, copy),
        (None, _, true) => Parcel::NoRoom,
        (Some(_), true, true) => Parcel::NoRoom,
        _ => Parcel::None,
    })
}

/// Takes away a message that [`peek_parcel`] found whole.
pub(crate) fn take_parcel<const LEN: usize>(socket: BorrowedFd<'_>) -> errno::Result<()> {
    // If there is no room for its descriptor any more, the kernel drops that.
    let received = socket::receive(socket, &mut [0; LEN])?;
    received.fds.into_iter().map(Passed::new).for_each(drop);
    Ok(())
}

/// What a peer has said over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// Nothing, and it never will.
    Gone,
    /// Descriptors, which nobody asked for. They are still there: the link is to be dropped.
    Descriptors,
}

/// Receives a few bytes of a peer's, without blocking. `EAGAIN`: there are none. Descriptors of a
/// peer that is not trusted are not taken: with too few of its own left, the kernel would close
/// them in this thread.
pub(crate) fn hear(
    socket: BorrowedFd<'_>,
    trusted: bool,
    bytes: &mut [u8],
) -> errno::Result<Heard> {
    if !trusted {
        let ahead = peek(socket)?;
        if ahead.descriptors > 0 || ahead.truncated {
            return Ok(Heard::Descriptors);
        }
    }
    let received = socket::receive(socket, bytes)?;
    let descriptors: Vec<_> = received.fds.into_iter().map(Passed::new).collect();
    Ok(match received.len {
        _ if !descriptors.is_empty() || received.truncated => Heard::Descriptors,
        0 => Heard::Gone,
        len => Heard::Bytes(len),
    })
}

/// The Unix socket over which a stream is set up, and whose hang-up is the peer's death. Dropping
/// it hangs up, and does not block, whatever the peer has sent over it.
#[derive(Debug)]
pub(crate) struct Link {
    fd: Option<OwnedFd>,
    fork_guard: ForkGuard,
}

impl Link {
    /// This process's end of a connected socket.
    pub(crate) fn new(fd: OwnedFd) -> Result<Link, Failure> {
        let fork_guard =
            ForkGuard::here().map_err(Failure::of("marking this process (madvise)"))?;
        Ok(Link::of(fd, fork_guard))
    }

    fn of(fd: OwnedFd, fork_guard: ForkGuard) -> Link {
        // Then a byte out of band is a byte like any other. Otherwise the kernel passes over it, so
        // that it stays readable for ever, and drops it, with the descriptors that came with it, in
        // the middle of a call. A descriptor that is no Unix socket is found out later.
        let _ = set_socket_oobinline(&fd, true);
        Link {
            fd: Some(fd),
            fork_guard,
        }
    }

    /// The process that it belongs to.
    pub(crate) fn fork_guard(&self) -> ForkGuard {
        self.fork_guard
    }

    /// Tells the peer that this side is gone. Closing alone would not, while a forked child has a
    /// copy; and the child must not end its parent's stream.
    pub(crate) fn hang_up(&self) {
        if self.fork_guard.is_owner() {
            let _ = shutdown(self, Shutdown::Both);
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect(THERE).as_fd()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The messages that lie there are its parent's, in a forked child.
        if !self.fork_guard.is_owner() {
            return;
        }
        // Nothing more comes in after this.
        self.hang_up();
        if let Some(fd) = self.fd.take()
            && !is_empty(fd.as_fd())
        {
            elsewhere(fd);
        }
    }
}

/// Whether nothing is on its way in through a socket that was shut down. Messages that a handshake
/// leaves there are taken out of it.
fn is_empty(socket: BorrowedFd<'_>) -> bool {
    for _ in 0..MOST_INLINE {
        if socket::unread(socket) == Ok(0) {
            return true;
        }
        match peek(socket) {
            Ok(ahead) if !ahead.truncated => {}
            _ => return false,
        }
        match socket::receive(socket, &mut [0; 4096]) {
            Ok(received) => received.fds.into_iter().map(Passed::new).for_each(drop),
            Err(_) => return false,
        }
    }
    false
}

/// A listening socket that does not block. Dropping it hangs up on the clients in its backlog, and
/// does not block either, whatever they have sent. One that another process has as well is closed,
/// and nothing else is done to it.
#[derive(Debug)]
pub(crate) struct Listening {
    fd: Option<OwnedFd>,
    fork_guard: ForkGuard,
    shared: AtomicBool,
}

impl Listening {
    pub(crate) fn new(fd: OwnedFd, fork_guard: ForkGuard) -> Listening {
        Listening {
            fd: Some(fd),
            fork_guard,
            shared: AtomicBool::new(false),
        }
    }

    /// The process that it belongs to.
    pub(crate) fn fork_guard(&self) -> ForkGuard {
        self.fork_guard
    }

    /// From now on it is another process's as well, or rather.
    pub(crate) fn share(&self) {
        // Relaxed: the thread that drops it has it alone, and that orders everything before.
        self.shared.store(true, Ordering::Relaxed);
    }

    /// From now on it is this process's alone to end.
    pub(crate) fn unshare(&self) {
        // Relaxed: see `share`.
        self.shared.store(false, Ordering::Relaxed);
    }

    /// Takes the next client out of the backlog.
    pub(crate) fn accept(&self) -> errno::Result<Link> {
        // A forked child that accepts has a stream of its own.
        let fork_guard = ForkGuard::here().unwrap_or(self.fork_guard);
        accept_with(self, SocketFlags::CLOEXEC).map(|fd| Link::of(fd, fork_guard))
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect(THERE).as_fd()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A forked child that drops its copy changes nothing for its parent. Relaxed: see `share`.
        if !self.fork_guard.is_owner() || self.shared.load(Ordering::Relaxed) {
            return;
        }
        // Nobody comes in after this.
        let _ = shutdown(&*self, Shutdown::Both);
        let left = loop {
            match self.accept() {
                Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(left) => break left,
            }
        };
        // Otherwise there are clients in it that cannot be taken out, for want of a descriptor.
        if !matches!(left, Errno::AGAIN | Errno::INVAL)
            && let Some(fd) = self.fd.take()
        {
            elsewhere(fd);
        }
    }
}
