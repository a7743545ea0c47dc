//! What the two halves of a measurement do: the host sends first, the peer answers or receives.
//!
//! Each kind of case is in a file of its own.

mod batched;
mod buffer;
mod filled;
mod fixed_rate;
mod round_trip;
mod throughput;

use std::io;

use self::buffer::Buffer;
use crate::{
    case::{Case, Kind},
    clock::{self, SECOND},
    order::{Order, Report},
    transport::Link,
};

/// One message in so many is not recorded, at the start: caches are cold and a side still wakes up.
pub(crate) const WARM_UP: u64 = 20;
/// A receiver of a stream asks for at least so many bytes.
const RECEIVE: usize = 64 << 10;

pub(crate) struct Half<L> {
    link: L,
    case: Case,
    /// CPU time so far
    cpu: fn() -> u64,
    message: Buffer,
    received: Buffer,
}

impl<L: Link> Half<L> {
    pub(crate) fn new(link: L, case: &Case, cpu: fn() -> u64) -> Self {
        let at_once = match case.kind {
            Kind::Throughput | Kind::Batched(_) => case.size.max(RECEIVE),
            _ => case.size,
        };
        let moves = !matches!(case.kind, Kind::Streams(_));
        Half {
            link,
            case: case.clone(),
            cpu,
            message: Buffer::new(case.size, moves),
            received: Buffer::new(at_once, moves),
        }
    }

    fn place(&mut self, round: u32) {
        self.message.move_to(round as usize);
        self.received.move_to(3 * round as usize + 1);
    }

    pub(crate) fn host(&mut self, order: Order) -> io::Result<Report> {
        self.place(order.round);
        timed(self.cpu, || match self.case.kind {
            Kind::RoundTrip | Kind::Streams(_) => self.ask_timed(order),
            Kind::Throughput => self.send_all(order),
            Kind::Filled(how) => self.fill_all(order, how),
            Kind::Batched(batch) => self.send_batches(order, batch),
            Kind::FixedRate(per_second) => self.send_on_time(order, SECOND / per_second),
            Kind::SmallReads(_) | Kind::Served { .. } => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    pub(crate) fn peer(&mut self, order: Order) -> io::Result<Report> {
        self.place(order.round);
        timed(self.cpu, || match self.case.kind {
            Kind::RoundTrip | Kind::Streams(_) => self.echo(order),
            Kind::Throughput | Kind::Batched(_) => self.receive_all(order),
            Kind::Filled(how) => self.sum_all(order, how),
            Kind::FixedRate(_) => self.receive_on_time(order),
            Kind::SmallReads(_) | Kind::Served { .. } => Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

/// Work, with the time and the CPU time that it took.
pub fn timed(cpu: fn() -> u64, work: impl FnOnce() -> io::Result<Report>) -> io::Result<Report> {
    let before = cpu();
    let start = clock::now();
    let report = work()?;
    Ok(Report {
        start,
        end: clock::now(),
        cpu: cpu() - before,
        ..report
    })
}
