//! The handshake with a peer that does everything wrong that can be done wrong: each time an error
//! says what was wrong, no descriptor is left, and the next client is served.
//!
//! Each test is a process of its own, in which one thread plays both sides, so that descriptors can
//! be counted.

mod common;

use common::process::{alone, play};
use common::raw::{self, Peer, Side, answer, at, receive, send, send_as};
use common::wrong::{self, MAX, PROTOCOL, Wrong};
use common::{descriptors, eventually, guard, kind};
use slipring::{EndReason, Error, Listener, Options, Stream};
use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    play(&[
        ("wrong hellos", |a| wrong_for_both(a, wrong::hellos())),
        ("wrong turns", |a| wrong_for_both(a, wrong::turns())),
        ("wrong descriptors", |a| {
            wrong_for_both(a, wrong::descriptors())
        }),
        ("wrong memories", |a| wrong_for_both(a, wrong::memories())),
        ("cut for a listener", cut_for_a_listener),
        ("cut for a client", cut_for_a_client),
        ("silent", silent),
        ("refusals", refusals),
        ("unusual but right", unusual_but_right),
        ("no credentials", no_credentials),
        ("a reflection", a_reflection),
        ("several senders", several_senders),
    ]);
}

#[test]
fn wrong_hellos_are_refused() {
    guard(|| alone("wrong hellos"));
}

#[test]
fn handshake_messages_out_of_turn_are_refused() {
    guard(|| alone("wrong turns"));
}

#[test]
fn wrong_descriptors_are_refused() {
    guard(|| alone("wrong descriptors"));
}

#[test]
fn wrong_memory_is_refused() {
    guard(|| alone("wrong memories"));
}

#[test]
fn a_client_may_leave_after_any_byte() {
    guard(|| alone("cut for a listener"));
}

#[test]
fn a_listener_may_leave_after_any_byte() {
    guard(|| alone("cut for a client"));
}

#[test]
fn a_silent_handshake_ends_in_its_time() {
    guard(|| alone("silent"));
}

#[test]
fn a_refusal_arrives_with_its_reason() {
    guard(|| alone("refusals"));
}

#[test]
fn an_unusual_but_right_handshake_is_accepted() {
    guard(|| alone("unusual but right"));
}

#[test]
fn a_handshake_without_credentials_is_refused() {
    guard(|| alone("no credentials"));
}

#[test]
fn a_side_that_sends_back_what_it_got_does_no_harm() {
    guard(|| alone("a reflection"));
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .protocol(String::from_utf8_lossy(PROTOCOL))
        .max_peer_capacity(MAX)
}

fn bind(arguments: &[&str]) -> Listener {
    options().bind(Path::new(arguments[0]).join("x")).unwrap()
}

/// Lets the listener work until it has dealt with one client more, without a stream.
fn refuse(listener: &Listener, before: u64) -> String {
    eventually("a client is refused", || {
        assert!(
            listener.try_accept().unwrap().is_none(),
            "that was accepted"
        );
        listener.refused() > before
    });
    assert_eq!(listener.refused(), before + 1);
    listener.last_refusal().unwrap()
}

/// The refusal that comes over a link before it ends, if there is one; messages before it are
/// skipped.
fn refusal(link: &UnixStream) -> Option<u32> {
    loop {
        let (bytes, _) = receive(link).ok()?;
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        match (word(8), word(12)) {
            (1 | 3, _) => {}
            (2, why) => return Some(why),
            _ => panic!("no message of the handshake"),
        }
    }
}

/// A client without a fault gets its stream, and bytes flow.
fn serve(listener: &Listener) {
    let link = UnixStream::connect(listener.path()).unwrap();
    let mut stream = thread::scope(|scope| {
        let client = scope.spawn(|| Peer::shake_hands(link, wrong::right()));
        let mut stream = listener.accept().unwrap();
        let peer = client.join().unwrap();
        peer.mine.words.put(raw::PAGE, b"hello");
        peer.mine.words.store(at::TAIL, 5);
        let mut buf = [0; 5];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        stream
    });
    // It left without an end.
    assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionReset);
}

fn assert_says(text: impl Display, part: &str, what: &str) {
    let text = text.to_string();
    assert!(
        text.contains(part),
        "{what}: {text:?} should contain {part:?}"
    );
}

