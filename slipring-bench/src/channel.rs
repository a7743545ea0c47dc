//! The channel between a process and the one that started it: messages as JSON, and descriptors.
//!
//! A pair of Unix sockets. The process finds its end as its standard input, which is the one place
//! where a child can be given a descriptor without unsafe code.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// Descriptors that go with one message at most.
const DESCRIPTORS: usize = 3;

/// Sends bytes, and descriptors with the first of them.
pub(crate) fn send(
    mut socket: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let parts = [IoSlice::new(bytes)];
    let sent = loop {
        match sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => break sent?,
        }
    };
    socket.write_all(&bytes[sent..])
}

/// Fills the buffer with the bytes that come, and takes the descriptors that came with the first of
/// them; `None` at the end.
pub(crate) fn receive(
    mut socket: &UnixStream,
    buffer: &mut [u8],
) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let parts = &mut [IoSliceMut::new(buffer)];
        match recvmsg(socket, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message.bytes,
            Err(Errno::INTR) => {}
            // The error that a process leaves behind which was killed with unread messages.
            Err(Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    };
    if received == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    socket.read_exact(&mut buffer[received..])?;
    Ok(Some(descriptors))
}

/// One end.
pub(crate) struct Channel(UnixStream);

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    pub(crate) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (here, there) = UnixStream::pair()?;
        Ok((Channel(here), there.into()))
    }

    /// In the process that was started.
    pub(crate) fn from_stdin() -> io::Result<Channel> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Channel(socket.into()))
    }

    pub(crate) fn send<T: Serialize>(&self, message: &T) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends descriptors along.
    pub(crate) fn send_with<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
        bytes.extend(text);
        send(&self.0, &bytes, descriptors)
    }

    /// Waits for a message; `None` when the other process has ended.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        Ok(self.receive_with()?.map(|(message, _)| message))
    }

    /// Like `receive`, with the descriptors that came along.
    pub(crate) fn receive_with<T: DeserializeOwned>(
        &self,
    ) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut length = [0; 4];
        let Some(descriptors) = receive(&self.0, &mut length)? else {
            return Ok(None);
        };
        let mut text = vec![0; u32::from_le_bytes(length) as usize];
        (&self.0).read_exact(&mut text)?;
        Ok(Some((serde_json::from_slice(&text)?, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, thread};

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_and_the_end_is_seen() -> io::Result<()> {
        let (here, there) = Channel::pair()?;
        let there = Channel(there.into());
        let (reader, writer) = io::pipe()?;
        here.send_with(&"a pipe", &[writer.as_fd()])?;
        drop(writer);
        // More than a socket holds.
        let much = "x".repeat(1 << 20);
        let sent = much.clone();
        let sending = thread::spawn(move || here.send(&sent));

        let first = there.receive_with::<String>()?;
        let (message, mut descriptors) = first.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!((message.as_str(), descriptors.len()), ("a pipe", 1));
        let received = descriptors.pop().ok_or(io::ErrorKind::NotFound)?;
        File::from(received).write_all(b"through it")?;
        let mut text = String::new();
        { reader }.read_to_string(&mut text)?;
        assert_eq!(text, "through it");

        assert_eq!(there.receive::<String>()?, Some(much));
        sending.join().expect("it does not panic")?;
        assert_eq!(there.receive::<String>()?, None);
        Ok(())
    }
}
