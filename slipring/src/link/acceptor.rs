//! Accepting: many handshakes at a time, so that a silent or slow client delays nobody.
//!
//! An epoll set, level-triggered, holds the listening socket, every client that is still shaking
//! hands, a timer for the earliest deadline, and the stop signal. Each thread in `accept` waits on
//! it without holding a lock. A lock is held for short steps alone; a client that has passed
//! everything is checked, mapped and answered outside of it.
//!
//! A client that is shaking hands holds one descriptor of this process, and nothing else is made
//! for it. The limit of descriptors decides how many clients there may be. If there are more, or if
//! descriptors run out, the user that has the most of them loses the oldest.

mod clients;
mod spare;
mod stop;
mod unreceived;

pub use stop::Stopper;

use super::binding::{Binding, Condition};
use super::handshake::{First, Handshake, Origin, Progress};
use super::listener_fd::ListenerFd;
use super::side::Side;
use super::stream_side::Waits;
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::name::{Name, Scope};
use crate::options::Options;
use crate::peer::Peers;
use crate::sys::closing::{Link, Listening};
use crate::sys::epoll::Epoll;
use crate::sys::errno::Errno;
use crate::sys::process::ForkGuard;
use crate::sys::timer::Timer;
use crate::sys::user;
use clients::{Client, Clients};
use spare::Spare;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stop::Stop;
use unreceived::Unreceived;

/// How many connections the kernel keeps while nobody accepts (or fewer: sysctl
/// net.core.somaxconn).
const BACKLOG: i32 = 1024;

/// The same for a socket that another process has made: what it has set, or more, within that limit
/// of the system.
const BACKLOG_OF_OTHERS: i32 = i32::MAX;

/// Batches after the time is up. If a caller gives no time, everything that is there to do is done,
/// unless it has no end.
const LATE_BATCHES: u32 = 4;

const SOCKET: u64 = 0;
const STOP: u64 = 1;
const TIMER: u64 = 2;
const FIRST_CLIENT: u64 = 3;

/// The result of accepting for a while.
pub(crate) enum Accepted<S: Side = Waits> {
    /// A client has completed its handshake.
    Stream(S::Connected),
    /// The time is up, and nothing was left to be done.
    Nothing,
    /// The time is up, and there is more to be done.
    Busy,
}

#[derive(Debug)]
pub(crate) struct Acceptor<S: Side = Waits> {
    set: Epoll,
    socket: Mutex<Arc<Listening>>,
    timer: Timer,
    stop: Arc<Stop>,
    options: Arc<Options>,
    name: Name,
    path: PathBuf,
    fork_guard: ForkGuard,
    /// The socket's mode keeps all other users out.
    mine_alone: bool,
    spare: Spare,
    clients: Mutex<Clients<S>>,
    unreceived: Unreceived,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
    /// This side of every handshake that begins.
    side: Mutex<S>,
    binding: Mutex<Binding>,
    /// Nobody is taken out of the backlog any more.
    retired: AtomicBool,
}

impl Acceptor {
    /// Of streams.
    pub(crate) fn new(options: Arc<Options>, name: Name) -> Result<Acceptor> {
        Acceptor::of(options, name, Waits::Blocking)
    }

    /// Of streams, at a name that is bound already.
    pub(crate) fn take_over(options: Arc<Options>, fds: ListenerFd) -> Result<Acceptor> {
        let fork_guard = here()?;
        let (binding, socket) = Binding::take_over(fds, BACKLOG_OF_OTHERS)?;
        let mine_alone = binding.mode() & 0o077 == 0 && binding.owner() == Some(user::me());
        let socket = Listening::new(socket, fork_guard);
        let acceptor = Acceptor::with(options, binding, socket, Waits::Blocking, mine_alone)?;
        // Until here a failure leaves all of it to the predecessor.
        acceptor.keep();
        Ok(acceptor)
    }

    /// From now on streams are for an event loop.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_polled(&self) {
        *self.side() = Waits::Polled;
    }
}

