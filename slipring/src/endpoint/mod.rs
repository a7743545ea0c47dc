//! One process's side of a stream: the state that its two halves share.

mod bounce;
mod connected;
mod end;
mod end_state;
pub(crate) mod header_page;
mod messages;
pub(crate) mod passed;
mod read;
pub(crate) mod ring_memory;
mod write;

pub(crate) use connected::Connected;
pub(crate) use end::read_result;
pub use end::{End, EndReason};
pub(crate) use messages::Begun;
pub(crate) use read::{ReadHalf, ReadWait, Readable};
pub(crate) use write::{PUBLISH_CHUNK, Room, Want, WriteHalf, WriteWait};

use crate::fail_points::{Point, point};
use crate::growth::Limit;
use crate::name::Name;
use crate::options::Options;
use crate::peer::Peer;
use crate::ring::{self, Headers, Std, Word, ended};
use crate::sys::closing::Link;
use crate::sys::doorbell::{Doorbell, Doorbells};
use crate::sys::poll;
use crate::sys::process::{self, ForkGuard};
use crate::wait::{Spin, SpinPolicy};
use header_page::{OwnHeader, PeerHeader};
use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// How far the rings may grow, in bytes, and what limits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) of_own: (usize, Limit),
    pub(crate) of_peer: (usize, Limit),
}

/// How this side itself has ended the stream, in [`Endpoint::local`].
pub(crate) mod local {
    pub(crate) const OPEN: u32 = 0;
    pub(crate) const CLOSED: u32 = 1;
    pub(crate) const ABORTED: u32 = 2;
    pub(crate) const CORRUPT: u32 = 3;
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    own_header: OwnHeader,
    peer_header: PeerHeader,
    pub(crate) limits: Limits,
    /// The socket the stream was set up over. The halves pass the rings that follow the first ones
    /// through it. Its hang-up is the peer's death.
    pub(crate) link: Link,
    /// The doorbells that this side's halves sleep on.
    pub(crate) own_doorbells: Doorbells,
    /// The doorbells that the peer's halves sleep on.
    pub(crate) peer_doorbells: Doorbells,
    pub(crate) fork_guard: ForkGuard,
    /// The stream was dropped as a whole before all had been read.
    unread: AtomicBool,
    /// The link has hung up. Kept for good, since the edge that told it comes once.
    gone: AtomicBool,
    /// [`local`].
    local: AtomicU32,
    pub(crate) peer: Peer,
    pub(crate) name: Option<Name>,
    /// What this side was made with.
    pub(crate) options: Arc<Options>,
    /// Views of the peer's ring are bounced through private memory: the peer is another user, or
    /// the options ask for it.
    pub(crate) copy_reads: bool,
    /// A rendezvous keeps its name taken for as long as the side that bound it lives.
    held: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Endpoint {
    #[expect(
        clippy::too_many_arguments,
        reason = "called in one place, at the end of the handshake"
    )]
    pub(crate) fn new(
        own_header: OwnHeader,
        peer_header: PeerHeader,
        limits: Limits,
        link: Link,
        own_doorbells: Doorbells,
        peer_doorbells: Doorbells,
        peer: Peer,
        name: Option<Name>,
        options: Arc<Options>,
        copy_reads: bool,
    ) -> Endpoint {
        Endpoint {
            own_header,
            peer_header,
            limits,
            fork_guard: link.fork_guard(),
            link,
            own_doorbells,
            peer_doorbells,
            unread: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            local: AtomicU32::new(local::OPEN),
            peer,
            name,
            options,
            copy_reads,
            held: OnceLock::new(),
        }
    }

    /// Holds a value that has to live as long as this endpoint does.
    pub(crate) fn hold(&self, guard: Box<dyn Any + Send + Sync>) {
        let _ = self.held.set(guard);
    }

    /// Whether this is the process that the stream belongs to, and not a forked child of it.
    #[inline(always)]
    pub(crate) fn is_owner(&self) -> bool {
        self.fork_guard.is_owner()
    }

    /// How a half of this endpoint spins.
    pub(crate) fn spin_policy(&self, spin: Spin) -> SpinPolicy {
        let cpus = process::cpus(self.peer.pid);
        SpinPolicy::new(spin, cpus.own, cpus.both, self.fork_guard.shared())
    }

    #[inline]
    pub(crate) fn headers(&self) -> Headers<'_, Std> {
        Headers {
            own: self.own_header.get(),
            peer: self.peer_header.get(),
        }
    }

    /// See [`PollHalf::answers`](crate::wait::PollHalf::answers).
    pub(crate) fn answers(&self) -> u64 {
        let own = self.headers().own;
        // Relaxed: written by this side alone, though perhaps by its other half; and it only guides
        // the spinning.
        let published = own.published.0.tail.load(Ordering::Relaxed);
        published.wrapping_add(own.reading.0.wakes.load(Ordering::Relaxed))
    }

    /// Whether the link is known to have hung up.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        // Acquire: pairs with the release in `check_peer`. The stores that the peer made before it
        // went, as far as the thread that saw the hang-up could see them, are so visible to the
        // other half too.
        self.gone.load(Ordering::Acquire)
    }

    /// Checks whether the link has hung up, and writes it down. One system call, unless the hang-up
    /// is known already.
    pub(crate) fn check_peer(&self) -> bool {
        if self.is_gone() {
            return true;
        }
        let gone = poll::hung_up(self.link.as_fd());
        if gone {
            // Acquire: the loads that follow find what the peer stored before it went. The kernel
            // may look at the socket by a bare load, and poll(2) promises no order.
            fence(Ordering::Acquire);
            self.gone.store(true, Ordering::Release);
        }
        gone
    }

    /// How this side itself has ended the stream ([`local`]).
    #[inline]
    pub(crate) fn local(&self) -> u32 {
        // Relaxed: the thread that ends the stream wakes this half's doorbell afterwards, and that
        // orders it. A thread that has learnt of the end in another way finds it here, too: a load
        // is never older than a store to the same word that happened before it.
        self.local.load(Ordering::Relaxed)
    }

    /// Ends this side's writing. The first reason stays.
    pub(crate) fn end_writing(&self, how: u32) {
        let headers = self.headers();
        let (_, must_wake) = ring::end::<Std>(
            &headers.own.published.0.fin,
            how,
            &headers.peer.wake_at_tail.0,
        );
        point(Point::WritingEnded);
        if must_wake {
            wake(&self.peer_doorbells.reader);
        }
    }

    /// Ends this side's reading. The first reason stays.
    pub(crate) fn end_reading(&self, how: u32) {
        let headers = self.headers();
        let (_, must_wake) = ring::end::<Std>(
            &headers.own.consumed.0.stop,
            how,
            &headers.peer.wake_at_head.0,
        );
        point(Point::ReadingEnded);
        if must_wake {
            wake(&self.peer_doorbells.writer);
        }
    }

    /// The writer is dropped.
    pub(crate) fn end_dropped_writing(&self) {
        // Relaxed: stored by the same thread, if at all; see `Whole`.
        let unread = self.unread.load(Ordering::Relaxed);
        self.end_writing(if unread { ended::RESET } else { ended::CLOSED });
    }

    /// Ends both directions from this side, and every call that blocks in them. The first reason
    /// stays. `code` is an abort's.
    fn end(&self, how: u32, told: u32, code: u32) {
        // Release: orders nothing that the halves need (see `local`), but costs nothing here.
        if !self.is_owner() || !self.local.replace(local::OPEN, how, Ordering::Release) {
            return;
        }
        // Relaxed: published by the release stores of `fin` and `stop`.
        self.headers()
            .own
            .published
            .0
            .code
            .store(code, Ordering::Relaxed);
        self.end_writing(told);
        self.end_reading(told);
        wake(&self.own_doorbells.reader);
        wake(&self.own_doorbells.writer);
    }

    /// Ends the stream in order, from any thread.
    pub(crate) fn close(&self) {
        self.end(local::CLOSED, ended::CLOSED, 0);
    }

    /// Ends the stream with a code, from any thread.
    pub(crate) fn abort(&self, code: u32) {
        self.end(local::ABORTED, ended::ABORTED, code);
    }

    /// Gives the stream up: the peer's header is invalid.
    #[cold]
    pub(crate) fn poison(&self) {
        self.end(local::CORRUPT, ended::POISONED, 0);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Comes before the memory is unmapped, which takes longer.
        if self.is_owner() {
            point(Point::HangingUp);
            self.link.hang_up();
            point(Point::HungUp);
        }
    }
}

