//! Waiting in the queue of a listener, and whether it is a part of the handshake.

mod common;

use common::process::{self, say, start, told};
use common::raw::{self, Side};
use common::{GENEROUS, Place, guard, kind};
use slipring::{EndReason, Error, Listener, Options, Spin};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("takes its time", takes_its_time)]);
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

/// Accepts when it is told to, one after the other.
fn takes_its_time(arguments: &[&str]) {
    let listener = options().bind(arguments[0]).unwrap();
    say("bound");
    while told().is_some() {
        let mut stream = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        say("accepted");
    }
}

/// A client that has waited for longer than a handshake may take is served, when its turn comes.
#[test]
fn waiting_in_the_queue_of_a_listener_is_no_part_of_the_handshake() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = start(&place, "takes its time", &[name.to_str().unwrap()]);
        other.expect("bound");
        // Long enough for a handshake on a slow machine.
        let patience = Duration::from_millis(300);
        let started = Instant::now();
        let connecting: Vec<_> = (0..3)
            .map(|_| {
                let options = options()
                    .handshake_timeout(patience)
                    .backlog_timeout(GENEROUS);
                let name = name.clone();
                thread::spawn(move || options.connect(name))
            })
            .collect();
        // Until each has waited for that long: nobody can be done before the other is told.
        while started.elapsed() < 3 * patience {
            thread::sleep(patience);
        }
        for _ in &connecting {
            other.tell("accept");
            other.expect("accepted");
        }
        for connecting in connecting {
            let mut stream = connecting.join().unwrap().unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
        }
    });
}

/// The limit of the queue ends the waiting, and the error says what the client waited for.
#[test]
fn the_queue_of_a_listener_has_a_limit_of_its_own() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = start(&place, "takes its time", &[name.to_str().unwrap()]);
        other.expect("bound");
        let limit = Duration::from_millis(20);
        for options in [
            options().backlog_timeout(limit),
            options().handshake_timeout(limit),
        ] {
            let error = options.connect(&name).unwrap_err();
            assert!(
                matches!(error, Error::Timeout { what, after }
                    if after == limit && what.contains("to accept")),
                "{error}"
            );
        }
        // Those that have left are no streams, and the next is served.
        let connecting = thread::spawn(move || options().connect(name));
        other.tell("accept");
        other.expect("accepted");
        connecting.join().unwrap().unwrap();
    });
}

/// A listener that has begun the handshake has to go on with it.
#[test]
fn a_listener_that_stops_half_way_is_not_waited_for() {
    guard(|| {
        let place = Place::new();
        let path = place.name("x");
        let server = UnixListener::bind(&path).unwrap();
        let limit = Duration::from_millis(20);
        let options = options().handshake_timeout(limit).backlog_timeout(GENEROUS);
        let connecting = thread::spawn(move || options.connect(path));
        let (link, _) = server.accept().unwrap();
        Side::new(4096).say_hello(&link);
        let error = connecting.join().unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Timeout { what, after }
                if after == limit && what.contains("had begun")),
            "{error}"
        );
    });
}

/// A process that connects to itself and accepts in the same thread would wait for ever.
#[test]
fn a_connect_to_a_listener_of_the_same_process_says_so() {
    guard(|| {
        let place = Place::new();
        let listener = options().bind(place.name("x")).unwrap();
        let limit = Duration::from_millis(20);
        let options = options().handshake_timeout(limit).backlog_timeout(GENEROUS);
        let error = options.connect(listener.path()).unwrap_err();
        assert!(error.to_string().contains("this process itself"), "{error}");
        assert!(
            matches!(error, Error::Timeout { after, .. } if after == limit),
            "{error}"
        );
    });
}

/// Times that cannot be counted are none.
#[test]
fn an_endless_timeout_of_connect_is_none() {
    guard(|| {
        let place = Place::new();
        for endless in [Duration::MAX, Duration::from_secs(400 * 24 * 3600)] {
            let options = options()
                .handshake_timeout(endless)
                .backlog_timeout(endless)
                .wait_for_listener(endless);
            let listener = options.bind(place.name("x")).unwrap();
            let connecting = thread::spawn({
                let (options, name) = (options.clone(), place.name("x"));
                move || options.connect(name)
            });
            let mut stream = listener.accept_timeout(endless).unwrap();
            let mut client = connecting.join().unwrap().unwrap();
            client.set_read_timeout(Some(endless)).unwrap();
            stream.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
            let meeting = thread::spawn({
                let (options, name) = (options.clone(), place.name("y"));
                move || options.rendezvous(name)
            });
            options.rendezvous(place.name("y")).unwrap();
            meeting.join().unwrap().unwrap();
        }
    });
}

/// A client that refuses in the last step, when it has been accepted: the stream ends, and says
/// how.
#[test]
fn a_client_that_refuses_in_the_last_step_is_an_end_with_that_reason() {
    guard(|| {
        let place = Place::new();
        let listener = options().bind(place.name("x")).unwrap();
        let connecting = thread::spawn({
            let path = listener.path().to_owned();
            move || raw::Peer::connect(&path, 4096)
        });
        let mut stream = listener.accept().unwrap();
        let peer = connecting.join().unwrap();
        peer.mine.words.store32(raw::at::FIN, 4);
        peer.mine.words.store32(raw::at::STOP, 4);
        drop(peer);
        assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionAborted);
        assert_eq!(kind(stream.writer().space()), ErrorKind::ConnectionAborted);
        assert_eq!(stream.reader().end().unwrap().reason, EndReason::Refused);
        assert_eq!(stream.writer().end().unwrap().reason, EndReason::Refused);
    });
}

/// A listener that is dropped tells the clients that wait in its queue.
#[test]
fn a_dropped_listener_tells_its_queue() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = start(&place, "takes its time", &[name.to_str().unwrap()]);
        other.expect("bound");
        let connecting = thread::spawn({
            let name = name.clone();
            move || options().connect(name)
        });
        let backlogged = || {
            std::fs::read_to_string("/proc/net/unix")
                .unwrap()
                .matches(name.to_str().unwrap())
                .count()
        };
        common::eventually("it is in the queue", || backlogged() > 1);
        other.succeed();
        let error = connecting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::PeerGone), "{error}");
        drop(Listener::bind(&name).unwrap());
    });
}
