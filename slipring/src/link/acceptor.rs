//! Accepting: many handshakes at a time, so that a silent or slow client delays nobody.
//!
//! An epoll set, level-triggered, holds the listening socket, every client that is still shaking hands, a timer for
//! the earliest deadline, and the stop signal. Each thread in `accept` waits on it without holding a lock. A lock is
//! held for short steps alone; a client that has passed everything is checked, mapped and answered outside of it.
//!
//! A client that is shaking hands holds one descriptor of this process, and nothing else is made for it. How many there
//! may be depends on the limit of descriptors; if there are more, or descriptors run out, the user that has the most of
//! them loses the oldest.

use super::binding::Binding;
use super::handshake::{First, Handshake, Origin, Progress, Waits};
use crate::endpoint::{Connected, Endpoint};
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::{Name, Scope};
use crate::options::{Options, Peers};
use crate::sys::closing::{Link, Listening};
use crate::sys::process::Birth;
use crate::sys::{socket, user};
use crate::sys::watch::timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How many connections the kernel keeps while nobody accepts (or fewer: sysctl net.core.somaxconn).
const BACKLOG: i32 = 1024;

/// How many clients may be shaking hands at a time, and which part of the descriptors that this process may have.
const MOST_PENDING: usize = 256;
const PART_OF_DESCRIPTORS: u64 = 4;

/// Which part of them may be of one user that is not this process's own.
const PART_OF_A_STRANGER: usize = 4;

/// How many clients of one such user may have been answered without having received it. What is on its way to them counts
/// against the descriptors that this process's user may have on their way anywhere (unix(7), ETOOMANYREFS).
const MOST_UNRECEIVED: usize = 16;

/// Events that are taken at once.
const BATCH: usize = 16;

/// Batches after the time is up: for a caller that gives no time, what there is to do is done, unless it has no end.
const LATE_BATCHES: u32 = 4;

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
    /// bound until the listener is dropped. Does nothing in a forked child: the listener is its parent's.
    pub fn stop(&self) {
        if !self.stop.birth.is_here() {
            return;
        }
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
    birth: Birth,
}

impl Stop {
    fn is_asked_for(&self) -> bool {
        // Acquire: pairs with the release in `stop`.
        self.stopped.load(Ordering::Acquire)
    }

    /// Silences a bell that somebody rang who may not stop anything. It goes on ringing for all threads otherwise.
    fn silence(&self) {
        if !self.is_asked_for() {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
            // Somebody may have stopped it just then, whose ring was taken with the others.
            if self.is_asked_for() {
                let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
            }
        }
    }
}

/// What came of accepting for a while.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A client has completed its handshake.
    Stream(Connected),
    /// The time is up, and nothing was left to be done.
    Nothing,
    /// The time is up, and there is more to be done.
    Busy,
}

#[derive(Debug)]
pub(crate) struct Acceptor {
    set: OwnedFd,
    socket: Listening,
    timer: OwnedFd,
    stop: Arc<Stop>,
    options: Arc<Options>,
    name: Name,
    /// The socket's mode keeps all other users out.
    mine_alone: bool,
    most_pending: usize,
    /// A descriptor in reserve: see [`turn_away`](Acceptor::turn_away).
    spare: Mutex<Option<OwnedFd>>,
    clients: Mutex<Clients>,
    unreceived: Mutex<Vec<Unreceived>>,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
    #[cfg(feature = "tokio")]
    polled: AtomicBool,
    binding: Binding,
}

/// Clients that are shaking hands, by number; a higher number came later and has the later deadline.
#[derive(Debug, Default)]
struct Clients {
    by_number: BTreeMap<u64, Client>,
    accepted: u64,
}

