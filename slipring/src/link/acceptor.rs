//! Accepting: many handshakes at a time, so that a silent or slow client delays nobody.
//!
//! An epoll set, level-triggered, holds the listening socket, every client that is still shaking hands, a timer for
//! the earliest deadline, and the stop signal. Whoever is in `accept` waits on it without holding a lock, so that
//! several threads can; the work itself is done under the lock, one event at a time.

use super::binding::Binding;
use super::handshake::{First, Handshake, Progress, Waits};
use super::message::{Message, Refusal, Verdict};
use crate::endpoint::Connected;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::{Name, Scope};
use crate::options::{Options, Peers};
use crate::sys::process::Birth;
use crate::sys::socket;
use crate::sys::watch::timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many connections the kernel keeps while nobody accepts (or fewer: sysctl net.core.somaxconn).
const BACKLOG: i32 = 1024;

/// How many clients may be shaking hands at a time. The oldest makes way for a new one.
const MOST_PENDING: usize = 256;

const SOCKET: u64 = 0;
const STOP: u64 = 1;
const TIMER: u64 = 2;
const FIRST_CLIENT: u64 = 3;

/// Stops a [`Listener`](crate::Listener) from any thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    stop: Arc<Stop>,
}

impl Stopper {
    /// Ends blocked calls of `accept` and all later ones with [`Error::Stopped`]. Does not block; the name stays
    /// bound until the listener is dropped.
    pub fn stop(&self) {
        // Release: pairs with the acquire of whoever the bell wakes.
        self.stop.stopped.store(true, Ordering::Release);
        // It can only fail once it has been rung 2^64 - 1 times.
        let _ = rustix::io::write(&self.stop.bell, &1u64.to_ne_bytes());
    }
}

#[derive(Debug)]
struct Stop {
    bell: OwnedFd,
    stopped: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Acceptor {
    set: OwnedFd,
    socket: Listening,
    timer: OwnedFd,
    stop: Arc<Stop>,
    options: Arc<Options>,
    name: Name,
    clients: Mutex<Clients>,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
    #[cfg(feature = "tokio")]
    polled: AtomicBool,
    binding: Binding,
}

/// The listening socket. Dropping it hangs up on whoever is in the backlog, which closing alone would not while a
/// forked child has a copy; and a child that drops its copy changes nothing for its parent.
#[derive(Debug)]
struct Listening {
    fd: OwnedFd,
    birth: Birth,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.birth.is_here() {
            let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
        }
    }
}

/// Clients that are shaking hands, by number; a higher number came later and has the later deadline.
#[derive(Debug, Default)]
struct Clients {
    by_number: BTreeMap<u64, Client>,
    accepted: u64,
}

#[derive(Debug)]
struct Client {
    handshake: Handshake,
    deadline: Instant,
    writes: bool,
}

impl Acceptor {
    pub(crate) fn new(options: Arc<Options>, name: Name) -> Result<Acceptor> {
        let mode = match (name.scope(), &options.peers) {
            (Scope::Local, _) | (_, Peers::SameUser) => 0o600,
            // Who may connect is decided by their credentials.
            _ => 0o666,
        };
        let birth = Birth::here().map_err(Error::os("marking this process (madvise)"))?;
        let (binding, socket) = Binding::new(&name, mode, BACKLOG)?;
        let socket = Listening { fd: socket, birth };
        let set = epoll::create(CreateFlags::CLOEXEC).map_err(Error::os("making an epoll set"))?;
        let bell =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(Error::os("making an eventfd"))?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )
        .map_err(Error::os("making a timer"))?;
        for (fd, token) in [(&socket.fd, SOCKET), (&bell, STOP), (&timer, TIMER)] {
            epoll::add(&set, fd, EventData::new_u64(token), EventFlags::IN)
                .map_err(Error::os("watching a listener (epoll)"))?;
        }
        Ok(Acceptor {
            set,
            socket,
            timer,
            stop: Arc::new(Stop {
                bell,
                stopped: AtomicBool::new(false),
            }),
            options,
            name,
            clients: Mutex::default(),
            refused: AtomicU64::new(0),
            last_refusal: Mutex::default(),
            #[cfg(feature = "tokio")]
            polled: AtomicBool::new(false),
            binding,
        })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn path(&self) -> &Path {
        self.binding.path()
    }

    pub(crate) fn stopper(&self) -> Stopper {
        Stopper {
            stop: Arc::clone(&self.stop),
        }
    }

