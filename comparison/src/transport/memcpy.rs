//! memcpy: what one core alone copies. A limit, not a transport.

use std::{hint::black_box, io};

use crate::{
    case::Case,
    clock::Cpu,
    half::timed,
    order::{Answer, Order, Report},
    pattern::{check, fill},
    worker::{Args, Work, orders, say},
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

/// Copies as programs do that know the size of their messages: the smallest without a call.
#[inline(always)]
pub fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        8 => to[..8].copy_from_slice(&from[..8]),
        64 => to[..64].copy_from_slice(&from[..64]),
        _ => to.copy_from_slice(from),
    }
}

impl Work for Memcpy {
    fn work(&self, _args: &Args, case: &'static Case) -> io::Result<()> {
        let length = match self {
            Memcpy::Cache => case.size,
            Memcpy::Memory => MEMORY,
        };
        let mut source = vec![0; length];
        fill(&mut source, 0);
        let mut target = vec![0; case.size];
        say(&Answer::Connected)?;
        let mut start = 0;
        orders(|order: Order| {
            let report = timed(Cpu::Process, || {
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
