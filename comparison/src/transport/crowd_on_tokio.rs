//! Many streams between the two processes on tokio: one thread on each side, and a task for each
//! stream. They do round trips, all at the same time.

use std::{io, mem};

use ::slipring::{Options, tokio::Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use super::on_tokio::{OnTokio, ask, connected, echo};
use crate::{
    case::Case,
    clock::Cpu,
    half::timed,
    machine,
    order::{Answer, Order, Report},
    stats,
    worker::{Args, orders, say},
};

pub fn work(transport: OnTokio, args: &Args, case: &Case, streams: usize) -> io::Result<()> {
    machine::allow_descriptors()?;
    let before = machine::memory()?;
    let sockets = connected(args, streams)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sockets = runtime.block_on(async {
        sockets
            .into_iter()
            .map(UnixStream::from_std)
            .collect::<io::Result<_>>()
    })?;
    match transport {
        OnTokio::Unix => converse(sockets, &runtime, args, case, before),
        OnTokio::Slipring { .. } => {
            let streams = runtime.block_on(upgraded(sockets))?;
            converse(streams, &runtime, args, case, before)
        }
    }
}

async fn upgraded(sockets: Vec<UnixStream>) -> io::Result<Vec<Stream>> {
    let options = Options::new();
    let mut streams = Vec::with_capacity(sockets.len());
    for socket in sockets {
        streams.push(Stream::upgrade_with(&options, socket).await?);
    }
    Ok(streams)
}

fn converse<S>(
    mut streams: Vec<S>,
    runtime: &Runtime,
    args: &Args,
    case: &Case,
    before: u64,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = args.address.is_none();
    // What is made at the first use is part of what a stream takes.
    let first = Order {
        round: 0,
        messages: 1,
        verify: true,
    };
    streams = runtime.block_on(all(streams, first, host, case.size))?.0;
    let memory = machine::memory()?.saturating_sub(before);
    say(&Answer::Connected)?;
    orders(|order| {
        let mut taken = Vec::new();
        let report = timed(Cpu::Process, || {
            (streams, taken) =
                runtime.block_on(all(mem::take(&mut streams), order, host, case.size))?;
            Ok(Report {
                memory,
                ..Report::default()
            })
        })?;
        let mut latency = stats::histogram();
        taken
            .into_iter()
            .for_each(|taken| latency.saturating_record(taken));
        Ok(vec![Report {
            latency: stats::counts(&latency),
            ..report
        }])
    })
}

/// Lets all streams do an order; gives them back, with how long each round trip took.
async fn all<S>(
    streams: Vec<S>,
    order: Order,
    host: bool,
    size: usize,
) -> io::Result<(Vec<S>, Vec<u64>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut message = vec![0; size];
            let mut taken = Vec::new();
            if host {
                ask(&mut stream, &mut message, order, |time| taken.push(time)).await?;
            } else {
                echo(&mut stream, &mut message, order).await?;
            }
            io::Result::Ok((stream, taken))
        });
    }
    let (mut streams, mut taken) = (Vec::with_capacity(tasks.len()), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (stream, its) = done??;
        streams.push(stream);
        taken.extend(its);
    }
    Ok((streams, taken))
}
