//! One side of `forward`: where connections come from, or where they go to.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    process::Command,
    time::Duration,
};

use rustix::net::getsockname;
use slipring::{Options, inherited_fd, pass_fd};

use super::{rings, unix_listener::PathListener};
use crate::{
    address::{Address, Place},
    cleanup::OwnFile,
    console,
    duplex::Duplex,
    failure::Failure,
    options::bind,
    succession::Retirement,
};

/// Which side of `forward` it is. A single ring goes one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    From,
    To,
}

/// Gives connections, each a new one: made by connecting, or by waiting for someone to connect.
pub struct Endpoint {
    /// As the user wrote it, or for a listener as it really is.
    pub address: String,
    side: Side,
    source: Source,
}

enum Source {
    Connect {
        place: Place,
        side: Side,
        options: Box<Options>,
        timeout: Duration,
    },
    SlipListener(Box<slipring::Listener>),
    TcpListener(TcpListener, Retirement),
    UnixListener(PathListener, Retirement),
}

impl Side {
    /// The label of its listener for a successor.
    fn label(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }
}

impl Endpoint {
    /// Binds a listening address; does nothing yet for a connecting one.
    pub fn open(
        address: &Address,
        side: Side,
        options: &Options,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        if !address.listen {
            let source = Source::Connect {
                place: address.place.clone(),
                side,
                options: Box::new(options.clone()),
                timeout,
            };
            return Ok(Self {
                address: address.to_string(),
                side,
                source,
            });
        }
        let (source, actual) = match &address.place {
            Place::Slip(name) => {
                let listener = bind(options, name)?;
                let actual = format!("slip-listen:{}", listener.name());
                (Source::SlipListener(Box::new(listener)), actual)
            }
            Place::Tcp { host, port } => {
                let cannot = |error: io::Error| {
                    Failure::unreachable(format!("cannot listen at {address}: {error}"))
                };
                let listener = match inherited_tcp(host, *port, side)? {
                    Some(listener) => listener,
                    None => TcpListener::bind((host.as_str(), *port)).map_err(cannot)?,
                };
                listener.set_nonblocking(true).map_err(cannot)?;
                let retirement = Retirement::new().map_err(cannot)?;
                // Port 0 has become a real one by now.
                let actual = listener.local_addr().map_err(cannot)?;
                (
                    Source::TcpListener(listener, retirement),
                    format!("tcp-listen:{actual}"),
                )
            }
            Place::Unix(path) => {
                let retirement = Retirement::new().map_err(Failure::doing("make an eventfd"))?;
                let listener = PathListener::open(path, side.label())?;
                (
                    Source::UnixListener(listener, retirement),
                    address.to_string(),
                )
            }
            Place::Mmf(_) | Place::Standard => {
                return Err(Failure::unreachable(format!(
                    "nobody can listen at {address}"
                )));
            }
        };
        Ok(Self {
            address: actual,
            side,
            source,
        })
    }

    /// Says where it listens, if it does. Scripts wait for this line.
    pub fn announce(&self) {
        if self.is_listening() {
            console::say(format_args!("listening on {}", self.address));
        }
    }

    pub fn is_listening(&self) -> bool {
        !matches!(self.source, Source::Connect { .. })
    }

    /// Standard input and output: there is only one of each, and the reader of the output may go
    /// away.
    pub fn is_standard(&self) -> bool {
        matches!(
            self.source,
            Source::Connect {
                place: Place::Standard,
                ..
            }
        )
    }

    /// The files to remove when the process ends.
    pub fn files(&self) -> Vec<OwnFile> {
        match &self.source {
            Source::UnixListener(listener, _) => listener.file().into_iter().collect(),
            Source::SlipListener(listener) => OwnFile::of(listener),
            _ => Vec::new(),
        }
    }

