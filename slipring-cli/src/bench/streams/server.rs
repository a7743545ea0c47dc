//! The server process: a task for each stream, which sends a message at each tick and waits for the
//! answer, and one that ticks when all have been answered.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    runtime::Builder,
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{
    message::{self, SIZE},
    order::{self, Measure, Outcome, Ready, Round},
    transport::Transport,
};
use crate::{
    bench::{channel::Channel, round_trip},
    failure::Failure,
    trial::clock,
};

pub fn serve<T: Transport>(channel: &Channel, transport: &T) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sockets = order::join(channel)?;
    runtime.block_on(async {
        let server = Server::start::<T>(open(transport, sockets).await?);
        channel.send(&Ready)?;
        // A runtime that waits for an order waits for all streams too, as that of an idle server
        // does.
        let orders = UnixStream::from(channel.as_fd().try_clone_to_owned()?);
        orders.set_nonblocking(true)?;
        let orders = tokio::net::UnixStream::from_std(orders)?;
        while let Some(Measure { slice }) = orders
            .async_io(Interest::READABLE, || channel.receive())
            .await?
        {
            channel.send(&match server.measure(slice).await {
                Ok(round) => Outcome::Done(round),
                Err(failure) => Outcome::Failed(failure),
            })?;
        }
        Ok(())
    })
}

/// All ends of the connections, in the order of the sockets. They shake hands side by side.
pub async fn open<T: Transport>(
    transport: &T,
    sockets: Vec<UnixStream>,
) -> Result<Vec<(T::Reader, T::Writer)>, Failure> {
    let mut opening = Vec::with_capacity(sockets.len());
    for socket in sockets {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(socket)?;
        let transport = transport.clone();
        opening.push(tokio::spawn(async move { transport.open(socket).await }));
    }
    let mut streams = Vec::with_capacity(opening.len());
    for stream in opening {
        streams.push(stream.await.map_err(io::Error::from)??);
    }
    Ok(streams)
}

struct Server {
    streams: u64,
    ticks: watch::Sender<u64>,
    answers: Arc<Answers>,
    _tasks: JoinSet<()>,
}

/// What the streams' tasks tell.
struct Answers {
    state: Mutex<State>,
    /// All have come, or one never will.
    complete: Notify,
}

struct State {
    missing: u64,
    latency: Histogram<u64>,
    failure: Option<String>,
}

impl Answers {
    fn state(&self) -> MutexGuard<'_, State> {
        // All tasks share one thread, and a panic ends the process's work anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, answer: Result<u64, String>) {
        let mut state = self.state();
        match answer {
            Ok(latency) => {
                state.missing -= 1;
                state.latency.saturating_record(latency);
            }
            Err(failure) => state.failure = Some(failure),
        }
        if state.missing == 0 || state.failure.is_some() {
            self.complete.notify_one();
        }
    }
}

impl Server {
    fn start<T: Transport>(streams: Vec<(T::Reader, T::Writer)>) -> Server {
        let answers = Arc::new(Answers {
            state: Mutex::new(State {
                missing: 0,
                latency: round_trip::histogram(),
                failure: None,
            }),
            complete: Notify::new(),
        });
        let (ticks, _) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let count = streams.len() as u64;
        for (number, (reader, writer)) in (0..).zip(streams) {
            let stream = Asking::<T> {
                reader,
                writer,
                number,
                message: [0; SIZE],
            };
            tasks.spawn(stream.run(ticks.subscribe(), Arc::clone(&answers)));
        }
        Server {
            streams: count,
            ticks,
            answers,
            _tasks: tasks,
        }
    }

    /// Ticks for a tenth of the time to warm up, then for all of it.
    async fn measure(&self, slice: u64) -> Result<Round, String> {
        let begin = clock::now();
        let mut messages_in_all = 0;
        while clock::now() < begin + slice / 10 {
            self.tick().await?;
            messages_in_all += self.streams;
        }
        self.answers.state().latency.reset();

        let start = clock::now();
        let mut messages = 0;
        let wall = loop {
            self.tick().await?;
            messages += self.streams;
            let now = clock::now();
            if now >= start + slice {
                break now - start;
            }
        };
        let state = self.answers.state();
        Ok(Round {
            wall,
            messages,
            messages_in_all: messages_in_all + messages,
            p50: state.latency.value_at_quantile(0.5),
            p99: state.latency.value_at_quantile(0.99),
            max: state.latency.max(),
        })
    }

    /// A message to each, and all answers.
    async fn tick(&self) -> Result<(), String> {
        self.answers.state().missing = self.streams;
        self.ticks.send_modify(|tick| *tick += 1);
        loop {
            self.answers.complete.notified().await;
            let state = self.answers.state();
            match &state.failure {
                Some(failure) => return Err(failure.clone()),
                None if state.missing == 0 => return Ok(()),
                None => {}
            }
        }
    }
}

/// One stream.
struct Asking<T: Transport> {
    reader: T::Reader,
    writer: T::Writer,
    number: u64,
    message: [u8; SIZE],
}

impl<T: Transport> Asking<T> {
    async fn run(mut self, mut ticks: watch::Receiver<u64>, answers: Arc<Answers>) {
        while ticks.changed().await.is_ok() {
            let tick = *ticks.borrow_and_update();
            let answer = self.ask(tick).await;
            let failed = answer.is_err();
            answers.take(answer.map_err(|error| format!("stream {}: {error}", self.number)));
            if failed {
                return;
            }
        }
    }

    /// Sends a message and waits for its answer; tells how long that took.
    async fn ask(&mut self, tick: u64) -> io::Result<u64> {
        message::write(&mut self.message, tick, self.number);
        let sent = clock::now();
        self.writer.write_all(&self.message).await?;
        self.reader.read_exact(&mut self.message).await?;
        let latency = clock::now() - sent;
        if message::is(&self.message, tick, self.number) {
            Ok(latency)
        } else {
            Err(io::Error::other("the answer is not what was sent"))
        }
    }
}
