//! One message there and the same message back, over and over.

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
    pub(super) fn ask_timed(&mut self, order: Order) -> io::Result<Report> {
        let mut latency = stats::histogram();
        self.ask(order, |taken| latency.saturating_record(taken))?;
        let latency = stats::counts(&latency);
        Ok(Report {
            latency,
            ..Report::default()
        })
    }

    /// Tells how long each took, without the first ones.
    pub(crate) fn ask(&mut self, order: Order, mut record: impl FnMut(u64)) -> io::Result<()> {
        let Half {
            link,
            message,
            received,
            case,
            ..
        } = self;
        let message = &mut **message;
        let echo = &mut received[..case.size];
        for number in 0..order.messages {
            if order.verify {
                fill(message, number * 1009);
            }
            message[..8].copy_from_slice(&number.to_le_bytes());
            let sent = clock::now();
            link.send(message)?;
            link.receive(echo)?;
            let taken = clock::now() - sent;
            if number >= order.messages / WARM_UP {
                record(taken);
            }
            if echo[..8] != message[..8] || (order.verify && *echo != *message) {
                return Err(io::Error::other("an echo is not what was sent"));
            }
        }
        Ok(())
    }

    pub(super) fn echo(&mut self, order: Order) -> io::Result<Report> {
        let Half { link, message, .. } = self;
        let message = &mut **message;
        for _ in 0..order.messages {
            link.receive(message)?;
            link.send(message)?;
        }
        Ok(Report::default())
    }
}
