//! The stream on tokio: drop-in behaviour, both kinds of runtime, cancellation, fairness.

#[path = "common/runtimes.rs"]
mod runtimes;

use runtimes::*;
use slipring::tokio::{Listener, Stream};
use slipring::{EndReason, Options};
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop;
use tokio::time::timeout;

/// A name of this test's own, for as long as the directory lives.
fn name() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("name");
    (directory, path)
}

/// The byte at a position: any loss or change of order shows.
fn byte_at(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(byte_at).collect()
}

#[test]
fn shutting_down_after_the_peer_has_gone_is_no_error() {
    on_both(|| async {
        let (mut left, right) = Stream::pair().unwrap();
        drop(right);
        while left.write(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
        left.shutdown().await.unwrap();
        // `finish` says more.
        assert_eq!(
            left.writer().finish().await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn a_stream_on_tokio_reads_what_was_written_then_the_end() {
    on_both(|| async {
        let (mut left, mut right) = Stream::pair().unwrap();
        left.write_all(b"one\ntwo\n").await.unwrap();
        left.shutdown().await.unwrap();
        let mut line = String::new();
        right.read_line(&mut line).await.unwrap();
        assert_eq!(line, "one\n");
        right.read_to_string(&mut line).await.unwrap();
        assert_eq!(line, "one\ntwo\n");
        assert_eq!(right.reader().end().unwrap().reason, EndReason::Finished);
        // The other direction is still open.
        right.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        left.read_exact(&mut answer).await.unwrap();
        assert_eq!(
            left.write(b"more").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn halves_on_tasks_of_their_own_move_bytes_both_ways_at_once() {
    const TOTAL: u64 = 8 << 20;
    on_both(|| async {
        let (left, right) =
            Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
        let mut tasks = Vec::new();
        for (stream, seed) in [(left, 1), (right, 2)] {
            let (mut reader, mut writer) = stream.into_split();
            tasks.push(tokio::spawn(async move {
                let mut at = 0;
                for size in [1, 3, 4095, 4096, 4097, 65_537].into_iter().cycle() {
                    let size = size.min(TOTAL - at);
                    writer
                        .write_all(&bytes(seed + at, size as usize))
                        .await
                        .unwrap();
                    at += size;
                    if at == TOTAL {
                        break;
                    }
                }
                writer.finish().await.unwrap();
                writer.wait_consumed().await.unwrap();
            }));
            tasks.push(tokio::spawn(async move {
                let (mut at, mut buf) = (0, vec![0; 10_007]);
                loop {
                    let n = reader.read(&mut buf).await.unwrap();
                    if n == 0 {
                        break;
                    }
                    assert!(buf[..n] == bytes(3 - seed + at, n), "wrong bytes near {at}");
                    at += n as u64;
                }
                assert_eq!(at, TOTAL);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_stream_on_tokio_talks_to_a_blocking_peer_and_back() {
    let (_directory, name) = name();
    let listener = slipring::Listener::bind(&name).unwrap();
    let peer = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap();
        let mut buf = vec![0; 1 << 20];
        stream.read_exact(&mut buf).unwrap();
        stream.write_all(&buf).unwrap();
    });
    current_thread().block_on(async {
        let mut stream = Stream::connect(&name).await.unwrap();
        let sent = bytes(0, 1 << 20);
        let (reader, writer) = stream.halves();
        let mut got = vec![0; 1 << 20];
        let (wrote, read) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got));
        wrote.unwrap();
        read.unwrap();
        assert!(sent == got);
        assert_eq!(stream.read(&mut got).await.unwrap(), 0);
    });
    peer.join().unwrap();
}

#[test]
fn changing_between_blocking_and_tokio_loses_nothing() {
    current_thread().block_on(async {
        let (mut left, right) = slipring::Stream::pair().unwrap();
        left.write_all(&bytes(0, 1000)).unwrap();
        let mut right = Stream::from_blocking(right).unwrap();
        let mut got = vec![0; 400];
        right.read_exact(&mut got).await.unwrap();
        let mut right = right.into_blocking().unwrap();
        got.resize(700, 0);
        right.read_exact(&mut got[400..]).unwrap();
        let mut right = Stream::from_blocking(right).unwrap();
        drop(left);
        right.read_to_end(&mut got).await.unwrap();
        assert!(got == bytes(0, 1000));
    });
}

#[test]
fn a_silent_client_of_a_listener_on_tokio_delays_nobody() {
    on_both(|| async {
        let (_directory, name) = name();
        let options = Options::new().handshake_timeout(Duration::from_secs(30));
        let listener = Listener::bind_with(&options, &name).unwrap();
        let _silent = StdUnixStream::connect(&name).unwrap();
        let mut half_way = StdUnixStream::connect(&name).unwrap();
        half_way.write_all(b"slipring\x01\0\0\0").unwrap();
        let client = tokio::spawn({
            let name = name.clone();
            async move {
                Stream::connect(&name)
                    .await
                    .unwrap()
                    .write_all(b"here")
                    .await
            }
        });
        let mut stream = listener.accept().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "here");
        client.await.unwrap().unwrap();
    });
}

#[test]
fn accept_on_tokio_can_be_stopped() {
    on_both(|| async {
        let (_directory, name) = name();
        let listener = Listener::bind(&name).unwrap();
        let stopper = listener.stopper();
        let (accepted, ()) = tokio::join!(listener.accept(), async { stopper.stop() });
        assert!(matches!(accepted, Err(slipring::Error::Stopped)));
    });
}

#[test]
fn a_closer_ends_a_pending_read_and_a_pending_write() {
    on_both(|| async {
        let (left, _right) = Stream::pair().unwrap();
        let closer = left.closer();
        let (mut reader, mut writer) = left.into_split();
        let reading = tokio::spawn(async move { reader.read(&mut [0]).await });
        let writing = tokio::spawn(async move { writer.write_all(&vec![0; 4 << 20]).await });
        tokio::task::yield_now().await;
        closer.close();
        assert_eq!(reading.await.unwrap().unwrap(), 0);
        assert_eq!(
            writing.await.unwrap().unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn reserve_and_fill_at_least_wait_on_tokio() {
    on_both(|| async {
        let (mut left, mut right) =
            Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
        assert_eq!(
            left.writer().reserve(4097).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            right.reader().fill_at_least(4097).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let mut grant = left.writer().reserve(4096).await.unwrap();
        grant.copy_from_slice(&bytes(0, 4096));
        grant.commit(4096);
        assert!(right.reader().fill_at_least(4096).await.unwrap() == bytes(0, 4096));
        right.reader().consume(1000);
        // Room for 1000 and bytes for 3096: each wish could be met alone, together never.
        let (reserved, filled) = tokio::join!(
            async {
                let reserved = left.writer().reserve(2000).await.map(drop);
                left.shutdown().await.unwrap();
                reserved
            },
            async { right.reader().fill_at_least(4000).await.map(<[u8]>::len) }
        );
        assert_eq!(reserved.unwrap_err().kind(), ErrorKind::Deadlock);
        assert_eq!(filled.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_batch_on_tokio_is_published_at_once() {
    on_both(|| async {
        let (mut left, mut right) =
            Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
        let mut batch = left.writer().batch();
        batch.write_all(&bytes(0, 100)).await.unwrap();
        let parts = [bytes(100, 20), bytes(120, 30)];
        let parts = [IoSlice::new(&parts[0]), IoSlice::new(&parts[1])];
        assert_eq!(batch.write_vectored(&parts).await.unwrap(), 50);
        let mut grant = batch.reserve(10).await.unwrap();
        grant.copy_from_slice(&bytes(150, 10));
        grant.commit(10);
        assert_eq!(right.reader().available().unwrap(), 0);
        batch.flush().await.unwrap();
        assert_eq!(right.reader().available().unwrap(), 160);
        batch.write_all(&bytes(160, 40)).await.unwrap();
        assert_eq!(right.reader().available().unwrap(), 160);
        drop(batch);
        assert_eq!(right.reader().available().unwrap(), 200);

        // What a batch keeps back while it waits for room would keep the reader asleep.
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            right.read_to_end(&mut all).await.unwrap();
            all
        });
        let mut batch = left.writer().batch();
        for from in (200..100_000).step_by(99) {
            batch.write_all(&bytes(from, 99)).await.unwrap();
        }
        batch.shutdown().await.unwrap();
        drop(batch);
        assert_eq!(left.writer().position(), 200 + 1009 * 99);
        assert!(reading.await.unwrap() == bytes(0, 200 + 1009 * 99));
    });
}

fn kind<T>(outcome: std::io::Result<T>) -> ErrorKind {
    outcome.map(drop).unwrap_err().kind()
}

#[test]
fn try_reserve_on_tokio_does_not_wait() {
    current_thread().block_on(async {
        let (mut left, mut right) =
            Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
        let writer = left.writer();
        assert_eq!(kind(writer.try_reserve(4097)), ErrorKind::InvalidInput);
        let mut grant = writer.try_reserve(4096).unwrap();
        grant.copy_from_slice(&bytes(0, 4096));
        grant.commit(4096);
        assert_eq!(kind(writer.try_reserve(1)), ErrorKind::WouldBlock);
        assert_eq!(kind(writer.batch().try_reserve(1)), ErrorKind::WouldBlock);
        right.readable().await.unwrap();
        let mut got = vec![0; 4096];
        assert_eq!(right.try_read(&mut got).unwrap(), 4096);
        assert!(got == bytes(0, 4096));
        left.writable().await.unwrap();
        assert_eq!(left.try_write(b"more").unwrap(), 4);
        drop(right);
        while left.write(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(kind(left.writer().try_reserve(1)), ErrorKind::BrokenPipe);
    });
}

/// Polls a future once, and drops it.
fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn a_dropped_wait_loses_nothing_and_leaves_nobody_armed() {
    current_thread().block_on(async {
        let (mut left, mut right) =
            Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
        left.write_all(&bytes(0, 3000)).await.unwrap();
        assert!(poll_and_drop(right.reader().fill_at_least(3500)).is_none());
        // Were the reader still taken to wait for 3500 bytes, this would be a deadlock to be
        // reported.
        assert!(poll_and_drop(left.writer().reserve(2000)).is_none());
        let mut got = vec![0; 3000];
        right.read_exact(&mut got).await.unwrap();
        assert!(got == bytes(0, 3000));
        assert!(poll_and_drop(right.read(&mut got)).is_none());
        left.write_all(b"next").await.unwrap();
        assert_eq!(right.read(&mut got).await.unwrap(), 4);
    });
}

#[test]
fn a_busy_stream_lets_other_tasks_run() {
    current_thread().block_on(async {
        let (mut left, mut right) = Stream::pair().unwrap();
        // Reads and writes that never have to wait: without the budget of the runtime this task
        // would not yield.
        let busy = tokio::spawn(async move {
            let mut buf = [0; 64];
            loop {
                left.write_all(&[1; 64]).await.unwrap();
                right.read_exact(&mut buf).await.unwrap();
            }
        });
        for _ in 0..100 {
            timeout(LONG, tokio::task::yield_now()).await.unwrap();
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}

/// How many calls that need not wait a task makes before it has to let others run.
async fn calls_in_a_row(
    mut call: impl FnMut(&mut Context<'_>) -> Poll<()> + Send + 'static,
) -> usize {
    let calls = poll_fn(move |cx| {
        let calls = std::iter::from_fn(|| call(cx).is_ready().then_some(()));
        Poll::Ready(calls.count())
    });
    tokio::spawn(calls).await.unwrap()
}

/// A stream with more to read, and more room, than a test needs.
fn half_full() -> (Stream, Stream) {
    let (mut left, right) = Stream::pair().unwrap();
    let half = left.capacity() / 2;
    assert_eq!(left.try_write(&bytes(0, half)).unwrap(), half);
    (left, right)
}

#[test]
fn each_call_takes_its_part_of_the_budget_once() {
    current_thread().block_on(async {
        let budget =
            calls_in_a_row(|cx| coop::poll_proceed(cx).map(|part| part.made_progress())).await;
        assert!(budget > 1, "{budget}");

        let (_left, mut right) = half_full();
        let reads = calls_in_a_row(move |cx| {
            let mut byte = [0];
            let read = Pin::new(&mut right).poll_read(cx, &mut ReadBuf::new(&mut byte));
            read.map(Result::unwrap)
        });
        assert_eq!(reads.await, budget);

        let (_left, mut right) = half_full();
        let lends = calls_in_a_row(move |cx| {
            let lent = Pin::new(&mut right).poll_fill_buf(cx);
            lent.map(|lent| assert!(!lent.unwrap().is_empty()))
        });
        assert_eq!(lends.await, budget);

        let (mut left, _right) = half_full();
        let writes = calls_in_a_row(move |cx| {
            let written = Pin::new(&mut left).poll_write(cx, b"x");
            written.map(|written| assert_eq!(written.unwrap(), 1))
        });
        assert_eq!(writes.await, budget);
    });
}

#[test]
fn five_hundred_and_twelve_streams_share_one_thread() {
    current_thread().block_on(async {
        let mut tasks = Vec::new();
        for stream in 0..512u64 {
            let (mut left, mut right) =
                Stream::pair_with(&Options::new().capacity(4096).max_capacity(4096)).unwrap();
            tasks.push(tokio::spawn(async move {
                let mut buf = [0; 256];
                for _ in 0..20 {
                    left.write_all(&bytes(stream, 256)).await.unwrap();
                    left.read_exact(&mut buf).await.unwrap();
                    assert!(buf[..] == bytes(stream, 256));
                }
            }));
            tasks.push(tokio::spawn(async move {
                let mut buf = [0; 256];
                while right.read_exact(&mut buf).await.is_ok() {
                    right.write_all(&buf).await.unwrap();
                }
            }));
        }
        for task in tasks {
            timeout(LONG, task).await.expect("a stream hangs").unwrap();
        }
    });
}

#[test]
fn spinning_before_pending_changes_nothing_but_time() {
    on_both(|| async {
        let options = Options::new().poll_spin(Duration::from_micros(20));
        let (mut left, mut right) = Stream::pair_with(&options).unwrap();
        let echo = tokio::spawn(async move {
            let mut buf = [0; 8];
            while right.read_exact(&mut buf).await.is_ok() {
                right.write_all(&buf).await.unwrap();
            }
        });
        for round in 0..1000u64 {
            left.write_all(&round.to_le_bytes()).await.unwrap();
            assert_eq!(left.read_u64_le().await.unwrap(), round);
        }
        drop(left);
        echo.await.unwrap();
    });
}

/// A call that consumes nothing changes nothing: a half that has been told that there is nothing
/// yet is told when there is.
#[test]
fn consuming_nothing_leaves_a_pending_wait_as_it_is() {
    on_both(|| async {
        let (left, mut right) = Stream::pair().unwrap();
        let mut left = Some(left.into_blocking().unwrap());
        poll_fn(|cx| {
            // Polled once more only if the waker of the first poll is called.
            let Some(mut left) = left.take() else {
                return Poll::Ready(());
            };
            assert!(Pin::new(&mut right).poll_fill_buf(cx).is_pending());
            right.reader().consume(0);
            std::thread::spawn(move || left.write_all(b"x").map(|()| left));
            Poll::Pending
        })
        .await;
        assert_eq!(right.fill_buf().await.unwrap(), b"x");
    });
}
