//! slipring, the kernel's streams, and limits that nothing can exceed that copies messages in and
//! out.

use std::time::Duration;

use ::slipring::Spin;

use crate::{
    case::{Case, Cores, Kind},
    contender::{Contender, Delivers, Side, Waits, batched, crowded, filled, usual},
    machine,
    on_tokio::OnTokio,
    small_reads::SmallReads,
    subscribed::{Pace, Subscribed},
    text,
    transport::{
        bare::{self, Bare},
        eventfd::Eventfd,
        futex::Futex,
        in_place::InPlace,
        mmf::Mmf,
        pipe::Pipe,
        region::Region,
        slipring::Slipring,
        tcp::Tcp,
        unix::Unix,
    },
};

/// The name of the Unix socket.
pub const UNIX: &str = "unix";
/// The name used in its place where few bytes are read at a time.
pub const UNIX_BUFFERED: &str = "small-unix";
/// The name of the exchange that spins.
pub const BARE_EXCHANGE: &str = "bare-exchange";
/// The names of the two that are woken by an eventfd.
pub const BARE_EVENTFD: [&str; 2] = ["eventfd-read", "eventfd-epoll"];
/// The name of the shared region.
pub const REGION: &str = "region";

/// How long a server with one stream, or a client, spins before it sleeps.
const SPIN_OF_ONE: Duration = Duration::from_micros(50);
/// Longer than the peer takes to answer, if it is awake.
const SPIN_ON_TOKIO: Duration = Duration::from_micros(20);

/// The name of slipring with this spinning and the default capacity.
pub fn slipring_name(spin: Spin) -> String {
    format!("slipring-{}", text::spin(spin))
}

/// slipring with this spinning and capacity; without one, with the default.
pub fn slipring(spin: Spin, capacity: Option<usize>) -> Contender {
    let (mut name, mut how) = (slipring_name(spin), way(spin));
    if let Some(bytes) = capacity {
        name += &format!("@{}K", bytes >> 10);
        how += &format!(", {}", text::size(bytes));
    }
    let caveat = match spin {
        Spin::Always => "uses up the receiver's core",
        Spin::Never => "never spins; woken by an eventfd",
        Spin::Adaptive { .. } => "the default: spins where that has paid, else sleeps",
        _ => "spins for a time, then sleeps",
    };
    let title = format!("slipring ({how})");
    let contender = Contender::new(&name, &title, caveat, Slipring { spin, capacity });
    contender
        .side(Side::Slipring)
        .waits(waits(spin))
        .part(match spin {
            Spin::Always => |case| usual(case) || filled(case) || batched(case),
            _ => |case| usual(case) || filled(case) || batched(case) || crowded(case),
        })
}

/// slipring without copies.
pub fn slipring_in_place() -> Contender {
    let spinning = Slipring {
        spin: Spin::Always,
        capacity: None,
    };
    let caveat = "filled in a grant (reserve, commit), read in the peer's memory (fill_at_least, \
                  consume); uses up the receiver's core";
    let title = "slipring (spinning, in place)";
    Contender::new("slipring-in-place", title, caveat, InPlace(spinning))
        .side(Side::Slipring)
        .waits(Waits::Spinning)
        .part(filled)
}

/// The ring of C# programs with this spinning.
pub fn csharp(spin: Spin) -> Contender {
    let (name, title) = (
        format!("mmf-{}", text::spin(spin)),
        format!("C# ring ({})", way(spin)),
    );
    let caveat = "polls; does not notice a dead peer";
    Contender::new(&name, &title, caveat, Mmf { spin }).waits(waits(spin))
}

fn way(spin: Spin) -> String {
    match spin {
        Spin::Always => "spinning".into(),
        Spin::Never => "sleeping".into(),
        Spin::Adaptive { .. } => "adaptive".into(),
        Spin::UpTo(time) => format!("up to {time:?}"),
        other => format!("{other:?}"),
    }
}

fn waits(spin: Spin) -> Waits {
    match spin {
        Spin::Always => Waits::Spinning,
        Spin::Never => Waits::Asleep,
        _ => Waits::Either,
    }
}

