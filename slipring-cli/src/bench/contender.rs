//! The transports that take part, by name.
//!
//! To add a transport: a file in `transport/`, and an entry in `all` and `by_name`.

use std::sync::Arc;

use slipring::Spin;

use super::{
    case::{Case, Kind},
    channel::Channel,
    goals::Cores,
    measurement::Measurement,
    peer::Peer,
    round_trip::{self, RoundTrip},
    throughput::{self, Throughput},
    transport::{
        Join, Transport,
        bare_eventfd::{BareEventfd, Wait},
        bare_exchange::BareExchange,
        mmf::Mmf,
        pipe::Pipe,
        slipring::Slipring,
        tcp::Tcp,
        unix::Unix,
    },
};
use crate::{
    failure::Failure,
    options::{parse_capacity, parse_spin},
    trial::{spin, text},
};

pub const UNIX: &str = "unix";
pub const BARE_EXCHANGE: &str = "bare-exchange";
pub const EVENTFD_READ: &str = "eventfd-read";
pub const EVENTFD_EPOLL: &str = "eventfd-epoll";

pub struct Contender {
    /// for `--only` and JSON
    pub name: String,
    pub title: String,
    /// Never sleeps while it waits: useless where both processes share a core.
    pub spins: bool,
    /// Spins, at least for a while.
    may_spin: bool,
    /// Carries bytes, not only one message at a time.
    streams: bool,
    transport: Box<dyn AnyTransport>,
}

/// Everything that is compared, slipring with each of these spinnings and capacities; and the ring
/// of C# programs with the spinnings.
pub fn all(spins: &[Spin], capacities: &[usize]) -> Vec<Contender> {
    let capacities: Vec<Option<usize>> = match capacities {
        [] => vec![None],
        _ => capacities.iter().copied().map(Some).collect(),
    };
    let mut all = Vec::new();
    for &spin in spins {
        all.extend(capacities.iter().map(|&capacity| slipring(spin, capacity)));
    }
    all.extend(spins.iter().copied().map(mmf));
    all.extend(
        [
            UNIX,
            "pipe",
            "tcp",
            BARE_EXCHANGE,
            EVENTFD_READ,
            EVENTFD_EPOLL,
        ]
        .into_iter()
        .filter_map(by_name),
    );
    all
}

pub fn by_name(name: &str) -> Option<Contender> {
    let contender = match name {
        UNIX => stream(name, "Unix stream socket", Unix),
        "pipe" => stream(name, "pair of pipes", Pipe),
        "tcp" => stream(name, "TCP loopback", Tcp),
        BARE_EXCHANGE => Contender {
            spins: true,
            may_spin: true,
            ..bare(name, "bare exchange (spin)", BareExchange)
        },
        EVENTFD_READ => bare(
            name,
            "bare eventfd (read)",
            BareEventfd { wait: Wait::Read },
        ),
        EVENTFD_EPOLL => bare(
            name,
            "bare eventfd (epoll)",
            BareEventfd { wait: Wait::Epoll },
        ),
        _ => match name.split_once('-')? {
            ("slipring", how) => {
                let (spin, capacity) = match how.split_once('@') {
                    Some((spin, capacity)) => (spin, Some(parse_capacity(capacity).ok()?)),
                    None => (how, None),
                };
                slipring(parse_spin(spin).ok()?, capacity)
            }
            ("mmf", spin) => mmf(parse_spin(spin).ok()?),
            _ => return None,
        },
    };
    Some(contender)
}

/// The name of slipring with this spinning and the default capacity.
pub fn slipring_name(spin: Spin) -> String {
    format!("slipring-{}", spin::text(spin))
}

fn slipring(spin: Spin, capacity: Option<usize>) -> Contender {
    let mut name = slipring_name(spin);
    let mut how = way(spin);
    if let Some(bytes) = capacity {
        name += &format!("@{}K", bytes >> 10);
        how += &format!(", {}", text::size(bytes));
    }
    let title = format!("slipring ({how})");
    let transport = Slipring { spin, capacity };
    spinning(spin, stream(&name, &title, transport))
}