    /// From now on streams are for an event loop.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_polled(&self) {
        // Relaxed: whoever accepts afterwards was given the listener afterwards.
        self.polled.store(true, Ordering::Relaxed);
    }

    fn waits(&self) -> Waits {
        #[cfg(feature = "tokio")]
        if self.polled.load(Ordering::Relaxed) {
            return Waits::Polled;
        }
        Waits::Blocking
    }

    pub(crate) fn refused(&self) -> u64 {
        // Relaxed: a statistic.
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn last_refusal(&self) -> Option<String> {
        self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up listening; keeps the name.
    pub(crate) fn into_binding(self) -> Binding {
        self.binding
    }

    /// The next client that has completed its handshake; `None` at the deadline.
    pub(crate) fn accept(&self, deadline: Option<Instant>) -> Result<Option<Connected>> {
        loop {
            // Acquire: pairs with the release in `stop`.
            if self.stop.stopped.load(Ordering::Acquire) {
                return Err(Error::Stopped);
            }
            let timeout = deadline.map(|d| timespec(d.saturating_duration_since(Instant::now())));
            let late = timeout.is_some_and(|t| t == timespec(Duration::ZERO));
            let tokens = self.wait(timeout.as_ref())?;
            if tokens.is_empty() && late {
                return Ok(None);
            }
            let mut clients = self.clients();
            for token in tokens {
                let done = match token {
                    STOP => None,
                    TIMER => {
                        self.expire(&mut clients)?;
                        None
                    }
                    SOCKET => self.greet(&mut clients)?,
                    client => self.step(&mut clients, client)?,
                };
                if done.is_some() {
                    // The other events are level-triggered: the next call gets them again.
                    return Ok(done);
                }
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        // The table is whole between any two calls on it, whoever panicked.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, timeout: Option<&Timespec>) -> Result<Vec<u64>> {
        let mut events = [MaybeUninit::uninit(); 16];
        match epoll::wait(&self.set, &mut events, timeout) {
            Ok((events, _)) => Ok(events.iter().map(|e| e.data.u64()).collect()),
            Err(Errno::INTR) => Ok(vec![]),
            Err(e) => Err(Error::os("waiting for connections (epoll_wait)")(e)),
        }
    }

    /// Takes a connection from the backlog and begins its handshake.
    fn greet(&self, clients: &mut Clients) -> Result<Option<Connected>> {
        let link = match accept_with(&self.socket.fd, SocketFlags::CLOEXEC) {
            Ok(link) => link,
            // Another thread was faster, or the client has left again.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(e) => return Err(Error::os("accepting a connection")(e)),
        };
        point(Point::Taken);
        let uid = socket::made_by(link.as_fd()).map_err(Error::os("asking who connected (SO_PEERCRED)"))?;
        if !self.options.trusts(uid) {
            let verdict = Message::Verdict(Verdict::Refused(Refusal::User, vec![])).encode();
            let _ = socket::send(link.as_fd(), &verdict, &[]);
            return self.judge(Error::UntrustedPeer {
                uid,
                why: "it connected, and is not allowed".into(),
            });
        }
        let handshake = Handshake::new(
            link,
            Arc::clone(&self.options),
            Some(self.name.clone()),
            First::Peer,
            self.waits(),
        )?;
        let number = FIRST_CLIENT + clients.accepted;
        epoll::add(&self.set, handshake.link(), EventData::new_u64(number), EventFlags::IN)
            .map_err(Error::os("watching a connection (epoll)"))?;
        clients.accepted += 1;
        if clients.by_number.len() >= MOST_PENDING
            && let Some((_, oldest)) = clients.by_number.pop_first()
        {
            self.unwatch(&oldest);
            self.judge::<()>(Error::Timeout {
                what: "the handshake of a client, while others came,",
                after: self.options.handshake_timeout_or_default(),
            })?;
        }
        let deadline = Options::deadline(self.options.handshake_timeout_or_default());
        clients.by_number.insert(
            number,
            Client {
                handshake,
                deadline,
                writes: false,
            },
        );
        self.set_timer(clients)?;
        // Most have said hello by the time they are accepted.
        self.step(clients, number)
    }

    /// Goes on with one client's handshake.
    fn step(&self, clients: &mut Clients, number: u64) -> Result<Option<Connected>> {
        let Some(client) = clients.by_number.get_mut(&number) else {
            // Another thread has dealt with it.
            return Ok(None);
        };
        match client.handshake.step() {
            Ok(Progress::Wait { write }) => {
                if write != client.writes {
                    client.writes = write;
                    let mut interest = EventFlags::IN;
                    interest.set(EventFlags::OUT, write);
                    epoll::modify(&self.set, client.handshake.link(), EventData::new_u64(number), interest)
                        .map_err(Error::os("watching a connection (epoll)"))?;
                }
                Ok(None)
            }
            Ok(Progress::Done) => {
                let Some(client) = clients.by_number.remove(&number) else {
                    return Ok(None);
                };
                self.unwatch(&client);
                self.set_timer(clients)?;
                client.handshake.finish().map(Some)
            }
            Err(error) => {
                if let Some(client) = clients.by_number.remove(&number) {
                    self.unwatch(&client);
                }
                self.set_timer(clients)?;
                self.judge(error)
            }
        }
    }

    /// Takes a client's link out of the set. Closing it would not, while a forked child has a copy.
    fn unwatch(&self, client: &Client) {
        // It is in the set, and leaving it needs nothing that could be missing.
        let _ = epoll::delete(&self.set, client.handshake.link());
    }

    /// A client's fault is counted; a lack of this process's is the caller's to know.
    fn judge<T>(&self, error: Error) -> Result<Option<T>> {
        match error {
            error @ (Error::Os { .. } | Error::Unsupported { .. }) => Err(error),
            error => {
                // Relaxed: a statistic.
                self.refused.fetch_add(1, Ordering::Relaxed);
                *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                Ok(None)
            }
        }
    }

    /// Lets go of clients whose time is up.
    fn expire(&self, clients: &mut Clients) -> Result<()> {
        let now = Instant::now();
        while let Some(oldest) = clients.by_number.first_entry()
            && oldest.get().deadline <= now
        {
            self.unwatch(&oldest.remove());
            self.judge::<()>(Error::Timeout {
                what: "the handshake of a client",
                after: self.options.handshake_timeout_or_default(),
            })?;
        }
        self.set_timer(clients)
    }

    /// Sets the timer to the earliest deadline, or off.
    fn set_timer(&self, clients: &Clients) -> Result<()> {
        let next = clients.by_number.first_key_value().map(|(_, client)| {
            // Zero would turn the timer off.
            client
                .deadline
                .saturating_duration_since(Instant::now())
                .max(Duration::from_nanos(1))
        });
        let setting = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(next.unwrap_or_default()),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)
            .map(|_| ())
            .map_err(Error::os("setting a timer"))
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
