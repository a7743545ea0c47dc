//! The state that the two directions of one connection share: news of each other's end, and a way
//! to be woken.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU8, AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use slipring::Closer;

/// Both directions run, or at most one of them has ended.
const OPEN: u8 = 0;
/// End now, and let the other side see a clean end.
const CLOSE: u8 = 1;
/// End now, and let the other side see that it is not a clean end.
const ABORT: u8 = 2;

/// The first tick. Once one direction has ended, nothing wakes the other one if its sink goes away
/// while its source is silent; it polls by itself, first after the shorter time, then less and less
/// often.
const FIRST_TICK: Duration = Duration::from_millis(5);
const LAST_TICK: Duration = Duration::from_millis(250);

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The descriptor can be used.
    Ready,
    /// The other direction has ended; time to see whether this one still has a sink.
    Tick,
    /// This direction is to end.
    Stopped,
}

#[derive(Debug)]
pub struct Session {
    stop: AtomicU8,
    code: AtomicU32,
    /// How many of the two directions have ended.
    ended: AtomicU8,
    ticks: AtomicU32,
    event: OwnedFd,
    /// Shared-memory streams wait in the library, not on a descriptor; these wake and end them.
    closers: Vec<Closer>,
}

impl Session {
    pub fn new(closers: Vec<Closer>) -> std::io::Result<Self> {
        Ok(Self {
            stop: AtomicU8::new(OPEN),
            code: AtomicU32::new(0),
            ended: AtomicU8::new(0),
            ticks: AtomicU32::new(0),
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            closers,
        })
    }

    /// Ends both directions cleanly. The first call of this or `abort` decides how it ends.
    pub fn close(&self) {
        let _ = self.stop.compare_exchange(OPEN, CLOSE, SeqCst, SeqCst);
        self.signal();
        for closer in &self.closers {
            closer.close();
        }
    }

    /// Ends both directions with an abort code for the sides that are still there.
    ///
    /// Streams are not closed here: their peer would take that for a clean end. Each direction
    /// aborts its own sink, which also wakes a stream's reader.
    pub fn abort(&self, code: u32) {
        let _ = self.code.compare_exchange(0, code, SeqCst, SeqCst);
        let _ = self.stop.compare_exchange(OPEN, ABORT, SeqCst, SeqCst);
        self.signal();
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst) != OPEN
    }

    /// The code that `abort` was called with, if that is how it ends.
    pub fn abort_code(&self) -> Option<u32> {
        (self.stop.load(SeqCst) == ABORT).then(|| self.code.load(SeqCst))
    }

    /// Notes the end of one direction and lets the other direction know.
    pub fn direction_ended(&self) {
        self.ended.fetch_add(1, SeqCst);
        self.signal();
    }

    /// Called by a direction that still runs: whether the other direction has ended.
    pub fn other_ended(&self) -> bool {
        self.ended.load(SeqCst) > 0
    }

    /// Waits for `events` on `fd`.
    pub fn wait(&self, fd: BorrowedFd<'_>, events: PollFlags) -> std::io::Result<Woken> {
        loop {
            if self.is_stopped() {
                return Ok(Woken::Stopped);
            }
            let timeout = self.other_ended().then(|| self.next_tick());
            let mut fds = [
                PollFd::from_borrowed_fd(fd, events),
                PollFd::new(&self.event, PollFlags::IN),
            ];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(Woken::Tick),
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Woken::Ready),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // Only the event is there. If the other direction has ended, this is its last waiter
            // and may clear it; stopping leaves it set for both.
            if self.other_ended() && !self.is_stopped() {
                let _ = rustix::io::read(self.event.as_fd(), &mut [0; 8]);
                return Ok(Woken::Tick);
            }
        }
    }

    fn next_tick(&self) -> Timespec {
        let doublings = self.ticks.fetch_add(1, SeqCst).min(16);
        let tick = FIRST_TICK.saturating_mul(1 << doublings).min(LAST_TICK);
        Timespec {
            tv_sec: 0,
            tv_nsec: tick.subsec_nanos().into(),
        }
    }

    fn signal(&self) {
        // The counter cannot run over: it is raised at most a few times in its life.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, thread};

    fn session() -> Session {
        Session::new(Vec::new()).unwrap()
    }

    #[test]
    fn data_wakes_a_direction_that_waits() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(
            session().wait(reader.as_fd(), PollFlags::IN).unwrap(),
            Woken::Ready
        );
    }

    #[test]
    fn stopping_wakes_every_direction_that_waits() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let session = session();
        thread::scope(|scope| {
            let wait = || scope.spawn(|| session.wait(reader.as_fd(), PollFlags::IN).unwrap());
            let waiters = [wait(), wait()];
            session.abort(7);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Woken::Stopped);
            }
        });
        assert_eq!(session.abort_code(), Some(7));
    }

    #[test]
    fn the_first_reason_to_stop_decides() {
        let session = session();
        session.close();
        session.abort(7);
        assert!(session.is_stopped() && session.abort_code().is_none());
    }

    #[test]
    fn the_end_of_the_other_direction_gives_ticks_and_a_stop_still_wakes() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let session = session();
        session.direction_ended();
        assert_eq!(
            session.wait(reader.as_fd(), PollFlags::IN).unwrap(),
            Woken::Tick
        );
        assert_eq!(
            session.wait(reader.as_fd(), PollFlags::IN).unwrap(),
            Woken::Tick
        );
        session.close();
        assert_eq!(
            session.wait(reader.as_fd(), PollFlags::IN).unwrap(),
            Woken::Stopped
        );
    }
}
