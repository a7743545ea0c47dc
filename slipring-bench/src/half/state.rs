//! One half: its end of a connection, and memory of its own.

use std::io;

use super::buffer::Buffer;
use crate::{
    case::{Case, Kind},
    clock,
    order::Report,
    transport::Link,
};

/// One message in so many is not recorded, at the start: caches are cold and a side still wakes up.
pub(crate) const WARM_UP: u64 = 20;
/// A receiver of a stream asks for at least so many bytes.
const RECEIVE: usize = 64 << 10;

pub(crate) struct Half<L> {
    pub(super) link: L,
    pub(super) case: Case,
    /// CPU time so far
    pub(super) cpu: fn() -> u64,
    pub(super) message: Buffer,
    pub(super) received: Buffer,
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

    pub(super) fn place(&mut self, round: u32) {
        self.message.move_to(round as usize);
        self.received.move_to(3 * round as usize + 1);
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
