//! Messages in one direction, as fast as they go.

use std::io;

use super::{buffer::Buffer, state::Half};
use crate::{
    order::{Order, Report},
    pattern::{check, fill},
    transport::Link,
};

impl<L: Link> Half<L> {
    pub(super) fn send_all(&mut self, order: Order) -> io::Result<Report> {
        let message = &mut *self.message;
        for number in 0..order.messages {
            if order.verify {
                fill(message, number * self.case.size as u64);
            }
            self.link.send(message)?;
        }
        self.link.flush()?;
        Ok(Report::default())
    }

    pub(super) fn receive_all(&mut self, order: Order) -> io::Result<Report> {
        let total = order.messages * self.case.size as u64;
        let mut position = 0;
        let received = &mut *self.received;
        while position < total {
            let length = self.link.receive_some(received)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if order.verify {
                check(&received[..length], position)?;
            }
            position += length as u64;
        }
        if position > total {
            return Err(io::Error::other("more bytes came than were sent"));
        }
        Ok(Report::default())
    }

    /// So many at a time: sent one by one, but published together.
    pub(super) fn send_batches(&mut self, order: Order, batch: usize) -> io::Result<Report> {
        let mut messages = Buffer::new(batch * self.case.size, true);
        messages.move_to(order.round as usize);
        let mut left = order.messages;
        let mut position = 0;
        while left > 0 {
            let some = left.min(batch as u64);
            let messages = &mut messages[..some as usize * self.case.size];
            if order.verify {
                fill(messages, position);
            }
            self.link.send_batch(messages, self.case.size)?;
            left -= some;
            position += messages.len() as u64;
        }
        self.link.flush()?;
        Ok(Report::default())
    }
}
