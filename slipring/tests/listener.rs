//! A listener and its clients: many at a time, slow ones, strange ones, and none any more.

mod common;

use common::process::{self, asleep};
use common::raw::{self, Side, send};
use common::{GENEROUS, Place, bytes, eventually, guard};
use slipring::{EndReason, Error, Listener, Options, Spin, Stream};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("holds", holds), ("says half", says_half)]);
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

/// A name of its own, bound.
fn bind(place: &Place) -> Listener {
    options().bind(place.name("x")).unwrap()
}

/// One client that is served in the usual way, by any accepting thread.
fn call(name: &Path) -> Stream {
    let mut stream = options().connect(name).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"pong");
    stream
}

fn answer(mut stream: Stream) -> Stream {
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
    stream.write_all(b"pong").unwrap();
    stream
}

#[test]
fn several_threads_may_accept_at_one_listener() {
    guard(|| {
        let place = Place::new();
        let listener = Arc::new(bind(&place));
        let accepting: Vec<_> = (0..4)
            .map(|_| {
                let listener = Arc::clone(&listener);
                thread::spawn(move || {
                    let mut served = 0;
                    for stream in listener.incoming() {
                        answer(stream.unwrap());
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| drop(call(listener.path()))));
            }
        });
        listener.stopper().stop();
        let served: i32 = accepting
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!((served, listener.refused()), (100, 0));
    });
}

#[test]
fn a_stopper_ends_accepting_and_the_name_is_free_after_dropping() {
    guard(|| {
        let place = Place::new();
        let listener = Arc::new(bind(&place));
        let stopper = listener.stopper();
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let listener = Arc::clone(&listener);
                asleep(move || matches!(listener.accept(), Err(Error::Stopped)))
            })
            .collect();
        stopper.clone().stop();
        assert!(accepting.into_iter().all(|thread| thread.join().unwrap()));
        assert!(matches!(listener.try_accept(), Err(Error::Stopped)));
        assert!(matches!(
            listener.accept_timeout(GENEROUS),
            Err(Error::Stopped)
        ));
        assert_eq!(listener.incoming().count(), 0);
        let name = place.name("x");
        assert!(matches!(
            Listener::bind(&name),
            Err(Error::NameInUse { .. })
        ));
        drop(listener);
        assert!(!name.exists());
        assert!(matches!(
            options().connect(&name),
            Err(Error::NotBound { .. })
        ));
        drop(Listener::bind(&name).unwrap());
        stopper.stop();
    });
}

#[test]
fn accepting_has_a_timeout_or_does_not_block() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        assert!(listener.try_accept().unwrap().is_none());
        let patience = Duration::from_millis(20);
        let error = listener.accept_timeout(patience).unwrap_err();
        assert!(
            matches!(error, Error::Timeout { after, .. } if after == patience),
            "{error}"
        );
        thread::scope(|scope| {
            for timeout in [GENEROUS, Duration::from_secs(1 << 40), Duration::MAX] {
                let client = scope.spawn(|| call(listener.path()));
                answer(listener.accept_timeout(timeout).unwrap());
                client.join().unwrap();
            }
        });
    });
}

/// `poll` on the listener, then `try_accept`: in the way of programs with one thread.
#[test]
fn a_listener_can_be_polled() {
    guard(|| {
        use rustix::event::{PollFd, PollFlags, poll};
        let place = Place::new();
        let listener = bind(&place);
        let ready = |wait: bool| {
            let mut fds = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
            let none = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            poll(&mut fds, (!wait).then_some(&none)).unwrap() > 0
        };
        assert!(!ready(false));
        thread::scope(|scope| {
            let client = scope.spawn(|| call(listener.path()));
            let stream = loop {
                assert!(ready(true));
                if let Some(stream) = listener.try_accept().unwrap() {
                    break stream;
                }
            };
            answer(stream);
            client.join().unwrap();
        });
        assert!(!ready(false));
    });
}

#[test]
fn a_client_that_says_nothing_delays_nobody_and_is_let_go_of() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let listener = options()
            .handshake_timeout(Duration::from_millis(200))
            .bind(&name)
            .unwrap();
        let silent: Vec<_> = (0..10)
            .map(|_| UnixStream::connect(&name).unwrap())
            .collect();
        thread::scope(|scope| {
            let clients = scope.spawn(|| (0..5).for_each(|_| drop(call(&name))));
            (0..5).for_each(|_| drop(answer(listener.accept().unwrap())));
            clients.join().unwrap();
        });
        // While a thread is blocked in accept: no other thread would see the time pass.
        let stopper = listener.stopper();
        let accepting = thread::spawn(move || {
            let result = listener.accept();
            assert!(matches!(result, Err(Error::Stopped)));
            listener
        });
        for mut client in silent {
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is hung up on");
        }
        stopper.stop();
        let listener = accepting.join().unwrap();
        assert_eq!(listener.refused(), 10);
        assert!(listener.last_refusal().unwrap().contains("took longer"));
    });
}

/// Silent clients take each a place of thousands. (Where there are fewer the oldest makes way: see
/// `crowds.rs`.)
#[test]
fn a_crowd_of_silent_clients_keeps_nobody_out() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        let silent: Vec<_> = (0..300)
            .map(|_| UnixStream::connect(listener.path()).unwrap())
            .collect();
        thread::scope(|scope| {
            let client = scope.spawn(|| call(listener.path()));
            answer(listener.accept().unwrap());
            client.join().unwrap();
        });
        assert_eq!(listener.refused(), 0, "none of them has had its time");
        drop(silent);
    });
}

