//! The bare eventfd exchange: messages in shared memory, and one eventfd per direction that the
//! receiver sleeps on. Nothing that wakes a sleeping process through a descriptor can be faster.
//!
//! There are two ways of sleeping, and which one is faster depends on the kernel: a blocking read
//! of the eventfd, or an edge-triggered epoll on an eventfd that is never read.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::{
    Link, Transport, exactly, invite,
    mailbox::{Mailbox, Side},
};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

#[derive(Clone, Copy)]
pub enum Wait {
    Read,
    Epoll,
}

pub struct BareEventfd {
    pub wait: Wait,
}

impl Transport for BareEventfd {
    type Link = Sleeping;

    fn open(&self, channel: &Channel, size: usize, gone: &Arc<Gone>) -> Result<Sleeping, Failure> {
        let memory = Mailbox::memory(size)?;
        let mine = eventfd(0, EventfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let theirs = eventfd(0, EventfdFlags::CLOEXEC).map_err(io::Error::from)?;
        invite(channel, &[memory.as_fd(), theirs.as_fd(), mine.as_fd()])?;
        gone.wake_through(mine.try_clone()?);
        let mailbox = Mailbox::map(memory, size, Side::Parent)?;
        Ok(Sleeping::new(
            mailbox,
            self.wait,
            mine,
            theirs,
            Arc::clone(gone),
        )?)
    }

    fn join(&self, descriptors: Vec<OwnedFd>, size: usize) -> Result<Sleeping, Failure> {
        let [memory, mine, theirs] = exactly(descriptors)?;
        let mailbox = Mailbox::map(memory, size, Side::Peer)?;
        // Never set: the kernel ends this process with its parent.
        let gone = Arc::default();
        Ok(Sleeping::new(mailbox, self.wait, mine, theirs, gone)?)
    }
}

pub struct Sleeping {
    mailbox: Mailbox,
    /// raised when there is something in my inbox
    mine: OwnedFd,
    theirs: OwnedFd,
    /// for `Wait::Epoll`: watches `mine`
    epoll: Option<OwnedFd>,
    gone: Arc<Gone>,
}

impl Sleeping {
    fn new(
        mailbox: Mailbox,
        wait: Wait,
        mine: OwnedFd,
        theirs: OwnedFd,
        gone: Arc<Gone>,
    ) -> io::Result<Sleeping> {
        let epoll = match wait {
            Wait::Read => None,
            Wait::Epoll => {
                let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&epoll, &mine, epoll::EventData::new_u64(0), edges)?;
                Some(epoll)
            }
        };
        Ok(Sleeping {
            mailbox,
            mine,
            theirs,
            epoll,
            gone,
        })
    }

    /// Sleeps until `mine` has been raised once more.
    fn wait(&self) -> rustix::io::Result<()> {
        match &self.epoll {
            None => {
                rustix::io::read(&self.mine, &mut [0_u8; 8])?;
            }
            Some(epoll) => {
                let mut events = [MaybeUninit::uninit(); 1];
                epoll::wait(epoll, &mut events, None)?;
            }
        }
        Ok(())
    }
}

impl Link for Sleeping {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.mailbox.post(message);
        rustix::io::write(&self.theirs, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        // Every message raises the eventfd once, so there is one wait for every message.
        loop {
            // Before the wait: the one ring that tells of the end may have been read together with
            // the last message's.
            if self.gone.is_set() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match self.wait() {
                Ok(()) if self.mailbox.is_full() => break,
                Ok(()) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.mailbox.take(buffer);
        Ok(())
    }
}