/// Both halves together, as long as they are a stream. It is dropped before them.
///
/// A stream that is dropped as a whole with bytes unread has not read everything. The peer must not
/// take that for an end in order: a socket is reset in this case. Halves that were taken apart end
/// their directions one by one.
#[derive(Debug)]
pub(crate) struct Whole(Option<Arc<Endpoint>>);

impl Whole {
    pub(crate) fn of(endpoint: &Arc<Endpoint>) -> Whole {
        Whole(Some(Arc::clone(endpoint)))
    }

    /// From here on the halves are dropped one by one.
    pub(crate) fn take_apart(mut self) {
        self.0 = None;
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(endpoint) = &self.0
            && endpoint.is_owner()
        {
            let Headers { own, peer } = endpoint.headers();
            // A reader that was ended before has stored its own end.
            let ended = own.consumed.0.stop.load(Ordering::Relaxed) != ended::OPEN;
            // Comes before the load below, with a fence: a peer that writes after it learns that
            // nobody reads.
            endpoint.end_reading(ended::CLOSED);
            // Relaxed: written by this side alone. Bytes that the peer has not published yet do not
            // count as unread.
            let read = own.consumed.0.head.load(Ordering::Relaxed);
            let unread = peer.published.0.tail.load(Ordering::Relaxed) != read;
            // Relaxed: for this thread, which drops the writer next.
            endpoint.unread.store(unread && !ended, Ordering::Relaxed);
        }
    }
}

/// Wakes the half that sleeps on it.
fn wake(doorbell: &Doorbell) {
    point(Point::Ringing);
    doorbell.wake();
    point(Point::Rung);
}

/// The error of a call in another process: the stream belongs to the process that made it.
#[cold]
pub(crate) fn forked() -> io::Error {
    io::Error::other(
        "this stream belongs to the process that forked this one; a child needs a stream of its \
         own (`Options::upgrade` over an inherited socket)",
    )
}
