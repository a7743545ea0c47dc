//! One message there and the same message back, over and over.

use std::io;

use super::{Half, WARM_UP};
use crate::{
    clock,
    order::{Order, Report},
    pattern::fill,
    stats,
    transport::Link,
};

impl<L: Link> Half<L> {
    pub(super) fn ask_timed(&mut self, order: Order) -> io::Result<Report> {
        let mut latency = stats::histogram();
        self.ask(order, |taken| latency.saturating_record(taken))?;
        let latency = stats::counts(&latency);
        Ok(Report {
            latency,
            ..Report::default()
        })
    }

    /// Tells how long each took, but for the first ones.
    pub fn ask(&mut self, order: Order, mut record: impl FnMut(u64)) -> io::Result<()> {
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
                record(taken);
            }
            if echo[..8] != self.message[..8] || (order.verify && *echo != *self.message) {
                return Err(io::Error::other("an echo is not what was sent"));
            }
        }
        Ok(())
    }

    pub(super) fn echo(&mut self, order: Order) -> io::Result<Report> {
        for _ in 0..order.messages {
            self.link.receive(&mut self.message)?;
            self.link.send(&self.message)?;
        }
        Ok(Report::default())
    }
}
