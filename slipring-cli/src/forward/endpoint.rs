//! One side of `forward`: where connections come from, or where they go to.

use std::{
    io,
    net::{TcpListener, TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    time::Duration,
};

use slipring::Options;

use super::{rings, unix_listener::PathListener};
use crate::{
    address::{Address, Place},
    cleanup::OwnFile,
    console,
    duplex::Duplex,
    failure::Failure,
    options::bind,
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
    TcpListener(TcpListener),
    UnixListener(PathListener),
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
                let listener = TcpListener::bind((host.as_str(), *port)).map_err(cannot)?;
                // Port 0 has become a real one by now.
                let actual = listener.local_addr().map_err(cannot)?;
                (
                    Source::TcpListener(listener),
                    format!("tcp-listen:{actual}"),
                )
            }
            Place::Unix(path) => (
                Source::UnixListener(PathListener::bind(path)?),
                address.to_string(),
            ),
            Place::Mmf(_) | Place::Standard => {
                return Err(Failure::unreachable(format!(
                    "nobody can listen at {address}"
                )));
            }
        };
        Ok(Self {
            address: actual,
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
            Source::UnixListener(listener) => vec![listener.file().clone()],
            Source::SlipListener(listener) => OwnFile::of(listener),
            _ => Vec::new(),
        }
    }

    /// The next connection: connects anew, or waits for one to come.
    pub fn next(&self) -> Result<Duplex, Failure> {
        let cannot = |error: io::Error| self.failure(&error);
        match &self.source {
            Source::Connect {
                place,
                side,
                options,
                timeout,
            } => connect(place, *side, options, *timeout).map_err(|failure| {
                failure.context(format_args!("cannot connect to {}", self.address))
            }),
            Source::SlipListener(listener) => Ok(Duplex::slip(listener.accept()?)),
            Source::TcpListener(listener) => {
                let (stream, peer) = listener.accept().map_err(cannot)?;
                Duplex::tcp(stream, peer.to_string()).map_err(cannot)
            }
            Source::UnixListener(listener) => {
                let stream = listener.accept().map_err(cannot)?;
                Duplex::unix(stream, "a local process".to_owned()).map_err(cannot)
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