#[test]
fn an_http_client_is_refused_and_the_next_is_served() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        for request in [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &format!(
                "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n",
                "x".repeat(5000)
            ),
        ] {
            let mut client = UnixStream::connect(listener.path()).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let before = listener.refused();
            eventually("it is refused", || {
                assert!(listener.try_accept().unwrap().is_none());
                listener.refused() > before
            });
            // Nothing, or a reset for the bytes that it had sent in vain.
            let _ = client
                .read_to_end(&mut Vec::new())
                .map(|n| assert_eq!(n, 0));
        }
        thread::scope(|scope| {
            let client = scope.spawn(|| call(listener.path()));
            answer(listener.accept().unwrap());
            client.join().unwrap();
        });
    });
}

/// Another program answers at the name.
#[test]
fn a_socket_of_another_program_is_found_out() {
    guard(|| {
        let place = Place::new();
        let path = place.name("other");
        let server = UnixListener::bind(&path).unwrap();
        let connect = |answer: &[u8], stays: bool| {
            thread::scope(|scope| {
                let client = scope.spawn(|| {
                    let patience = if stays {
                        Duration::from_millis(50)
                    } else {
                        GENEROUS
                    };
                    options().handshake_timeout(patience).connect(&path)
                });
                let (mut socket, _) = server.accept().unwrap();
                socket.write_all(answer).unwrap();
                if !stays {
                    drop(socket);
                    return client.join().unwrap().unwrap_err();
                }
                client.join().unwrap().unwrap_err()
            })
        };
        let garbage = [0x55; 200];
        assert!(matches!(connect(&garbage, false), Error::NotSlipring));
        assert!(matches!(
            connect(&garbage[..raw::LEN], true),
            Error::NotSlipring
        ));
        assert!(matches!(
            connect(b"220 mail.example ESMTP\r\n", false),
            Error::PeerGone | Error::NotSlipring
        ));
        assert!(matches!(connect(b"", false), Error::PeerGone));
        assert!(matches!(connect(b"", true), Error::Timeout { .. }));
        assert!(matches!(
            connect(b"220 mail.example ESMTP\r\n", true),
            Error::Timeout { .. }
        ));

        let datagrams = place.name("datagrams");
        let _socket = std::os::unix::net::UnixDatagram::bind(&datagrams).unwrap();
        assert!(matches!(
            options().connect(&datagrams),
            Err(Error::NotSlipring)
        ));
    });
}

/// Binds a name and never accepts.
fn holds(arguments: &[&str]) {
    let _listener = options().bind(arguments[0]).unwrap();
    process::say("bound");
    process::told();
}

#[test]
fn clients_in_the_backlog_learn_of_the_listeners_death() {
    guard(|| {
        for killed in [true, false] {
            let place = Place::new();
            let name = place.name("x");
            let mut other = process::start(&place, "holds", &[name.to_str().unwrap()]);
            other.expect("bound");
            let before = backlogged(&name);
            let clients: Vec<_> = (0..10)
                .map(|_| {
                    let name = name.clone();
                    thread::spawn(move || {
                        options()
                            .handshake_timeout(GENEROUS)
                            .connect(name)
                            .map(|_| ())
                    })
                })
                .collect();
            eventually("all wait", || backlogged(&name) >= before + 10);
            if killed {
                other.kill();
            } else {
                // It drops its listener.
                other.tell("");
            }
            for client in clients {
                let error = client.join().unwrap().unwrap_err();
                assert!(matches!(error, Error::PeerGone), "{error}");
            }
            if !killed {
                other.succeed();
            }
            assert!(matches!(
                options().connect(&name),
                Err(Error::NotBound { .. })
            ));
            assert_eq!(
                name.exists(),
                killed,
                "only a killed process leaves its socket"
            );
            // A stale socket blocks no later listener.
            drop(Listener::bind(&name).unwrap());
        }
    });
}

/// How many sockets the kernel knows at this path: the listening one, and those connected to it.
fn backlogged(path: &Path) -> usize {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap();
    table
        .lines()
        .filter(|line| line.ends_with(path.to_str().unwrap()))
        .count()
}

/// Connects, says the first half of its hello, and waits.
fn says_half(arguments: &[&str]) {
    let link = UnixStream::connect(arguments[0]).unwrap();
    let side = Side::new(4096);
    send(&link, &side.hello.encode()[..50], &side.fds()).unwrap();
    process::say("half");
    process::told();
}

#[test]
fn a_client_killed_during_its_handshake_is_counted() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        let mut other = process::start(&place, "says half", &[listener.path().to_str().unwrap()]);
        other.expect("half");
        assert!(listener.try_accept().unwrap().is_none());
        let stopper = listener.stopper();
        let listener = thread::scope(|scope| {
            let accepting = scope.spawn(|| {
                let stream = listener.accept().unwrap();
                answer(stream);
                listener
            });
            other.kill();
            call(&place.name("x"));
            accepting.join().unwrap()
        });
        eventually("it is counted", || {
            assert!(listener.try_accept().unwrap().is_none());
            listener.refused() == 1
        });
        stopper.stop();
    });
}

#[test]
fn a_dropped_listener_leaves_its_streams_alone() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        let (mut client, mut server) = thread::scope(|scope| {
            let client = scope.spawn(|| call(listener.path()));
            let server = answer(listener.accept().unwrap());
            (client.join().unwrap(), server)
        });
        drop(listener);
        let writing = thread::spawn(move || bytes::Source::new(1).write_all(&mut client, 100_000));
        let mut sink = bytes::Sink::new(1);
        sink.drain(server.reader()).unwrap();
        assert_eq!(sink.position, 100_000);
        assert_eq!(server.reader().end().unwrap().reason, EndReason::Finished);
        writing.join().unwrap().unwrap();
    });
}
