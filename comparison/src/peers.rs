//! Other libraries, and the ring that many programs write for themselves.
//!
//! To add a peer: a file beside this one, an entry here, and a feature if it is slow to build.

use slipring_bench::{
    case::Kind,
    contender::{Contender, Delivers, Side, Waits, batched, crowded, usual},
};
#[cfg(any(feature = "rtrb", feature = "iceoryx2"))]
use slipring_bench::{contender::filled, transport::in_place::InPlace};

use crate::{memcpy::Memcpy, plain_ring::PlainRing};

/// All that this program was built with.
pub fn all() -> Vec<Contender> {
    let mut all = vec![
        Contender::new(
            "plain-ring",
            "plain ring, yielding",
            "polls, yielding; does not notice a dead peer; trusts the peer's indexes",
            PlainRing,
        )
        .waits(Waits::Either),
    ];
    #[cfg(feature = "rtrb")]
    all.extend(rtrb());
    #[cfg(feature = "ipc-channel")]
    all.push(
        Contender::new(
            "ipc-channel",
            "ipc-channel",
            "messages over Unix sockets; recv allocates",
            crate::ipc_channel::IpcChannel,
        )
        .side(Side::Library)
        .delivers(Delivers::Messages)
        .part(|case| usual(case) || crowded(case)),
    );
    #[cfg(feature = "ringfire")]
    all.extend(ringfire());
    #[cfg(feature = "cloudtoid")]
    all.extend(cloudtoid());
    #[cfg(feature = "iceoryx2")]
    all.extend(iceoryx2());
    #[cfg(feature = "shmipc")]
    all.push(
        Contender::new(
            "shmipc",
            "shmipc, eventfd",
            "on tokio; woken by an eventfd; out of buffers it would go over to its socket for \
             good, so the sender polls for them",
            crate::shmipc::Shmipc,
        )
        .side(Side::Library)
        .with_files(),
    );
    #[cfg(feature = "tachyon")]
    all.extend(tachyon());
    all.extend(memcpy());
    all
}

#[cfg(feature = "rtrb")]
fn rtrb() -> [Contender; 2] {
    use crate::rtrb::Rtrb;
    [
        Contender::new(
            "rtrb",
            "rtrb (threads)",
            "two threads of one process: no border; spins; bytes pushed by slices, batches by \
             chunks",
            Rtrb::default(),
        )
        .part(|case| usual(case) || filled(case) || batched(case)),
        Contender::new(
            "rtrb-in-place",
            "rtrb (threads), in place",
            "two threads of one process: no border; spins; chunks filled and read where they lie",
            InPlace(Rtrb::default()),
        )
        .delivers(Delivers::OneLength("the messages divide the ring"))
        .part(filled),
    ]
    .map(|one| one.side(Side::Library).waits(Waits::Spinning))
}

#[cfg(feature = "ringfire")]
fn ringfire() -> [Contender; 2] {
    use crate::ringfire::Ringfire;
    [
        Contender::new(
            "ringfire-spin",
            "ringfire, spinning",
            "slots of one type, values on the stack, so of at most 1 MiB here; set to lossless: by \
             default the writer overwrites; lends nothing to its reader",
            Ringfire::Spin,
        )
        .waits(Waits::Spinning),
        Contender::new(
            "ringfire-futex",
            "ringfire, futex",
            "as before; a full ring is polled; membarrier on all cores before it sleeps",
            Ringfire::Futex,
        ),
    ]
    .map(|one| {
        one.side(Side::Library)
            .with_files()
            .delivers(Delivers::OneLength("slots have one type"))
            .part(|case| (usual(case) || batched(case)) && case.size <= 1 << 20)
    })
}

#[cfg(feature = "cloudtoid")]
fn cloudtoid() -> [Contender; 2] {
    use crate::cloudtoid::Cloudtoid;
    [
        Contender::new(
            "cloudtoid-poll",
            "cloudtoid, polling",
            "try_recv_into in a loop; a full queue is polled, too",
            Cloudtoid { polls: true },
        )
        .waits(Waits::Spinning),
        Contender::new(
            "cloudtoid-wait",
            "cloudtoid, waiting",
            "recv, which allocates; a full queue is polled by the writer",
            Cloudtoid { polls: false },
        )
        .part(|case| usual(case) || crowded(case)),
    ]
    .map(|one| {
        one.side(Side::Library)
            .with_files()
            .delivers(Delivers::Messages)
    })
}

#[cfg(feature = "iceoryx2")]
fn iceoryx2() -> [Contender; 2] {
    use crate::iceoryx2::Iceoryx2;
    [
        Contender::new(
            "iceoryx2",
            "iceoryx2 publish/subscribe",
            "polled; payload copied in and out here, though it can be used in place",
            Iceoryx2,
        )
        .part(|case| usual(case) || filled(case)),
        Contender::new(
            "iceoryx2-in-place",
            "iceoryx2, in place",
            "polled; a loan filled, a sample read where it lies",
            InPlace(Iceoryx2),
        )
        .part(filled),
    ]
    .map(|one| {
        one.waits(Waits::Spinning)
            .with_files()
            .delivers(Delivers::Messages)
    })
}

#[cfg(feature = "tachyon")]
fn tachyon() -> [Contender; 2] {
    use crate::tachyon::Tachyon;
    [
        Contender::new(
            "tachyon-spin",
            "tachyon, spinning",
            "room comes back after 32 messages, so its rings are larger for large messages; a full \
             ring is polled",
            Tachyon::Spin,
        )
        .waits(Waits::Spinning),
        Contender::new(
            "tachyon-sleep",
            "tachyon, sleeping",
            "a futex; loses a wake-up now and then, and looks by itself after 200 ms; a full ring \
             is polled",
            Tachyon::Sleep,
        )
        .part(|case| usual(case) && case.kind != Kind::Throughput),
    ]
    .map(|one| {
        one.side(Side::Library)
            .with_files()
            .delivers(Delivers::Messages)
    })
}

/// What one core alone can do.
fn memcpy() -> [Contender; 2] {
    [
        Contender::new(
            "memcpy",
            "memcpy in cache",
            "not a transport: one core copies the same message",
            Memcpy::Cache,
        ),
        Contender::new(
            "memcpy-memory",
            "memcpy from memory",
            "not a transport: one core copies messages that no cache holds",
            Memcpy::Memory,
        ),
    ]
    .map(|one| {
        one.side(Side::Limit)
            .delivers(Delivers::OneLength("memcpy is no transport"))
            .part(|case| case.kind == Kind::Throughput)
    })
}
