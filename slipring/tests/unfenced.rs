//! A half that spins for ever spares its peer fences and wake-ups. So it never sleeps: nothing
//! that could poll it accepts it.

mod common;

use common::raw::{Side, answer, at};
use common::{eventually, guard};
use rustix::fd::{AsFd, OwnedFd};
use slipring::{Error, Options, Spin, Stream};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;
const UNFENCED: u64 = u64::MAX;

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Always)
}

/// A stream whose other side is written by hand, and the memory of the side under test.
fn stream_of(options: &Options, side: Side) -> (Stream, UnixStream, Side, OwnedFd) {
    let (ours, link) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        side.greet(&link);
        let (_, mut fds) = answer(&link);
        (link, side, fds.remove(0))
    });
    let stream = options.upgrade(ours).unwrap();
    let (link, side, theirs) = peer.join().unwrap();
    (stream, link, side, theirs)
}

/// How often a doorbell has been woken since it was asked last.
fn rings(doorbell: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(doorbell, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(_) => 0,
    }
}

fn is_refused<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert!(matches!(inner, Some(Error::NeverSleeps)), "{error}");
}

#[test]
fn a_half_that_never_sleeps_is_not_polled() {
    guard(|| {
        let (mut left, mut right) = options().pair().unwrap();
        for round in 0..3 {
            // Also if there is something to read, and room to write.
            is_refused(right.reader().arm(1));
            is_refused(right.writer().arm(1));
            // The stream goes on.
            left.write_all(&[round]).unwrap();
            is_refused(right.reader().arm(1));
            let mut got = [0];
            right.read_exact(&mut got).unwrap();
            assert_eq!(got, [round]);
            right.write_all(&got).unwrap();
            left.read_exact(&mut got).unwrap();
        }
        right.writer().write_all(&[0; CAPACITY]).unwrap();
        is_refused(right.writer().arm(1));
        assert_eq!(
            right.writer().arm(CAPACITY + 1).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

/// It may be asked again and again without waiting, which is no sleep.
#[test]
fn a_half_that_never_sleeps_may_be_asked_without_waiting() {
    guard(|| {
        let (mut left, mut right) = options().pair().unwrap();
        right.set_nonblocking(true).unwrap();
        let writing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            left.write_all(b"x").unwrap();
            left
        });
        eventually("the byte is there", || match right.read(&mut [0]) {
            Ok(n) => n == 1,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                false
            }
        });
        drop(writing.join().unwrap());
    });
}

#[test]
fn wake_words_of_a_half_that_never_sleeps_say_so_and_what_is_waited_for() {
    guard(|| {
        let (mut stream, _link, side, theirs) = stream_of(&options(), Side::new(CAPACITY));
        let words = common::raw::Words::map(theirs.as_fd(), 4096 + CAPACITY, false).unwrap();
        let says = |at| words.load(at);
        assert_eq!(
            (says(at::WAKE_AT_TAIL), says(at::WAKE_AT_HEAD)),
            (UNFENCED, UNFENCED)
        );
        let reading = thread::spawn(move || {
            stream.read_exact(&mut [0; 2]).unwrap();
            stream
        });
        // After a while of spinning, so that a peer that waits for room can see that it starves.
        eventually("it is seen to wait", || says(at::WAKE_AT_TAIL) == 1);
        side.words.store(at::TAIL, 2);
        let _stream = reading.join().unwrap();
        assert_eq!(says(at::WAKE_AT_TAIL), UNFENCED);
    });
}

#[test]
fn a_peer_that_needs_no_fence_is_not_rung() {
    guard(|| {
        let (mut stream, _link, side, _theirs) =
            stream_of(&options().spin(Spin::Never), Side::new(CAPACITY));
        side.words.store(at::WAKE_AT_TAIL, UNFENCED);
        side.words.store(at::WAKE_AT_HEAD, UNFENCED);
        stream.write_all(b"ab").unwrap();
        side.words.store(at::TAIL, 2);
        stream.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(
            (rings(&side.doorbells[0]), rings(&side.doorbells[1])),
            (0, 0)
        );
        // While it is seen to wait it is treated as anybody is.
        side.words.store(at::WAKE_AT_TAIL, 3);
        side.words.store(at::WAKE_AT_HEAD, 3);
        stream.write_all(b"c").unwrap();
        side.words.store(at::TAIL, 3);
        stream.read_exact(&mut [0]).unwrap();
        assert_eq!(
            (rings(&side.doorbells[0]), rings(&side.doorbells[1])),
            (1, 1)
        );
    });
}

/// Nor is it by tokio; and one that was tokio's so far is as any other then.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_stream_that_never_sleeps_is_not_made_tokios() {
    use slipring::tokio::Stream as Polled;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let refused = |stream| {
        let error = Polled::from_blocking(stream).unwrap_err();
        assert!(matches!(error, Error::NeverSleeps), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    };
    let (mut left, right) = options().pair().unwrap();
    refused(right);
    // It is dropped then.
    assert_eq!(left.read(&mut [0]).unwrap(), 0);
    let (left, mut right) = Polled::pair_with(&options()).unwrap();
    right.write_all(b"x").await.unwrap();
    let mut left = left.into_blocking().unwrap();
    left.read_exact(&mut [0]).unwrap();
    is_refused(left.reader().arm(1));
    left.write_all(b"y").unwrap();
    assert_eq!(right.read_u8().await.unwrap(), b'y');
    refused(left);
    // A half that slept before sleeps again.
    let (left, mut right) = Polled::pair().unwrap();
    let left = left.into_blocking().unwrap();
    let mut left = Polled::from_blocking(left).unwrap();
    right.write_all(b"x").await.unwrap();
    assert_eq!(left.read_u8().await.unwrap(), b'x');
}
