//! Deaths and panics beside something else: a peer that is paused, a peer that dies as well, a
//! grant that is held.

mod common;

use common::process::{self, of_process, say, start, told};
use common::{Place, bytes, eventually, guard};
use rustix::process::Signal;
use slipring::{EndReason, Error, Listener, Options, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const CAPACITY: usize = 16 * 1024;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("serves", serves), ("writes", writes), ("waits", waits)]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .wait_for_listener(common::GENEROUS)
        .spin(Spin::Never)
}

/// Reads one stream to its end, and prints the number of its bytes and the kind of its end.
fn serves(arguments: &[&str]) {
    let listener = options().bind(arguments[0]).unwrap();
    say("bound");
    let mut stream = listener.accept().unwrap();
    say("accepted");
    let mut sink = bytes::Sink::new(1);
    let read = sink.drain(stream.reader()).map_err(|e| e.kind());
    say(&format!("{} {read:?}", sink.position));
    let mut wrote = None;
    eventually("writing fails", || {
        wrote = stream.write(b"x").err().map(|e| e.kind());
        wrote.is_some()
    });
    say(&format!("{:?}", wrote.unwrap()));
    told();
}

/// Writes as many bytes as there is room for, prints their number, and waits.
fn writes(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    assert_eq!(told().as_deref(), Some("write"));
    let (mut source, mut written) = (bytes::Source::new(1), 0);
    while let Ok(n) = stream.writer().try_write(source.take(1000)) {
        written += n;
        if n < 1000 {
            break;
        }
    }
    say(&written.to_string());
    told();
}

fn waits(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    say("connected");
    let _ = stream.read(&mut [0]);
}

#[test]
fn a_death_while_the_peer_is_paused_is_told_once_it_goes_on() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let name = name.to_str().unwrap();
        let mut survivor = start(&place, "serves", &[name]);
        survivor.expect("bound");
        let mut dying = start(&place, "writes", &[name]);
        survivor.expect("accepted");
        survivor.signal(Signal::STOP);
        dying.tell("write");
        let written = dying.hear();
        assert_eq!(written, CAPACITY.to_string());
        dying.kill();
        survivor.signal(Signal::CONT);
        survivor.expect(&format!("{written} Err(ConnectionReset)"));
        survivor.expect("BrokenPipe");
        survivor.succeed();
    });
}

#[test]
fn both_are_killed_and_the_name_is_free_at_once() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut server = start(&place, "serves", &[name.to_str().unwrap()]);
        server.expect("bound");
        let mut client = start(&place, "waits", &[name.to_str().unwrap()]);
        server.expect("accepted");
        client.expect("connected");
        // Neither of them can do anything about the other's death.
        server.signal(Signal::STOP);
        client.signal(Signal::STOP);
        assert!(of_process(server.id(), "maps").contains("memfd:"));
        assert!(
            matches!(Listener::bind(&name), Err(Error::NameInUse { .. })),
            "a paused one is not dead"
        );
        client.kill();
        server.kill();
        assert!(matches!(
            options()
                .wait_for_listener(std::time::Duration::ZERO)
                .connect(&name),
            Err(Error::NotBound { .. })
        ));
        let listener = Listener::bind(&name).unwrap();
        drop(listener);
        assert_empty(place.path());
    });
}

fn assert_empty(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_panic_while_a_grant_is_held_publishes_nothing_and_the_stream_goes_on() {
    let (mut left, mut right) = options().pair().unwrap();
    left.write_all(b"before ").unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut grant = left.writer().reserve(100).unwrap();
        grant.fill(b'?');
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    // Nor does the next write publish the filled bytes.
    left.write_all(b"after").unwrap();
    left.writer().finish().unwrap();
    let mut all = String::new();
    right.read_to_string(&mut all).unwrap();
    assert_eq!(all, "before after");
}

#[test]
fn a_thread_that_panics_with_a_grant_and_its_writer_ends_the_stream_in_order() {
    guard(|| {
        let (left, mut right) = options().pair().unwrap();
        let panicking = std::thread::spawn(move || {
            let mut left: Stream = left;
            left.write_all(b"before").unwrap();
            let mut grant = left.writer().reserve(100).unwrap();
            grant.fill(b'?');
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicking.join().is_err());
        let mut all = String::new();
        right.read_to_string(&mut all).unwrap();
        assert_eq!(all, "before");
        assert_eq!(right.reader().end().unwrap().reason, EndReason::Finished);
        eventually("writing fails", || {
            right
                .write(b"x")
                .is_err_and(|e| e.kind() == ErrorKind::BrokenPipe)
        });
    });
}
