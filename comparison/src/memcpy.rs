//! memcpy: what one core alone copies. A limit, not a transport.

use std::{hint::black_box, io};

use slipring_bench::{
    clock,
    half::timed,
    order::{Order, Report},
    pattern::{check, fill},
    transport::region::copy,
    worker::{Work, Worker},
};

/// Larger than any cache.
const MEMORY: usize = 128 << 20;

/// Where the bytes come from.
#[derive(Clone, Copy)]
pub enum Memcpy {
    /// always the same message
    Cache,
    /// the next one of so many that no cache holds them
    Memory,
}

impl Work for Memcpy {
    fn alone(&self) -> bool {
        true
    }

    fn work(&self, worker: &Worker) -> io::Result<()> {
        let case = worker.case();
        let length = match self {
            Memcpy::Cache => case.size,
            Memcpy::Memory => MEMORY,
        };
        let mut source = vec![0; length];
        fill(&mut source, 0);
        let mut target = vec![0; case.size];
        worker.ends()?;
        let mut start = 0;
        worker.orders(|order: Order| {
            let report = timed(clock::cpu, || {
                for _ in 0..order.messages {
                    // Neither is left out: for all that the compiler knows, somebody looks at both
                    // each time.
                    let message = black_box(&source[start..start + case.size]);
                    copy(message, black_box(&mut target));
                    if order.verify {
                        check(&target, start as u64)?;
                    }
                    start += case.size;
                    if start == length {
                        start = 0;
                    }
                }
                Ok(Report::default())
            })?;
            Ok(vec![report, Report::default()])
        })
    }
}
