//! Everything that is compared, by name, with what it does differently.

use slipring::Spin;

use crate::{
    case::{Case, Kind},
    transport::{
        bare::{self, Bare},
        pipe::Pipe,
        plain_ring::PlainRing,
        slipring::Slipring,
        tcp::Tcp,
        unix::Unix,
    },
    worker::Work,
};

pub const UNIX: &str = "unix";
pub const BARE: &str = "bare";

pub struct Contender {
    /// for `--only`, JSON and the peer processes
    pub name: &'static str,
    pub title: &'static str,
    /// what it does differently
    pub caveat: &'static str,
    /// It carries one message at a time, of at most so many bytes.
    pub longest: Option<usize>,
    pub transport: Box<dyn Work>,
}

pub fn all() -> Vec<Contender> {
    let mut all = vec![
        contender(
            "slipring-spinning",
            "slipring, spinning",
            "uses up the receiver's core",
            Slipring(Spin::Always),
        ),
        contender(
            "slipring-adaptive",
            "slipring, adaptive",
            "the default: spins where that has paid, else sleeps",
            Slipring(Spin::default()),
        ),
        contender(
            "slipring-sleeping",
            "slipring, sleeping",
            "never spins; woken by an eventfd",
            Slipring(Spin::Never),
        ),
        contender(UNIX, "Unix socket", "two system calls a message", Unix),
        contender("pipe", "pipe", "two system calls a message; 64 KiB of buffer", Pipe),
        contender("tcp", "TCP loopback", "two system calls a message; no Nagle", Tcp),
        contender(
            "plain-ring",
            "plain ring, yielding",
            "polls, yielding; does not notice a dead peer; trusts the peer's indexes",
            PlainRing,
        ),
    ];
    #[cfg(feature = "rtrb")]
    all.push(contender(
        "rtrb",
        "rtrb (threads)",
        "two threads of one process: no border; spins; bytes pushed by slices",
        crate::transport::rtrb::Rtrb::default(),
    ));
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
        all.push(contender(
            "ringfire-spin",
            "ringfire, spinning",
            "slots of one type; set to lossless: by default the writer overwrites",
            Ringfire::Spin,
        ));
        all.push(contender(
            "ringfire-futex",
            "ringfire, futex",
            "lossless; a full ring is polled; membarrier on all cores before it sleeps",
            Ringfire::Futex,
        ));
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
    all.push(contender(
        "iceoryx2",
        "iceoryx2 publish/subscribe",
        "polled; payload copied in and out here, though it can be used in place",
        crate::transport::iceoryx2::Iceoryx2,
    ));
    all.push(Contender {
        longest: Some(usize::MAX),
        ..contender(
            BARE,
            "bare exchange",
            "not a transport: a spinning flag and the message beside it",
            Bare::Beside,
        )
    });
    all.push(Contender {
        longest: Some(bare::INSIDE),
        ..contender(
            "bare-inside",
            "bare exchange, one line",
            "not a transport: the message in the flag's own cache line",
            Bare::Inside,
        )
    });
    all
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
        longest: None,
        transport: Box::new(transport),
    }
}

pub fn by_name(name: &str) -> Option<Contender> {
    all().into_iter().find(|contender| contender.name == name)
}

impl Contender {
    pub fn takes_part_in(&self, case: &Case) -> bool {
        self.longest
            .is_none_or(|longest| case.kind == Kind::RoundTrip && case.size <= longest)
    }
}