impl Clients {
    /// The oldest of the user that has the most, but for one.
    fn first_to_go(&self, spared: Option<u64>) -> Option<u64> {
        let others = || {
            self.by_number
                .iter()
                .filter(move |(number, _)| Some(**number) != spared)
        };
        let mut counts = BTreeMap::<u32, usize>::new();
        others().for_each(|(_, client)| *counts.entry(client.user()).or_default() += 1);
        let (user, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        others()
            .find(|(_, client)| client.user() == user)
            .map(|(number, _)| *number)
    }

    /// The clients of one user, oldest first.
    fn of(&self, user: u32) -> impl Iterator<Item = u64> {
        let its = self.by_number.iter().filter(move |(_, client)| client.user() == user);
        its.map(|(number, _)| *number)
    }
}

#[derive(Debug)]
struct Client {
    handshake: Handshake,
    deadline: Instant,
    writes: bool,
}

/// A stream that was accepted, whose client is of another user and has perhaps not received its part yet.
#[derive(Debug)]
struct Unreceived {
    user: u32,
    endpoint: Weak<Endpoint>,
}

impl Unreceived {
    fn is_so(&self) -> bool {
        let unreceived = |endpoint: Arc<Endpoint>| socket::unreceived(endpoint.link.as_fd()) != Ok(0);
        self.endpoint.upgrade().is_some_and(unreceived)
    }
}

impl Client {
    fn user(&self) -> u32 {
        self.handshake.made_by()
    }
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
        let socket = Listening::new(socket, birth);
        let set = epoll::create(CreateFlags::CLOEXEC).map_err(Error::os("making an epoll set"))?;
        let bell =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(Error::os("making an eventfd"))?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )
        .map_err(Error::os("making a timer"))?;
        for (fd, token) in [(socket.as_fd(), SOCKET), (bell.as_fd(), STOP), (timer.as_fd(), TIMER)] {
            epoll::add(&set, fd, EventData::new_u64(token), EventFlags::IN)
                .map_err(Error::os("watching a listener (epoll)"))?;
        }
        let spare = spare(&timer)?;
        Ok(Acceptor {
            set,
            timer,
            stop: Arc::new(Stop {
                bell,
                stopped: AtomicBool::new(false),
                birth,
            }),
            options,
            name,
            mine_alone: mode == 0o600,
            most_pending: most_pending(),
            spare: Mutex::new(Some(spare)),
            clients: Mutex::default(),
            unreceived: Mutex::default(),
            socket,
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

    /// The next client that has completed its handshake, before the deadline.
    pub(crate) fn accept(&self, deadline: Option<Instant>) -> Result<Accepted> {
        let mut late_batches = 0;
        loop {
            if self.stop.is_asked_for() {
                return Err(Error::Stopped);
            }
            // Whatever happens, the clock is looked at after each batch.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_late = left == Some(Duration::ZERO);
            if is_late && late_batches == LATE_BATCHES {
                return Ok(Accepted::Busy);
            }
            late_batches += u32::from(is_late);
            let Some(tokens) = self.wait(left.map(timespec).as_ref())? else {
                continue;
            };
            if tokens.is_empty() && is_late {
                return Ok(Accepted::Nothing);
            }
            for token in tokens {
                let done = match token {
                    STOP => {
                        self.stop.silence();
                        None
                    }
                    TIMER => {
                        self.expire(&mut self.clients())?;
                        None
                    }
                    SOCKET => self.greet()?,
                    client => self.step(client)?,
                };
                if let Some(connected) = done {
                    // The other events are level-triggered: the next call gets them again.
                    return Ok(Accepted::Stream(connected));
                }
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        // The table is whole between any two calls on it, whoever panicked.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has happened, within the time; `None` if a signal came.
    fn wait(&self, timeout: Option<&Timespec>) -> Result<Option<Vec<u64>>> {
        let mut events = [MaybeUninit::uninit(); BATCH];
        match epoll::wait(&self.set, &mut events, timeout) {
            Ok((events, _)) => Ok(Some(events.iter().map(|e| e.data.u64()).collect())),
            Err(Errno::INTR) => Ok(None),
            Err(e) => Err(Error::os("waiting for connections (epoll_wait)")(e)),
        }
    }

    /// Takes a connection from the backlog and begins its handshake.
    fn greet(&self) -> Result<Option<Connected>> {
        let link = loop {
            match self.socket.accept() {
                Ok(link) => {
                    self.keep_spare();
                    break link;
                }
                // Another thread was faster, or the client has left again.
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
                Err(Errno::MFILE | Errno::NFILE) if self.make_room() => {}
                Err(e @ (Errno::MFILE | Errno::NFILE)) => {
                    self.turn_away();
                    return Err(Error::os("accepting a connection")(e));
                }
                Err(e) => return Err(Error::os("accepting a connection")(e)),
            }
        };
        point(Point::Taken);
        let mut client = match self.begin(link) {
            Ok(handshake) => Client {
                handshake,
                deadline: Options::deadline(self.options.handshake_timeout_or_default()),
                writes: false,
            },
            Err(error) => return self.judge(error),
        };
        if let Err(error) = client.handshake.screen() {
            return self.judge(error);
        }
        let number = {
            let mut clients = self.clients();
            self.let_go_for(&mut clients, client.user());
            let number = FIRST_CLIENT + clients.accepted;
            epoll::add(
                &self.set,
                client.handshake.link(),
                EventData::new_u64(number),
                EventFlags::IN,
            )
            .map_err(Error::os("watching a connection (epoll)"))?;
            clients.accepted += 1;
            clients.by_number.insert(number, client);
            self.set_timer(&clients)?;
            number
        };
        // Most have said hello by the time they are accepted.
        self.step(number)
    }

    fn begin(&self, link: Link) -> Result<Handshake> {
        let origin = Origin {
            mine_alone: self.mine_alone,
            until: None,
        };
        let (options, name) = (Arc::clone(&self.options), Some(self.name.clone()));
        Handshake::new(link, options, name, First::Peer, self.waits(), origin)
    }

    /// Tells a client in the backlog that descriptors have run out. To take it out needs one, which is held in reserve.
    /// If it stayed there, it would wait for nothing, and `accept` would be woken for it again and again.
    fn turn_away(&self) {
        let mut held = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        if let Ok(link) = self.socket.accept()
            && let Ok(mut handshake) = self.begin(link)
        {
            let error = Error::os("accepting a connection")(Errno::MFILE);
            handshake.tell(&error);
            self.count(&error);
        }
    }

    /// Holds a descriptor in reserve again, as soon as one can be had.
    fn keep_spare(&self) {
        let mut held = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = spare(&self.timer).ok();
        }
    }

    /// Lets go of a client that is shaking hands, if there would be too many with another one of this user.
    fn let_go_for(&self, clients: &mut Clients, user: u32) {
        let is_stranger = self.is_stranger(user);
        let victim = if clients.by_number.len() >= self.most_pending {
            clients.first_to_go(None)
        } else if is_stranger && clients.of(user).count() >= self.most_pending.div_ceil(PART_OF_A_STRANGER) {
            clients.of(user).next()
        } else {
            None
        };
        if let Some(victim) = victim {
            self.let_go(clients, victim);
        }
    }

    /// Lets go of a client that is shaking hands, for its descriptor. Says whether there was one.
    fn make_room(&self) -> bool {
        let mut clients = self.clients();
        let victim = clients.first_to_go(None);
        if let Some(victim) = victim {
            self.let_go(&mut clients, victim);
        }
        victim.is_some()
    }

    fn let_go(&self, clients: &mut Clients, number: u64) {
        if let Some(client) = clients.by_number.remove(&number) {
            self.unwatch(&client);
            self.count(&Error::Timeout {
                what: "the handshake of a client, while others came,",
                after: self.options.handshake_timeout_or_default(),
            });
        }
    }

    /// Goes on with one client's handshake.
    fn step(&self, number: u64) -> Result<Option<Connected>> {
        match self.step_in_table(number)? {
            Some(client) => self.complete(client),
            None => Ok(None),
        }
    }

    /// Goes on with it as long as it is one of many; returns a client whose everything has arrived.
    fn step_in_table(&self, number: u64) -> Result<Option<Client>> {
        let mut clients = self.clients();
        let progress = loop {
            let Some(client) = clients.by_number.get_mut(&number) else {
                // Another thread has dealt with it.
                return Ok(None);
            };
            match client.handshake.try_step() {
                Ok(Progress::Wait { write }) if write == client.writes => return Ok(None),
                Ok(Progress::Wait { write }) => {
                    client.writes = write;
                    let mut interest = EventFlags::IN;
                    interest.set(EventFlags::OUT, write);
                    return epoll::modify(&self.set, client.handshake.link(), EventData::new_u64(number), interest)
                        .map(|()| None)
                        .map_err(Error::os("watching a connection (epoll)"));
                }
                Err(error) if error.is_exhaustion() => match clients.first_to_go(Some(number)) {
                    Some(victim) => self.let_go(&mut clients, victim),
                    None => break Err(error),
                },
                progress => break progress.map(|_| ()),
            }
        };
        let Some(mut client) = clients.by_number.remove(&number) else {
            return Ok(None);
        };
        self.unwatch(&client);
        self.set_timer(&clients)?;
        drop(clients);
        match progress {
            Ok(()) => Ok(Some(client)),
            Err(error) => {
                client.handshake.tell(&error);
                self.judge(error)
            }
        }
    }

    /// Checks and maps what a client has passed, makes what it gets, and passes it: the last step.
    fn complete(&self, mut client: Client) -> Result<Option<Connected>> {
        let user = client.user();
        let is_stranger = self.is_stranger(user);
        if is_stranger && self.count_unreceived(user) >= MOST_UNRECEIVED {
            return self.judge(client.handshake.turn_away());
        }
        loop {
            match client.handshake.try_step() {
                Ok(Progress::Arrived) => {}
                Ok(Progress::Done) => {
                    let connected = client.handshake.finish()?;
                    if is_stranger {
                        let endpoint = Arc::downgrade(&connected.endpoint);
                        self.unreceived().push(Unreceived { user, endpoint });
                    }
                    return Ok(Some(connected));
                }
                // There is room for an answer of this length in any socket that has had none.
                Ok(Progress::Wait { .. }) => return self.judge(Error::PeerGone),
                Err(error) if error.is_exhaustion() && self.make_room() => {}
                Err(error) => {
                    client.handshake.tell(&error);
                    return self.judge(error);
                }
            }
        }
    }

    fn is_stranger(&self, user: u32) -> bool {
        !user::is_same(user, self.mine_alone)
    }

    fn unreceived(&self) -> MutexGuard<'_, Vec<Unreceived>> {
        self.unreceived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients of this user have not received what they were answered.
    fn count_unreceived(&self, user: u32) -> usize {
        let mut all = self.unreceived();
        all.retain(Unreceived::is_so);
        all.iter().filter(|one| one.user == user).count()
    }

    /// Takes a client's link out of the set. Closing it would not, while a forked child has a copy.
    fn unwatch(&self, client: &Client) {
        // It is in the set, and leaving it needs nothing that could be missing.
        let _ = epoll::delete(&self.set, client.handshake.link());
    }

    /// A client's fault is counted; a want of this process's is the caller's to know.
    fn judge<T>(&self, error: Error) -> Result<Option<T>> {
        // Descriptors that wait to be received count for all that this user sends: the one that does not receive them is
        // to blame.
        if error.is_want() && !error.is_too_much_in_flight() {
            return Err(error);
        }
        self.count(&error);
        Ok(None)
    }

    fn count(&self, error: &Error) {
        // Relaxed: a statistic.
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// Lets go of clients whose time is up.
    fn expire(&self, clients: &mut Clients) -> Result<()> {
        let now = Instant::now();
        while let Some(oldest) = clients.by_number.first_entry()
            && oldest.get().deadline <= now
        {
            self.unwatch(&oldest.remove());
            self.count(&Error::Timeout {
                what: "the handshake of a client",
                after: self.options.handshake_timeout_or_default(),
            });
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

/// A descriptor to be given up for another.
fn spare(any: &OwnedFd) -> Result<OwnedFd> {
    fcntl_dupfd_cloexec(any, 0).map_err(Error::os("keeping a descriptor in reserve (fcntl)"))
}

/// How many clients may be shaking hands at a time.
fn most_pending() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let part = usize::try_from(descriptors / PART_OF_DESCRIPTORS).unwrap_or(usize::MAX);
    part.clamp(1, MOST_PENDING)
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