    /// Lets a successor inherit the listener.
    pub fn pass_to(&self, successor: &mut Command) -> Result<(), Failure> {
        let copied = Failure::doing("copy a descriptor");
        let label = self.side.label();
        match &self.source {
            Source::Connect { .. } => {}
            Source::SlipListener(listener) => listener.to_fd()?.pass_to(successor)?,
            Source::TcpListener(listener, _) => {
                pass_fd(successor, label, listener.try_clone().map_err(copied)?)?;
            }
            Source::UnixListener(listener, _) => {
                let copy = listener.as_fd().try_clone_to_owned();
                let label = listener.label(label);
                pass_fd(successor, &label, copy.map_err(copied)?)?;
            }
        }
        Ok(())
    }

    /// The address stays this process's, after a successor that has failed.
    pub fn reclaim(&self) -> Result<(), Failure> {
        match &self.source {
            Source::SlipListener(listener) => Ok(listener.reclaim()?),
            _ => Ok(()),
        }
    }

    /// Waits for no connection any more, and leaves the address to the successor.
    pub fn retire(&self) {
        match &self.source {
            Source::Connect { .. } => {}
            Source::SlipListener(listener) => listener.retire(),
            Source::TcpListener(_, retirement) => retirement.retire(),
            Source::UnixListener(listener, retirement) => {
                listener.leave();
                retirement.retire();
            }
        }
    }

    /// The next connection: connects anew, or waits for one to come. `None` after it has retired.
    pub fn next(&self) -> Result<Option<Duplex>, Failure> {
        let cannot = |error: io::Error| self.failure(&error);
        match &self.source {
            Source::Connect {
                place,
                side,
                options,
                timeout,
            } => {
                let connected = connect(place, *side, options, *timeout);
                connected.map(Some).map_err(|failure| {
                    failure.context(format_args!("cannot connect to {}", self.address))
                })
            }
            Source::SlipListener(listener) => match listener.accept() {
                Ok(stream) => Ok(Some(Duplex::slip(stream))),
                Err(slipring::Error::Stopped) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Source::TcpListener(listener, retirement) => {
                let accepted = retirement.accept(listener.as_fd(), || listener.accept());
                let duplex = accepted
                    .map_err(cannot)?
                    .map(|(stream, peer)| Duplex::tcp(stream, peer.to_string()));
                duplex.transpose().map_err(cannot)
            }
            Source::UnixListener(listener, retirement) => {
                let accepted = retirement.accept(listener.as_fd(), || listener.accept());
                let duplex = accepted
                    .map_err(cannot)?
                    .map(|stream| Duplex::unix(stream, "a local process".to_owned()));
                duplex.transpose().map_err(cannot)
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::unreachable(format!(
            "cannot accept a connection at {}: {error}",
            self.address
        ))
    }
}

/// The listener of this side that a predecessor has passed on, or a service manager at one of these
/// addresses.
fn inherited_tcp(host: &str, port: u16, side: Side) -> Result<Option<TcpListener>, Failure> {
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map(Iterator::collect)
        .unwrap_or_default();
    let is_its = |label: &str, fd: BorrowedFd<'_>| {
        let address = getsockname(fd).and_then(SocketAddr::try_from);
        address.is_ok_and(|address| label == side.label() || addresses.contains(&address))
    };
    Ok(inherited_fd(is_its)?.map(TcpListener::from))
}

fn connect(
    place: &Place,
    side: Side,
    options: &Options,
    timeout: Duration,
) -> Result<Duplex, Failure> {
    let peer = place.to_string();
    let unreachable =
        |error: io::Error| Failure::unreachable(format!("{error}; does a server run there?"));
    match place {
        Place::Slip(name) => Ok(Duplex::slip(options.connect(name)?)),
        Place::Tcp { host, port } => {
            let stream = connect_tcp(host, *port, timeout).map_err(unreachable)?;
            Duplex::tcp(stream, peer).map_err(unreachable)
        }
        Place::Unix(path) => {
            let stream = UnixStream::connect(path).map_err(unreachable)?;
            Duplex::unix(stream, peer).map_err(unreachable)
        }
        Place::Mmf(rings) => Ok(rings::open(rings, side)?),
        Place::Standard => {
            Duplex::standard().map_err(Failure::doing("use standard input and output"))
        }
    }
}

/// Tries the addresses of the host one after the other; the error is that of the last one.
fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address")))
}
