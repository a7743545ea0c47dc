//! Round trips on tokio: a slipring stream beside tokio's own Unix socket, a current-thread runtime
//! on each side.
//!
//! Work of its own and no `Link`: a runtime that is entered for each message would be measured with
//! it.

use std::{io, os::unix::net, time::Duration};

use ::slipring::{Options, tokio::Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
    runtime::{Builder, Runtime},
};

use super::crowd_on_tokio;
use crate::{
    case::{Case, Kind},
    clock::{self, Cpu},
    half::{WARM_UP, timed},
    order::{Answer, Order, Report},
    pattern::fill,
    stats,
    worker::{Args, Work, orders, say},
};

/// Longer than the peer takes to answer, if it is awake.
const SPIN: Duration = Duration::from_micros(20);

#[derive(Clone, Copy)]
pub enum OnTokio {
    Unix,
    Slipring { spins: bool },
}

impl Work for OnTokio {
    fn work(&self, args: &Args, case: &'static Case) -> io::Result<()> {
        if let Kind::Streams { streams } = case.kind {
            return crowd_on_tokio::work(*self, args, case, streams);
        }
        let socket = connected(args, 1)?
            .pop()
            .ok_or(io::ErrorKind::NotConnected)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let socket = runtime.block_on(async { UnixStream::from_std(socket) })?;
        let poll_spin = match *self {
            OnTokio::Unix => return converse(socket, &runtime, args, case),
            OnTokio::Slipring { spins: true } => SPIN,
            OnTokio::Slipring { spins: false } => Duration::ZERO,
        };
        let options = Options::new().poll_spin(poll_spin);
        let stream = runtime.block_on(Stream::upgrade_with(&options, socket))?;
        converse(stream, &runtime, args, case)
    }
}

/// So many connections to the other process.
pub fn connected(args: &Args, count: usize) -> io::Result<Vec<net::UnixStream>> {
    let path = args.directory.join("socket");
    let sockets: io::Result<Vec<_>> = match &args.address {
        Some(_) => (0..count)
            .map(|_| net::UnixStream::connect(&path))
            .collect(),
        None => {
            let listener = net::UnixListener::bind(path)?;
            say(&Answer::Listening(String::new()))?;
            (0..count).map(|_| Ok(listener.accept()?.0)).collect()
        }
    };
    let sockets = sockets?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
    }
    Ok(sockets)
}

/// Carries out orders, the runtime being entered once for each.
fn converse<S>(mut stream: S, runtime: &Runtime, args: &Args, case: &Case) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(&Answer::Connected)?;
    let mut message = vec![0; case.size];
    orders(|order| {
        let report = timed(Cpu::Process, || {
            runtime.block_on(async {
                match args.address {
                    Some(_) => {
                        echo(&mut stream, &mut message, order).await?;
                        Ok(Report::default())
                    }
                    None => ask_timed(&mut stream, &mut message, order).await,
                }
            })
        })?;
        Ok(vec![report])
    })
}

async fn ask_timed<S>(stream: &mut S, message: &mut [u8], order: Order) -> io::Result<Report>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut latency = stats::histogram();
    ask(stream, message, order, |taken| {
        latency.saturating_record(taken)
    })
    .await?;
    let latency = stats::counts(&latency);
    Ok(Report {
        latency,
        ..Report::default()
    })
}

/// Tells how long each took, but for the first ones.
pub async fn ask<S>(
    stream: &mut S,
    message: &mut [u8],
    order: Order,
    mut record: impl FnMut(u64),
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut echo = vec![0; message.len()];
    for number in 0..order.messages {
        if order.verify {
            fill(message, number * 1009);
        }
        message[..8].copy_from_slice(&number.to_le_bytes());
        let sent = clock::now();
        stream.write_all(message).await?;
        stream.read_exact(&mut echo).await?;
        let taken = clock::now() - sent;
        if number >= order.messages / WARM_UP {
            record(taken);
        }
        if echo[..8] != message[..8] || (order.verify && echo != *message) {
            return Err(io::Error::other("an echo is not what was sent"));
        }
    }
    Ok(())
}

pub async fn echo<S>(stream: &mut S, message: &mut [u8], order: Order) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..order.messages {
        stream.read_exact(message).await?;
        stream.write_all(message).await?;
    }
    Ok(())
}
