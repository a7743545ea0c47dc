//! Messages in one direction, as fast as they go.

use std::io;

use super::Half;
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
}
