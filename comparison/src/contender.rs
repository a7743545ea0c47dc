//! Everything that is compared, by name, with what it does differently.

use serde::Serialize;
use slipring::Spin;

use crate::{
    case::{Case, Cores, Kind},
    transport::{
        bare::{self, Bare},
        eventfd::Eventfd,
        futex::Futex,
        in_place::InPlace,
        memcpy::Memcpy,
        pipe::Pipe,
        plain_ring::PlainRing,
        region::Region,
        slipring::Slipring,
        small_reads::{BufferedUnix, SmallReads},
        tcp::Tcp,
        unix::Unix,
    },
    worker::Work,
};

pub const UNIX: &str = "unix";
/// in its place where little is read at a time
pub const UNIX_BUFFERED: &str = "small-unix";
const BARE: &str = "bare";
const EVENTFD: &str = "eventfd";
const REGION: &str = "region";

/// What it is compared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Slipring,
    Peer,
    Limit,
}

pub struct Contender {
    /// for `--only`, JSON and the peer processes
    pub name: &'static str,
    pub title: &'static str,
    /// what it does differently
    pub caveat: &'static str,
    /// Whether it takes part in a case.
    pub part: fn(&Case) -> bool,
    /// Nothing that does the work of a transport can exceed it.
    limit: bool,
    pub transport: Box<dyn Work>,
}

impl Contender {
    fn part(self, part: fn(&Case) -> bool) -> Contender {
        Contender { part, ..self }
    }

    pub fn side(&self) -> Side {
        match self.title {
            _ if self.limit => Side::Limit,
            title if title.starts_with("slipring") => Side::Slipring,
            _ => Side::Peer,
        }
    }
}

