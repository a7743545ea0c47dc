//! The transports that are compared, each in a file of its own.
//!
//! A transport makes a connection between this process and the peer process: `open` here, `join`
//! there. A new one implements `Transport` and is listed in `contender.rs`.

pub mod bare_eventfd;
pub mod bare_exchange;
pub mod duplex;
pub mod mailbox;
pub mod mmf;
pub mod pipe;
pub mod slipring;
pub mod tcp;
pub mod unix;

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{channel::Channel, gone::Gone};
use crate::failure::Failure;

/// One end of a connection.
pub trait Link {
    /// Sends a whole message.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;

    /// Receives exactly as much as the buffer holds.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()>;

    /// Receives what there is, up to the buffer's size; 0 at the end. Only for transports that
    /// are streams.
    fn receive_some(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Tells the peer process to join.
#[derive(Serialize, Deserialize)]
pub struct Join;

pub trait Transport {
    type Link: Link + 'static;

    /// In the parent: makes both ends, and invites the peer with the descriptors of its own.
    /// Messages will have `size` bytes. `gone` is set when the peer dies: waits that do not notice
    /// by themselves have to watch it.
    fn open(&self, channel: &Channel, size: usize, gone: &Arc<Gone>)
    -> Result<Self::Link, Failure>;

    /// In the peer process: makes the other end of the descriptors that came.
    fn join(&self, descriptors: Vec<OwnedFd>, size: usize) -> Result<Self::Link, Failure>;
}

/// Hands the peer process the descriptors to join with.
fn invite(channel: &Channel, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    channel.send_with(&Join, descriptors)
}

/// The descriptors of an invitation, when there are as many as there have to be.
fn exactly<const N: usize>(descriptors: Vec<OwnedFd>) -> Result<[OwnedFd; N], Failure> {
    <[OwnedFd; N]>::try_from(descriptors).map_err(|wrong| {
        Failure::failed(format!("{} descriptors came instead of {N}", wrong.len()))
    })
}
