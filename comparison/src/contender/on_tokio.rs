//! What tasks have in place of threads that block.

use super::{Contender, contender, part::crowded};
use crate::{
    case::{Case, Cores, Kind},
    transport::on_tokio::OnTokio,
};

pub fn all() -> [Contender; 3] {
    fn measured(case: &Case) -> bool {
        case.kind == Kind::RoundTrip && [64, 1 << 10].contains(&case.size)
    }
    [
        contender(
            "tokio-slipring",
            "slipring on tokio",
            "a current-thread runtime each, many streams a task each; does not spin, the default \
                there",
            OnTokio::Slipring { spins: false },
        )
        .part(|case| measured(case) || crowded(case)),
        contender(
            "tokio-slipring-spin",
            "slipring on tokio, spinning",
            "a poll looks for up to 20 µs before it is pending, which holds up the runtime's \
                other tasks",
            OnTokio::Slipring { spins: true },
        )
        .part(|case| measured(case) && case.cores != Cores::One),
        contender(
            "tokio-unix",
            "Unix socket on tokio",
            "a current-thread runtime each, many streams a task each; tries the system call, and \
                asks epoll if it has to wait",
            OnTokio::Unix,
        )
        .part(|case| measured(case) || crowded(case)),
    ]
}
