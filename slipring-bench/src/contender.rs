//! The contenders that are compared: each moves bytes, and has a name and a note on its
//! differences.

use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, Kind, Mixed},
    worker::Work,
};

/// The purpose for which a contender is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The subject of the comparison.
    Slipring,
    /// Another library that does the same work.
    Library,
    /// Does the same work, and is no library.
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

/// What its reads give, which decides how messages of mixed lengths are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivers {
    /// Bytes, as many as a read asks for.
    Bytes,
    /// Messages, each as it was sent.
    Messages,
    /// Messages, of which one is under way at a time.
    OneAtATime,
    /// Bytes that the host sends; its peer sends nothing.
    OneWay,
    /// Messages of one length alone, for this reason.
    OneLength(&'static str),
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
    /// what its reads give
    pub delivers: Delivers,
    /// Whether it takes part in a case that is measured.
    pub part: fn(&Case) -> bool,
    /// Whether it needs a directory.
    pub files: bool,
    /// the work of its processes
    pub work: Box<dyn Work>,
}

impl Contender {
    /// A peer that delivers bytes, waits asleep, and takes part where messages are sent and
    /// received.
    pub fn new(name: &str, title: &str, caveat: &str, work: impl Work + 'static) -> Contender {
        Contender {
            name: name.into(),
            title: title.into(),
            caveat: caveat.into(),
            side: Side::Peer,
            waits: Waits::Asleep,
            delivers: Delivers::Bytes,
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

    /// Its reads give this.
    pub fn delivers(self, delivers: Delivers) -> Contender {
        Contender { delivers, ..self }
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

    /// The reason for which a verification of mixed lengths does not apply to it.
    pub fn exempt(&self, case: &Case) -> Option<&'static str> {
        let Kind::Mixed(mixed) = case.kind else {
            return None;
        };
        match (self.delivers, mixed) {
            (Delivers::Messages, Mixed::Cuts) => Some("each read gives one message"),
            (Delivers::OneAtATime, Mixed::Flow | Mixed::Cuts) => {
                Some("one message is under way at a time")
            }
            (Delivers::OneWay, Mixed::Turns | Mixed::Cuts) => Some("only the host sends"),
            (Delivers::OneLength(why), _) => Some(why),
            _ => None,
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
