//! The handshake of a side that speaks first, with a peer that has said everything already.

use crate::script::{self, CAPACITY};
use crate::{assert_settled, holdings};
use slipring::{Error, Options, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, ScopedJoinHandle};

pub fn options() -> Options {
    // Larger is the peer's memory that is too large.
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .max_peer_capacity(2 * CAPACITY)
        .spin(Spin::Never)
}

/// A script is played, and a stream made of the socket: afterwards, or meanwhile. Returns why none
/// could be made.
pub fn connect(data: &[u8]) -> Option<String> {
    let before = holdings();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let result = thread::scope(|scope| {
        let mut playing = Some(scope.spawn(|| script::play(data, theirs)));
        let _listening = if script::is_concurrent(data) {
            None
        } else {
            playing.take().map(join)
        };
        let result = options().upgrade(ours);
        drop(playing.map(join));
        result
    });
    let refusal = match result {
        Ok(stream) => {
            use_it(stream);
            None
        }
        Err(error) => {
            assert!(is_documented(&error), "{error:?}");
            Some(error.to_string())
        }
    };
    assert_settled(before);
    refusal
}

/// Errors that a peer can cause. A time limit is none of them: it has hung up.
fn is_documented(error: &Error) -> bool {
    matches!(
        error,
        Error::BadPeer { .. }
            | Error::Capacity { .. }
            | Error::Kind { .. }
            | Error::NotSlipring
            | Error::PeerGone
            | Error::Protocol { .. }
            | Error::Refused { .. }
            | Error::UntrustedPeer { .. }
            | Error::Version { .. }
    )
}

/// A stream whose peer was as it should be, and has left; its ring is empty.
pub fn use_it(mut stream: Stream) {
    assert!(stream.peer_capacity() <= 2 * CAPACITY);
    // A peer that only listens any more has hung up.
    let read = stream.read(&mut [0; 100]);
    assert_eq!(read.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    // A writer checks the link now and then; at the latest when it has to wait.
    let written = stream
        .write(&[1; 100])
        .and_then(|_| stream.writer().wait_consumed());
    assert_eq!(written.map_err(|e| e.kind()), Err(ErrorKind::BrokenPipe));
}

pub fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap()
}
