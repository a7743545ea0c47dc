//! Round trips: both halves.
//!
//! The parent sends a message and waits for its echo. The first byte of a message tells whether
//! the peer is to go on; the next seven number the messages, which the parent compares with the
//! echo. In the verification pass the whole message is compared.

use std::io;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{
    channel::Channel,
    measurement::{Measurement, Slice},
    peer::Peer,
    transport::Link,
};
use crate::{
    failure::Failure,
    trial::clock::{self, SECOND},
};

const GO_ON: u8 = 0;
const LAST: u8 = 1;
const VERIFIED: u64 = 100;
/// Longer round trips count as this long.
const LONGEST: u64 = 100 * SECOND;

/// To the peer: echo messages up to the last one.
#[derive(Serialize, Deserialize)]
struct Echo;

/// From the peer: the last message has been echoed.
#[derive(Serialize, Deserialize)]
struct Done {
    cpu: u64,
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are valid")
}

pub struct RoundTrip<L> {
    // The order matters when dropped: this end of the link goes first, then the peer.
    link: L,
    peer: Peer,
    message: Vec<u8>,
    echo: Vec<u8>,
    number: u64,
}

impl<L: Link> RoundTrip<L> {
    pub fn new(link: L, peer: Peer, size: usize) -> Self {
        RoundTrip {
            link,
            peer,
            message: vec![0; size],
            echo: vec![0; size],
            number: 0,
        }
    }

    #[inline]
    fn round_trip(&mut self, first: u8) -> io::Result<()> {
        self.number += 1;
        let head = self.number << 8 | u64::from(first);
        self.message[..8].copy_from_slice(&head.to_le_bytes());
        self.link.send(&self.message)?;
        self.link.receive(&mut self.echo)?;
        if self.echo[..8] != self.message[..8] {
            return Err(io::Error::other("the echo is not the message sent"));
        }
        Ok(())
    }

    fn done(&self) -> Result<Done, Failure> {
        let done = self.peer.channel.receive()?;
        done.ok_or_else(|| Failure::failed("the peer process has ended"))
    }
}

impl<L: Link> Measurement for RoundTrip<L> {
    fn prepare(&mut self, _slice: u64) -> Result<(), Failure> {
        self.peer.channel.send(&Echo)?;
        for number in 0..VERIFIED {
            for (index, byte) in self.message.iter_mut().enumerate() {
                *byte = (number as usize * 31 + index * 7 + index / 256) as u8;
            }
            self.round_trip(if number + 1 < VERIFIED { GO_ON } else { LAST })?;
            if self.echo != self.message {
                return Err(Failure::failed("an echo is not what was sent"));
            }
        }
        self.done()?;
        Ok(())
    }

    fn measure(&mut self, slice: u64) -> Result<Slice, Failure> {
        let mut latency = histogram();
        let cpu_before = clock::cpu();
        self.peer.channel.send(&Echo)?;

        // The first round trips meet cold caches and a peer that still wakes up.
        let begin = clock::now();
        let warm = begin + slice / 10;
        while clock::now() < warm {
            self.round_trip(GO_ON)?;
        }
        let start = clock::now();
        let end = begin + slice;
        let mut messages = 0;
        loop {
            let sent = clock::now();
            self.round_trip(GO_ON)?;
            let received = clock::now();
            latency.saturating_record(received - sent);
            messages += 1;
            if received >= end {
                break;
            }
        }
        let wall = clock::now() - start;

        self.round_trip(LAST)?;
        let cpu_here = clock::cpu() - cpu_before;
        let Done { cpu: cpu_there } = self.done()?;
        Ok(Slice {
            wall,
            messages,
            bytes: messages * self.message.len() as u64,
            latency: Some(latency),
            cpu_here,
            cpu_there,
        })
    }
}

/// The peer's half: until the parent hangs up.
pub fn serve<L: Link>(mut link: L, channel: &Channel, size: usize) -> Result<(), Failure> {
    let mut message = vec![0; size];
    while let Some(Echo) = channel.receive()? {
        let cpu_before = clock::cpu();
        loop {
            link.receive(&mut message)?;
            link.send(&message)?;
            if message[0] == LAST {
                break;
            }
        }
        channel.send(&Done {
            cpu: clock::cpu() - cpu_before,
        })?;
    }
    Ok(())
}
