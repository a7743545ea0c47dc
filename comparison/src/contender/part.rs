//! Who takes part in which cases.

use crate::case::{Case, Cores, Kind};

/// What takes no more than to send and to receive.
pub fn usual(case: &Case) -> bool {
    sharing(case) && case.cores != Cores::One
}

/// On one core, too: it gives the core away while it waits.
pub fn sharing(case: &Case) -> bool {
    matches!(
        case.kind,
        Kind::RoundTrip | Kind::Throughput | Kind::FixedRate { .. }
    )
}

/// What shows the price of being woken.
pub fn woken(case: &Case) -> bool {
    case.kind == Kind::RoundTrip && (case.size == 64 || case.cores == Cores::One)
}

/// Many streams, which sleep while others are served.
pub fn crowded(case: &Case) -> bool {
    matches!(case.kind, Kind::Streams { .. })
}

/// By copying, or in place.
pub fn filled(case: &Case) -> bool {
    matches!(case.kind, Kind::Filled(_))
}

/// With a means to publish messages together.
pub fn batched(case: &Case) -> bool {
    matches!(case.kind, Kind::Batched { .. })
}
