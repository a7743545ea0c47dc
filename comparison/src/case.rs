//! What is measured.

/// How a case uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message there and the same message back, over and over.
    RoundTrip,
    /// Messages in one direction, as fast as they go.
    Throughput,
    /// Messages in one direction, so many a second, however long each takes.
    FixedRate { per_second: u64 },
}

pub struct Case {
    /// for `--only`, JSON and the peer processes
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// bytes of a message
    pub size: usize,
}

pub static CASES: [Case; 12] = [
    case("rtt-8", "round trip, 8 B", Kind::RoundTrip, 8),
    case("rtt-64", "round trip, 64 B", Kind::RoundTrip, 64),
    case("rtt-1k", "round trip, 1 KiB", Kind::RoundTrip, 1 << 10),
    case("rtt-16k", "round trip, 16 KiB", Kind::RoundTrip, 16 << 10),
    case("rtt-64k", "round trip, 64 KiB", Kind::RoundTrip, 64 << 10),
    case("stream-64", "throughput, 64 B", Kind::Throughput, 64),
    case("stream-1k", "throughput, 1 KiB", Kind::Throughput, 1 << 10),
    case("stream-16k", "throughput, 16 KiB", Kind::Throughput, 16 << 10),
    case("stream-1m", "throughput, 1 MiB", Kind::Throughput, 1 << 20),
    case(
        "rate-1k",
        "64 B, 1,000 a second",
        Kind::FixedRate { per_second: 1_000 },
        64,
    ),
    case(
        "rate-10k",
        "64 B, 10,000 a second",
        Kind::FixedRate { per_second: 10_000 },
        64,
    ),
    case(
        "rate-100k",
        "64 B, 100,000 a second",
        Kind::FixedRate { per_second: 100_000 },
        64,
    ),
];

const fn case(name: &'static str, title: &'static str, kind: Kind, size: usize) -> Case {
    Case {
        name,
        title,
        kind,
        size,
    }
}

pub fn by_name(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}
