//! Everything that is compared, by name, with what it does differently.

use slipring::Spin;

use crate::{
    case::{Case, Kind},
    transport::{
        bare::{self, Bare},
        in_place::InPlace,
        memcpy::Memcpy,
        pipe::Pipe,
        plain_ring::PlainRing,
        region::Region,
        slipring::Slipring,
        tcp::Tcp,
        unix::Unix,
    },
    worker::Work,
};

pub const UNIX: &str = "unix";
const BARE: &str = "bare";
const REGION: &str = "region";

pub struct Contender {
    /// for `--only`, JSON and the peer processes
    pub name: &'static str,
    pub title: &'static str,
    /// what it does differently
    pub caveat: &'static str,
    /// Whether it takes part in a case.
    pub part: fn(&Case) -> bool,
    pub transport: Box<dyn Work>,
}

pub fn all() -> Vec<Contender> {
    let mut all = vec![
        contender(
            "slipring-spinning",
            "slipring, spinning",
            "uses up the receiver's core",
            Slipring(Spin::Always),
        )
        .part(|case| usual(case) || case.kind == Kind::Filled || batched(case)),
        contender(
            "slipring-adaptive",
            "slipring, adaptive",
            "the default: spins where that has paid, else sleeps",
            Slipring(Spin::default()),
        )
        .part(|case| usual(case) || case.kind == Kind::Filled || batched(case)),
        contender(
            "slipring-sleeping",
            "slipring, sleeping",
            "never spins; woken by an eventfd",
            Slipring(Spin::Never),
        )
        .part(|case| usual(case) || case.kind == Kind::Filled || batched(case)),
        contender(
            "slipring-in-place",
            "slipring, spinning, in place",
            "filled in a grant, read in the peer's memory; uses up the receiver's core",
            InPlace(Slipring(Spin::Always)),
        )
        .part(|case| case.kind == Kind::Filled),
        contender(
            UNIX,
            "Unix socket",
            "two system calls a message; batches gathered by a BufWriter",
            Unix,
        )
        .part(|case| usual(case) || case.kind == Kind::Filled || batched(case)),
        contender(
            "pipe",
            "pipe",
            "two system calls a message, batches gathered by a BufWriter; 64 KiB of buffer",
            Pipe,
        )
        .part(|case| usual(case) || batched(case)),
        contender(
            "tcp",
            "TCP loopback",
            "two system calls a message, batches gathered by a BufWriter; no Nagle",
            Tcp,
        )
        .part(|case| usual(case) || batched(case)),
        contender(
            "plain-ring",
            "plain ring, yielding",
            "polls, yielding; does not notice a dead peer; trusts the peer's indexes",
            PlainRing,
        ),
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
            .part(|case| usual(case) || case.kind == Kind::Filled || batched(case)),
        );
        all.push(
            contender(
                "rtrb-in-place",
                "rtrb (threads), in place",
                "two threads of one process: no border; spins; chunks filled and read where they lie",
                InPlace(Rtrb::default()),
            )
            .part(|case| case.kind == Kind::Filled),
        );
    }
    #[cfg(feature = "ipc-channel")]
    all.push(contender(
        "ipc-channel",
        "ipc-channel",
        "messages over Unix sockets; recv allocates",
        crate::transport::ipc_channel::IpcChannel,
    ));
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
            .part(|case| (usual(case) || batched(case)) && case.size <= 1 << 20),
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
        all.push(contender(
            "cloudtoid-wait",
            "cloudtoid, waiting",
            "recv, which allocates; a full queue is polled by the writer",
            Cloudtoid { polls: false },
        ));
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
            .part(|case| usual(case) || case.kind == Kind::Filled),
        );
        all.push(
            contender(
                "iceoryx2-in-place",
                "iceoryx2, in place",
                "polled; a loan filled, a sample read where it lies",
                InPlace(Iceoryx2),
            )
            .part(|case| case.kind == Kind::Filled),
        );
    }
    all.extend(limits());
    all
}

/// What nothing that copies messages in and out can exceed.
fn limits() -> [Contender; 6] {
    [
        contender(
            BARE,
            "bare exchange",
            "not a transport: a spinning flag and the message beside it",
            Bare::Beside,
        )
        .part(|case| case.kind == Kind::RoundTrip),
        contender(
            "bare-inside",
            "bare exchange, one line",
            "not a transport: the message in the flag's own cache line",
            Bare::Inside,
        )
        .part(|case| case.kind == Kind::RoundTrip && case.size <= bare::INSIDE),
        contender(
            REGION,
            "shared region",
            "not a transport: one core writes, the other reads; published by slots of 64 KiB, not by messages",
            Region,
        )
        .part(|case| case.kind == Kind::Throughput || case.kind == Kind::Filled || batched(case)),
        contender(
            "region-in-place",
            "shared region, in place",
            "not a transport: filled by one core and read by the other where it lies, by slots",
            InPlace(Region),
        )
        .part(|case| case.kind == Kind::Filled),
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
        transport: Box::new(transport),
    }
}

pub fn by_name(name: &str) -> Option<Contender> {
    all().into_iter().find(|contender| contender.name == name)
}

/// The name of the limit that a case is measured by.
pub fn limit(case: &Case) -> Option<&'static str> {
    match case.kind {
        Kind::RoundTrip => Some(BARE),
        Kind::Throughput | Kind::Filled | Kind::Batched { .. } => Some(REGION),
        Kind::FixedRate { .. } => None,
    }
}

/// What takes no more than to send and to receive.
fn usual(case: &Case) -> bool {
    matches!(case.kind, Kind::RoundTrip | Kind::Throughput | Kind::FixedRate { .. })
}

fn batched(case: &Case) -> bool {
    matches!(case.kind, Kind::Batched { .. })
}

impl Contender {
    fn part(self, part: fn(&Case) -> bool) -> Contender {
        Contender { part, ..self }
    }
}
