//! What is measured.

/// How a case uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message there and the same message back, over and over.
    RoundTrip,
    /// Messages in one direction, as fast as they go.
    Throughput,
    /// Like that, but the sender writes every byte and the receiver reads every byte: in place, who
    /// can.
    Filled(Fill),
    /// Messages in one direction, so many of them published at once.
    Batched { batch: usize },
    /// Round trips over so many streams at the same time.
    Streams { streams: usize },
    /// Messages in one direction, so many a second, however long each takes.
    FixedRate { per_second: u64 },
    /// Messages in one direction, as fast as they go, of which the receiver takes little at a time.
    SmallReads(SmallRead),
}

/// How a sender writes every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// the same everywhere, by memset: what costs the sender least
    Same,
    /// numbers in a row, by the stores that the compiler makes of a loop
    Numbers,
}

/// How a receiver takes little at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallRead {
    /// a byte, by `fill_buf` and `consume` of a known type
    BufRead,
    /// a byte, by `read` of a `dyn Read`
    DynRead,
    /// a line of 32 bytes, by `read_until`
    Lines,
}

/// Where the two halves run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// Where the user says, or the kernel.
    AsAsked,
    /// Both on one.
    One,
    /// Where the kernel says, whatever the user does.
    Any,
}

pub struct Case {
    /// for `--only`, JSON and the peer processes
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// bytes of a message
    pub size: usize,
    pub cores: Cores,
}

pub static CASES: [Case; 35] = [
    case("rtt-8", "round trip, 8 B", Kind::RoundTrip, 8),
    case("rtt-64", "round trip, 64 B", Kind::RoundTrip, 64),
    case("rtt-1k", "round trip, 1 KiB", Kind::RoundTrip, 1 << 10),
    case("rtt-16k", "round trip, 16 KiB", Kind::RoundTrip, 16 << 10),
    case("rtt-64k", "round trip, 64 KiB", Kind::RoundTrip, 64 << 10),
    case("stream-8", "throughput, 8 B", Kind::Throughput, 8),
    case("stream-64", "throughput, 64 B", Kind::Throughput, 64),
    case("stream-1k", "throughput, 1 KiB", Kind::Throughput, 1 << 10),
    case(
        "stream-16k",
        "throughput, 16 KiB",
        Kind::Throughput,
        16 << 10,
    ),
    case(
        "stream-64k",
        "throughput, 64 KiB",
        Kind::Throughput,
        64 << 10,
    ),
    case(
        "stream-256k",
        "throughput, 256 KiB",
        Kind::Throughput,
        256 << 10,
    ),
    case("stream-1m", "throughput, 1 MiB", Kind::Throughput, 1 << 20),
    case("stream-4m", "throughput, 4 MiB", Kind::Throughput, 4 << 20),
    case(
        "filled-1k",
        "filled and read, 1 KiB",
        Kind::Filled(Fill::Same),
        1 << 10,
    ),
    case(
        "filled-16k",
        "filled and read, 16 KiB",
        Kind::Filled(Fill::Same),
        16 << 10,
    ),
    case(
        "filled-64k",
        "filled and read, 64 KiB",
        Kind::Filled(Fill::Same),
        64 << 10,
    ),
    case(
        "numbers-16k",
        "numbers written and read, 16 KiB",
        Kind::Filled(Fill::Numbers),
        16 << 10,
    ),
    case(
        "batch-64",
        "throughput, 64 B, 64 at a time",
        Kind::Batched { batch: 64 },
        64,
    ),
    rate("rate-1k", "64 B, 1,000 a second", 1_000, 64),
    rate("rate-10k", "64 B, 10,000 a second", 10_000, 64),
    rate("rate-100k", "64 B, 100,000 a second", 100_000, 64),
    rate("rate-10k-8b", "8 B, 10,000 a second", 10_000, 8),
    rate("rate-10k-1k", "1 KiB, 10,000 a second", 10_000, 1 << 10),
    rate("rate-10k-16k", "16 KiB, 10,000 a second", 10_000, 16 << 10),
    rate("rate-10k-64k", "64 KiB, 10,000 a second", 10_000, 64 << 10),
    case(
        "one-core",
        "round trip, 64 B, both on one core",
        Kind::RoundTrip,
        64,
    )
    .on(Cores::One),
    case(
        "one-core-1k",
        "round trip, 1 KiB, both on one core",
        Kind::RoundTrip,
        1 << 10,
    )
    .on(Cores::One),
    case(
        "unpinned",
        "round trip, 64 B, not pinned",
        Kind::RoundTrip,
        64,
    )
    .on(Cores::Any),
    small(
        "bytes-bufread",
        "reading byte by byte, BufRead",
        SmallRead::BufRead,
    ),
    small(
        "bytes-dyn",
        "reading byte by byte, dyn Read",
        SmallRead::DynRead,
    ),
    small("lines", "reading lines of 32 B", SmallRead::Lines),
    crowd("streams-1", "1 stream, 64 B there and back", 1),
    crowd("streams-8", "8 streams, 64 B there and back", 8),
    crowd("streams-64", "64 streams, 64 B there and back", 64),
    crowd("streams-512", "512 streams, 64 B there and back", 512),
];

const fn case(name: &'static str, title: &'static str, kind: Kind, size: usize) -> Case {
    Case {
        name,
        title,
        kind,
        size,
        cores: Cores::AsAsked,
    }
}

const fn crowd(name: &'static str, title: &'static str, streams: usize) -> Case {
    case(name, title, Kind::Streams { streams }, 64)
}

const fn rate(name: &'static str, title: &'static str, per_second: u64, size: usize) -> Case {
    case(name, title, Kind::FixedRate { per_second }, size)
}

/// Of writes as large as a slipring stream publishes at once.
const fn small(name: &'static str, title: &'static str, read: SmallRead) -> Case {
    case(name, title, Kind::SmallReads(read), 64 << 10)
}

impl Case {
    const fn on(self, cores: Cores) -> Case {
        Case { cores, ..self }
    }
}

pub fn by_name(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}