impl<S: Side> Acceptor<S> {
    /// For clients that shake hands with this side.
    pub(crate) fn of(options: Arc<Options>, name: Name, side: S) -> Result<Acceptor<S>> {
        let mode = match (name.scope(), &options.peers) {
            (Scope::Local, _) | (_, Peers::SameUser) => 0o600,
            // Credentials decide which users may connect.
            _ => 0o666,
        };
        let fork_guard = here()?;
        let (binding, socket) = Binding::new(&name, mode, BACKLOG)?;
        let socket = Listening::new(socket, fork_guard);
        Acceptor::with(options, binding, socket, side, mode == 0o600)
    }

    fn with(
        options: Arc<Options>,
        mut binding: Binding,
        socket: Listening,
        side: S,
        mine_alone: bool,
    ) -> Result<Acceptor<S>> {
        if binding.is_shared() {
            socket.share();
        }
        binding.mark_kind(side.kind())?;
        let fork_guard = socket.fork_guard();
        let set = Epoll::new().map_err(Error::os("making an epoll set"))?;
        let stop = Stop::new(fork_guard)?;
        let timer = Timer::new().map_err(Error::os("making a timer"))?;
        for (fd, token) in [
            (socket.as_fd(), SOCKET),
            (stop.as_fd(), STOP),
            (timer.as_fd(), TIMER),
        ] {
            set.add(fd, token)
                .map_err(Error::os("watching a listener (epoll)"))?;
        }
        Ok(Acceptor {
            set,
            socket: Mutex::new(Arc::new(socket)),
            spare: Spare::new(timer.as_fd())?,
            timer,
            stop: Arc::new(stop),
            options,
            name: binding.name().clone(),
            path: binding.path().to_owned(),
            fork_guard,
            mine_alone,
            clients: Mutex::new(Clients::new(FIRST_CLIENT)),
            unreceived: Unreceived::default(),
            refused: AtomicU64::new(0),
            last_refusal: Mutex::default(),
            side: Mutex::new(side),
            binding: Mutex::new(binding),
            retired: AtomicBool::new(false),
        })
    }

    fn keep(&self) {
        let mut binding = self.binding();
        binding.keep();
        if !binding.is_shared() {
            self.socket().unshare();
        }
    }

    /// The name stays this process's, after a successor that has failed.
    pub(crate) fn reclaim(&self) -> Result<()> {
        let socket = Arc::clone(&*self.socket());
        self.binding().reclaim(socket.as_fd())
    }

    /// The descriptors for a successor.
    pub(crate) fn copy(&self) -> Result<ListenerFd> {
        let socket = Arc::clone(&*self.socket());
        self.binding().copy(socket.as_fd())
    }

    /// Leaves the name to a successor. The clients that are shaking hands are still accepted.
    pub(crate) fn retire(&self) {
        if !self.fork_guard.is_owner() {
            return;
        }
        self.binding().give_up();
        let socket = self.socket();
        socket.share();
        // It may have been taken out before; and a thread that has just been told of a client there
        // takes that one.
        let _ = self.set.delete(&**socket);
        // Release: pairs with the acquire in `is_over`, in a thread that the event wakes.
        self.retired.store(true, Ordering::Release);
        self.stop.wake();
    }