/// The kernel's own transports.
pub fn kernel() -> [Contender; 3] {
    let socket = "two system calls a message; batches gathered by a BufWriter";
    let pipe = "two system calls a message, batches gathered by a BufWriter; 64 KiB of buffer";
    let tcp = "two system calls a message, batches gathered by a BufWriter; no Nagle";
    [
        Contender::new(UNIX, "Unix stream socket", socket, Unix)
            .part(|case| usual(case) || crowded(case) || filled(case) || batched(case)),
        Contender::new("pipe", "pair of pipes", pipe, Pipe)
            .part(|case| usual(case) || crowded(case) || batched(case)),
        Contender::new("tcp", "TCP loopback", tcp, Tcp)
            .part(|case| usual(case) || crowded(case) || batched(case)),
    ]
}

/// The least that two processes need for a round trip.
pub fn bare() -> [Contender; 3] {
    let exchange = "not a transport: a spinning flag and the message beside it";
    let eventfd = "not a transport: an eventfd each way, and the message in shared memory";
    let [read, epoll] = BARE_EVENTFD;
    [
        Contender::new(
            BARE_EXCHANGE,
            "bare exchange (spin)",
            exchange,
            Bare::Beside,
        )
        .waits(Waits::Spinning),
        Contender::new(read, "bare eventfd (read)", eventfd, Eventfd::Read),
        Contender::new(epoll, "bare eventfd (epoll)", eventfd, Eventfd::Epoll),
    ]
    .map(|one| {
        one.side(Side::Limit)
            .delivers(Delivers::OneAtATime)
            .part(|case| case.kind == Kind::RoundTrip)
    })
}

/// More limits that nothing can exceed that copies messages in and out.
pub fn limits() -> [Contender; 5] {
    let inside = "not a transport: the message in the flag's own cache line";
    let futex = "not a transport: a futex, and the message beside it";
    let region = "not a transport: one core writes, the other reads; published by slots of 64 KiB, \
                  not by messages; short messages are gathered in the writer's cache first";
    let read_only = "not a transport: as the shared region, but mapped read-only by the reader, as \
                     slipring's rings are";
    let in_place = "not a transport: filled by one core and read by the other where it lies, by \
                    slots";
    let in_region = InPlace(Region::Writable);
    [
        Contender::new(
            "bare-inside",
            "bare exchange, one line",
            inside,
            Bare::Inside,
        )
        .waits(Waits::Spinning)
        .delivers(Delivers::OneAtATime)
        .part(|case| case.kind == Kind::RoundTrip && case.size <= bare::INSIDE),
        Contender::new("futex", "bare futex", futex, Futex)
            .delivers(Delivers::OneAtATime)
            .part(|case| {
                case.kind == Kind::RoundTrip && (case.size == 64 || case.cores == Cores::One)
            }),
        Contender::new(REGION, "shared region", region, Region::Writable)
            .waits(Waits::Spinning)
            .delivers(Delivers::OneWay)
            .part(|case| case.kind == Kind::Throughput || filled(case) || batched(case)),
        Contender::new(
            "region-read-only",
            "shared region, read-only",
            read_only,
            Region::ReadOnly,
        )
        .waits(Waits::Spinning)
        .delivers(Delivers::OneWay)
        .part(|case| case.kind == Kind::Throughput && case.size >= 16 << 10),
        Contender::new(
            "region-in-place",
            "shared region, in place",
            in_place,
            in_region,
        )
        .waits(Waits::Spinning)
        .delivers(Delivers::OneLength("the messages divide a slot"))
        .part(filled),
    ]
    .map(|one| one.side(Side::Limit))
}

/// Transports that lend their bytes, or are made to by a buffer.
pub fn small_reads() -> [Contender; 4] {
    let slipring = |spin, buffered| SmallReads::Slipring { spin, buffered };
    let adaptive = Spin::default();
    let buffer = "in a BufReader, as a socket would be: 8 KiB of buffer, the default";
    [
        Contender::new(
            "small-slipring",
            "slipring (adaptive), as it is",
            "its reader as it is: fill_buf lends the ring's memory",
            slipring(adaptive, false),
        )
        .side(Side::Slipring),
        Contender::new(
            "small-slipring-sleeping",
            "slipring (sleeping), as it is",
            "the same, never spinning",
            slipring(Spin::Never, false),
        )
        .side(Side::Slipring),
        Contender::new(
            "small-slipring-buffered",
            "BufReader<slipring> (adaptive)",
            buffer,
            slipring(adaptive, true),
        )
        .side(Side::Slipring),
        Contender::new(
            UNIX_BUFFERED,
            "BufReader<UnixStream>",
            buffer,
            SmallReads::Unix,
        ),
    ]
    .map(|one| one.part(|case| matches!(case.kind, Kind::SmallReads(_))))
}

