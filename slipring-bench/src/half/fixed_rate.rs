//! Messages in one direction, so many a second, however long each takes.

use std::io;

use super::state::{Half, WARM_UP};
use crate::{
    clock,
    order::{Order, Report},
    pattern::fill,
    stats,
    transport::Link,
};

impl<L: Link> Half<L> {
    /// Each message carries the time when it was due. When the sender is late, the messages that
    /// waited for it count as late, too.
    pub(super) fn send_on_time(&mut self, order: Order, period: u64) -> io::Result<Report> {
        let first = clock::now() + period;
        let mut sending = 0;
        let message = &mut *self.message;
        for number in 0..order.messages {
            if order.verify {
                fill(message, number * 1009);
            }
            let due = first + number * period;
            message[..8].copy_from_slice(&due.to_le_bytes());
            let mut now = clock::now();
            while now < due {
                std::hint::spin_loop();
                now = clock::now();
            }
            self.link.send(message)?;
            sending += clock::now() - now;
        }
        Ok(Report {
            sending,
            ..Report::default()
        })
    }

    pub(super) fn receive_on_time(&mut self, order: Order) -> io::Result<Report> {
        let mut latency = stats::histogram();
        let mut expected = vec![0; self.case.size];
        let message = &mut *self.message;
        for number in 0..order.messages {
            self.link.receive(message)?;
            let now = clock::now();
            let (due, rest) = message
                .split_first_chunk()
                .ok_or(io::ErrorKind::InvalidData)?;
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
