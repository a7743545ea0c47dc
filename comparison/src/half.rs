//! What the two halves of a measurement do: the host sends first, the peer answers or receives.

use std::io;

use crate::{
    case::{Case, Kind},
    clock::{self, Cpu, SECOND},
    order::{Order, Report},
    stats,
    transport::Link,
};

/// One message in so many is not recorded, at the start: caches are cold and a side still wakes up.
const WARM_UP: u64 = 20;
/// A receiver of a stream asks for at least so many bytes.
const RECEIVE: usize = 64 << 10;

pub struct Half<L> {
    link: L,
    case: &'static Case,
    cpu: Cpu,
    message: Vec<u8>,
    received: Vec<u8>,
}

impl<L: Link> Half<L> {
    pub fn new(link: L, case: &'static Case, cpu: Cpu) -> Self {
        Half {
            link,
            case,
            cpu,
            message: vec![0; case.size],
            received: vec![0; case.size.max(RECEIVE)],
        }
    }

    pub fn host(&mut self, order: Order) -> io::Result<Report> {
        self.timed(|half| match half.case.kind {
            Kind::RoundTrip => half.ask(order),
            Kind::Throughput => half.send_all(order),
            Kind::FixedRate { per_second } => half.send_on_time(order, SECOND / per_second),
        })
    }

    pub fn peer(&mut self, order: Order) -> io::Result<Report> {
        self.timed(|half| match half.case.kind {
            Kind::RoundTrip => half.echo(order),
            Kind::Throughput => half.receive_all(order),
            Kind::FixedRate { .. } => half.receive_on_time(order),
        })
    }

    fn timed(&mut self, work: impl FnOnce(&mut Self) -> io::Result<Report>) -> io::Result<Report> {
        let before = self.cpu.spent();
        let start = clock::now();
        let report = work(self)?;
        Ok(Report {
            start,
            end: clock::now(),
            cpu: self.cpu.spent() - before,
            ..report
        })
    }

    fn ask(&mut self, order: Order) -> io::Result<Report> {
        let mut latency = stats::histogram();
        let echo = &mut self.received[..self.case.size];
        for number in 0..order.messages {
            if order.verify {
                fill(&mut self.message, number * 1009);
            }
            self.message[..8].copy_from_slice(&number.to_le_bytes());
            let sent = clock::now();
            self.link.send(&self.message)?;
            self.link.receive(echo)?;
            let taken = clock::now() - sent;
            if number >= order.messages / WARM_UP {
                latency.saturating_record(taken);
            }
            if echo[..8] != self.message[..8] || (order.verify && *echo != *self.message) {
                return Err(io::Error::other("an echo is not what was sent"));
            }
        }
        let latency = stats::counts(&latency);
        Ok(Report {
            latency,
            ..Report::default()
        })
    }

    fn echo(&mut self, order: Order) -> io::Result<Report> {
        for _ in 0..order.messages {
            self.link.receive(&mut self.message)?;
            self.link.send(&self.message)?;
        }
        Ok(Report::default())
    }

    fn send_all(&mut self, order: Order) -> io::Result<Report> {
        for number in 0..order.messages {
            if order.verify {
                fill(&mut self.message, number * self.case.size as u64);
            }
            self.link.send(&self.message)?;
        }
        Ok(Report::default())
    }

    fn receive_all(&mut self, order: Order) -> io::Result<Report> {
        let total = order.messages * self.case.size as u64;
        let mut position = 0;
        while position < total {
            let length = self.link.receive_some(&mut self.received)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if order.verify {
                check(&self.received[..length], position)?;
            }
            position += length as u64;
        }
        if position > total {
            return Err(io::Error::other("more bytes came than were sent"));
        }
        Ok(Report::default())
    }

    /// Each message carries the time when it was due. When the sender is late, the messages that
    /// waited for it count as late, too.
    fn send_on_time(&mut self, order: Order, period: u64) -> io::Result<Report> {
        let first = clock::now() + period;
        let mut sending = 0;
        for number in 0..order.messages {
            if order.verify {
                fill(&mut self.message, number * 1009);
            }
            let due = first + number * period;
            self.message[..8].copy_from_slice(&due.to_le_bytes());
            let mut now = clock::now();
            while now < due {
                std::hint::spin_loop();
                now = clock::now();
            }
            self.link.send(&self.message)?;
            sending += clock::now() - now;
        }
        Ok(Report {
            sending,
            ..Report::default()
        })
    }

    fn receive_on_time(&mut self, order: Order) -> io::Result<Report> {
        let mut latency = stats::histogram();
        let mut expected = vec![0; self.case.size];
        for number in 0..order.messages {
            self.link.receive(&mut self.message)?;
            let now = clock::now();
            let (due, rest) = self.message.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
            if order.verify {
                fill(&mut expected, number * 1009);
                if *rest != expected[8..] {
                    return Err(io::Error::other("a message is not what was sent"));
                }
            }
            if number >= order.messages / WARM_UP {
                latency.saturating_record(now.saturating_sub(u64::from_le_bytes(*due)));
            }
        }
        let latency = stats::counts(&latency);
        Ok(Report {
            latency,
            ..Report::default()
        })
    }
}

/// The byte that has to be at a position. Neighbours, and positions a power of two apart, differ.
fn byte(position: u64) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16)) as u8
}

fn fill(bytes: &mut [u8], position: u64) {
    for (at, place) in (position..).zip(bytes) {
        *place = byte(at);
    }
}

fn check(bytes: &[u8], position: u64) -> io::Result<()> {
    for (at, &found) in (position..).zip(bytes) {
        if found != byte(at) {
            return Err(io::Error::other(format!("byte {at} is not what was sent")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_or_changed_stream_is_noticed() {
        let mut bytes = [0; 3000];
        fill(&mut bytes, 70_000);
        assert!(check(&bytes, 70_000).is_ok());
        for shift in [1, 2, 64, 256, 4096, 65_536] {
            assert!(check(&bytes, 70_000 + shift).is_err());
        }
        bytes[2999] ^= 1;
        assert!(check(&bytes, 70_000).is_err());
    }
}
