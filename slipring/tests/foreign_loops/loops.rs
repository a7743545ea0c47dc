//! The loops, each reduced to the part that a half needs: waiting until one of some descriptors is
//! readable.

use async_io::Async;
use futures_lite::future::{self, FutureExt};
use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::time::Duration;

/// No test waits this long unless it hangs.
const LONG: Duration = Duration::from_secs(60);

/// An event loop. Each keeps to the same descriptors throughout.
pub trait Foreign {
    fn new() -> Self;

    /// Waits until one of them is readable.
    fn wait(&mut self, halves: &[&dyn AsFd]);
}

/// The descriptor by which a loop knows a half.
fn raw(half: &dyn AsFd) -> RawFd {
    half.as_fd().as_raw_fd()
}

fn poll_for(halves: &[&dyn AsFd], timeout: Duration) -> usize {
    let mut fds: Vec<_> = halves
        .iter()
        .map(|half| PollFd::from_borrowed_fd(half.as_fd(), PollFlags::IN))
        .collect();
    let timeout = Timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&timeout)).expect("polling")
}

/// Whether a poll would return at once.
pub fn is_readable(half: &dyn AsFd) -> bool {
    poll_for(&[half], Duration::ZERO) > 0
}

/// `poll(2)`: level-triggered.
pub struct Poll;

impl Foreign for Poll {
    fn new() -> Poll {
        Poll
    }

    fn wait(&mut self, halves: &[&dyn AsFd]) {
        assert!(poll_for(halves, LONG) > 0, "a wake-up was lost");
    }
}

/// mio: edge-triggered, registered once.
pub struct Mio {
    poll: mio::Poll,
    registered: HashSet<RawFd>,
    events: Events,
}

impl Foreign for Mio {
    fn new() -> Mio {
        Mio {
            poll: mio::Poll::new().expect("mio's epoll"),
            registered: HashSet::new(),
            events: Events::with_capacity(8),
        }
    }

    fn wait(&mut self, halves: &[&dyn AsFd]) {
        for half in halves {
            let fd = raw(*half);
            if self.registered.insert(fd) {
                let registry = self.poll.registry();
                registry
                    .register(&mut SourceFd(&fd), Token(fd as usize), Interest::READABLE)
                    .expect("registering with mio");
            }
        }
        self.poll
            .poll(&mut self.events, Some(LONG))
            .expect("polling with mio");
        assert!(!self.events.is_empty(), "a wake-up was lost");
    }
}

/// async-io: a reactor on a thread of its own, one-shot.
pub struct AsyncIo {
    registered: Vec<(RawFd, Async<OwnedFd>)>,
}

impl AsyncIo {
    fn register(&mut self, half: &dyn AsFd) {
        let fd = raw(half);
        if self.registered.iter().all(|(known, _)| *known != fd) {
            let own = half
                .as_fd()
                .try_clone_to_owned()
                .expect("a second descriptor");
            let own = Async::new_nonblocking(own).expect("registering with async-io");
            self.registered.push((fd, own));
        }
    }
}

impl Foreign for AsyncIo {
    fn new() -> AsyncIo {
        AsyncIo {
            registered: Vec::new(),
        }
    }

    fn wait(&mut self, halves: &[&dyn AsFd]) {
        for half in halves {
            self.register(*half);
        }
        let wanted: Vec<RawFd> = halves.iter().map(|half| raw(*half)).collect();
        let mut any: Pin<Box<dyn Future<Output = io::Result<()>>>> = Box::pin(future::pending());
        for (fd, half) in &self.registered {
            if wanted.contains(fd) {
                any = Box::pin(any.or(half.readable()));
            }
        }
        let late = async {
            async_io::Timer::after(LONG).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        async_io::block_on(any.or(late)).expect("a wake-up was lost");
    }
}
