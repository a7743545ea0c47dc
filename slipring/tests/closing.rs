//! Descriptors that are slow to close: whichever a peer passes, at any time, no thread of this
//! process waits for the close.
//!
//! A TCP socket that lingers blocks the thread that closes it last, for as long as its maker likes;
//! here for longer than a test may take. So if a thread of the library closes one, the test hangs.

mod common;

use common::process::{self, alone};
use common::raw::{self, Peer, Side, send};
use common::{descriptors, eventually, guard};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::SendFlags;
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use slipring::{Error, Listener, Options, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("for a listener", for_a_listener),
        ("for a client", for_a_client),
        ("for a stream", for_a_stream),
        ("for a queue", for_a_queue),
        ("on tokio", on_tokio),
    ]);
}

#[test]
fn a_listener_does_not_wait_for_what_it_refuses() {
    guard(|| alone("for a listener"));
}

#[test]
fn a_client_does_not_wait_for_what_it_refuses() {
    guard(|| alone("for a client"));
}

#[test]
fn a_stream_that_is_dropped_waits_for_nothing() {
    guard(|| alone("for a stream"));
}

#[test]
fn a_listener_that_is_dropped_waits_for_nothing() {
    guard(|| alone("for a queue"));
}

#[test]
fn a_runtime_waits_for_nothing() {
    guard(|| alone("on tokio"));
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

/// Makes sockets that linger over bytes which nobody takes.
struct Slow {
    listener: TcpListener,
    taken: Vec<TcpStream>,
}

impl Slow {
    fn new() -> Slow {
        Slow {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            taken: Vec::new(),
        }
    }

    fn make(&mut self) -> OwnedFd {
        let mut slow = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        self.taken.push(self.listener.accept().unwrap().0);
        set_socket_send_buffer_size(&slow, 64 << 10).unwrap();
        set_socket_linger(&slow, Some(Duration::from_secs(3600))).unwrap();
        slow.set_nonblocking(true).unwrap();
        // Until both buffers are full.
        while slow.write(&[0; 64 << 10]).is_ok() {}
        slow.into()
    }

    /// As many as a peer passes; its own copies are closed.
    fn pass(&mut self, link: &UnixStream, bytes: &[u8], number: usize) {
        self.pass_by(link, bytes, number, SendFlags::empty());
    }

    fn pass_by(&mut self, link: &UnixStream, bytes: &[u8], number: usize, flags: SendFlags) {
        let slow: Vec<_> = (0..number).map(|_| self.make()).collect();
        let fds: Vec<BorrowedFd<'_>> = slow.iter().map(AsFd::as_fd).collect();
        if raw::send_by(link, bytes, &fds, flags).is_err() {
            // The other side was quicker, and nothing is on its way.
            slow.iter()
                .for_each(|fd| set_socket_linger(fd, None).unwrap());
        }
        // Not the last ones: those are on their way.
        drop(slow);
    }
}

/// The messages that a peer may send with slow descriptors in place of its own; the first of the
/// messages is its hello.
fn messages(slow: &mut Slow, link: &UnixStream, what: usize) {
    let side = Side::new(4096);
    match what {
        // With the hello, where none belong.
        0 => slow.pass(link, &side.hello.encode(), 1),
        // As memory and doorbells.
        1 => {
            side.say_hello(link);
            slow.pass(link, &side.passing.encode(), 3);
        }
        // Too many.
        2 => {
            side.say_hello(link);
            slow.pass(link, &side.passing.encode(), 9);
        }
        // As a doorbell.
        3 => {
            side.say_hello(link);
            let doorbell = slow.make();
            let mut fds = side.fds();
            fds[3] = doorbell.as_fd();
            side.pass(link, &fds);
        }
        // Behind something that is refused.
        4 => {
            send(link, &[0xaa; raw::LEN], &[]).unwrap();
            slow.pass(link, b"x", 1);
        }
        // With half a message.
        5 => {
            side.say_hello(link);
            slow.pass(link, &side.passing.encode()[..50], 2);
        }
        // In a socket that is in a socket.
        6 => {
            let (inner, into_inner) = UnixStream::pair().unwrap();
            slow.pass(&into_inner, b"x", 1);
            let (outer, into_outer) = UnixStream::pair().unwrap();
            send(&into_outer, b"x", &[inner.as_fd()]).unwrap();
            send(link, b"x", &[outer.as_fd()]).unwrap();
        }
        // With a byte out of band, before others.
        _ => {
            slow.pass_by(link, b"x", 1, SendFlags::OOB);
            send(link, &[0xaa; raw::LEN], &[]).unwrap();
        }
    }
}

const ALL: usize = 8;

fn serve(listener: &Listener) {
    let path = listener.path().to_owned();
    let client = thread::spawn(move || options().connect(path));
    drop(listener.accept().unwrap());
    client.join().unwrap().unwrap();
}

fn for_a_listener(arguments: &[&str]) {
    let mut slow = Slow::new();
    let listener = options().bind(Path::new(arguments[0]).join("x")).unwrap();
    serve(&listener);
    for what in 0..ALL {
        let before = descriptors() - slow.taken.len();
        let link = UnixStream::connect(listener.path()).unwrap();
        messages(&mut slow, &link, what);
        let refused = listener.refused();
        drop(link);
        eventually("it is refused", || {
            assert!(listener.try_accept().unwrap().is_none());
            listener.refused() > refused
        });
        serve(&listener);
        // They are closed all the same.
        eventually("nothing is left", || {
            descriptors() - slow.taken.len() == before
        });
    }
}

fn for_a_client(arguments: &[&str]) {
    let mut slow = Slow::new();
    let path = Path::new(arguments[0]).join("x");
    let server = UnixListener::bind(&path).unwrap();
    for what in 0..ALL {
        let before = descriptors() - slow.taken.len();
        thread::scope(|scope| {
            let connect = || {
                options()
                    .handshake_timeout(Duration::from_millis(50))
                    .connect(&path)
            };
            let client = scope.spawn(connect);
            let (link, _) = server.accept().unwrap();
            messages(&mut slow, &link, what);
            let error = client.join().unwrap().unwrap_err();
            let expected = matches!(
                error,
                Error::BadPeer { .. } | Error::NotSlipring | Error::Timeout { .. }
            );
            assert!(expected, "{what}: {error}");
        });
        eventually("nothing is left", || {
            descriptors() - slow.taken.len() == before
        });
    }
}

/// A stream that stands, whose peer sends some over the link.
fn stream() -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || Peer::shake_hands(theirs, Side::new(4096)));
    let stream = options().upgrade(ours).unwrap();
    (stream, peer.join().unwrap())
}