/// The transports for tasks, in place of threads that block.
pub fn on_tokio() -> [Contender; 3] {
    fn measured(case: &Case) -> bool {
        case.kind == Kind::RoundTrip && [64, 1 << 10].contains(&case.size)
    }
    let socket = "a current-thread runtime each, many streams a task each; tries the system call, \
                  and asks epoll if it has to wait";
    let sleeping = "a current-thread runtime each, many streams a task each; does not spin, the \
                    default there";
    let spinning = "a poll spins for up to 20 µs before it is pending, which holds up the \
                    runtime's other tasks";
    let spin = OnTokio::Slipring(SPIN_ON_TOKIO);
    [
        Contender::new(
            "tokio-slipring",
            "slipring on tokio",
            sleeping,
            OnTokio::Slipring(Duration::ZERO),
        )
        .side(Side::Slipring)
        .part(|case| measured(case) || crowded(case)),
        Contender::new(
            "tokio-slipring-spin",
            "slipring on tokio, spinning",
            spinning,
            spin,
        )
        .side(Side::Slipring)
        .waits(Waits::Spinning)
        .part(measured),
        Contender::new("tokio-unix", "Unix socket on tokio", socket, OnTokio::Unix)
            .part(|case| measured(case) || crowded(case)),
    ]
}

/// Those of a server with many streams, and of its clients. A poll that spins holds up all other
/// streams of its thread, so spinning is for a single one.
pub fn served() -> [Contender; 3] {
    let name = slipring_name(Spin::Never);
    [
        Contender::new(
            &name,
            "slipring (sleeping)",
            "does not spin, the default on tokio",
            OnTokio::Slipring(Duration::ZERO),
        )
        .side(Side::Slipring)
        .part(is_served),
        Contender::new(
            "slipring-50us",
            "slipring (spinning)",
            "a poll spins for up to 50 µs before it is pending",
            OnTokio::Slipring(SPIN_OF_ONE),
        )
        .side(Side::Slipring)
        .waits(Waits::Spinning)
        .part(|case| is_served(case) && case.kind.streams() == 1),
        Contender::new(
            UNIX,
            "Unix stream socket",
            "the same program over it",
            OnTokio::Unix,
        )
        .part(is_served),
    ]
}

/// Ways from one publisher to many subscribers.
pub fn subscribed() -> [Contender; 5] {
    let woken = "the default; never spins";
    let timer = "never woken: looks 60 times a second by a timer of its own, for the newest";
    let spinning = "never woken: looks again and again, on a core for each";
    [
        Contender::new(
            "slipring-feed",
            "feed, woken",
            woken,
            Subscribed::Feed(Pace::Woken),
        )
        .side(Side::Slipring),
        Contender::new(
            "slipring-feed-timer",
            "feed, with timers",
            timer,
            Subscribed::Feed(Pace::Timer),
        )
        .side(Side::Slipring),
        Contender::new(
            "slipring-feed-spinning",
            "feed, spinning",
            spinning,
            Subscribed::Feed(Pace::Spinning),
        )
        .side(Side::Slipring)
        .waits(Waits::Spinning),
        Contender::new(
            &slipring_name(Spin::Never),
            "slipring stream each (sleeping)",
            "a write for each subscriber",
            Subscribed::Streams,
        )
        .side(Side::Slipring),
        Contender::new(
            UNIX,
            "Unix stream socket each",
            "a write for each subscriber",
            Subscribed::Sockets,
        ),
    ]
    .map(|one| match one.waits {
        Waits::Spinning => {
            one.part(|case| is_subscribed(case) && case.kind.streams() < machine::cores().len())
        }
        _ => one.part(is_subscribed),
    })
}

fn is_subscribed(case: &Case) -> bool {
    matches!(case.kind, Kind::Subscribed(_))
}

fn is_served(case: &Case) -> bool {
    matches!(case.kind, Kind::Served { .. })
}