/// Every fault, for a listener and for a client.
fn wrong_for_both(arguments: &[&str], all: Vec<Wrong>) {
    let listener = bind(arguments);
    serve(&listener);
    let path = Path::new(arguments[0]).join("wrong");
    let server = UnixListener::bind(&path).unwrap();
    let before = descriptors();
    for wrong in &all {
        let (what, refused) = (&wrong.what, listener.refused());
        let link = UnixStream::connect(listener.path()).unwrap();
        (wrong.send)(&link);
        assert_says(refuse(&listener, refused), wrong.error, what);
        assert_eq!(refusal(&link), wrong.refusal, "{what}");
        drop(link);
        left(before, &format!("{what}, for a listener"));

        // The client waits in another thread; it sends its own hello first, which nobody needs to
        // read for this.
        thread::scope(|scope| {
            let client = scope.spawn(|| options().connect(&path));
            let (link, _) = server.accept().unwrap();
            (wrong.send)(&link);
            let error = client.join().unwrap().unwrap_err();
            assert_says(error, wrong.error, what);
            assert_eq!(refusal(&link), wrong.refusal, "{what}");
        });
        left(before, &format!("{what}, for a client"));
    }
    serve(&listener);
    left(before, "in the end");
    assert_eq!(listener.refused(), all.len() as u64);
}

fn cut_for_a_listener(arguments: &[&str]) {
    const GONE: &str = "the peer went away";
    let listener = bind(arguments);
    serve(&listener);
    let before = descriptors();
    for cut in 0..raw::LEN {
        for memory_too in [true, false] {
            let what = format!("{cut} bytes, {memory_too}");
            let (side, refused) = (wrong::right(), listener.refused());
            let link = UnixStream::connect(listener.path()).unwrap();
            send_cut(&link, &side, cut, memory_too);
            if cut % 3 == 0 {
                // The listener may have received it in between.
                assert!(listener.try_accept().unwrap().is_none());
            }
            drop(link);
            assert_says(refuse(&listener, refused), GONE, &what);
            drop(side);
            left(before, &what);
        }
    }
    serve(&listener);
    left(before, "in the end");
}

/// Sends so many bytes of the hello, or all of it and so many of the memory, with its descriptors.
fn send_cut(link: &UnixStream, side: &Side, cut: usize, memory_too: bool) {
    if memory_too {
        side.say_hello(link);
        send(link, &side.passing.encode()[..cut], &side.fds()).unwrap();
    } else {
        send(link, &side.hello.encode()[..cut], &[]).unwrap();
    }
}

/// Waits until no descriptor is left; another thread closes those that are not known to be
/// harmless.
fn left(before: usize, what: &str) {
    eventually(&format!("{what}: no descriptor is left"), || {
        descriptors() == before
    });
}

fn cut_for_a_client(arguments: &[&str]) {
    let path = Path::new(arguments[0]).join("x");
    let server = UnixListener::bind(&path).unwrap();
    let before = descriptors();
    for cut in 0..raw::LEN {
        for (listens, memory_too) in [(true, false), (false, false), (true, true)] {
            thread::scope(|scope| {
                let client = scope.spawn(|| options().connect(&path));
                let (link, _) = server.accept().unwrap();
                if listens {
                    receive(&link).unwrap();
                }
                let side = wrong::right();
                send_cut(&link, &side, cut, memory_too);
                drop((link, side));
                let error = client.join().unwrap().unwrap_err();
                assert!(matches!(error, Error::PeerGone), "{cut} bytes: {error}");
            });
            left(before, &format!("{cut} bytes"));
        }
    }
}