    /// Whether `accept` has come to its end: it was stopped, or has retired, and nobody is left who
    /// shakes hands.
    fn is_over(&self) -> bool {
        // Acquire: see `retire`.
        if self.retired.load(Ordering::Acquire) && self.clients().by_number.is_empty() {
            self.stop.end();
        }
        self.stop.is_asked_for()
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stopper(&self) -> Stopper {
        Stopper {
            stop: Arc::clone(&self.stop),
        }
    }

    fn side(&self) -> MutexGuard<'_, S> {
        // It is whole at any time.
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refused(&self) -> u64 {
        // Relaxed: a statistic.
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn last_refusal(&self) -> Option<String> {
        self.last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn binding(&self) -> MutexGuard<'_, Binding> {
        // It is whole between any two calls, also after a panic.
        self.binding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn socket(&self) -> MutexGuard<'_, Arc<Listening>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up listening; keeps the name.
    pub(crate) fn into_binding(self) -> Binding {
        self.binding
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a service manager holds the socket.
    pub(crate) fn is_activated(&self) -> bool {
        self.binding().is_activated()
    }

    /// The state of the files of the name.
    pub(crate) fn condition(&self) -> Result<Condition> {
        self.binding().condition()
    }

    /// Makes anew the files that were removed; says whether there were any.
    pub(crate) fn repair(&self) -> Result<bool> {
        // Acquire: as in `is_over`.
        if self.retired.load(Ordering::Acquire) {
            return Ok(false);
        }
        let mut binding = self.binding();
        let was_sound = binding.condition()? == Condition::Sound;
        let Some(socket) = binding.repair()? else {
            return Ok(!was_sound);
        };
        let socket = Arc::new(Listening::new(socket, self.fork_guard));
        self.set
            .add(&*socket, SOCKET)
            .map_err(Error::os("watching a listener (epoll)"))?;
        let old = std::mem::replace(&mut *self.socket(), socket);
        let _ = self.set.delete(&*old);
        // Nobody comes to the old one any more; those that wait there are taken over, or told that
        // descriptors have run out, one by one.
        for _ in 0..=BACKLOG {
            match self.take_from(&old) {
                Ok(Some(link)) => drop(self.admit(link)?),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        Ok(true)
    }

    /// The next client that has completed its handshake, before the deadline.
    pub(crate) fn accept(&self, deadline: Option<Instant>) -> Result<Accepted<S>> {
        let mut late_batches = 0;
        loop {
            if self.is_over() {
                return Err(Error::Stopped);
            }
            // The clock is read after each batch, in every case.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_late = left == Some(Duration::ZERO);
            if is_late && late_batches == LATE_BATCHES {
                return Ok(Accepted::Busy);
            }
            late_batches += u32::from(is_late);
            let Some(tokens) = self.wait(left)? else {
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
                        self.drop_expired()?;
                        None
                    }
                    SOCKET => self.accept_one()?,
                    client => self.step(client)?,
                };
                if let Some(connected) = done {
                    // The other events are level-triggered: the next call gets them again. If this
                    // was the last one, other threads need not wait for that call.
                    self.is_over();
                    return Ok(Accepted::Stream(connected));
                }
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients<S>> {
        // The table is whole between any two calls on it, also after a panic.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens of the events within the time; `None` if a signal came.
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Vec<u64>>> {
        match self.set.wait(timeout) {
            Ok(tokens) => Ok(Some(tokens)),
            Err(Errno::INTR) => Ok(None),
            Err(e) => Err(Error::os("waiting for connections (epoll_wait)")(e)),
        }
    }

    /// Takes a client from the backlog, and goes as far with it as it goes. Most have said hello by
    /// then.
    fn accept_one(&self) -> Result<Option<S::Connected>> {
        let socket = Arc::clone(&*self.socket());
        let Some(link) = self.take_from(&socket)? else {
            return Ok(None);
        };
        match self.admit(link)? {
            Some(number) => self.step(number),
            None => Ok(None),
        }
    }

    /// Takes a client from a backlog; `None` if nobody is there. If it fails because there is no
    /// descriptor left, a client was told so and is gone.
    fn take_from(&self, socket: &Listening) -> Result<Option<Link>> {
        loop {
            match socket.accept() {
                Ok(link) => {
                    point(Point::Taken);
                    self.spare.restore(self.timer.as_fd());
                    return Ok(Some(link));
                }
                // Another thread was faster.
                Err(Errno::AGAIN) => return Ok(None),
                // The client has left again.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE) if self.make_room() => {}
                Err(e) => {
                    let error = Error::os("accepting a connection")(e);
                    if error.is_exhaustion() {
                        self.spare.lend(|| self.turn_away(socket, &error));
                    }
                    return Err(error);
                }
            }
        }
    }

    fn begin(&self, link: Link) -> Result<Handshake<S>> {
        let origin = Origin {
            mine_alone: self.mine_alone,
            until: None,
        };
        let (options, name) = (Arc::clone(&self.options), Some(self.name.clone()));
        Handshake::new(
            link,
            options,
            name,
            First::Peer,
            self.side().clone(),
            origin,
        )
    }

    /// Begins a client's handshake; says under which number.
    fn admit(&self, link: Link) -> Result<Option<u64>> {
        let begun = self.begin(link).and_then(|mut handshake| {
            handshake.screen()?;
            Ok(handshake)
        });
        let client = match begun {
            Ok(handshake) => Client {
                handshake,
                deadline: Options::deadline(self.options.handshake_timeout_or_default()),
                writes: false,
            },
            Err(error) => return self.record_refusal(error),
        };
        let mut clients = self.clients();
        let user = client.user();
        if let Some(victim) = clients.one_too_many(user, self.is_stranger(user)) {
            self.let_go(&mut clients, victim);
        }
        let number = clients.next;
        self.set
            .add(client.handshake.link(), number)
            .map_err(Error::os("watching a connection (epoll)"))?;
        clients.next += 1;
        clients.by_number.insert(number, client);
        self.set_timer(&clients)?;
        Ok(Some(number))
    }

    /// Tells a client in the backlog that descriptors have run out.
    fn turn_away(&self, socket: &Listening, error: &Error) {
        if let Ok(link) = socket.accept()
            && let Ok(mut handshake) = self.begin(link)
        {
            handshake.tell(error);
            self.count(error);
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

    fn let_go(&self, clients: &mut Clients<S>, number: u64) {
        if let Some(client) = clients.by_number.remove(&number) {
            self.unwatch(&client);
            self.count(&Error::Timeout {
                what: "the handshake of a client, while others came,",
                after: self.options.handshake_timeout_or_default(),
            });
        }
    }

    /// Goes on with one client's handshake.
    fn step(&self, number: u64) -> Result<Option<S::Connected>> {
        match self.step_in_table(number)? {
            Some(client) => self.complete(client),
            None => Ok(None),
        }
    }

    /// Goes on with a client that is in the table. Takes it out and returns it when everything of
    /// it has arrived.
    fn step_in_table(&self, number: u64) -> Result<Option<Client<S>>> {
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
                    return self
                        .set
                        .modify(client.handshake.link(), number, write)
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
                self.record_refusal(error)
            }
        }
    }

    /// The last step: checks and maps the memory that a client has passed, makes this side's, and
    /// passes it.
    fn complete(&self, mut client: Client<S>) -> Result<Option<S::Connected>> {
        let user = client.user();
        let is_stranger = self.is_stranger(user);
        if is_stranger && self.unreceived.has_too_many_of(user) {
            return self.record_refusal(client.handshake.turn_away());
        }
        loop {
            match client.handshake.try_step() {
                Ok(Progress::Arrived) => {}
                Ok(Progress::Done) => {
                    let connected = client.handshake.finish()?;
                    if is_stranger {
                        self.unreceived.note(user, S::link(&connected));
                    }
                    return Ok(Some(connected));
                }
                // There is room for an answer of this length in any socket that has had none.
                Ok(Progress::Wait { .. }) => return self.record_refusal(Error::PeerGone),
                Err(error) if error.is_exhaustion() && self.make_room() => {}
                Err(error) => {
                    client.handshake.tell(&error);
                    return self.record_refusal(error);
                }
            }
        }
    }

    fn is_stranger(&self, user: u32) -> bool {
        !user::is_same(user, self.mine_alone)
    }

    /// Takes a client's link out of the set.
    fn unwatch(&self, client: &Client<S>) {
        // It is in the set, and leaving it needs nothing that could be missing.
        let _ = self.set.delete(client.handshake.link());
    }

    /// A client that got no stream is counted. If this process lacks something, the caller is told
    /// as well.
    fn record_refusal<T>(&self, error: Error) -> Result<Option<T>> {
        self.count(&error);
        // Descriptors that wait to be received count for everything that this user sends. The
        // client that does not receive them is to blame.
        if error.is_want() && !error.is_too_much_in_flight() {
            return Err(error);
        }
        Ok(None)
    }

    fn count(&self, error: &Error) {
        // Relaxed: a statistic.
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self
            .last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// Lets go of clients whose time is up.
    fn drop_expired(&self) -> Result<()> {
        let mut clients = self.clients();
        let now = Instant::now();
        while let Some(late) = clients.take_late(now) {
            self.unwatch(&late);
            self.count(&Error::Timeout {
                what: "the handshake of a client",
                after: self.options.handshake_timeout_or_default(),
            });
        }
        self.set_timer(&clients)
    }

    /// Sets the timer to the earliest deadline, or off.
    fn set_timer(&self, clients: &Clients<S>) -> Result<()> {
        let next = clients
            .next_deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.timer.set(next).map_err(Error::os("setting a timer"))
    }
}

fn here() -> Result<ForkGuard> {
    ForkGuard::here().map_err(Error::os("marking this process (madvise)"))
}

impl<S: Side> AsFd for Acceptor<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
