//! A process that has no descriptors left, and a listener that has no room left: an error that says
//! so, nothing is left behind, and it goes on when there is room again.
//!
//! Each is a process of its own, since the limits are those of a process.

mod common;

use common::process::{self, alone};
use common::{GENEROUS, Place, descriptors, eventually, guard, raw};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{Error, Listener, Options, Spin, Stream};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("out of descriptors", out_of_descriptors),
        ("a client out of descriptors", a_client_out_of_descriptors),
        ("backlog", backlog),
    ]);
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

fn answer(mut stream: Stream) -> Stream {
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
    stream.write_all(b"pong").unwrap();
    stream
}

/// Runs `body` with room for `more` descriptors beyond those that are open.
fn with_descriptors<T>(more: u64, body: impl FnOnce() -> T) -> T {
    let listed = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = listed.map(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    });
    let mut open: Vec<u64> = numbers.collect();
    // Those that are still open after the directory is closed.
    open.retain(|number| Path::new(&format!("/proc/self/fd/{number}")).exists());
    let free = (0..)
        .filter(|number| !open.contains(number))
        .nth(more as usize);
    let usual = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: free,
        ..usual
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let result = body();
    setrlimit(Resource::Nofile, usual).unwrap();
    result
}

#[test]
fn a_listener_that_runs_out_of_descriptors_says_so_and_goes_on() {
    guard(|| alone("out of descriptors"));
}

/// The client is another process, so that the limit is the listener's alone.
fn out_of_descriptors(_: &[&str]) {
    let place = Place::new();
    let listener = bind(&place);
    let connect = || {
        let path = listener.path().to_str().unwrap();
        process::start(&place, "a client out of descriptors", &[path, "1000"])
    };
    let settled = descriptors();
    // Room for the link, for the descriptors that come, for those that are made: each may be the
    // one that is lacking.
    let mut served = None;
    for room in 0..16 {
        let mut client = connect();
        let accepted = with_descriptors(room, || match listener.accept_timeout(GENEROUS) {
            Ok(stream) => Some(stream),
            Err(e) if lacks_descriptors(&e) => None,
            Err(e) => panic!("room {room}: {e}"),
        });
        if let Some(stream) = accepted {
            served.get_or_insert(room);
            let stream = answer(stream);
            client.expect("connected");
            drop(stream);
        } else {
            assert_eq!(served, None, "room {room}: with less it went well");
            // Either it was refused, or it is served now that there is room again.
            let said = thread::scope(|scope| {
                let accepting = scope.spawn(|| listener.accept().map(answer_if_asked));
                let said = client.hear();
                if said != "connected" {
                    // The thread still waits for a client.
                    drop(raw::Peer::connect(listener.path(), 4096));
                }
                accepting.join().unwrap().unwrap();
                said
            });
            let right = [
                "connected",
                "no memory or no descriptors",
                "the peer went away",
            ];
            assert!(
                right.iter().any(|right| said.contains(right)),
                "room {room}: {said}"
            );
        }
        drop(client);
        eventually("nothing is left", || descriptors() == settled);
    }
    assert!(served.is_some_and(|room| room > 3), "{served:?}");
}

/// The text tells, also where the number of the error lies deeper.
fn lacks_descriptors(error: &Error) -> bool {
    matches!(error, Error::Os { .. }) && error.to_string().contains("Too many open files")
}

fn answer_if_asked(mut stream: Stream) -> Stream {
    if stream.read_exact(&mut [0; 4]).is_ok() {
        stream.write_all(b"pong").unwrap();
    }
    stream
}

/// Connects with the given room for descriptors, and prints the outcome.
fn a_client_out_of_descriptors(arguments: &[&str]) {
    let room = arguments[1].parse().unwrap();
    let before = descriptors();
    let result = with_descriptors(room, || {
        options().handshake_timeout(GENEROUS).connect(arguments[0])
    });
    match result {
        Ok(mut stream) => {
            // The next write may fail if the other side had not room enough for its half.
            let _ = stream.write_all(b"ping");
            let met = stream.read_exact(&mut [0; 4]);
            process::say(&met.map_or_else(|e| format!("{e:?}"), |()| "connected".into()));
            drop(stream);
        }
        Err(e) if lacks_descriptors(&e) => process::say("EMFILE"),
        Err(e) => process::say(&e.to_string()),
    }
    // Another thread closes the descriptors that were not found to be harmless.
    eventually("nothing is left", || descriptors() == before);
    process::told();
}

#[test]
fn a_client_that_runs_out_of_descriptors_says_so() {
    guard(|| {
        let place = Place::new();
        let listener = bind(&place);
        let path = place.name("x");
        let stopper = listener.stopper();
        let accepting = thread::spawn(move || {
            let mut results = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut buf = [0; 4];
                let served = stream
                    .read_exact(&mut buf)
                    .and_then(|()| stream.write_all(b"pong"));
                results.push(served.map_err(|e| e.kind()));
            }
            results
        });
        let mut connected = 0;
        for room in 0..16 {
            let mut client = process::start(
                &place,
                "a client out of descriptors",
                &[path.to_str().unwrap(), &room.to_string()],
            );
            match client.hear().as_str() {
                "connected" => connected += 1,
                "EMFILE" => assert_eq!(connected, 0, "room {room}"),
                other => panic!("room {room}: {other}"),
            }
            client.succeed();
        }
        stopper.stop();
        let results = accepting.join().unwrap();
        assert!((1..12).contains(&connected), "{connected}");
        assert_eq!(
            results.iter().filter(|result| result.is_ok()).count(),
            connected
        );
    });
}

#[test]
fn a_full_backlog_is_waited_for_and_then_a_timeout() {
    guard(|| alone("backlog"));
}

fn backlog(_: &[&str]) {
    let usual = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: usual.maximum,
        ..usual
    };
    setrlimit(Resource::Nofile, most).unwrap();
    let place = Place::new();
    let listener = bind(&place);
    // Until the kernel takes no more.
    let mut waiting = Vec::new();
    loop {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK,
            None,
        )
        .unwrap();
        let address = rustix::net::SocketAddrUnix::new(listener.path()).unwrap();
        match rustix::net::connect(&socket, &address) {
            Ok(()) => waiting.push(socket),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(e) => panic!("after {}: {e}", waiting.len()),
        }
    }
    let before = descriptors();
    let error = options()
        .handshake_timeout(Duration::from_millis(50))
        .connect(listener.path())
        .unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. }) && error.to_string().contains("backlog"),
        "{error}"
    );
    assert_eq!(descriptors(), before);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut stream = options()
                .handshake_timeout(GENEROUS)
                .connect(listener.path())
                .unwrap();
            stream.write_all(b"ping").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        });
        drop(waiting);
        answer(listener.accept().unwrap());
        client.join().unwrap();
    });
}
