//! The cases that are measured.

use serde::{Deserialize, Serialize};

use crate::text;

/// How a case uses its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One message there and the same message back, over and over.
    RoundTrip,
    /// Messages in one direction, as fast as they go.
    Throughput,
    /// Like that, but the sender writes every byte and the receiver reads every byte: in place, if
    /// the transport can.
    Filled(Fill),
    /// Messages in one direction, so many of them published at once.
    Batched(usize),
    /// Messages in one direction, so many a second, however long each takes.
    FixedRate(u64),
    /// Messages in one direction, as fast as they go. The receiver takes few bytes at a time.
    SmallReads(SmallRead),
    /// Round trips over so many streams at the same time.
    Streams(usize),
    /// A server sends a message over each of so many streams, and waits for all answers.
    Served {
        /// of all clients together
        streams: usize,
        /// of each ring, in bytes
        capacity: usize,
    },
    /// Messages from one publisher to so many subscribers, so many a second.
    Subscribed(usize),
    /// Messages of mixed lengths. They are verified, never measured.
    Mixed(Mixed),
}

/// How a sender writes every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fill {
    /// the same everywhere, by memset: the cheapest way for the sender
    Same,
    /// numbers in a row, by the stores that the compiler makes of a loop
    Numbers,
}

/// How a receiver takes few bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SmallRead {
    /// a byte, by `fill_buf` and `consume` of a known type
    BufRead,
    /// a byte, by `read` of a `dyn Read`
    DynRead,
    /// a line of 32 bytes, by `read_until`
    Lines,
}

/// How messages of mixed lengths are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mixed {
    /// One message there and one of another length back, over and over.
    Turns,
    /// Messages one after the other. Each read asks for one of them.
    Flow,
    /// Some messages there and some back, over and over. The reads join them and split them, and
    /// the last one ends where the last message ends.
    Cuts,
}

/// Bytes of the largest of the messages of mixed lengths.
pub(crate) const LARGEST: usize = 4 << 10;

/// Where the two halves run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cores {
    /// Where the user says, or the kernel.
    AsAsked,
    /// Both on one.
    One,
    /// Where the kernel says, even if the user says otherwise.
    Any,
}

/// The unit of the figures of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// nanoseconds; less is better
    Latency,
    /// bytes a second
    Bytes,
    /// messages a second, or round trips
    Messages,
}

/// One thing to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// for `--only` and JSON
    pub name: String,
    /// for people
    pub title: String,
    /// how
    pub kind: Kind,
    /// bytes of a message
    pub size: usize,
    /// where
    pub cores: Cores,
}

impl Kind {
    /// For JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::RoundTrip => "round_trip",
            Kind::Throughput => "throughput",
            Kind::Filled(_) => "filled",
            Kind::Batched(_) => "batched",
            Kind::FixedRate(_) => "fixed_rate",
            Kind::SmallReads(_) => "small_reads",
            Kind::Streams(_) => "streams",
            Kind::Served { .. } => "served",
            Kind::Subscribed(_) => "subscribed",
            Kind::Mixed(_) => "mixed",
        }
    }

    /// The unit of its figures.
    pub fn measure(self) -> Measure {
        match self {
            Kind::RoundTrip | Kind::FixedRate(_) | Kind::Subscribed(_) | Kind::Mixed(_) => {
                Measure::Latency
            }
            Kind::Throughput | Kind::Filled(_) | Kind::Batched(_) | Kind::SmallReads(_) => {
                Measure::Bytes
            }
            Kind::Streams(_) | Kind::Served { .. } => Measure::Messages,
        }
    }

    /// Connections at the same time.
    pub fn streams(self) -> usize {
        match self {
            Kind::Streams(streams) | Kind::Served { streams, .. } | Kind::Subscribed(streams) => {
                streams
            }
            _ => 1,
        }
    }
}

