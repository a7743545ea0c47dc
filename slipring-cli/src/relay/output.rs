//! Notices that nobody reads an output any more, although there is nothing to write to it.
//!
//! A write would tell, but a source may be silent for hours, or wait where no descriptor is polled.
//! So a thread of its own polls the output, for nothing but errors and a hang-up, and ends the
//! connection as a failed write would. It costs nothing while bytes flow.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
};

use crate::session::Session;

#[derive(Debug)]
pub struct OutputWatch {
    output: OwnedFd,
    /// Raised when the direction to the output has ended.
    over: OwnedFd,
    unread: AtomicBool,
}

impl OutputWatch {
    pub fn new(output: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            output,
            over: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            unread: AtomicBool::new(false),
        })
    }

    /// Waits until nobody reads the output, and closes the connection then; or for `end`.
    pub fn run(&self, session: &Session) {
        loop {
            let mut fds = [
                // Errors and a hang-up are reported whether or not they are asked for (poll(2)).
                PollFd::new(&self.output, PollFlags::empty()),
                PollFd::new(&self.over, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                Ok(_) if fds[1].revents().is_empty() => break,
                // Without this watch a write would still tell.
                _ => return,
            }
        }
        self.unread.store(true, SeqCst);
        session.close();
    }

    pub fn end(&self) {
        // The counter cannot run over: it is raised once or twice in its life.
        let _ = rustix::io::write(&self.over, &1u64.to_ne_bytes());
    }

    /// Whether it was this that closed the connection.
    pub fn is_unread(&self) -> bool {
        self.unread.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, thread};

    fn watch(output: impl Into<OwnedFd>) -> OutputWatch {
        OutputWatch::new(output.into()).unwrap()
    }

    #[test]
    fn a_pipe_without_a_reader_closes_the_connection() {
        let (reader, output) = io::pipe().unwrap();
        let (watch, session) = (watch(output), Session::new(Vec::new()).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| watch.run(&session));
            assert!(!session.is_stopped());
            drop(reader);
        });
        assert!(watch.is_unread() && session.is_stopped());
    }

    #[test]
    fn what_cannot_hang_up_is_watched_until_the_end() {
        let session = Session::new(Vec::new()).unwrap();
        for output in [
            File::create("/dev/null").unwrap(),
            tempfile::tempfile().unwrap(),
        ] {
            let watch = watch(output);
            thread::scope(|scope| {
                scope.spawn(|| watch.run(&session));
                watch.end();
            });
            assert!(!watch.is_unread() && !session.is_stopped());
        }
    }
}
