//! What is compared: a transport with a way of waiting.

use std::time::Duration;

use super::{
    client,
    order::Role,
    server,
    transport::{Slipring, Transport, Unix},
};
use crate::{
    bench::{channel::Channel, contender::UNIX},
    failure::Failure,
};

pub const SLEEPING: &str = "slipring-never";
pub const SPINNING: &str = "slipring-50us";

/// How long one that spins looks before it sleeps.
const SPIN: Duration = Duration::from_micros(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Slipring { spins: bool },
    Unix,
}

/// Who takes part. A poll that spins holds up all other streams of its thread, so spinning is for a
/// single one, and needs a core for each side.
pub fn all(streams: usize, cores: usize) -> Vec<Contender> {
    let mut all = vec![Contender::Slipring { spins: false }, Contender::Unix];
    if streams == 1 && cores > 1 {
        all.insert(1, Contender::Slipring { spins: true });
    }
    all
}

impl Contender {
    pub fn by_name(name: &str) -> Option<Contender> {
        match name {
            SLEEPING => Some(Contender::Slipring { spins: false }),
            SPINNING => Some(Contender::Slipring { spins: true }),
            UNIX => Some(Contender::Unix),
            _ => None,
        }
    }

    /// For JSON and the processes' arguments.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Slipring { spins: false } => SLEEPING,
            Contender::Slipring { spins: true } => SPINNING,
            Contender::Unix => UNIX,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Contender::Slipring { spins: false } => "slipring (sleeping)",
            Contender::Slipring { spins: true } => "slipring (spinning)",
            Contender::Unix => "Unix stream socket",
        }
    }

    /// Whether each side needs a core for itself. The kernel likes to put two that wake each other
    /// on one, where each would keep the other from answering for as long as it spins.
    pub fn needs_cores(self) -> bool {
        self == Contender::Slipring { spins: true }
    }

    /// In a server or client process, until the parent hangs up.
    pub fn work(self, role: Role, capacity: usize, channel: &Channel) -> Result<(), Failure> {
        match self {
            Contender::Slipring { spins } => {
                let poll_spin = if spins { SPIN } else { Duration::ZERO };
                let transport = Slipring {
                    poll_spin,
                    capacity,
                };
                work(role, channel, &transport)
            }
            Contender::Unix => work(role, channel, &Unix),
        }
    }
}

fn work<T: Transport>(role: Role, channel: &Channel, transport: &T) -> Result<(), Failure> {
    match role {
        Role::Server => server::serve(channel, transport),
        Role::Client => client::answer(channel, transport),
    }
}