/// A client that says nothing, or stops in the middle, is let go of; meanwhile others are served.
fn silent(arguments: &[&str]) {
    let patience = Duration::from_millis(100);
    let name = Path::new(arguments[0]).join("x");
    let listener = options().handshake_timeout(patience).bind(&name).unwrap();
    serve(&listener);
    let before = descriptors();
    let side = wrong::right();
    let clients: Vec<UnixStream> = [0, 1, 50, 95, 96]
        .into_iter()
        .map(|n| {
            let link = UnixStream::connect(listener.path()).unwrap();
            send(&link, &side.hello.encode()[..n], &[]).unwrap();
            link
        })
        .collect();
    drop(side);
    serve(&listener);
    eventually("they are let go of", || {
        assert!(listener.try_accept().unwrap().is_none());
        listener.refused() == 5
    });
    assert_says(
        listener.last_refusal().unwrap(),
        "took longer than 100ms",
        "silence",
    );
    drop(clients);
    serve(&listener);
    left(before, "in the end");

    // As a client.
    let path = Path::new(arguments[0]).join("silent");
    let server = UnixListener::bind(&path).unwrap();
    let before = descriptors();
    for n in [0, 1, 95, 96] {
        let error = thread::scope(|scope| {
            let client = scope.spawn(|| options().handshake_timeout(patience).connect(&path));
            let (link, _) = server.accept().unwrap();
            let side = wrong::right();
            send(&link, &side.hello.encode()[..n], &[]).unwrap();
            client.join().unwrap().unwrap_err()
        });
        assert!(
            matches!(error, Error::Timeout { after, .. } if after == patience),
            "{error}"
        );
        // Nobody accepts at all.
        let error = options()
            .handshake_timeout(patience)
            .connect(&path)
            .unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        drop(server.accept().unwrap());
        left(before, "in the end");
    }
}

/// Each reason, as a client gets to know it.
fn refusals(arguments: &[&str]) {
    let path = Path::new(arguments[0]).join("x");
    let server = UnixListener::bind(&path).unwrap();
    let before = descriptors();
    let refused = |why: u32, text: &'static [u8]| {
        let error = thread::scope(|scope| {
            let client = scope.spawn(|| options().connect(&path));
            let (link, _) = server.accept().unwrap();
            send(&link, &raw::refused(why, text), &[]).unwrap();
            client.join().unwrap().unwrap_err()
        });
        left(before, "in the end");
        error
    };
    let error = refused(1, b"4-9");
    assert!(
        matches!(
            error,
            Error::Version {
                ours: (3, 3),
                theirs: (4, 9)
            }
        ),
        "{error:?}"
    );
    let error = refused(2, b"other/2");
    assert!(
        matches!(&error, Error::Protocol { ours, theirs }
            if ours == "test/1" && theirs == "other/2"),
        "{error:?}"
    );
    let error = refused(8, b"feed");
    assert!(
        matches!(&error, Error::Kind { ours: "stream", theirs } if theirs == "feed"),
        "{error:?}"
    );
    for (why, text, part) in [
        (1, &b""[..], ""),
        (1, b"one-two", "one-two"),
        (1, b"1-70000", "70000"),
        (3, b"at most 5 bytes", "at most 5 bytes"),
        (4, b"", "does not allow user"),
        (5, b"no good", "no good"),
        (6, b"", "no memory or no descriptors"),
        (7, b"because", "because"),
        (9, b"a newer reason", "a newer reason"),
        (u32::MAX, b"\x1b[2J\xff", r"\x1b[2J\xff"),
        (7, &[b'x'; 64], "xxxx"),
    ] {
        let error = refused(why, text);
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert_says(error, part, "a refusal");
    }
    let mut malformed = raw::refused(7, b"");
    malformed[29] = 65;
    let error = thread::scope(|scope| {
        let client = scope.spawn(|| options().connect(&path));
        let (link, _) = server.accept().unwrap();
        send(&link, &malformed, &[]).unwrap();
        client.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::NotSlipring), "{error:?}");
}

