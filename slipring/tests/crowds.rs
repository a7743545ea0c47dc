//! Listeners that are not idle: floods of clients that come and go, crowds that shake hands
//! half-way and stop, clients that receive nothing. The times of `accept` hold, other tasks run,
//! and those who mean it are served.

mod common;

use common::process::{self, Other, alone, say, start, told};
use common::raw::Side;
use common::{Place, eventually, guard, users};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{Error, Listener, Options, Peers, Spin};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// A user that is not this one. A test with it needs root.
const STRANGER: u32 = 54321;

/// Another one, that a listener may run as.
const ANOTHER: u32 = 54322;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("floods", floods),
        ("goes half-way", goes_half_way),
        ("a small table", a_small_table),
        ("descriptors run out", descriptors_run_out),
        ("connects", connects),
        ("receives nothing", receives_nothing),
        (
            "listens with few on their way",
            listens_with_few_on_their_way,
        ),
    ]);
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

/// Connects and leaves, for as long as it is not told to stop.
fn floods(arguments: &[&str]) {
    let flooding = thread::spawn({
        let path = arguments[0].to_owned();
        move || {
            loop {
                // The backlog may be full.
                drop(UnixStream::connect(&path));
            }
        }
    });
    say("floods");
    told();
    drop(flooding);
    std::process::exit(0);
}

fn flood(place: &Place, listener: &Listener, number: usize) -> Vec<Other> {
    let path = listener.path().to_str().unwrap().to_owned();
    let start = |_| {
        let mut other = start(place, "floods", &[&path]);
        other.expect("floods");
        other
    };
    (0..number).map(start).collect()
}

/// The flood goes on until the test ends, so a call without an end is a test that hangs.
#[test]
fn a_flood_of_clients_does_not_take_the_time_of_accept_away() {
    guard(|| {
        let place = Place::new();
        let listener = options().bind(place.name("x")).unwrap();
        let flooding = flood(&place, &listener, 3);
        for _ in 0..5 {
            let timeout = Duration::from_millis(20);
            let error = listener.accept_timeout(timeout).unwrap_err();
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
            assert!(listener.try_accept().unwrap().is_none());
        }
        assert!(listener.refused() > 100, "{} came", listener.refused());
        drop(flooding);
    });
}

#[cfg(feature = "tokio")]
#[test]
fn a_flood_of_clients_leaves_other_tasks_their_turn() {
    guard(|| {
        let place = Place::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = options().bind(place.name("x")).unwrap();
            let flooding = flood(&place, &listener, 3);
            let listener =
                std::sync::Arc::new(slipring::tokio::Listener::from_blocking(listener).unwrap());
            let accepting = tokio::spawn({
                let listener = std::sync::Arc::clone(&listener);
                async move { listener.accept().await.map(drop) }
            });
            // The flood has no end, so it is this task's turn in the middle of it or never.
            while listener.refused() < 1000 {
                tokio::task::yield_now().await;
            }
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!accepting.is_finished());
            accepting.abort();
            drop(flooding);
        });
    });
}

/// Each of several tasks gets its client.
#[cfg(feature = "tokio")]
#[test]
fn several_tasks_may_accept_at_one_listener() {
    const TASKS: usize = 8;
    guard(|| {
        for workers in [1, 2] {
            let place = Place::new();
            let name = place.name("x");
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let listener = slipring::tokio::Listener::bind_with(&options(), &name).unwrap();
                let listener = std::sync::Arc::new(listener);
                let accepting: Vec<_> = (0..TASKS)
                    .map(|_| {
                        let listener = std::sync::Arc::clone(&listener);
                        tokio::spawn(async move { listener.accept().await?.write_all(b"x").await })
                    })
                    .collect();
                // One that is given up takes no wake-up with it.
                let waiting = tokio::time::timeout(Duration::from_millis(5), listener.accept());
                assert!(waiting.await.is_err());
                for _ in 0..TASKS {
                    let mut stream = slipring::tokio::Stream::connect_with(&options(), &name)
                        .await
                        .unwrap();
                    assert_eq!(stream.read_u8().await.unwrap(), b'x');
                }
                for task in accepting {
                    task.await.unwrap().unwrap();
                }
            });
        }
    });
}

/// Says hello many times over, and stops before it passes anything. Keeps all of them open.
fn goes_half_way(arguments: &[&str]) {
    raise_limit();
    let links: Vec<_> = (0..arguments[1].parse().unwrap())
        .map(|_| {
            let link = UnixStream::connect(arguments[0]).unwrap();
            Side::new(4096).say_hello(&link);
            link
        })
        .collect();
    say("half-way");
    told();
    drop(links);
}

fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
}

fn limit_descriptors(to: u64) {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(to);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
}

