//! What is done for subscribers beside the publishing: letting them in, waking them, and noticing
//! that they are gone. One thread does it, or a program's own event loop.

use super::calls::{self, Sleep, Sleeper};
use super::event::EndReason;
use super::farewell::{self, NUDGE};
use super::layout::NOT_BEGUN;
use super::memory::OwnFeed;
use super::sides::{Joined, PublisherSide};
use crate::error::{Error, Result};
use crate::fail_points::{Point, point};
use crate::link::{Accepted, Acceptor};
use crate::peer::Peer;
use crate::ring::Line;
use crate::sys::closing::{Heard, hear};
use crate::sys::epoll::Epoll;
use crate::sys::errno::Errno;
use crate::sys::eventfd::Eventfd;
use crate::sys::process::ForkGuard;
use crate::sys::socket;
use crate::wait::a_moment;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const CALL: u64 = 0;
const ACCEPT: u64 = 1;
const FIRST_MEMBER: u64 = 2;

/// Subscribers that are let in before the others are served again.
const MOST_AT_ONCE: u32 = 32;

/// Those that went and that nobody has asked for yet, at most.
const MOST_DEPARTURES: usize = 1024;

/// So many subscribers are woken by the publisher itself: that is sooner for them, and takes it not
/// much longer than to call the thread that serves.
const FEW: usize = 4;

/// A subscriber that announces more often in a second is not listened to for the rest of it, and
/// taken to be asleep all the time.
const MOST_ANNOUNCEMENTS: usize = 1000;
const A_SECOND: Duration = Duration::from_secs(1);

/// One subscriber.
#[derive(Debug)]
pub(crate) struct Member {
    joined: Joined,
    since: SystemTime,
    sleeper: Sleeper,
    /// Announcements since this moment.
    announced: (Instant, usize),
    muted: bool,
    /// It is put out, and its link is shut down.
    gone: bool,
}

/// A subscriber as the publisher sees it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberInfo {
    /// Its number among all that this publisher ever had, for
    /// [`disconnect`](super::Publisher::disconnect).
    pub id: u64,
    /// Its process, by the kernel's word at the time of the handshake.
    pub peer: Peer,
    /// Whether the publisher waits for it.
    pub lossless: bool,
    /// Whether it knows where it begins: it receives every record that is published from now on, or
    /// is told that it missed some. A subscriber that starts with the newest record may not see one
    /// that was published before this. By its own word.
    pub begun: bool,
    /// How many published records it has not read. By its own word, as
    /// [`missed`](Self::missed) is.
    pub behind: u64,
    /// How many records it has missed.
    pub missed: u64,
    /// Since when it is connected.
    pub since: SystemTime,
}

/// How a subscriber went.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departed {
    /// By itself, in order or by its death.
    Left,
    /// The publisher has [put it out](super::Publisher::disconnect), for this reason.
    Disconnected {
        /// Its meaning is the application's.
        reason: u32,
    },
    /// It was lossless, and further behind than the [`Budget`](super::Budget) allows.
    TooSlow,
}

/// A subscriber that is not connected any more ([`departures`](super::Publisher::departures)).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The number that it had as a subscriber ([`SubscriberInfo::id`]).
    pub id: u64,
    /// Its process.
    pub peer: Peer,
    /// How it went.
    pub how: Departed,
    /// The number of the record that it expected next. By its own word, as [`missed`](Self::missed)
    /// is.
    pub next: u64,
    /// How many records it has missed.
    pub missed: u64,
}

/// The service of one publisher.
#[derive(Debug)]
pub(crate) struct Service {
    set: Epoll,
    call: Eventfd,
    acceptor: Acceptor<PublisherSide>,
    memory: Arc<OwnFeed>,
    members: Mutex<BTreeMap<u64, Member>>,
    next: Mutex<u64>,
    /// Those that went, until somebody asks.
    departures: Mutex<VecDeque<Departure>>,
    /// Members that may sleep.
    sleepers: Line<AtomicU32>,
    /// When to look again whether they have news: after a moment.
    doubt: Mutex<Option<Instant>>,
    stopping: AtomicBool,
    fork_guard: ForkGuard,
}

impl Service {
    pub(crate) fn new(
        acceptor: Acceptor<PublisherSide>,
        memory: Arc<OwnFeed>,
        fork_guard: ForkGuard,
    ) -> Result<Service> {
        let set = Epoll::new().map_err(Error::os("making an epoll set"))?;
        let call = Eventfd::new().map_err(Error::os("making an eventfd"))?;
        for (fd, token) in [(call.as_fd(), CALL), (acceptor.as_fd(), ACCEPT)] {
            set.add(fd, token)
                .map_err(Error::os("watching a feed (epoll)"))?;
        }
        Ok(Service {
            set,
            call,
            acceptor,
            memory,
            members: Mutex::default(),
            next: Mutex::new(FIRST_MEMBER),
            departures: Mutex::default(),
            sleepers: Line(AtomicU32::new(0)),
            doubt: Mutex::new(None),
            stopping: AtomicBool::new(false),
            fork_guard,
        })
    }

