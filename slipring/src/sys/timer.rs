//! A timer that is a descriptor, readable once its time has come (timerfd_create(2)).

use super::clock::timespec;
use super::errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The timer, by `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
}

impl Timer {
    /// One that is off.
    pub(crate) fn new() -> errno::Result<Timer> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        timerfd_create(TimerfdClockId::Monotonic, flags).map(|fd| Timer { fd })
    }

    /// Sets it to this time from now, of a day at most, once; `None`: off (timerfd_settime(2)).
    pub(crate) fn set(&self, time: Option<Duration>) -> errno::Result<()> {
        // Zero would turn the timer off.
        let time = time.map(|time| time.max(Duration::from_nanos(1)));
        let setting = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(time.unwrap_or_default()),
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &setting).map(|_| ())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