/// Accepts until told to stop, and says how many streams there were.
fn serve<T>(listener: &Listener, meanwhile: impl FnOnce() -> T) -> (T, u32) {
    let served = AtomicU32::new(0);
    let stopper = listener.stopper();
    let outcome = thread::scope(|scope| {
        let serving = scope.spawn(|| {
            for stream in listener.incoming() {
                // A client that has left again is none.
                if stream.unwrap().write_all(b"x").is_ok() {
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let outcome = meanwhile();
        stopper.stop();
        serving.join().unwrap();
        outcome
    });
    (outcome, served.into_inner())
}

/// Honest clients, one after the other, beside many that never go on.
#[test]
fn a_crowd_that_stops_in_the_handshake_keeps_nobody_out() {
    guard(|| alone("a small table"));
}

fn a_small_table(_: &[&str]) {
    const HONEST: u32 = 200;
    // The usual limit. The crowd is larger than the part of it that is held at a time.
    limit_descriptors(1024);
    let place = Place::new();
    let name = place.name("x");
    let listener = options().bind(&name).unwrap();
    let ((), served) = serve(&listener, || {
        let mut crowd = start(&place, "goes half-way", &[name.to_str().unwrap(), "400"]);
        crowd.expect("half-way");
        for _ in 0..HONEST {
            let mut stream = options().connect(&name).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        assert!(common::descriptors() < 400, "{}", common::descriptors());
        crowd.tell("leave");
        crowd.succeed();
    });
    assert_eq!(served, HONEST);
}

/// The oldest half-way client makes way when descriptors run out, and an honest client is served.
#[test]
fn the_oldest_handshake_makes_way_when_descriptors_run_out() {
    guard(|| alone("descriptors run out"));
}

fn descriptors_run_out(_: &[&str]) {
    let place = Place::new();
    let name = place.name("x");
    let listener = options().bind(&name).unwrap();
    let open = common::descriptors() as u64;
    let ((), served) = serve(&listener, || {
        let mut crowd = start(&place, "goes half-way", &[name.to_str().unwrap(), "60"]);
        crowd.expect("half-way");
        eventually("all of them are half-way", || {
            common::descriptors() as u64 >= open + 60
        });
        let mut honest = start(&place, "connects", &[name.to_str().unwrap()]);
        // Room for none but what those leave.
        limit_descriptors(common::descriptors() as u64);
        honest.tell("connect");
        honest.expect("connected");
        honest.tell("leave");
        honest.succeed();
        raise_limit();
        crowd.tell("leave");
        crowd.succeed();
    });
    assert_eq!(served, 1);
    assert!(listener.last_refusal().is_some());
}

/// Connects as one should, once it is told.
fn connects(arguments: &[&str]) {
    told();
    let connected = options()
        .allow(Peers::Users(vec![ANOTHER]))
        .connect(arguments[0]);
    say(&connected
        .as_ref()
        .map_or_else(ToString::to_string, |_| "connected".into()));
    told();
}

/// Goes all the way many times over, without receiving the answers.
fn receives_nothing(arguments: &[&str]) {
    raise_limit();
    let links: Vec<_> = (0..arguments[1].parse().unwrap())
        .map(|_| {
            let link = UnixStream::connect(arguments[0]).unwrap();
            let mut side = Side::new(4096);
            side.passing.doorbells = 1;
            side.greet(&link);
            link
        })
        .collect();
    say("answered");
    told();
    drop(links);
}

/// A listener of a user that may have few descriptors on their way.
fn listens_with_few_on_their_way(arguments: &[&str]) {
    // Beyond it the kernel refuses to send (unix(7), ETOOMANYREFS).
    limit_descriptors(200);
    let listener = options().allow(Peers::Anyone).bind(arguments[0]).unwrap();
    fs::set_permissions(listener.path(), Permissions::from_mode(0o666)).unwrap();
    say("bound");
    let (word, _) = serve(&listener, told);
    assert_eq!(word.as_deref(), Some("stop"));
    say(&listener.last_refusal().unwrap_or_default());
}

mod needs_root {
    use super::*;

    /// The same for a listener that they may not even come to, and which refuses them.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_flood_of_refused_users_does_not_take_the_time_of_accept_away() {
        guard(|| {
            let place = users::open_place();
            let listener = options()
                .allow(Peers::Users(vec![1]))
                .bind(place.name("x"))
                .unwrap();
            let path = listener.path().to_str().unwrap().to_owned();
            let mut flooding = users::start(&place, STRANGER, "floods", &[&path]);
            flooding.expect("floods");
            for _ in 0..5 {
                let error = listener
                    .accept_timeout(Duration::from_millis(20))
                    .unwrap_err();
                assert!(matches!(error, Error::Timeout { .. }), "{error}");
                assert!(listener.try_accept().unwrap().is_none());
            }
            eventually("some are refused", || {
                let _ = listener.try_accept();
                listener.refused() > 100
            });
            assert!(
                listener
                    .last_refusal()
                    .unwrap()
                    .contains(&STRANGER.to_string())
            );
        });
    }

    /// A user that does not receive its answers is refused after some, and no other user is.
    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn handshakes_that_a_user_does_not_receive_are_limited() {
        guard(|| {
            let place = users::open_place();
            let name = place.name("sockets");
            fs::create_dir(&name).unwrap();
            std::os::unix::fs::chown(&name, Some(ANOTHER), None).unwrap();
            let name = name.join("x");
            let name = name.to_str().unwrap();
            let mut listener =
                users::start(&place, ANOTHER, "listens with few on their way", &[name]);
            listener.expect("bound");
            let mut hostile = users::start(&place, STRANGER, "receives nothing", &[name, "120"]);
            hostile.expect("answered");
            for _ in 0..10 {
                let mut honest = users::start(&place, STRANGER + 7, "connects", &[name]);
                honest.tell("connect");
                honest.expect("connected");
                honest.tell("leave");
                honest.succeed();
            }
            listener.tell("stop");
            let refusal = listener.hear();
            assert!(
                refusal.contains("do not receive what they are answered"),
                "{refusal}"
            );
            listener.succeed();
            hostile.tell("leave");
        });
    }
}
