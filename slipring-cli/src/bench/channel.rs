//! The side channel between the two processes of a measurement: orders, reports, and descriptors.
//!
//! A pair of Unix seqpacket sockets. The peer process finds its end as its standard input, which
//! is the one place where a child can be given a descriptor without unsafe code.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};

/// Descriptors that go with one message at most.
const DESCRIPTORS: usize = 3;
const LONGEST: usize = 4096;

pub struct Channel(OwnedFd);

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (here, there) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Channel(here), there))
    }

    /// In the peer process.
    pub fn from_stdin() -> io::Result<Channel> {
        Ok(Channel(io::stdin().as_fd().try_clone_to_owned()?))
    }

    pub fn send<T: Serialize>(&self, message: &T) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends descriptors along.
    pub fn send_with<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        sendmsg(
            &self.0,
            &[IoSlice::new(&bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Waits for a message; `None` when the other process has ended.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        Ok(self.receive_with()?.map(|(message, _)| message))
    }

    /// Like `receive`, with the descriptors that came along.
    pub fn receive_with<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let received = recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            );
            match received {
                Ok(message) => break message.bytes,
                Err(rustix::io::Errno::INTR) => {}
                // What a peer that was killed with unread messages leaves behind.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        Ok(Some((
            serde_json::from_slice(&bytes[..length])?,
            descriptors,
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
    };

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_and_the_end_is_seen() -> io::Result<()> {
        let (here, there) = Channel::pair()?;
        let there = Channel(there);
        let (reader, writer) = io::pipe()?;
        here.send_with(&"a pipe", &[writer.as_fd()])?;
        drop(writer);
        here.send(&42)?;
        drop(here);

        let (message, mut descriptors) = there
            .receive_with::<String>()?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!((message.as_str(), descriptors.len()), ("a pipe", 1));
        let received = descriptors.pop().ok_or(io::ErrorKind::NotFound)?;
        File::from(received).write_all(b"through it")?;
        let mut text = String::new();
        { reader }.read_to_string(&mut text)?;
        assert_eq!(text, "through it");

        assert_eq!(there.receive::<i32>()?, Some(42));
        assert_eq!(there.receive::<i32>()?, None);
        Ok(())
    }
}