fn mmf(spin: Spin) -> Contender {
    let title = format!("C# ring ({})", way(spin));
    spinning(
        spin,
        stream(&format!("mmf-{}", spin::text(spin)), &title, Mmf { spin }),
    )
}

fn way(spin: Spin) -> String {
    match spin {
        Spin::Always => "spinning".into(),
        Spin::Never => "sleeping".into(),
        Spin::Adaptive { .. } => "adaptive".into(),
        Spin::UpTo(time) => format!("up to {time:?}"),
        other => format!("{other:?}"),
    }
}

fn spinning(spin: Spin, contender: Contender) -> Contender {
    Contender {
        spins: spin == Spin::Always,
        may_spin: spin != Spin::Never,
        ..contender
    }
}

fn stream(name: &str, title: &str, transport: impl Transport + 'static) -> Contender {
    Contender {
        streams: true,
        ..bare(name, title, transport)
    }
}

fn bare(name: &str, title: &str, transport: impl Transport + 'static) -> Contender {
    Contender {
        name: name.into(),
        title: title.into(),
        spins: false,
        may_spin: false,
        streams: false,
        transport: Box::new(transport),
    }
}

impl Contender {
    pub fn takes_part_in(&self, case: &Case) -> bool {
        self.streams || case.kind == Kind::RoundTrip
    }

    /// What goes between the two in messages and columns, and what `--only` looks at.
    pub fn in_case(&self, case: &Case) -> String {
        format!("{}/{}", case.name, self.name)
    }

    /// The bare transports to compare this one's round trips with: those that wait in the same
    /// way. What may spin before it sleeps is compared with the exchange that spins, if there is
    /// more than one core to spin on.
    pub fn bounds(&self, cores: Cores) -> &'static [&'static str] {
        if self.may_spin && cores == Cores::Several {
            &[BARE_EXCHANGE]
        } else {
            &[EVENTFD_READ, EVENTFD_EPOLL]
        }
    }

    /// In the parent: starts the peer process and connects to it.
    pub fn open(&self, case: &Case, cpu: Option<usize>) -> Result<Box<dyn Measurement>, Failure> {
        self.transport
            .open(Peer::start(&self.name, case, cpu)?, case)
    }

    /// In the peer process: joins and does its half until the parent hangs up.
    pub fn serve(&self, case: &Case) -> Result<(), Failure> {
        let channel = Channel::from_stdin()?;
        self.transport.serve(&channel, case)
    }
}

/// A transport whose links' type is hidden behind whole measurements, so that every measurement is
/// compiled for its own transport and no call goes through a pointer.
trait AnyTransport {
    fn open(&self, peer: Peer, case: &Case) -> Result<Box<dyn Measurement>, Failure>;

    fn serve(&self, channel: &Channel, case: &Case) -> Result<(), Failure>;
}

impl<T: Transport> AnyTransport for T {
    fn open(&self, peer: Peer, case: &Case) -> Result<Box<dyn Measurement>, Failure> {
        let gone = Arc::clone(&peer.gone);
        let link = Transport::open(self, &peer.channel, case.size, &gone)?;
        Ok(match case.kind {
            Kind::RoundTrip => Box::new(RoundTrip::new(link, peer, case.size)),
            Kind::Throughput => Box::new(Throughput::new(link, peer, case.size)),
        })
    }

    fn serve(&self, channel: &Channel, case: &Case) -> Result<(), Failure> {
        let Some((Join, descriptors)) = channel.receive_with()? else {
            return Ok(());
        };
        let link = self.join(descriptors, case.size)?;
        match case.kind {
            Kind::RoundTrip => round_trip::serve(link, channel, case.size),
            Kind::Throughput => throughput::serve(link, channel, case.size),
        }
    }
}
