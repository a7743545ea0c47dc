//! Names, and how two processes find each other by them.

mod common;

use common::process;
use common::{GENEROUS, Place, eventually, guard};
use slipring::{EndReason, Error, Listener, Name, Options, Stream};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("binds", binds)]);
}

/// Binds a name, says so, and serves each client until it is told to leave.
fn binds(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    process::say("bound");
    let stopper = listener.stopper();
    let serving = thread::spawn(move || {
        listener
            .incoming()
            .for_each(|stream| greet(stream.unwrap()))
    });
    process::told();
    stopper.stop();
    serving.join().unwrap();
}

fn greet(mut stream: Stream) {
    let _ = stream.write_all(b"hello");
}

#[track_caller]
fn assert_greeted(mut stream: Stream) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn connecting_to_an_unbound_name_says_what_was_tried() {
    let place = Place::new();
    let name = place.name("nobody");
    let error = Stream::connect(&name).unwrap_err();
    let Error::NotBound {
        tried,
        passed_over,
        waited,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(
        (tried.as_slice(), passed_over.len(), *waited),
        (&[name][..], 0, Duration::ZERO)
    );
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);
}

#[test]
fn a_name_in_use_tells_by_whom() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = process::start(&place, "binds", &[name.to_str().unwrap()]);
        other.expect("bound");
        let error = Listener::bind(&name).unwrap_err();
        assert!(
            matches!(error, Error::NameInUse { pid: Some(pid), .. } if pid == other.id()),
            "{error}"
        );
        assert!(error.to_string().contains(&other.id().to_string()));
        assert_greeted(Stream::connect(&name).unwrap());
        // Whether it leaves or is killed, the name is free.
        other.tell("leave");
        other.succeed();
        let mut other = process::start(&place, "binds", &[name.to_str().unwrap()]);
        other.expect("bound");
        other.kill();
        assert!(matches!(
            Stream::connect(&name),
            Err(Error::NotBound { .. })
        ));
        drop(Listener::bind(&name).unwrap());
    });
}

#[test]
fn a_wrong_name_is_refused_by_bind_and_connect() {
    for wrong in [
        "",
        "a b",
        ".hidden",
        "Local/",
        "Global/",
        r"Local\",
        "a/b",
        "local/x",
        "Session/x",
        "ä",
        "/",
        "/tmp/",
        "/tmp/..",
    ] {
        for error in [
            Listener::bind(wrong).map(|_| ()),
            Stream::connect(wrong).map(|_| ()),
            Stream::rendezvous(wrong).map(|_| ()),
            Name::parse(wrong).map(|_| ()),
        ] {
            let error = error.unwrap_err();
            assert!(
                matches!(&error, Error::InvalidName { name, .. } if name == wrong),
                "{error:?}"
            );
        }
    }
    let long = "n".repeat(65);
    assert!(matches!(
        Listener::bind(&long),
        Err(Error::InvalidName { .. })
    ));
    let path = std::ffi::OsStr::from_bytes(b"/tmp/a\0b");
    assert!(matches!(
        Listener::bind(path),
        Err(Error::InvalidName { .. })
    ));
}

#[test]
fn a_path_too_long_for_a_socket_is_refused() {
    let place = Place::new();
    let longest = 107 - place.path().as_os_str().len() - 1;
    drop(Listener::bind(place.name(&"n".repeat(longest))).unwrap());
    let name = place.name(&"n".repeat(longest + 1));
    for error in [
        Listener::bind(&name).map(|_| ()),
        Stream::connect(&name).map(|_| ()),
    ] {
        let error = error.unwrap_err();
        assert!(
            matches!(&error, Error::PathTooLong { path, limit: 107 } if *path == name),
            "{error:?}"
        );
    }
}

