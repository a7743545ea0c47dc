//! The work of the two halves of a measurement: the host sends first, the peer answers or receives.
//!
//! Each kind of case is in a file of its own.

mod buffer;
mod filled;
mod fixed_rate;
pub(crate) mod mixed;
mod round_trip;
mod state;
mod throughput;

use std::io;

use crate::{
    case::Kind,
    clock::SECOND,
    order::{Order, Report},
    transport::Link,
};

pub use self::state::timed;
pub(crate) use self::state::{Half, WARM_UP};

impl<L: Link> Half<L> {
    pub(crate) fn host(&mut self, order: Order) -> io::Result<Report> {
        self.place(order.round);
        timed(self.cpu, || match self.case.kind {
            Kind::RoundTrip | Kind::Streams(_) => self.ask_timed(order),
            Kind::Throughput => self.send_all(order),
            Kind::Filled(how) => self.fill_all(order, how),
            Kind::Batched(batch) => self.send_batches(order, batch),
            Kind::FixedRate(per_second) => self.send_on_time(order, SECOND / per_second),
            Kind::Mixed(how) => mixed::half(&mut self.link, how, true),
            Kind::SmallReads(_) | Kind::Served { .. } | Kind::Subscribed(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        })
    }

    pub(crate) fn peer(&mut self, order: Order) -> io::Result<Report> {
        self.place(order.round);
        timed(self.cpu, || match self.case.kind {
            Kind::RoundTrip | Kind::Streams(_) => self.echo(order),
            Kind::Throughput | Kind::Batched(_) => self.receive_all(order),
            Kind::Filled(how) => self.sum_all(order, how),
            Kind::FixedRate(_) => self.receive_on_time(order),
            Kind::Mixed(how) => mixed::half(&mut self.link, how, false),
            Kind::SmallReads(_) | Kind::Served { .. } | Kind::Subscribed(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        })
    }
}