/// Round trips and throughput by size: the cases of `slipring bench`.
pub fn by_size() -> Vec<Case> {
    let round_trips = [8, 64, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
    let writes = [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];
    let mut cases: Vec<Case> = round_trips.into_iter().map(round_trip).collect();
    cases.extend(writes.into_iter().map(throughput));
    cases
}

/// All cases but those of a server: the cases of the comparison.
pub fn all() -> Vec<Case> {
    let filled = |size: usize| {
        let (name, title) = (name("filled", size), title("filled and read", size));
        case(&name, &title, Kind::Filled(Fill::Same), size)
    };
    let rate = |name: &str, per_second: u64, size: usize| {
        let often = text::count(per_second);
        let title = format!("{}, {often} a second", text::size(size));
        case(name, &title, Kind::FixedRate(per_second), size)
    };
    let mut all = by_size();
    all.extend([8, 256 << 10, 4 << 20].map(throughput));
    all.sort_by_key(|case| (case.kind == Kind::Throughput, case.size));
    all.extend([1 << 10, 16 << 10, 64 << 10].map(filled));
    let numbers = Kind::Filled(Fill::Numbers);
    all.push(case(
        "numbers-16k",
        "numbers written and read, 16 KiB",
        numbers,
        16 << 10,
    ));
    all.push(case(
        "batch-64",
        "throughput, 64 B, 64 at a time",
        Kind::Batched(64),
        64,
    ));
    all.extend([
        rate("rate-1k", 1_000, 64),
        rate("rate-10k", 10_000, 64),
        rate("rate-100k", 100_000, 64),
        rate("rate-10k-8b", 10_000, 8),
        rate("rate-10k-1k", 10_000, 1 << 10),
        rate("rate-10k-16k", 10_000, 16 << 10),
        rate("rate-10k-64k", 10_000, 64 << 10),
    ]);
    for (name, more, size, cores) in [
        ("one-core", "both on one core", 64, Cores::One),
        ("one-core-1k", "both on one core", 1 << 10, Cores::One),
        ("unpinned", "not pinned", 64, Cores::Any),
    ] {
        let usual = round_trip(size);
        let title = format!("{}, {more}", usual.title);
        all.push(Case {
            name: name.into(),
            title,
            cores,
            ..usual
        });
    }
    for (name, title, how) in [
        (
            "bytes-bufread",
            "reading byte by byte, BufRead",
            SmallRead::BufRead,
        ),
        (
            "bytes-dyn",
            "reading byte by byte, dyn Read",
            SmallRead::DynRead,
        ),
        ("lines", "reading lines of 32 B", SmallRead::Lines),
    ] {
        // Of writes as large as a slipring stream publishes at once.
        all.push(case(name, title, Kind::SmallReads(how), 64 << 10));
    }
    for streams in [1, 8, 64, 512] {
        let title = format!("{}, 64 B there and back", text::streams(streams));
        let name = format!("streams-{streams}");
        all.push(case(&name, &title, Kind::Streams(streams), 64));
    }
    all
}

/// The measured case of this name. A server's has no capacity: figures do not depend on it.
pub(crate) fn named(name: &str) -> Option<Case> {
    let of_server = name
        .strip_prefix("served-")
        .and_then(|streams| streams.parse().ok());
    let of_server = of_server.map(|streams| served(streams, 0));
    let of_publisher = name
        .strip_prefix("subscribers-")
        .and_then(|subscribers| subscribers.parse().ok())
        .map(subscribed);
    of_server
        .or(of_publisher)
        .or_else(|| all().into_iter().find(|case| case.name == name))
}

/// Those that are verified, and never measured.
pub fn mixed() -> [Case; 3] {
    [
        ("turns", "one there and one back", Mixed::Turns),
        ("flow", "one after the other", Mixed::Flow),
        ("cuts", "reads join and split them", Mixed::Cuts),
    ]
    .map(|(name, how, mixed)| {
        let (name, title) = (format!("mixed-{name}"), format!("mixed lengths, {how}"));
        case(&name, &title, Kind::Mixed(mixed), LARGEST)
    })
}

/// A server with so many streams, and rings of so many bytes.
pub fn served(streams: usize, capacity: usize) -> Case {
    let kind = Kind::Served { streams, capacity };
    // A price update, say.
    case(
        &format!("served-{streams}"),
        &text::streams(streams),
        kind,
        256,
    )
}

/// A publisher with so many subscribers.
pub fn subscribed(subscribers: usize) -> Case {
    let many = if subscribers == 1 { "" } else { "s" };
    let often = text::count(crate::subscribed::rate(subscribers));
    let title = format!("{subscribers} subscriber{many}, 64 B, {often} a second");
    let kind = Kind::Subscribed(subscribers);
    case(&format!("subscribers-{subscribers}"), &title, kind, 64)
}

fn round_trip(size: usize) -> Case {
    case(
        &name("rtt", size),
        &title("round trip", size),
        Kind::RoundTrip,
        size,
    )
}

fn throughput(size: usize) -> Case {
    let title = title("throughput, writes of", size).replace("of,", "of");
    case(&name("stream", size), &title, Kind::Throughput, size)
}

fn case(name: &str, title: &str, kind: Kind, size: usize) -> Case {
    Case {
        name: name.into(),
        title: title.into(),
        kind,
        size,
        cores: Cores::AsAsked,
    }
}

/// `64`, `16k`, `1m`.
fn name(what: &str, size: usize) -> String {
    match size {
        b if b >= 1 << 20 => format!("{what}-{}m", b >> 20),
        b if b >= 1 << 10 => format!("{what}-{}k", b >> 10),
        b => format!("{what}-{b}"),
    }
}

fn title(what: &str, size: usize) -> String {
    format!("{what}, {}", text::size(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_one_case_each() {
        let cases = all().into_iter().chain(mixed());
        let mut names: Vec<String> = cases.map(|case| case.name).collect();
        assert!(names.contains(&"rtt-64".into()) && names.contains(&"stream-1m".into()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
