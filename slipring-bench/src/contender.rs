//! The contenders that are compared: each moves bytes, and has a name and a note on its
//! differences.

use serde::Serialize;

use crate::{
    case::{Case, Kind},
    worker::Work,
};

/// The purpose for which a contender is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The subject of the comparison.
    Slipring,
    /// Does the same work.
    Peer,
    /// Does less: no transport that does its full work can exceed it.
    Limit,
}

/// How it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// In the kernel.
    Asleep,
    /// It spins for a while, or gives the core away in between.
    Either,
    /// Never in the kernel: useless where both halves share a core.
    Spinning,
}

/// One thing that is compared.
pub struct Contender {
    /// for `--only` and JSON
    pub name: String,
    /// for people
    pub title: String,
    /// its differences
    pub caveat: String,
    /// the purpose of the comparison
    pub side: Side,
    /// how it waits
    pub waits: Waits,
    /// Whether it takes part in a case.
    pub part: fn(&Case) -> bool,
    /// Whether it needs a directory.
    pub files: bool,
    /// the work of its processes
    pub work: Box<dyn Work>,
}

impl Contender {
    /// A peer that waits asleep and takes part where messages are sent and received.
    pub fn new(name: &str, title: &str, caveat: &str, work: impl Work + 'static) -> Contender {
        Contender {
            name: name.into(),
            title: title.into(),
            caveat: caveat.into(),
            side: Side::Peer,
            waits: Waits::Asleep,
            part: usual,
            files: false,
            work: Box::new(work),
        }
    }

    /// It is compared for this.
    pub fn side(self, side: Side) -> Contender {
        Contender { side, ..self }
    }

    /// It waits like this.
    pub fn waits(self, waits: Waits) -> Contender {
        Contender { waits, ..self }
    }

    /// It takes part in these cases.
    pub fn part(self, part: fn(&Case) -> bool) -> Contender {
        Contender { part, ..self }
    }

    /// It needs a directory.
    pub fn with_files(self) -> Contender {
        Contender {
            files: true,
            ..self
        }
    }

    /// The name that goes between the two in messages, and that `--only` compares.
    pub fn in_case(&self, case: &Case) -> String {
        format!("{}/{}", case.name, self.name)
    }
}

/// Where messages are sent and received, and no more.
pub fn usual(case: &Case) -> bool {
    matches!(
        case.kind,
        Kind::RoundTrip | Kind::Throughput | Kind::FixedRate(_)
    )
}

/// Many streams, which sleep while others are served.
pub fn crowded(case: &Case) -> bool {
    matches!(case.kind, Kind::Streams(_))
}

/// By copying, or in place.
pub fn filled(case: &Case) -> bool {
    matches!(case.kind, Kind::Filled(_))
}

/// With a means to publish messages together.
pub fn batched(case: &Case) -> bool {
    matches!(case.kind, Kind::Batched(_))
}
