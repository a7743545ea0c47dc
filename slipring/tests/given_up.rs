//! Connecting and meeting on tokio, given up: nothing goes on, nothing is held up, and the name is
//! free.
#![cfg(feature = "tokio")]

mod common;

use common::process::{self, alone};
use common::{GENEROUS, Place, descriptors, eventually, guard};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use slipring::tokio::Stream;
use slipring::{Error, Listener, Options};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Longer than any test may take: a test that waits for it to end hangs.
const FOR_EVER: Duration = Duration::from_secs(3600);

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("gives up", gives_up), ("meets nobody", meets_nobody)]);
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn patient() -> Options {
    Options::new()
        .wait_for_listener(FOR_EVER)
        .handshake_timeout(FOR_EVER)
}

/// A listener of another kind, with room for few in its queue.
fn narrow(path: &Path) -> UnixListener {
    let narrow = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&narrow, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&narrow, 1).unwrap();
    UnixListener::from(narrow)
}

/// Gives up many waits that would take for ever; then checks whether anything goes on.
fn gives_up(arguments: &[&str]) {
    let place = Path::new(arguments[0]);
    // The first runtime of a process leaves something open, for signals.
    drop(runtime());
    let before = descriptors();
    let full = place.join("full");
    let listener = narrow(&full);
    let runtime = runtime();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for n in 0..600 {
            let (name, met) = (place.join("nobody"), place.join(format!("met-{}", n % 7)));
            let full = full.clone();
            tasks.push(tokio::spawn(async move {
                let soon = Duration::from_millis(5);
                let connected = timeout(soon, Stream::connect_with(&patient(), name)).await;
                assert!(connected.is_err(), "{connected:?}");
                if n < 20 {
                    // Not all need be given up: two find a place in the queue, and are not taken
                    // up.
                    assert!(
                        timeout(soon, Stream::connect_with(&patient(), full))
                            .await
                            .is_err()
                    );
                    // Two of these may meet each other.
                    let _ = timeout(soon, Stream::rendezvous_with(&patient(), met)).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let read = timeout(GENEROUS, tokio::fs::read("/proc/self/stat")).await;
        assert!(!read.unwrap().unwrap().is_empty());
    });
    // Waits for blocked calls, if there are any.
    drop(runtime);
    drop(listener);
    eventually("all descriptors are closed", || descriptors() == before);
    for n in 0..7 {
        drop(Listener::bind(place.join(format!("met-{n}"))).unwrap());
    }
}

/// Comes to a name where a rendezvous was given up.
fn meets_nobody(arguments: &[&str]) {
    let options = Options::new().wait_for_listener(Duration::from_millis(50));
    let error = options.rendezvous(arguments[0]).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn a_connect_that_is_given_up_neither_goes_on_nor_holds_anything_up() {
    guard(|| alone("gives up"));
}

#[test]
fn a_rendezvous_that_is_given_up_meets_nobody() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let runtime = runtime();
        runtime.block_on(async {
            let met = timeout(
                Duration::from_millis(50),
                Stream::rendezvous_with(&patient(), &name),
            )
            .await;
            assert!(met.is_err());
        });
        eventually("the name is free", || !name.exists());
        process::start(&place, "meets nobody", &[name.to_str().unwrap()]).succeed();
        // It works for a call that is not given up.
        let other = thread::spawn({
            let name = name.clone();
            move || patient().rendezvous(name).map(drop)
        });
        runtime.block_on(async {
            let mut stream = Stream::rendezvous_with(&patient(), &name).await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        });
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_place_in_a_full_queue_is_taken_when_it_comes_free() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let listener = narrow(&name);
        let clients: Vec<_> = std::iter::repeat_with(|| {
            let name = name.clone();
            thread::spawn(move || runtime().block_on(Stream::connect(&name)).unwrap_err())
        })
        .take(5)
        .collect();
        // More than there is room for; each gets its turn, and says hello.
        for _ in 0..clients.len() {
            let (mut client, _) = listener.accept().unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
        }
        for client in clients {
            let error = client.join().unwrap();
            assert!(matches!(error, Error::PeerGone), "{error}");
        }
    });
}

#[test]
fn a_busy_directory_neither_hides_a_listener_nor_renews_the_time() {
    guard(|| {
        let place = Place::new();
        let (name, busy) = (place.name("x"), place.name("busy"));
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Relaxed: it says that it is time to end, and nothing else.
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::fs::write(&busy, "").unwrap();
                    std::fs::remove_file(&busy).unwrap();
                }
            });
            let hasty = Options::new().wait_for_listener(Duration::from_millis(100));
            let runtime = runtime();
            for _ in 0..3 {
                let blocking = hasty.connect(&name).map(drop).unwrap_err();
                let polled = runtime
                    .block_on(Stream::connect_with(&hasty, &name))
                    .unwrap_err();
                for error in [blocking, polled] {
                    assert!(matches!(error, Error::NotBound { .. }), "{error}");
                }
            }
            let listening = scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                let listener = Listener::bind(&name).unwrap();
                [listener.accept().map(drop), listener.accept().map(drop)]
            });
            let blocking = scope.spawn(|| patient().connect(&name).map(drop));
            runtime
                .block_on(Stream::connect_with(&patient(), &name))
                .unwrap();
            blocking.join().unwrap().unwrap();
            listening
                .join()
                .unwrap()
                .into_iter()
                .for_each(|accepted| accepted.unwrap());
            // Relaxed: as above.
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}