pub fn all() -> Vec<Contender> {
    let mut all = vec![
        contender(
            "slipring-spinning",
            "slipring, spinning",
            "uses up the receiver's core",
            Slipring(Spin::Always),
        )
        .part(|case| usual(case) || filled(case) || batched(case)),
        contender(
            "slipring-adaptive",
            "slipring, adaptive",
            "the default: spins where that has paid, else sleeps",
            Slipring(Spin::default()),
        )
        .part(|case| sharing(case) || crowded(case) || filled(case) || batched(case)),
        contender(
            "slipring-sleeping",
            "slipring, sleeping",
            "never spins; woken by an eventfd",
            Slipring(Spin::Never),
        )
        .part(|case| sharing(case) || crowded(case) || filled(case) || batched(case)),
        contender(
            "slipring-in-place",
            "slipring, spinning, in place",
            "filled in a grant, read in the peer's memory; uses up the receiver's core",
            InPlace(Slipring(Spin::Always)),
        )
        .part(filled),
        contender(
            UNIX,
            "Unix socket",
            "two system calls a message; batches gathered by a BufWriter",
            Unix,
        )
        .part(|case| sharing(case) || crowded(case) || filled(case) || batched(case)),
        contender(
            "pipe",
            "pipe",
            "two system calls a message, batches gathered by a BufWriter; 64 KiB of buffer",
            Pipe,
        )
        .part(|case| sharing(case) || crowded(case) || batched(case)),
        contender(
            "tcp",
            "TCP loopback",
            "two system calls a message, batches gathered by a BufWriter; no Nagle",
            Tcp,
        )
        .part(|case| sharing(case) || crowded(case) || batched(case)),
        contender(
            "plain-ring",
            "plain ring, yielding",
            "polls, yielding; does not notice a dead peer; trusts the peer's indexes",
            PlainRing,
        )
        .part(sharing),
    ];
    #[cfg(feature = "rtrb")]
    {
        use crate::transport::rtrb::Rtrb;
        all.push(
            contender(
                "rtrb",
                "rtrb (threads)",
                "two threads of one process: no border; spins; bytes pushed by slices, batches by chunks",
                Rtrb::default(),
            )
            .part(|case| usual(case) || filled(case) || batched(case)),
        );
        all.push(
            contender(
                "rtrb-in-place",
                "rtrb (threads), in place",
                "two threads of one process: no border; spins; chunks filled and read where they lie",
                InPlace(Rtrb::default()),
            )
            .part(filled),
        );
    }
    #[cfg(feature = "ipc-channel")]
    all.push(
        contender(
            "ipc-channel",
            "ipc-channel",
            "messages over Unix sockets; recv allocates",
            crate::transport::ipc_channel::IpcChannel,
        )
        .part(|case| sharing(case) || crowded(case)),
    );
    #[cfg(feature = "ringfire")]
    {
        use crate::transport::ringfire::Ringfire;
        all.push(
            contender(
                "ringfire-spin",
                "ringfire, spinning",
                "slots of one type, values on the stack, so of at most 1 MiB here; set to lossless: by default the writer overwrites",
                Ringfire::Spin,
            )
            .part(|case| (usual(case) || batched(case)) && case.size <= 1 << 20),
        );
        all.push(
            contender(
                "ringfire-futex",
                "ringfire, futex",
                "as before; a full ring is polled; membarrier on all cores before it sleeps",
                Ringfire::Futex,
            )
            .part(|case| (sharing(case) || batched(case)) && case.size <= 1 << 20),
        );
    }
    #[cfg(feature = "cloudtoid")]
    {
        use crate::transport::cloudtoid::Cloudtoid;
        all.push(contender(
            "cloudtoid-poll",
            "cloudtoid, polling",
            "try_recv_into in a loop; a full queue is polled, too",
            Cloudtoid { polls: true },
        ));
        all.push(
            contender(
                "cloudtoid-wait",
                "cloudtoid, waiting",
                "recv, which allocates; a full queue is polled by the writer",
                Cloudtoid { polls: false },
            )
            .part(|case| sharing(case) || crowded(case)),
        );
    }
    #[cfg(feature = "iceoryx2")]
    {
        use crate::transport::iceoryx2::Iceoryx2;
        all.push(
            contender(
                "iceoryx2",
                "iceoryx2 publish/subscribe",
                "polled; payload copied in and out here, though it can be used in place",
                Iceoryx2,
            )
            .part(|case| usual(case) || filled(case)),
        );
        all.push(
            contender(
                "iceoryx2-in-place",
                "iceoryx2, in place",
                "polled; a loan filled, a sample read where it lies",
                InPlace(Iceoryx2),
            )
            .part(filled),
        );
    }
    #[cfg(feature = "shmipc")]
    all.push(
        contender(
            "shmipc",
            "shmipc, eventfd",
            "on tokio; woken by an eventfd; out of buffers it would go over to its socket for good, so the sender polls for them",
            crate::transport::shmipc::Shmipc,
        )
        .part(sharing),
    );
    #[cfg(feature = "tachyon")]
    {
        use crate::transport::tachyon::Tachyon;
        all.push(contender(
            "tachyon-spin",
            "tachyon, spinning",
            "room comes back after 32 messages, so its rings are larger for large messages; a full ring is polled",
            Tachyon::Spin,
        ));
        all.push(
            contender(
                "tachyon-sleep",
                "tachyon, sleeping",
                "a futex; loses a wake-up now and then, and looks by itself after 200 ms; a full ring is polled",
                Tachyon::Sleep,
            )
            .part(|case| sharing(case) && case.kind != Kind::Throughput),
        );
    }
    #[cfg(feature = "tokio")]
    all.extend(on_tokio());
    all.extend(small_reads());
    all.extend(limits());
    all
}

