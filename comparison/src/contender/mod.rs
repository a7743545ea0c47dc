//! Everything that is compared, by name, with what it does differently.

mod kernel;
mod limits;
#[cfg(feature = "tokio")]
mod on_tokio;
mod part;
mod peers;
mod slipring;
mod small_reads;

use serde::Serialize;

use crate::{case::Case, worker::Work};

pub use limits::limit;

pub const UNIX: &str = "unix";
/// in its place where little is read at a time
pub const UNIX_BUFFERED: &str = "small-unix";

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
    let mut all = Vec::new();
    all.extend(slipring::all());
    all.extend(kernel::all());
    all.extend(peers::all());
    #[cfg(feature = "tokio")]
    all.extend(on_tokio::all());
    all.extend(small_reads::all());
    all.extend(limits::all());
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
        part: part::usual,
        limit: false,
        transport: Box::new(transport),
    }
}

pub fn by_name(name: &str) -> Option<Contender> {
    all().into_iter().find(|contender| contender.name == name)
}
