//! The bare exchange: both processes spin on a flag in shared memory. Nothing that moves messages
//! between two cores can have shorter round trips.

use std::{
    hint::spin_loop,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use super::{
    Link, Transport, exactly, invite,
    mailbox::{Mailbox, Side},
};
use crate::{
    bench::{channel::Channel, gone::Gone},
    failure::Failure,
};

/// The other process's death is looked for once in so many turns.
const TURNS: u32 = 1 << 16;

pub struct BareExchange;

impl Transport for BareExchange {
    type Link = Spinning;

    fn open(&self, channel: &Channel, size: usize, gone: &Arc<Gone>) -> Result<Spinning, Failure> {
        let memory = Mailbox::memory(size)?;
        invite(channel, &[memory.as_fd()])?;
        Ok(Spinning {
            mailbox: Mailbox::map(memory, size, Side::Parent)?,
            gone: Arc::clone(gone),
        })
    }

    fn join(&self, descriptors: Vec<OwnedFd>, size: usize) -> Result<Spinning, Failure> {
        let [memory] = exactly(descriptors)?;
        Ok(Spinning {
            mailbox: Mailbox::map(memory, size, Side::Peer)?,
            // Never set: the kernel ends this process with its parent.
            gone: Arc::default(),
        })
    }
}

pub struct Spinning {
    mailbox: Mailbox,
    gone: Arc<Gone>,
}

impl Link for Spinning {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.mailbox.post(message);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut turns = 0_u32;
        while !self.mailbox.is_full() {
            spin_loop();
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) && self.gone.is_set() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.mailbox.take(buffer);
        Ok(())
    }
}