/// What tasks have in place of threads that block.
#[cfg(feature = "tokio")]
fn on_tokio() -> [Contender; 3] {
    use crate::transport::on_tokio::OnTokio;
    fn measured(case: &Case) -> bool {
        case.kind == Kind::RoundTrip && [64, 1 << 10].contains(&case.size)
    }
    [
        contender(
            "tokio-slipring",
            "slipring on tokio",
            "a current-thread runtime each, many streams a task each; does not spin, the default there",
            OnTokio::Slipring { spins: false },
        )
        .part(|case| measured(case) || crowded(case)),
        contender(
            "tokio-slipring-spin",
            "slipring on tokio, spinning",
            "a poll looks for up to 20 µs before it is pending, which holds up the runtime's other tasks",
            OnTokio::Slipring { spins: true },
        )
        .part(|case| measured(case) && case.cores != Cores::One),
        contender(
            "tokio-unix",
            "Unix socket on tokio",
            "a current-thread runtime each, many streams a task each; tries the system call, and asks epoll if it has to wait",
            OnTokio::Unix,
        )
        .part(|case| measured(case) || crowded(case)),
    ]
}

/// What lends its bytes, or is made to by a buffer.
fn small_reads() -> [Contender; 3] {
    [
        contender(
            "small-slipring",
            "slipring, adaptive",
            "its reader as it is: fill_buf lends the ring's memory",
            SmallReads(Slipring(Spin::default())),
        ),
        contender(
            "small-slipring-sleeping",
            "slipring, sleeping",
            "the same, never spinning",
            SmallReads(Slipring(Spin::Never)),
        ),
        contender(
            UNIX_BUFFERED,
            "BufReader<UnixStream>",
            "8 KiB of buffer, the default",
            SmallReads(BufferedUnix),
        ),
    ]
    .map(|contender| contender.part(|case| matches!(case.kind, Kind::SmallReads(_))))
}

/// What nothing that copies messages in and out can exceed.
fn limits() -> [Contender; 8] {
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
        .part(|case| case.kind == Kind::RoundTrip && case.cores != Cores::One && case.size <= bare::INSIDE),
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
            "not a transport: one core writes, the other reads; published by slots of 64 KiB, not by messages",
            Region,
        )
        .part(|case| case.kind == Kind::Throughput || filled(case) || batched(case)),
        contender(
            "region-in-place",
            "shared region, in place",
            "not a transport: filled by one core and read by the other where it lies, by slots",
            InPlace(Region),
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

fn contender(
    name: &'static str,
    title: &'static str,
    caveat: &'static str,
    transport: impl Work + 'static,
) -> Contender {
    Contender {
        name,
        title,
        caveat,
        part: usual,
        limit: false,
        transport: Box::new(transport),
    }
}

pub fn by_name(name: &str) -> Option<Contender> {
    all().into_iter().find(|contender| contender.name == name)
}

/// The name of the limit that a case is measured by.
pub fn limit(case: &Case) -> Option<&'static str> {
    match case.kind {
        Kind::RoundTrip if case.cores == Cores::One => Some(EVENTFD),
        Kind::RoundTrip => Some(BARE),
        Kind::Throughput | Kind::Filled | Kind::Batched { .. } => Some(REGION),
        Kind::FixedRate { .. } | Kind::Streams { .. } | Kind::SmallReads(_) => None,
    }
}

/// What takes no more than to send and to receive.
fn usual(case: &Case) -> bool {
    sharing(case) && case.cores != Cores::One
}

/// On one core, too: it gives the core away while it waits.
fn sharing(case: &Case) -> bool {
    matches!(case.kind, Kind::RoundTrip | Kind::Throughput | Kind::FixedRate { .. })
}

/// What shows the price of being woken.
fn woken(case: &Case) -> bool {
    case.kind == Kind::RoundTrip && case.size == 64
}

fn crowded(case: &Case) -> bool {
    matches!(case.kind, Kind::Streams { .. })
}

fn filled(case: &Case) -> bool {
    case.kind == Kind::Filled
}

fn batched(case: &Case) -> bool {
    matches!(case.kind, Kind::Batched { .. })
}
