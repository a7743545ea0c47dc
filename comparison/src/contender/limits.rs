//! What nothing that copies messages in and out can exceed.

use super::{Contender, contender, part::*};
use crate::{
    case::{Case, Cores, Kind},
    transport::{
        bare::{self, Bare},
        eventfd::Eventfd,
        futex::Futex,
        in_place::InPlace,
        memcpy::Memcpy,
        region::Region,
    },
};

const BARE: &str = "bare";
const EVENTFD: &str = "eventfd";
const REGION: &str = "region";

/// The name of the limit that a case is measured by.
pub fn limit(case: &Case) -> Option<&'static str> {
    match case.kind {
        Kind::RoundTrip if case.cores == Cores::One => Some(EVENTFD),
        Kind::RoundTrip => Some(BARE),
        Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } => Some(REGION),
        Kind::FixedRate { .. } | Kind::Streams { .. } | Kind::SmallReads(_) => None,
    }
}

pub fn all() -> [Contender; 9] {
    [
        contender(
            BARE,
            "bare exchange",
            "not a transport: a spinning flag and the message beside it",
            Bare::Beside,
        )
        .part(|case| case.kind == Kind::RoundTrip && case.cores != Cores::One),
        contender(
            "bare-inside",
            "bare exchange, one line",
            "not a transport: the message in the flag's own cache line",
            Bare::Inside,
        )
        .part(|case| {
            case.kind == Kind::RoundTrip && case.cores != Cores::One && case.size <= bare::INSIDE
        }),
        contender(
            EVENTFD,
            "bare eventfd",
            "not a transport: an eventfd, written and read, and the message in shared memory",
            Eventfd,
        )
        .part(woken),
        contender(
            "futex",
            "bare futex",
            "not a transport: a futex, and the message beside it",
            Futex,
        )
        .part(woken),
        contender(
            REGION,
            "shared region",
            "not a transport: one core writes, the other reads; published by slots of 64 KiB, not \
                by messages",
            Region::Writable,
        )
        .part(|case| case.kind == Kind::Throughput || filled(case) || batched(case)),
        contender(
            "region-read-only",
            "shared region, read-only",
            "not a transport: as the shared region, but mapped read-only by the reader, as \
                slipring's rings are",
            Region::ReadOnly,
        )
        .part(|case| case.kind == Kind::Throughput && case.size >= 16 << 10),
        contender(
            "region-in-place",
            "shared region, in place",
            "not a transport: filled by one core and read by the other where it lies, by slots",
            InPlace(Region::Writable),
        )
        .part(filled),
        contender(
            "memcpy",
            "memcpy in cache",
            "not a transport: one core copies the same message",
            Memcpy::Cache,
        )
        .part(|case| case.kind == Kind::Throughput),
        contender(
            "memcpy-memory",
            "memcpy from memory",
            "not a transport: one core copies messages that no cache holds",
            Memcpy::Memory,
        )
        .part(|case| case.kind == Kind::Throughput),
    ]
    .map(|one| Contender { limit: true, ..one })
}