    pub(crate) fn acceptor(&self) -> &Acceptor<PublisherSide> {
        &self.acceptor
    }

    /// How many subscribers may sleep.
    #[inline]
    pub(crate) fn sleepers(&self) -> &AtomicU32 {
        &self.sleepers.0
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, Member>> {
        // Each member is whole at any time, also after a panic.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has those woken that sleep and have news: by this thread if they are few, and by the one
    /// that serves, for one system call, if they are many.
    pub(crate) fn have_woken(&self) {
        point(Point::Calling);
        match self.members.try_lock() {
            Ok(mut members) if members.len() <= FEW => self.round(&mut members),
            // Many; or the other thread is at work, and may have looked at all of them already.
            _ => self.call.raise(),
        }
        point(Point::Called);
    }

    /// Ends [`run`](Self::run).
    pub(crate) fn stop(&self) {
        // Release: pairs with the acquire in `run`.
        self.stopping.store(true, Ordering::Release);
        self.call.raise();
    }

    /// Serves until it is stopped.
    pub(crate) fn run(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            let doubt = *self.doubt();
            let left = doubt.map(|doubt| doubt.saturating_duration_since(Instant::now()));
            if self.serve(left).is_err() {
                // It lacks descriptors or memory. Those who want to come in were told; the others
                // are served all the same.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Does what is to be done; waits for it for as long as `timeout`.
    pub(crate) fn serve(&self, timeout: Option<Duration>) -> Result<()> {
        let tokens = match self.set.wait(timeout) {
            Ok(tokens) => tokens,
            Err(Errno::INTR) => return Ok(()),
            Err(e) => return Err(Error::os("waiting for subscribers (epoll_wait)")(e)),
        };
        let mut outcome = Ok(());
        let mut must_wake = self.is_doubt_over();
        for token in tokens {
            match token {
                CALL => {
                    self.call.clear();
                    must_wake = true;
                }
                ACCEPT => match self.let_in() {
                    // One may have armed before it was in the list.
                    Ok(some) => must_wake |= some,
                    Err(error) => outcome = Err(error),
                },
                number => must_wake |= self.listen_to(number),
            }
        }
        if must_wake {
            self.wake_due();
        }
        outcome
    }

    /// Takes in those who have shaken hands; whether there were any.
    fn let_in(&self) -> Result<bool> {
        let mut some = false;
        for _ in 0..MOST_AT_ONCE {
            let Accepted::Stream(joined) = self.acceptor.accept(Some(Instant::now()))? else {
                break;
            };
            let number = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                *next += 1;
                *next - 1
            };
            let mut members = self.members();
            self.set
                .add(&joined.link, number)
                .map_err(Error::os("watching a subscriber (epoll)"))?;
            let member = Member {
                joined,
                since: SystemTime::now(),
                sleeper: Sleeper::default(),
                announced: (Instant::now(), 0),
                muted: false,
                gone: false,
            };
            let never_sleeps = member.joined.theirs.page.never_sleeps;
            members.insert(number, member);
            if !never_sleeps {
                self.add_sleeper();
            }
            some = true;
        }
        Ok(some)
    }

    /// Hears what one subscriber says: an announcement, or that it is gone. Whether it announced.
    fn listen_to(&self, number: u64) -> bool {
        let mut members = self.members();
        let Some(member) = members.get_mut(&number) else {
            return false;
        };
        let mut bytes = [0; 64];
        let link = member.joined.link.as_fd();
        let heard = if member.muted {
            // Nothing but a hang-up is watched.
            Ok(Heard::Gone)
        } else {
            hear(link, member.joined.trusted, &mut bytes)
        };
        match heard {
            Ok(Heard::Bytes(len)) if !member.gone => {
                let now = Instant::now();
                if now - member.announced.0 >= A_SECOND {
                    member.announced = (now, 0);
                }
                member.announced.1 += len;
                if member.announced.1 > MOST_ANNOUNCEMENTS {
                    member.muted = self.set.watch_hang_up(link, number).is_ok();
                }
                true
            }
            Ok(Heard::Bytes(_)) | Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(Heard::Gone | Heard::Descriptors) | Err(_) => {
                let _ = self.set.delete(link);
                if let Some(gone) = members.remove(&number) {
                    if !gone.joined.theirs.page.never_sleeps {
                        // Relaxed: nobody misses a publication for which one is called too many.
                        self.sleepers().fetch_sub(1, Ordering::Relaxed);
                    }
                    if !gone.gone {
                        self.note_departure(number, &gone, Departed::Left);
                    }
                }
                false
            }
        }
    }

    fn doubt(&self) -> MutexGuard<'_, Option<Instant>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more member may sleep. A publication that is under way may not know.
    fn add_sleeper(&self) {
        // Relaxed: see `calls`, "Without a fence".
        if self.sleepers().fetch_add(1, Ordering::Relaxed) == 0 {
            *self.doubt() = Instant::now().checked_add(a_moment());
        }
    }

    /// Whether a moment has passed since a publication may not have known of a sleeper.
    fn is_doubt_over(&self) -> bool {
        let mut doubt = self.doubt();
        let is_over = doubt.is_some_and(|doubt| doubt <= Instant::now());
        if is_over {
            *doubt = None;
        }
        is_over
    }

    /// Wakes those who sleep and have news.
    fn wake_due(&self) {
        self.round(&mut self.members());
    }

    /// The same. The lock is what makes a round the only one at its time.
    fn round(&self, members: &mut BTreeMap<u64, Member>) {
        calls::round(self.memory.header(), |tail| {
            let mut some = false;
            for (number, member) in members.iter_mut() {
                if member.muted && member.announced.0.elapsed() >= A_SECOND {
                    member.muted = self
                        .set
                        .modify(&member.joined.link, *number, false)
                        .is_err();
                }
                let sleep = member.sleeper.look(member.joined.theirs.page.words(), tail);
                if sleep == Sleep::Due {
                    // A subscriber with too many wake-ups unread is awake for them.
                    let _ = socket::say(&member.joined.link, &[NUDGE]);
                }
                some |= sleep != Sleep::Awake || member.muted;
            }
            some
        });
    }

    /// Puts a subscriber out; whether there was one of this number.
    pub(crate) fn put_out(&self, is_meant: impl Fn(u64, &Member) -> bool, why: EndReason) -> bool {
        let mut members = self.members();
        let meant = members
            .iter_mut()
            .filter(|(number, member)| !member.gone && is_meant(**number, member));
        let mut some = false;
        for (number, member) in meant {
            let link = &member.joined.link;
            let _ = socket::say(link, &farewell::encode(why));
            // The thread that serves finds the hang-up, and forgets it.
            link.hang_up();
            let how = match why {
                EndReason::Disconnected { reason } => Departed::Disconnected { reason },
                _ => Departed::TooSlow,
            };
            self.note_departure(*number, member, how);
            member.gone = true;
            member.joined.theirs.admitted = None;
            some = true;
        }
        some
    }

    /// All that are connected, where the publisher has come to this number.
    pub(crate) fn subscribers(&self, published: u64) -> Vec<SubscriberInfo> {
        let members = self.members();
        let there = members.iter().filter(|(_, member)| !member.gone);
        there
            .map(|(number, member)| member.info(*number, published))
            .collect()
    }

    /// How many of them have begun.
    pub(crate) fn begun(&self) -> usize {
        let members = self.members();
        let there = members.values().filter(|member| !member.gone);
        there.filter(|member| member.has_begun()).count()
    }

    fn note_departure(&self, number: u64, member: &Member, how: Departed) {
        let mut departures = self.lock_departures();
        if departures.len() == MOST_DEPARTURES {
            departures.pop_front();
        }
        let progress = &member.joined.theirs.page.words().progress.0;
        // Relaxed, both: numbers for people.
        departures.push_back(Departure {
            id: number,
            peer: member.joined.peer.clone(),
            how,
            next: progress.next.load(Ordering::Relaxed),
            missed: progress.missed.load(Ordering::Relaxed),
        });
    }

    fn lock_departures(&self) -> MutexGuard<'_, VecDeque<Departure>> {
        // Each of them is whole, also after a panic.
        self.departures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that went since the last call.
    pub(crate) fn departures(&self) -> Vec<Departure> {
        self.lock_departures().drain(..).collect()
    }

    /// Lets go of all of them: the feed has ended.
    pub(crate) fn close(&self) {
        if self.fork_guard.is_owner() {
            self.members().clear();
        }
    }
}

impl Member {
    fn has_begun(&self) -> bool {
        let read = &self.joined.theirs.page.words().progress.0.read;
        // Relaxed: as in `info`.
        read.load(Ordering::Relaxed) != NOT_BEGUN
    }

    fn info(&self, number: u64, published: u64) -> SubscriberInfo {
        let progress = &self.joined.theirs.page.words().progress.0;
        // Relaxed, all: numbers for people; and a record that is published after this thread has
        // seen that a subscriber has begun comes after the place where it begins.
        let next = progress.next.load(Ordering::Relaxed);
        SubscriberInfo {
            id: number,
            peer: self.joined.peer.clone(),
            lossless: self.joined.theirs.page.lossless,
            begun: self.has_begun(),
            behind: published.saturating_sub(next),
            missed: progress.missed.load(Ordering::Relaxed),
            since: self.since,
        }
    }

    /// Whether it is the lossless subscriber of this number.
    pub(crate) fn is_lossless(&self, number: u64) -> bool {
        let admitted = self.joined.theirs.admitted.as_ref();
        admitted.is_some_and(|admitted| admitted.number == number)
    }
}

impl AsFd for Service {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