#[test]
fn a_name_whose_place_is_taken_or_missing_is_refused() {
    let place = Place::new();
    let file = place.name("file");
    fs::write(&file, "precious").unwrap();
    let error = Listener::bind(&file).unwrap_err();
    assert!(error.to_string().contains("not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(
        matches!(Stream::connect(&file), Err(Error::NotBound { passed_over, .. })
            if passed_over.len() == 1)
    );
    let nowhere = place.name("no/such/directory/x");
    assert!(matches!(Listener::bind(&nowhere), Err(Error::Os { .. })));
    assert!(matches!(
        Stream::connect(&nowhere),
        Err(Error::NotBound { .. })
    ));
    // A lock that is another program's.
    let cargo = place.name("Cargo");
    fs::write(place.name("Cargo.lock"), "version = 4\n").unwrap();
    assert!(matches!(Listener::bind(&cargo), Err(Error::Os { .. })));
    assert_eq!(
        fs::read_to_string(place.name("Cargo.lock")).unwrap(),
        "version = 4\n"
    );
}

#[test]
fn capacities_and_protocols_are_checked_before_anything_is_made() {
    let place = Place::new();
    let name = place.name("x");
    let all = |options: &Options| {
        [
            options.bind(&name).map(|_| ()).unwrap_err(),
            options.connect(&name).map(|_| ()).unwrap_err(),
            options.rendezvous(&name).map(|_| ()).unwrap_err(),
            options.pair().map(|_| ()).unwrap_err(),
            options
                .upgrade(std::os::unix::net::UnixStream::pair().unwrap().0)
                .map(|_| ())
                .unwrap_err(),
        ]
    };
    for wrong in [
        0,
        1,
        4095,
        4097,
        3 << 20,
        (1 << 30) + 1,
        1 << 31,
        usize::MAX,
    ] {
        for error in all(&Options::new().capacity(wrong).max_capacity(wrong)) {
            assert!(
                matches!(&error, Error::Capacity { asked, .. } if *asked == wrong),
                "{error:?}"
            );
            assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
        }
    }
    for wrong in ["x".repeat(65), "x".repeat(1000), "ä".repeat(33)] {
        for error in all(&Options::new().protocol(&wrong)) {
            // The fault is this side's own; nobody has been asked yet.
            assert!(
                matches!(&error, Error::ProtocolTooLong { len, limit: 64 } if *len == wrong.len()),
                "{error:?}"
            );
            assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
        }
    }
    assert_eq!(
        fs::read_dir(place.path()).unwrap().count(),
        0,
        "nothing was made"
    );
    Options::new().protocol("x".repeat(64)).pair().unwrap();
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .pair()
        .unwrap();
}

#[test]
fn sides_with_different_protocols_are_refused() {
    guard(|| {
        for (ours, theirs) in [
            ("a/1", "a/2"),
            ("", "a/1"),
            ("a/1", ""),
            ("a\n\u{1b}[2J", "b"),
        ] {
            let place = Place::new();
            let name = place.name("x");
            let listener = Options::new().protocol(theirs).bind(&name).unwrap();
            thread::scope(|scope| {
                let client =
                    scope.spawn(|| Options::new().protocol(ours).connect(&name).unwrap_err());
                eventually("it is refused", || {
                    assert!(listener.try_accept().unwrap().is_none());
                    listener.refused() == 1
                });
                let error = client.join().unwrap();
                let Error::Protocol {
                    ours: said,
                    theirs: heard,
                } = &error
                else {
                    panic!("{error:?}")
                };
                assert_eq!((said.as_str(), heard.as_str()), (ours, theirs));
                assert!(!error.to_string().contains('\u{1b}'), "{error}");
            });
            let refusal = listener.last_refusal().unwrap();
            assert!(refusal.contains(&format!("{theirs:?}")), "{refusal}");
        }
    });
}

#[test]
fn a_ring_larger_than_the_peer_accepts_is_refused_on_both_sides() {
    guard(|| {
        for client_is_large in [true, false] {
            let place = Place::new();
            let name = place.name("x");
            let (small, large) = (
                Options::new()
                    .capacity(4096)
                    .max_capacity(4096)
                    .max_peer_capacity(65_536),
                Options::new().capacity(131_072).max_capacity(131_072),
            );
            let (server, client) = if client_is_large {
                (small, large)
            } else {
                (large, small)
            };
            let listener = server.bind(&name).unwrap();
            let error = thread::scope(|scope| {
                let client = scope.spawn(|| client.connect(&name).unwrap_err());
                eventually("it is refused", || {
                    assert!(listener.try_accept().unwrap().is_none());
                    listener.refused() == 1
                });
                client.join().unwrap()
            });
            let refusal = listener.last_refusal().unwrap();
            let (refuser, refused) = match &error {
                Error::Refused { why } => (refusal, why.clone()),
                Error::Capacity {
                    asked: 131_072,
                    why,
                } => (why.clone(), refusal),
                other => panic!("{other:?}"),
            };
            assert!(refuser.contains("65536"), "{refuser}");
            assert!(
                refused.contains("131072") && refused.contains("65536"),
                "{refused}"
            );
        }
    });
}

#[test]
fn a_name_can_be_waited_for() {
    guard(|| {
        let place = Place::new();
        let name = place.name("not/yet/there");
        let error = Options::new()
            .wait_for_listener(Duration::from_millis(30))
            .connect(&name)
            .unwrap_err();
        assert!(
            matches!(error, Error::NotBound { waited, .. } if waited >= Duration::from_millis(30)),
            "{error}"
        );
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let name = name.clone();
                thread::spawn(move || {
                    Options::new()
                        .wait_for_listener(GENEROUS)
                        .connect(name)
                        .unwrap()
                })
            })
            .collect();
        // It comes into being step by step.
        fs::create_dir(place.name("not")).unwrap();
        fs::create_dir(place.name("not/yet")).unwrap();
        let mut other = process::start(&place, "binds", &[name.to_str().unwrap()]);
        other.expect("bound");
        waiting
            .into_iter()
            .for_each(|thread| assert_greeted(thread.join().unwrap()));
        other.tell("leave");
        other.succeed();
    });
}

/// A name that is bound again at once by another process, over and over: a client meets the one or
/// the other, or nobody.
#[test]
fn a_name_may_pass_from_one_process_to_another() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let greeted = AtomicU32::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            match Options::new()
                                .capacity(4096)
                                .max_capacity(4096)
                                .wait_for_listener(GENEROUS)
                                .connect(&name)
                            {
                                Ok(mut stream) => {
                                    // It is accepted, and then all of it arrives.
                                    let mut text = String::new();
                                    stream.read_to_string(&mut text).unwrap();
                                    assert_eq!(text, "hello");
                                    assert_eq!(
                                        stream.reader().end().unwrap().reason,
                                        EndReason::Finished
                                    );
                                    greeted.fetch_add(1, Ordering::Relaxed);
                                }
                                // It left while this one was in its backlog.
                                Err(Error::PeerGone) => {}
                                Err(e) => panic!("{e:?}"),
                            }
                        }
                    })
                })
                .collect();
            while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
                let listener = Options::new()
                    .capacity(4096)
                    .max_capacity(4096)
                    .bind(&name)
                    .unwrap();
                if let Ok(stream) = listener.accept_timeout(Duration::from_millis(5)) {
                    greet(stream);
                }
            }
        });
        assert!(greeted.into_inner() > 0, "nobody was accepted");
    });
}
