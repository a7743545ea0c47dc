//! What the kernel itself has.

use super::{Contender, UNIX, contender, part::*};
use crate::transport::{pipe::Pipe, tcp::Tcp, unix::Unix};

pub fn all() -> [Contender; 3] {
    [
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
    ]
}