/// The permitted deviations of a client of another make.
fn unusual_but_right(arguments: &[&str]) {
    let listener = bind(arguments);
    let before = descriptors();
    let accepted = |greet: &(dyn Fn(&UnixStream, &Side) + Sync)| {
        let mut stream = thread::scope(|scope| {
            let client = scope.spawn(|| {
                let (link, side) = (
                    UnixStream::connect(listener.path()).unwrap(),
                    wrong::right(),
                );
                greet(&link, &side);
                answer(&link);
                // Nobody reads this any more.
                send(&link, &[0xaa; 1000], &[side.doorbells[0].as_fd()]).unwrap();
                (link, side)
            });
            let mut stream = listener.accept().unwrap();
            let (link, side) = client.join().unwrap();
            stream.write_all(b"hello").unwrap();
            stream
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            assert_eq!(kind(stream.read(&mut [0])), ErrorKind::WouldBlock);
            drop((link, side));
            stream
        });
        stream.set_read_timeout(None).unwrap();
        assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionReset);
        assert_eq!(stream.reader().end().unwrap().reason, EndReason::PeerDied);
        drop(stream);
        left(before, "in the end");
    };
    use rustix::fd::AsFd;
    accepted(&|link, side| side.greet(link));
    // Each message after the answer to the one before.
    accepted(&|link, side| {
        side.say_hello(link);
        common::eventually("the hello is answered", || {
            rustix::io::ioctl_fionread(link).unwrap() > 0
        });
        side.pass(link, &side.fds());
    });
    // Byte by byte.
    accepted(&|link, side| {
        for byte in side.hello.encode() {
            send(link, &[byte], &[]).unwrap();
        }
        for (i, byte) in side.passing.encode().iter().enumerate() {
            let fds = side.fds();
            send(link, &[*byte], &fds[..if i == 0 { 4 } else { 0 }]).unwrap();
        }
    });
    // The descriptors one by one, with different bytes, the last with the last one.
    accepted(&|link, side| {
        side.say_hello(link);
        for (i, byte) in side.passing.encode().iter().enumerate() {
            let fds = side.fds();
            let which = [0, 40, 60, 95].into_iter().position(|at| at == i);
            send(
                link,
                &[*byte],
                which.map_or(&[][..], |which| &fds[which..=which]),
            )
            .unwrap();
        }
    });
    // Versions that have this one among them.
    accepted(&|link, side| {
        let mut hello = side.hello.clone();
        hello.versions = (0, 9);
        send(link, &hello.encode(), &[]).unwrap();
        side.pass(link, &side.fds());
    });
    // A longer header.
    accepted(&|link, _| {
        let header = raw::memory(8192);
        let words = raw::Words::map(header.as_fd(), 8192, true).unwrap();
        raw::stream_preamble(&words, 8192, 8192);
        rustix::fs::fcntl_add_seals(&header, raw::seals()).unwrap();
        let mut side = wrong::right();
        side.hello.header_len = 8192;
        side.say_hello(link);
        let mut fds = side.fds();
        fds[0] = header.as_fd();
        side.pass(link, &fds);
    });
    // The same doorbell twice; it wakes too often then.
    accepted(&|link, side| {
        let fds = side.fds();
        side.say_hello(link);
        side.pass(link, &[fds[0], fds[1], fds[2], fds[2]]);
    });
}

/// A hello that was on its way before anyone asked for its sender.
fn no_credentials(_: &[&str]) {
    let before = descriptors();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let side = wrong::right();
    send_as(&theirs, &side.hello.encode(), &[], false).unwrap();
    let error = options().upgrade(ours).unwrap_err();
    assert!(
        matches!(error, Error::UntrustedPeer { .. } | Error::BadPeer { .. }),
        "{error:?}"
    );
    drop((theirs, side));
    left(before, "in the end");
}

#[test]
fn a_message_of_several_senders_is_refused() {
    guard(|| alone("several senders"));
}

/// A process that only prints to its standard error, which is the socket, lends its name to nobody:
/// the first byte of a message is one process's, and the rest another one's.
fn several_senders(arguments: &[&str]) {
    use rustix::fd::AsRawFd;
    let listener = bind(arguments);
    serve(&listener);
    let link = UnixStream::connect(listener.path()).unwrap();
    let hello = wrong::right().hello.encode();
    send(&link, &hello[..1], &[]).unwrap();
    // SAFETY: the child makes two system calls.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: bytes that are there, to a descriptor that is open.
        unsafe {
            libc::write(
                link.as_raw_fd(),
                hello[1..].as_ptr().cast(),
                hello.len() - 1,
            )
        };
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(0) };
    }
    assert_says(refuse(&listener, 0), "several senders", "two processes");
    // SAFETY: this process's own child.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    drop(link);
    serve(&listener);
}

/// A peer that has no memory of its own, but sends back this side's: then this side reads what it
/// writes.
fn a_reflection(_: &[&str]) {
    let before = descriptors();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut stream: Stream = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                let (message, fds) = receive(&theirs).unwrap();
                let fds: Vec<_> = fds.iter().map(rustix::fd::AsFd::as_fd).collect();
                send(&theirs, &message, &fds).unwrap();
            }
        });
        options().upgrade(ours).unwrap()
    });
    for _ in 0..10 {
        stream.write_all(&[7; 1000]).unwrap();
        let mut buf = [0; 1000];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [7; 1000]);
    }
    drop((stream, theirs));
    left(before, "in the end");
}
