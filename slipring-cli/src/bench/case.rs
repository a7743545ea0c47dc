//! What is measured: round trips and throughput, with messages of several sizes.

/// How a case uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message there and the same message back, over and over.
    RoundTrip,
    /// Messages in one direction, as fast as they go.
    Throughput,
}

#[derive(Debug)]
pub struct Case {
    /// for `--only` and JSON
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// bytes of a message
    pub size: usize,
}

/// Each kind in the order of its sizes.
pub static CASES: [Case; 12] = [
    case("rtt-8", "round trip, 8 B", Kind::RoundTrip, 8),
    case("rtt-64", "round trip, 64 B", Kind::RoundTrip, 64),
    case("rtt-1k", "round trip, 1 KiB", Kind::RoundTrip, 1 << 10),
    case("rtt-4k", "round trip, 4 KiB", Kind::RoundTrip, 4 << 10),
    case("rtt-16k", "round trip, 16 KiB", Kind::RoundTrip, 16 << 10),
    case("rtt-64k", "round trip, 64 KiB", Kind::RoundTrip, 64 << 10),
    case(
        "stream-64",
        "throughput, writes of 64 B",
        Kind::Throughput,
        64,
    ),
    case(
        "stream-1k",
        "throughput, writes of 1 KiB",
        Kind::Throughput,
        1 << 10,
    ),
    case(
        "stream-4k",
        "throughput, writes of 4 KiB",
        Kind::Throughput,
        4 << 10,
    ),
    case(
        "stream-16k",
        "throughput, writes of 16 KiB",
        Kind::Throughput,
        16 << 10,
    ),
    case(
        "stream-64k",
        "throughput, writes of 64 KiB",
        Kind::Throughput,
        64 << 10,
    ),
    case(
        "stream-1m",
        "throughput, writes of 1 MiB",
        Kind::Throughput,
        1 << 20,
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
