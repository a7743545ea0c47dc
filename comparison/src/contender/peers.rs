//! Other libraries, and the ring that many programs write for themselves.

use super::{Contender, contender, part::*};
use crate::transport::plain_ring::PlainRing;

pub fn all() -> Vec<Contender> {
    let mut all = Vec::new();
    all.extend([contender(
        "plain-ring",
        "plain ring, yielding",
        "polls, yielding; does not notice a dead peer; trusts the peer's indexes",
        PlainRing,
    )
    .part(sharing)]);
    #[cfg(feature = "rtrb")]
    {
        use crate::transport::{in_place::InPlace, rtrb::Rtrb};
        all.push(
            contender(
                "rtrb",
                "rtrb (threads)",
                "two threads of one process: no border; spins; bytes pushed by slices, batches by \
                    chunks",
                Rtrb::default(),
            )
            .part(|case| usual(case) || filled(case) || batched(case)),
        );
        all.push(
            contender(
                "rtrb-in-place",
                "rtrb (threads), in place",
                "two threads of one process: no border; spins; chunks filled and read where they \
                    lie",
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
                "slots of one type, values on the stack, so of at most 1 MiB here; set to \
                    lossless: by default the writer overwrites",
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
        use crate::transport::{iceoryx2::Iceoryx2, in_place::InPlace};
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
            "on tokio; woken by an eventfd; out of buffers it would go over to its socket for \
                good, so the sender polls for them",
            crate::transport::shmipc::Shmipc,
        )
        .part(sharing),
    );
    #[cfg(feature = "tachyon")]
    {
        use crate::{case::Kind, transport::tachyon::Tachyon};
        all.push(contender(
            "tachyon-spin",
            "tachyon, spinning",
            "room comes back after 32 messages, so its rings are larger for large messages; a \
                full ring is polled",
            Tachyon::Spin,
        ));
        all.push(
            contender(
                "tachyon-sleep",
                "tachyon, sleeping",
                "a futex; loses a wake-up now and then, and looks by itself after 200 ms; a full \
                    ring is polled",
                Tachyon::Sleep,
            )
            .part(|case| sharing(case) && case.kind != Kind::Throughput),
        );
    }
    all
}
