//! What the parent and its processes tell each other over the side channel.

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use serde::{Deserialize, Serialize};

use crate::{bench::channel::Channel, failure::Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    Server,
    Client,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Client => "client",
        }
    }
}

/// To a process: one more stream, over the socket that comes along.
#[derive(Serialize, Deserialize)]
pub enum Join {
    Stream,
    /// That was all.
    Complete,
}

/// From a process: it is there, or connected, as ordered.
#[derive(Serialize, Deserialize)]
pub struct Ready;

/// To the server: send messages for so many nanoseconds.
#[derive(Serialize, Deserialize)]
pub struct Measure {
    pub slice: u64,
}

/// From the server: how that went.
#[derive(Serialize, Deserialize)]
pub enum Outcome {
    Done(Round),
    Failed(String),
}

/// One round: messages and their answers. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Round {
    pub wall: u64,
    /// answered within that time
    pub messages: u64,
    /// the same with those of the warm-up
    pub messages_in_all: u64,
    /// from just before writing until the answer is there
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// In a process: says that it is there, and takes the sockets of its streams.
pub fn join(channel: &Channel) -> Result<Vec<UnixStream>, Failure> {
    channel.send(&Ready)?;
    let mut sockets = Vec::new();
    while let Some((Join::Stream, descriptors)) = channel.receive_with::<Join>()? {
        sockets.extend(
            descriptors
                .into_iter()
                .map(|socket: OwnedFd| UnixStream::from(socket)),
        );
    }
    Ok(sockets)
}
