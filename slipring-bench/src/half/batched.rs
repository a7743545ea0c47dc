//! Messages in one direction, so many at a time: they are sent one by one, but published together.

use std::io;

use super::{Half, buffer::Buffer};
use crate::{
    order::{Order, Report},
    pattern::fill,
    transport::Link,
};

impl<L: Link> Half<L> {
    /// The receiver is that of a stream: it takes what there is.
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
