//! cloudtoid-interprocess: a queue of messages in a mapped file for each direction.

use std::{hint::spin_loop, io, thread::yield_now};

use cloudtoid_interprocess::{Error, Options, Publisher, Subscriber};

use slipring_bench::{
    scratch,
    transport::{End, Link, Transport},
};

/// As much as a slipring stream has by default, or room for some messages if these are large.
const CAPACITY: usize = 256 << 10;
const LARGE: usize = 4;

pub struct Cloudtoid {
    /// Polls instead of sleeping.
    pub polls: bool,
}

pub struct Queues {
    publisher: Publisher,
    subscriber: Subscriber,
    polls: bool,
}

impl Cloudtoid {
    fn queues(&self, end: &End) -> io::Result<Queues> {
        let (there, back) = if end.host {
            ("there", "back")
        } else {
            ("back", "there")
        };
        let capacity = CAPACITY.max(LARGE * end.size);
        // Its semaphores are not in the directory.
        let unique = scratch::name(&end.directory);
        let options = |name: &str| {
            Options::new(format!("{unique}-{name}"), capacity).with_path(&end.directory)
        };
        Ok(Queues {
            publisher: Publisher::open(&options(there)).map_err(failed)?,
            subscriber: Subscriber::open(&options(back)).map_err(failed)?,
            polls: self.polls,
        })
    }
}

impl Transport for Cloudtoid {
    type Link = Queues;

    fn open(&self, end: End) -> io::Result<Queues> {
        end.in_turn(|| self.queues(&end))
    }
}

fn failed(error: Error) -> io::Error {
    io::Error::other(error.to_string())
}

impl Link for Queues {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        loop {
            match self.publisher.try_send(message) {
                Err(error) if error.is_full() && self.polls => spin_loop(),
                // It has no means to sleep until there is room.
                Err(error) if error.is_full() => yield_now(),
                sent => return sent.map_err(failed),
            }
        }
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.polls {
            loop {
                if let Some(length) = self.subscriber.try_recv_into(buffer).map_err(failed)? {
                    return Ok(length);
                }
                spin_loop();
            }
        }
        let message = self.subscriber.recv().map_err(failed)?;
        let place = buffer
            .get_mut(..message.len())
            .ok_or(io::ErrorKind::InvalidData)?;
        place.copy_from_slice(&message);
        Ok(message.len())
    }
}
