//! 512 streams on one thread, and among them a peer that is stuck, one that is killed, one that
//! lies and one that does nothing but wake: each gets its due outcome, and all others exchange
//! every byte, to the end.

mod common;

use common::process::{self, Other, say, told};
use common::raw::{Peer, at};
use common::{GENEROUS, Place, bytes, guard_for};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use slipring::tokio::{Listener, Reader, Stream, Writer};
use slipring::{EndReason, Options, Spin};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

const STREAMS: usize = 512;
const BAD: usize = 4;
/// Processes of good peers, each with as many streams.
const PROCESSES: usize = 4;
const EACH: usize = (STREAMS - BAD) / PROCESSES;

const CAPACITY: usize = 4096;
/// Bytes over a stream each way: its rings wrap many times.
const LENGTH: u64 = 10 * CAPACITY as u64 + 77;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("echoes on all", echoes_on_all),
        ("is stuck", is_stuck),
        ("echoes until killed", echoes_until_killed),
        ("lies", lies),
        ("rings for ever", rings_for_ever),
    ]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Never)
        .handshake_timeout(GENEROUS)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A good process: sends back all bytes that come, on many streams.
fn echoes_on_all(arguments: &[&str]) {
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..EACH {
            let stream = Stream::connect_with(&options(), arguments[0])
                .await
                .unwrap();
            tasks.spawn(async move {
                let (mut reader, mut writer) = stream.into_split();
                tokio::io::copy_buf(&mut reader, &mut writer).await.unwrap();
                writer.finish().await.unwrap();
                writer.wait_consumed().await.unwrap();
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
}

fn echo(arguments: &[&str], before: impl FnOnce()) {
    let (mut reader, mut writer) = options().connect(arguments[0]).unwrap().into_split();
    before();
    io::copy(&mut reader, &mut writer).unwrap();
    writer.finish().unwrap();
    writer.wait_consumed().unwrap();
}

/// Touches nothing until it is told to, and then is as good as any.
fn is_stuck(arguments: &[&str]) {
    echo(arguments, || {
        say("connected");
        assert_eq!(told().as_deref(), Some("go on"));
    });
}

fn echoes_until_killed(arguments: &[&str]) {
    echo(arguments, || {});
}

/// Has a tail that is out of range, once it is told to.
fn lies(arguments: &[&str]) {
    let peer = Peer::connect(Path::new(arguments[0]), CAPACITY);
    told();
    peer.mine.words.store(at::TAIL, u64::MAX);
    peer.ring();
    told();
}

/// Wakes every half that can be woken without a pause, and wants to be woken itself for each byte.
fn rings_for_ever(arguments: &[&str]) {
    let peer = Peer::connect(Path::new(arguments[0]), CAPACITY);
    peer.mine.words.store(at::WAKE_AT_TAIL, 1);
    peer.mine.words.store(at::WAKE_AT_HEAD, 1);
    loop {
        peer.ring();
    }
}

/// Writes the bytes of the stream `seed`, in pieces of all sizes, up to `length`.
async fn send(writer: &mut Writer, seed: u64, from: u64, length: u64) -> io::Result<()> {
    let mut at = from;
    while at < length {
        let piece = 1 + bytes::mix(seed ^ at) % 700;
        let piece = piece.min(length - at) as usize;
        writer.write_all(&bytes::made(seed, at, piece)).await?;
        at += piece as u64;
    }
    Ok(())
}

/// Reads and checks the bytes of the stream `seed`; how many came, and how it ended.
async fn receive(reader: &mut Reader, seed: u64) -> (u64, io::Result<()>) {
    let (mut at, mut buf) = (0, [0; 1000]);
    loop {
        match reader.read(&mut buf).await {
            Ok(0) => return (at, Ok(())),
            Ok(n) => bytes::check(seed, at, &buf[..n]),
            Err(e) => return (at, Err(e)),
        }
        at = reader.position();
    }
}

/// Everything out and back; in the middle it waits until all are there.
async fn exchange(stream: Stream, seed: u64, middle: Arc<Barrier>) {
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        send(&mut writer, seed, 0, LENGTH / 2).await.unwrap();
        middle.wait().await;
        send(&mut writer, seed, LENGTH / 2, LENGTH).await.unwrap();
        writer.finish().await.unwrap();
    };
    let ((), (came, ended)) = tokio::join!(writing, receive(&mut reader, seed));
    ended.unwrap();
    assert_eq!(came, LENGTH);
}

/// The errors of both halves of a stream that does not end well: of writing without end, and of
/// reading.
async fn until_both_fail(stream: Stream, seed: u64) -> (ErrorKind, ErrorKind) {
    let (mut reader, mut writer) = stream.into_split();
    let (written, (_, read)) = tokio::join!(
        send(&mut writer, seed, 0, u64::MAX),
        receive(&mut reader, seed)
    );
    assert_eq!(writer.end().unwrap().reason, reader.end().unwrap().reason);
    let reason = reader.end().unwrap().reason;
    assert!(
        matches!(reason, EndReason::PeerDied | EndReason::Corrupt),
        "{reason:?}"
    );
    (written.unwrap_err().kind(), read.unwrap_err().kind())
}

/// Fails instead of waiting for ever.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(2 * GENEROUS, future)
        .await
        .unwrap_or_else(|_| panic!("it has not come about that {what}"))
}

/// Some thousands of descriptors are needed.
fn raise_the_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
}

