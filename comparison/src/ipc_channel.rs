//! ipc-channel's channels of bytes: Servo's messages over Unix sockets and, if large, shared
//! memory.

use std::io;

use ::ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel, channel,
};

use slipring_bench::transport::{End, Link, Transport};

/// From the process that connects: where to send bytes, and where to send the same for the other
/// direction.
type Hello = (IpcBytesSender, IpcSender<IpcBytesSender>);

pub struct IpcChannel;

pub struct Channels {
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
}

impl Transport for IpcChannel {
    type Link = Channels;

    fn open(&self, end: End) -> io::Result<Channels> {
        if end.host {
            let (server, name) = IpcOneShotServer::<Hello>::new()?;
            end.tell(&name)?;
            let (_, (sender, answer)) = server.accept().map_err(failed)?;
            let (other, receiver) = bytes_channel()?;
            answer.send(other).map_err(failed)?;
            return Ok(Channels { sender, receiver });
        }
        let (other, receiver) = bytes_channel()?;
        let (answer, answered) = channel()?;
        let hello: IpcSender<Hello> = IpcSender::connect(end.hear()?)?;
        hello.send((other, answer)).map_err(failed)?;
        let sender = answered.recv().map_err(failed)?;
        Ok(Channels { sender, receiver })
    }
}

fn failed(error: ::ipc_channel::IpcError) -> io::Error {
    io::Error::other(error.to_string())
}

impl Link for Channels {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.sender.send(message)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let message = self.receiver.recv().map_err(failed)?;
        let place = buffer
            .get_mut(..message.len())
            .ok_or(io::ErrorKind::InvalidData)?;
        place.copy_from_slice(&message);
        Ok(message.len())
    }
}
