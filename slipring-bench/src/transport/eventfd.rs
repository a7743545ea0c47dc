//! The bare exchange with an eventfd for each direction, written at each message. No way to wake a
//! sleeping process through a descriptor can be faster.
//!
//! There are two ways of sleeping, and which one is faster depends on the kernel: a blocking read
//! of the eventfd, or an edge-triggered epoll on an eventfd that is never read.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    io::Errno,
};

use super::{
    End, Transport,
    bare::{Exchange, Wake},
    shared_memory::SharedMemory,
};

/// The bare exchange with an eventfd, by its ways of sleeping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Eventfd {
    /// A blocking read.
    Read,
    /// An edge-triggered epoll.
    Epoll,
}

/// The eventfds of one end.
pub struct Bells {
    /// written by the peer
    own: OwnedFd,
    other: OwnedFd,
    /// for `Eventfd::Epoll`: watches `own`
    epoll: Option<OwnedFd>,
}

impl Wake for Bells {
    fn wake(&self, _memory: &SharedMemory, _offset: usize) -> io::Result<()> {
        rustix::io::write(&self.other, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    fn wait(&self, memory: &SharedMemory, offset: usize, seen: u64) -> io::Result<()> {
        // Each message wakes once, and there is one at a time.
        loop {
            let slept = match &self.epoll {
                None => rustix::io::read(&self.own, &mut [0; 8]).map(|_| ()),
                Some(epoll) => {
                    let mut events = [MaybeUninit::uninit(); 1];
                    epoll::wait(epoll, &mut events, None).map(|_| ())
                }
            };
            match slept {
                Ok(()) if memory.load(offset) != seen => return Ok(()),
                Ok(()) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Transport for Eventfd {
    type Link = Exchange<Bells>;

    fn open(&self, end: End) -> io::Result<Self::Link> {
        let [own, other] = if end.host {
            let new = || eventfd(0, EventfdFlags::CLOEXEC);
            let bells = [new()?, new()?];
            end.pass(&[bells[1].as_fd(), bells[0].as_fd()])?;
            bells
        } else {
            end.take()?
        };
        let epoll = match self {
            Eventfd::Read => None,
            Eventfd::Epoll => {
                let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&epoll, &own, epoll::EventData::new_u64(0), edges)?;
                Some(epoll)
            }
        };
        Exchange::open(&end, Bells { own, other, epoll })
    }
}