#[test]
fn bad_peers_among_many_cost_the_others_nothing() {
    guard_for(6 * GENEROUS, || {
        raise_the_limit();
        runtime().block_on(serve());
    });
}

async fn serve() {
    let place = Place::new();
    let name = place.name("x");
    let listener = Listener::bind_with(&options(), &name).unwrap();
    // A client that sends nothing at all is the first to come.
    let _silent = UnixStream::connect(&name).unwrap();
    let start = |role| process::start(&place, role, &[name.to_str().unwrap()]);
    let good: Vec<Other> = (0..PROCESSES).map(|_| start("echoes on all")).collect();
    let mut stuck = start("is stuck");
    let mut mortal = start("echoes until killed");
    let mut liar = start("lies");
    let ringer = start("rings for ever");

    let middle = Arc::new(Barrier::new(STREAMS - BAD + 1));
    let mut exchanges = JoinSet::new();
    let mut bad = Vec::new();
    for seed in 0..STREAMS as u64 {
        let stream = soon("all connect", listener.accept()).await.unwrap();
        match stream.peer().pid {
            Some(pid) if good.iter().any(|process| process.id() == pid) => {
                exchanges.spawn(exchange(stream, seed, Arc::clone(&middle)));
            }
            pid => bad.push((pid.unwrap(), stream, seed)),
        }
    }
    let mut take = |process: &Other| {
        let found = bad
            .iter()
            .position(|(pid, ..)| *pid == process.id())
            .unwrap();
        let (_, stream, seed) = bad.swap_remove(found);
        (stream, seed)
    };
    let (stream, seed) = take(&mortal);
    let killed = tokio::spawn(until_both_fail(stream, seed));
    let (stream, seed) = take(&liar);
    let lied_to = tokio::spawn(until_both_fail(stream, seed));
    let (stream, seed) = take(&ringer);
    let rung = tokio::spawn(until_both_fail(stream, seed));
    let (stream, seed) = take(&stuck);
    let waiting = tokio::spawn(exchange(stream, seed, Arc::new(Barrier::new(1))));

    // All others are under way.
    soon("all others get half-way", middle.wait()).await;
    stuck.expect("connected");
    stuck.signal(Signal::STOP);
    mortal.kill();
    liar.tell("now");

    let died = soon("the killed one is told of", killed).await.unwrap();
    assert_eq!(died, (ErrorKind::BrokenPipe, ErrorKind::ConnectionReset));
    let refused = soon("the liar is found out", lied_to).await.unwrap();
    assert_eq!(refused, (ErrorKind::InvalidData, ErrorKind::InvalidData));
    while let Some(exchanged) = soon("all others get to the end", exchanges.join_next()).await {
        exchanged.unwrap();
    }
    for process in good {
        process.succeed();
    }

    // The stuck one has lost nothing by it.
    assert!(!waiting.is_finished() && !rung.is_finished());
    stuck.signal(Signal::CONT);
    stuck.tell("go on");
    soon("the stuck one gets to the end", waiting)
        .await
        .unwrap();
    stuck.succeed();
    drop(ringer);
    let left = soon("the ringer is told of", rung).await.unwrap();
    assert_eq!(left, (ErrorKind::BrokenPipe, ErrorKind::ConnectionReset));
}
