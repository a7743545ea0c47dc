//! Streams on tokio: slipring's beside tokio's own Unix socket, a current-thread runtime on each
//! side.
//!
//! Work of its own and no `Link`, where something is measured: a runtime that is entered for each
//! message would be measured with it.

mod connection;
mod crowd;
mod server;

use std::{io, time::Duration};

use ::slipring::{Spin, tokio::Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    runtime::{Builder, Runtime},
};

use self::connection::{Connection, half};
use crate::{
    case::Kind,
    clock,
    half::{mixed, timed},
    order::Report,
    stats,
    transport::{Link, slipring::Slipring},
    worker::{Work, Worker},
};

/// The streams that are made of a connected Unix socket.
#[derive(Clone, Copy)]
pub(crate) enum OnTokio {
    Unix,
    /// A poll spins for so long before it is pending.
    Slipring(Duration),
}

impl Work for OnTokio {
    fn work(&self, worker: &Worker) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut sockets = Vec::new();
        let context = runtime.enter();
        for end in worker.ends()? {
            end.socket.set_nonblocking(true)?;
            sockets.push(UnixStream::from_std(end.socket)?);
        }
        drop(context);
        let poll_spin = match *self {
            OnTokio::Unix => return converse(sockets, &runtime, worker),
            OnTokio::Slipring(poll_spin) => poll_spin,
        };
        let capacity = match worker.case().kind {
            Kind::Served { capacity, .. } => Some(capacity),
            _ => None,
        };
        let spin = Spin::default();
        let options = Slipring { spin, capacity }.options().poll_spin(poll_spin);
        let streams = runtime.block_on(async {
            let mut streams = Vec::with_capacity(sockets.len());
            for socket in sockets {
                streams.push(Stream::upgrade_with(&options, socket).await?);
            }
            io::Result::Ok(streams)
        })?;
        converse(streams, &runtime, worker)
    }
}

fn converse<S: Connection>(
    mut streams: Vec<S>,
    runtime: &Runtime,
    worker: &Worker,
) -> io::Result<()> {
    match worker.case().kind {
        Kind::Served { .. } if worker.is_host() => server::serve(streams, runtime, worker),
        Kind::Served { .. } => server::answer(streams, runtime, worker),
        Kind::Streams(_) => crowd::converse(streams, runtime, worker),
        kind => {
            let stream = streams.pop().ok_or(io::ErrorKind::NotConnected)?;
            match kind {
                Kind::Mixed(how) => {
                    let mut link = Entered { stream, runtime };
                    worker.orders(|_| Ok(vec![mixed::half(&mut link, how, worker.is_host())?]))
                }
                _ => one(stream, runtime, worker),
            }
        }
    }
}

/// A stream whose runtime is entered for each message, where nothing is measured.
struct Entered<'r, S> {
    stream: S,
    runtime: &'r Runtime,
}

impl<S: Connection> Link for Entered<'_, S> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.runtime.block_on(self.stream.write_all(message))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.stream.read_exact(buffer);
        self.runtime.block_on(read).map(drop)
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.read(buffer))
    }
}

/// Carries out orders over one stream, the runtime being entered once for each.
fn one<S: Connection>(mut stream: S, runtime: &Runtime, worker: &Worker) -> io::Result<()> {
    let mut message = vec![0; worker.case().size];
    worker.orders(|order| {
        let mut latency = stats::histogram();
        let report = timed(clock::cpu, || {
            let record = |taken| latency.saturating_record(taken);
            runtime.block_on(half(
                &mut stream,
                &mut message,
                order,
                worker.is_host(),
                record,
            ))?;
            Ok(Report::default())
        })?;
        let latency = stats::counts(&latency);
        Ok(vec![Report { latency, ..report }])
    })
}
