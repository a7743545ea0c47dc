//! memcpy: what one core alone copies. A limit, not a transport.

use std::io;

use crate::{
    case::Case,
    clock::Cpu,
    half::timed,
    order::{Answer, Order, Report},
    pattern::{check, fill},
    worker::{Args, Work, orders, say},
};

/// Larger than any cache.
const MEMORY: usize = 256 << 20;

/// Where the bytes come from.
#[derive(Clone, Copy)]
pub enum Memcpy {
    /// always the same message
    Cache,
    /// the next one of so many that no cache holds them
    Memory,
}

impl Work for Memcpy {
    fn work(&self, _args: &Args, case: &'static Case) -> io::Result<()> {
        let length = match self {
            Memcpy::Cache => case.size,
            Memcpy::Memory => MEMORY,
        };
        let mut source = vec![0; length];
        fill(&mut source, 0);
        let mut copy = vec![0; case.size];
        say(&Answer::Connected)?;
        let mut start = 0;
        orders(|order: Order| {
            let report = timed(Cpu::Process, || {
                for _ in 0..order.messages {
                    // Neither is left out: for all that the compiler knows, somebody looks at both each time.
                    let message = std::hint::black_box(&source[start..start + case.size]);
                    std::hint::black_box(&mut copy).copy_from_slice(message);
                    if order.verify {
                        check(&copy, start as u64)?;
                    }
                    start = (start + case.size) % length;
                }
                Ok(Report::default())
            })?;
            Ok(vec![report, Report::default()])
        })
    }
}
