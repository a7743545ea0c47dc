//! Where a blocking subscriber sleeps: on its socket, which the publisher's bytes and its death
//! make readable (ppoll(2)).

use super::interrupt::Interrupter;
use crate::fail_points::{Point, point};
use crate::sys::errno::Errno;
use crate::sys::poll;
use crate::wait::{Park, Parked};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The socket, until a moment.
pub(crate) struct OnSocket<'a> {
    pub(crate) socket: BorrowedFd<'a>,
    /// What ends the wait from another thread.
    pub(crate) interrupter: Option<&'a Interrupter>,
    pub(crate) deadline: Option<Instant>,
}

impl Park for OnSocket<'_> {
    fn park(&mut self, _: bool) -> io::Result<Parked> {
        point(Point::Sleeping);
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // By the clock, and not by whether something happened: a publisher that wakes this
        // subscriber again and again is not to take the time's place.
        if left == Some(Duration::ZERO) {
            return Ok(Parked::TimedOut);
        }
        let polled = match self.interrupter {
            Some(interrupter) => poll::wait_for_either(self.socket, interrupter.as_fd(), left),
            None => poll::wait(Some(self.socket), false, left),
        };
        match polled {
            // What has come is taken out by `check_peer`, which finds an interrupt as well.
            Ok(true) => Ok(Parked::Link),
            Ok(false) | Err(Errno::INTR) => Ok(Parked::Woken),
            Err(e) => Err(e.into()),
        }
    }

    fn drain(&mut self) -> io::Result<bool> {
        // By `check_peer`, likewise.
        Ok(true)
    }
}
