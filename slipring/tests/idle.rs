//! A waiting thread costs nothing: not a system call, not a nanosecond of a processor.
//!
//! The tests measure the time between two moments. They know what happened elsewhere between the
//! two.

mod common;

use common::process::{self, Other, asleep, of_process, say, sleeps, thread_id, told};
use common::{Place, eventually, guard};
use slipring::{Listener, Options, Spin};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("echoes", echoes),
        ("waits on both halves", waits_on_both_halves),
        ("accepts", accepts),
        ("accepts with a fork", accepts_with_a_fork),
    ]);
}

fn options(spin: &str) -> Options {
    let options = Options::new().capacity(4096).max_capacity(4096);
    if spin == "never" {
        options.spin(Spin::Never)
    } else {
        options
    }
}

fn echoes(arguments: &[&str]) {
    let mut stream = options("never").connect(arguments[0]).unwrap();
    let (reader, writer) = stream.halves();
    std::io::copy(reader, writer).unwrap();
}

/// The reader waits for bytes that never come, the writer for room.
fn waits_on_both_halves(arguments: &[&str]) {
    let (mut reader, mut writer) = options(arguments[1])
        .connect(arguments[0])
        .unwrap()
        .into_split();
    let threads = [
        thread::spawn(move || {
            say(&thread_id().to_string());
            let _ = reader.read(&mut [0]);
        }),
        thread::spawn(move || {
            say(&thread_id().to_string());
            let _ = writer.write_all(&[0; 8192]);
        }),
    ];
    told();
    drop(threads);
    std::process::exit(0);
}

/// Waits for clients; there are some that say nothing.
fn accepts(arguments: &[&str]) {
    let listener = options("never")
        .handshake_timeout(common::GENEROUS)
        .bind(arguments[0])
        .unwrap();
    say("bound");
    say(&thread_id().to_string());
    drop(listener.accept().unwrap());
}

/// Forks while a client is about to shake hands, and waits for others when that client has gone.
fn accepts_with_a_fork(arguments: &[&str]) {
    let listener = options("never")
        .handshake_timeout(Duration::from_millis(50))
        .bind(arguments[0])
        .unwrap();
    say("bound");
    told();
    // It is in the backlog: the first poll takes it.
    assert!(listener.try_accept().unwrap().is_none());
    // SAFETY: the child does nothing but to wait for its parent's end.
    if unsafe { libc::fork() } == 0 {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .unwrap();
        thread::sleep(2 * common::GENEROUS);
        std::process::exit(0);
    }
    eventually("it is let go of", || {
        assert!(listener.try_accept().unwrap().is_none());
        listener.refused() == 1
    });
    say(&thread_id().to_string());
    drop(listener.accept().unwrap());
}

/// The cost of a thread so far: its processor time, and how often it gave the processor up.
fn cost(thread: u32) -> String {
    let status = of_process(thread, "status");
    let switches: Vec<&str> = status
        .lines()
        .filter(|line| line.contains("ctxt_switches"))
        .collect();
    // Of this thread alone: without the way through `task` it would be that of its process.
    let stat = of_process(thread, &format!("task/{thread}/stat"));
    // The name may have spaces in it; it ends with the last bracket.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let times: Vec<&str> = fields.split(' ').skip(11).take(2).collect();
    let runs = std::fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap_or_default();
    // The time on the processor and the number of turns; not the time of waiting for it.
    let turns: Vec<&str> = runs.split_whitespace().step_by(2).collect();
    format!("{switches:?} {times:?} {turns:?}")
}

/// So much traffic elsewhere that a thread which is not quite idle would be found out.
fn elsewhere(place: &Place) {
    let name = place.name("echo");
    let listener = Listener::bind(&name).unwrap();
    let _other = process::start(place, "echoes", &[name.to_str().unwrap()]);
    let mut stream = listener.accept().unwrap();
    for _ in 0..20_000 {
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
    }
}

/// Threads that are asleep by now cost nothing while other things happen.
fn assert_idle(place: &Place, threads: &[u32]) {
    for thread in threads {
        eventually("it sleeps", || sleeps(*thread));
    }
    let before: Vec<String> = threads.iter().map(|thread| cost(*thread)).collect();
    elsewhere(place);
    let after: Vec<String> = threads.iter().map(|thread| cost(*thread)).collect();
    assert_eq!(before, after);
}

fn number(other: &mut Other) -> u32 {
    other.hear().parse().unwrap()
}

#[test]
fn a_blocked_reader_and_a_blocked_writer_are_idle() {
    guard(|| {
        for spin in ["never", "adaptive"] {
            let place = Place::new();
            let name = place.name("x");
            let listener = options(spin).bind(&name).unwrap();
            let mut other = process::start(
                &place,
                "waits on both halves",
                &[name.to_str().unwrap(), spin],
            );
            let _stream = listener.accept().unwrap();
            let threads = [number(&mut other), number(&mut other)];
            assert_idle(&place, &threads);
        }
    });
}

#[test]
fn a_blocked_listener_with_silent_clients_is_idle() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = process::start(&place, "accepts", &[name.to_str().unwrap()]);
        other.expect("bound");
        let thread = number(&mut other);
        let _silent: Vec<_> = (0..5)
            .map(|_| UnixStream::connect(&name).unwrap())
            .collect();
        assert_idle(&place, &[thread]);
    });
}

/// A forked child holds descriptors that its parent has let go of; they are no event for the
/// parent.
#[test]
fn a_listener_that_forked_is_idle() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = process::start(&place, "accepts with a fork", &[name.to_str().unwrap()]);
        other.expect("bound");
        let silent = UnixStream::connect(&name).unwrap();
        other.tell("go on");
        let thread = number(&mut other);
        // It hangs up, long after it has been let go of.
        drop(silent);
        assert_idle(&place, &[thread]);
    });
}

/// Waiting does not wake the other side, however often it begins anew.
#[test]
fn timeouts_do_not_wake_the_peer() {
    guard(|| {
        let (left, mut right) = options("never").pair().unwrap();
        let (mut reader, mut writer) = left.into_split();
        let (say, hear) = std::sync::mpsc::channel();
        let reading = asleep(move || {
            say.send(thread_id()).unwrap();
            reader.read(&mut [0; 8]).map(|n| (n, reader))
        });
        let thread = hear.recv().unwrap();
        eventually("it sleeps", || sleeps(thread));
        let before = cost(thread);
        right
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        for _ in 0..50 {
            assert!(right.read(&mut [0]).is_err());
        }
        assert_eq!(cost(thread), before);
        right.write_all(b"x").unwrap();
        assert_eq!(reading.join().unwrap().unwrap().0, 1);
        writer.write_all(b"y").unwrap();
    });
}
