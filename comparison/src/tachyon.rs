//! tachyon-ipc: a ring of messages in a memfd for each direction, handed over through a Unix
//! socket.

use std::{
    hint::spin_loop,
    io, thread,
    time::{Duration, Instant},
};

use tachyon_ipc::{Bus, TachyonError};

use slipring_bench::transport::{End, Link, Transport};

/// As much as a slipring stream has by default.
const CAPACITY: usize = 256 << 10;
/// The reader gives room back after so many messages, not before; one more has to fit, and what is
/// skipped at the ring's end.
const MESSAGES: usize = 32 + 2;
/// before each message
const HEADER: usize = 64;
/// For the other process to listen.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
pub enum Tachyon {
    Spin,
    /// Sleeps on a futex without having spun.
    Sleep,
}

pub struct Buses {
    outbox: Bus,
    inbox: Bus,
    waits: Tachyon,
}

impl Tachyon {
    fn link(self, outbox: Bus, inbox: Bus) -> Buses {
        if let Tachyon::Spin = self {
            // The writer need not look whether its reader sleeps.
            inbox.set_polling_mode(1);
        }
        Buses {
            outbox,
            inbox,
            waits: self,
        }
    }
}

fn failed(error: TachyonError) -> io::Error {
    io::Error::other(error.to_string())
}

/// Makes the outbox; returns when the other process has it.
fn outbox(end: &End, name: &str) -> io::Result<Bus> {
    let capacity = CAPACITY
        .max(MESSAGES * (end.size + HEADER))
        .next_power_of_two();
    Bus::listen(&end.directory.join(name).to_string_lossy(), capacity).map_err(failed)
}

/// Takes over the other process's outbox.
fn inbox(end: &End, name: &str) -> io::Result<Bus> {
    let path = end.directory.join(name);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Bus::connect(&path.to_string_lossy()) {
            // Nobody can be told before it blocks that it listens.
            Err(TachyonError::NetworkError | TachyonError::SystemError)
                if Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            connected => return connected.map_err(failed),
        }
    }
}

impl Transport for Tachyon {
    type Link = Buses;

    fn open(&self, end: End) -> io::Result<Buses> {
        if end.host {
            let outbox = outbox(&end, "there")?;
            return Ok(self.link(outbox, inbox(&end, "back")?));
        }
        let inbox = inbox(&end, "there")?;
        Ok(self.link(outbox(&end, "back")?, inbox))
    }
}

impl Link for Buses {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        loop {
            match (self.outbox.send(message, 0), self.waits) {
                (Err(TachyonError::BufferFull), Tachyon::Spin) => spin_loop(),
                // It has no means to sleep until there is room.
                (Err(TachyonError::BufferFull), Tachyon::Sleep) => thread::yield_now(),
                (sent, _) => return sent.map_err(failed),
            }
        }
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let looks = match self.waits {
            Tachyon::Spin => u32::MAX,
            Tachyon::Sleep => 0,
        };
        let message = self.inbox.acquire_rx(looks).map_err(failed)?;
        let bytes = message.data();
        let place = buffer
            .get_mut(..bytes.len())
            .ok_or(io::ErrorKind::InvalidData)?;
        place.copy_from_slice(bytes);
        let length = bytes.len();
        message.commit().map_err(failed)?;
        Ok(length)
    }
}
