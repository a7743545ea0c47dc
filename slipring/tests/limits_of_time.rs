//! Limits of time are kept in every case, and may be arbitrarily long.

mod common;

use common::process::{self, alone};
use common::{Place, guard};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket,
    socket_with,
};
use slipring::{Error, Listener, Options, Stream};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("stands in line under signals", stands_in_line_under_signals)]);
}

/// A listener whose queue is full, with those that fill it.
fn full(path: &Path) -> Vec<OwnedFd> {
    let address = SocketAddrUnix::new(path).unwrap();
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &address).unwrap();
    listen(&listener, 1).unwrap();
    let mut all = vec![listener];
    loop {
        let client = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::NONBLOCK,
            None,
        )
        .unwrap();
        if connect(&client, &address).is_err() {
            return all;
        }
        all.push(client);
    }
}

extern "C" fn nothing(_: i32) {}

/// Runs `body` while signals interrupt blocked calls of this thread, many in each millisecond.
fn interrupted<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: all zeros is a valid action: no flags, and so no SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing, so it may run at any moment.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
    // SAFETY: a call without arguments.
    let this = unsafe { libc::pthread_self() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: it says that it is time to end, and nothing else.
            while !done.load(Ordering::Relaxed) {
                // SAFETY: that thread waits for this one before it ends.
                assert_eq!(unsafe { libc::pthread_kill(this, libc::SIGALRM) }, 0);
                thread::sleep(Duration::from_micros(100));
            }
        });
        let result = body();
        // Relaxed: as above.
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn stands_in_line_under_signals(arguments: &[&str]) {
    let place = Path::new(arguments[0]);
    let full_one = place.join("full");
    let _full = full(&full_one);
    let limit = Duration::from_millis(300);
    let hasty = Options::new()
        .backlog_timeout(limit)
        .wait_for_listener(limit);
    let errors = interrupted(|| {
        [
            hasty.connect(&full_one).unwrap_err(),
            hasty.connect(place.join("nobody")).unwrap_err(),
            hasty.rendezvous(place.join("nobody")).unwrap_err(),
        ]
    });
    let [in_line, nobody, meeting] = &errors;
    assert!(
        matches!(in_line, Error::Timeout { after, .. } if *after >= limit),
        "{in_line}"
    );
    assert!(in_line.to_string().contains("backlog is full"), "{in_line}");
    assert!(
        matches!(nobody, Error::NotBound { waited, .. } if *waited >= limit),
        "{nobody}"
    );
    assert!(matches!(meeting, Error::Timeout { .. }), "{meeting}");
}

#[test]
fn a_limit_of_connect_is_kept_under_a_storm_of_signals() {
    guard(|| alone("stands in line under signals"));
}

#[test]
fn the_longest_times_are_no_limit_of_connect() {
    guard(|| {
        let place = Place::new();
        let (name, meeting) = (place.name("x"), place.name("meeting"));
        let patient = Options::new()
            .handshake_timeout(Duration::MAX)
            .backlog_timeout(Duration::MAX)
            .wait_for_listener(Duration::MAX);
        let greet = |mut stream: Stream| {
            stream.write_all(b"hello").unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
        };
        let listener: Listener = patient.bind(&name).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| greet(patient.connect(&name).unwrap()));
            greet(listener.accept_timeout(Duration::MAX).unwrap());
            scope.spawn(|| greet(patient.rendezvous(&meeting).unwrap()));
            greet(patient.rendezvous(&meeting).unwrap());
        });
        let (left, right) = patient.pair().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| greet(left));
            greet(right);
        });
    });
}