fn for_a_stream(_: &[&str]) {
    let mut slow = Slow::new();
    let before = descriptors() - slow.taken.len();
    for number in [1, 20] {
        let (mut stream, peer) = stream();
        slow.pass(&peer.link, b"x", number);
        drop(peer);
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        drop(stream);
        eventually("nothing is left", || {
            descriptors() - slow.taken.len() == before
        });
    }
}

fn for_a_queue(arguments: &[&str]) {
    let mut slow = Slow::new();
    let listener = options().bind(Path::new(arguments[0]).join("x")).unwrap();
    let links: Vec<_> = (0..3)
        .map(|_| {
            let link = UnixStream::connect(listener.path()).unwrap();
            slow.pass(&link, b"x", 1);
            link
        })
        .collect();
    drop(listener);
    for mut link in links {
        // The listener hangs up on it, with its bytes unread.
        let ended = link.read(&mut [0]).map_err(|e| e.kind());
        assert!(
            matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
            "{ended:?}"
        );
    }
}

#[cfg(not(feature = "tokio"))]
fn on_tokio(_: &[&str]) {}

#[cfg(feature = "tokio")]
fn on_tokio(arguments: &[&str]) {
    use slipring::tokio::Listener;
    let mut slow = Slow::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let name = Path::new(arguments[0]).join("x");
        let listener = Listener::bind_with(&options(), &name).unwrap();
        for what in 0..ALL {
            let link = UnixStream::connect(&name).unwrap();
            messages(&mut slow, &link, what);
            drop(link);
            let connecting = tokio::spawn({
                let name = name.clone();
                async move { slipring::tokio::Stream::connect_with(&options(), &name).await }
            });
            // The honest one, behind the other.
            let stream = listener.accept().await.unwrap();
            drop(connecting.await.unwrap().unwrap());
            drop(stream);
        }
        assert_eq!(listener.refused(), ALL as u64);
        let (blocking, peer) = stream();
        let stream = slipring::tokio::Stream::from_blocking(blocking).unwrap();
        slow.pass(&peer.link, b"x", 1);
        drop((stream, peer));
    });
}
