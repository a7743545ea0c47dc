//! A server with many streams, and its clients. The server has a task for each stream, which sends
//! a message at each tick and waits for the answer, and ticks again when all have been answered.
//! The clients answer everything that comes on their streams, until these end.

use std::{io, os::fd::AsFd};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, unix::AsyncFd},
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::connection::Connection;
use crate::{
    clock,
    half::WARM_UP,
    order::{Order, Report},
    pattern::{check, fill},
    stats,
    worker::Worker,
};

/// A client's whole work.
pub(super) fn answer<S: Connection>(
    streams: Vec<S>,
    runtime: &Runtime,
    worker: &Worker,
) -> io::Result<()> {
    let size = worker.case().size;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for mut stream in streams {
            tasks.spawn(async move {
                let mut message = vec![0; size];
                while stream.read_exact(&mut message).await.is_ok()
                    && stream.write_all(&message).await.is_ok()
                {}
            });
        }
        worker.say_connected()?;
        // A stream that has not ended in order is for the server to tell: it waits for the answer.
        while tasks.join_next().await.is_some() {}
        Ok(())
    })
}

/// The server's whole work.
pub(super) fn serve<S: Connection>(
    streams: Vec<S>,
    runtime: &Runtime,
    worker: &Worker,
) -> io::Result<()> {
    runtime.block_on(async {
        let mut server = Server::start(streams, worker.case().size);
        worker.say_connected()?;
        // A runtime that waits for an order waits for all streams too, as that of an idle server
        // does.
        let channel = worker.channel();
        #[allow(
            deprecated,
            reason = "what replaces it is newer than the oldest tokio that is enough; an OwnedFd \
                      stays the same descriptor as long as it lives"
        )]
        let orders = AsyncFd::new(channel.as_fd().try_clone_to_owned()?)?;
        loop {
            orders.readable().await?.clear_ready();
            let Some(order) = channel.receive::<Order>()? else {
                return Ok(());
            };
            let report = server.carry_out(order).await.map_err(io::Error::other)?;
            worker.report(report)?;
        }
    })
}

struct Server {
    streams: u64,
    ticks: watch::Sender<u64>,
    /// how long each took
    answers: mpsc::UnboundedReceiver<Result<u64, String>>,
    _tasks: JoinSet<()>,
}

impl Server {
    fn start<S: Connection>(streams: Vec<S>, size: usize) -> Server {
        let (answered, answers) = mpsc::unbounded_channel();
        let (ticks, _) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let count = streams.len() as u64;
        for (number, stream) in (0..).zip(streams) {
            let asking = ask(stream, number, size, ticks.subscribe(), answered.clone());
            tasks.spawn(asking);
        }
        Server {
            streams: count,
            ticks,
            answers,
            _tasks: tasks,
        }
    }

    /// So many ticks, the first ones to warm up: a message to each, and all answers.
    async fn carry_out(&mut self, order: Order) -> Result<Report, String> {
        let (start, cpu) = (clock::now(), clock::cpu());
        let mut latency = stats::histogram();
        for tick in 0..order.messages {
            self.ticks.send_modify(|tick| *tick += 1);
            for _ in 0..self.streams {
                let answer = self.answers.recv().await.ok_or("all streams have ended")?;
                let taken = answer?;
                if tick >= order.messages / WARM_UP {
                    latency.saturating_record(taken);
                }
            }
        }
        Ok(Report {
            start,
            end: clock::now(),
            cpu: clock::cpu() - cpu,
            latency: stats::counts(&latency),
            ..Report::default()
        })
    }
}

/// One stream: at each tick a message, and its answer.
async fn ask<S: Connection>(
    mut stream: S,
    number: u64,
    size: usize,
    mut ticks: watch::Receiver<u64>,
    answers: mpsc::UnboundedSender<Result<u64, String>>,
) {
    let mut message = vec![0; size];
    while ticks.changed().await.is_ok() {
        let position = (*ticks.borrow_and_update() + number) * 1009;
        fill(&mut message, position);
        let sent = clock::now();
        let answered = async {
            stream.write_all(&message).await?;
            stream.read_exact(&mut message).await?;
            let latency = clock::now() - sent;
            check(&message, position)?;
            io::Result::Ok(latency)
        };
        let answer = answered.await;
        let answer = answer.map_err(|error| format!("stream {number}: {error}"));
        let failed = answer.is_err();
        if answers.send(answer).is_err() || failed {
            return;
        }
    }
}
