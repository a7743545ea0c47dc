//! The bare exchange with an eventfd for each direction: written at each message, and read by who
//! waits.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
};

use rustix::{
    event::{EventfdFlags, eventfd},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

use super::{
    Place, Transport,
    bare::{Exchange, Wake},
    shared_file::SharedFile,
};

pub struct Eventfd;

pub struct Bells {
    /// rung by the other side
    own: OwnedFd,
    other: OwnedFd,
}

impl Wake for Bells {
    fn wake(&self, _file: &SharedFile, _offset: usize) -> io::Result<()> {
        rustix::io::write(&self.other, &1u64.to_ne_bytes())?;
        Ok(())
    }

    fn wait(&self, file: &SharedFile, offset: usize, seen: u64) -> io::Result<()> {
        // Each message rings once, and there is one at a time.
        rustix::io::read(&self.own, &mut [0; 8])?;
        if file.load(offset) == seen {
            return Err(io::Error::other("woken without a message"));
        }
        Ok(())
    }
}

impl Transport for Eventfd {
    type Link = Exchange<Bells>;

    fn host(
        &self,
        place: &Place,
        announce: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Self::Link> {
        let file = Self::Link::create(place)?;
        let listener = UnixListener::bind(place.directory.join("socket"))?;
        announce("")?;
        let own = eventfd(0, EventfdFlags::CLOEXEC)?;
        let other = eventfd(0, EventfdFlags::CLOEXEC)?;
        pass(&listener.accept()?.0, &other, &own)?;
        Ok(Exchange::host(file, Bells { own, other }))
    }

    fn connect(&self, place: &Place, _address: &str) -> io::Result<Self::Link> {
        let bells = take(&UnixStream::connect(place.directory.join("socket"))?)?;
        Exchange::connect(place, bells)
    }
}

/// Over a socket, with a byte that they go with.
fn pass(socket: &UnixStream, own: &OwnedFd, other: &OwnedFd) -> io::Result<()> {
    let descriptors = [own.as_fd(), other.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        socket,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn take(socket: &UnixStream) -> io::Result<Bells> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    match (descriptors.next(), descriptors.next()) {
        (Some(own), Some(other)) => Ok(Bells { own, other }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
