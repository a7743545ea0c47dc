//! The system calls of each phase are those that `docs/syscalls.md` lists: with no other allowed
//! everything works, and without any one of them it does not.
#![cfg(target_arch = "x86_64")]

mod common;

use common::process::{self, Other, say, told};
use common::{GENEROUS, Place, eventually, guard_for};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use slipring::{Listener, Options, Spin, Stream, board, feed};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::channel;
use std::thread;

const DOCUMENT: &str = include_str!("../../docs/syscalls.md");

const LISTENS: [&str; 10] = [
    "the first time",
    "bind a name",
    "accept",
    "shake hands",
    "count the processors",
    "look whether the peer is there",
    "sleep",
    "ring",
    "drop a stream",
    "drop a listener",
];
const CONNECTS: [&str; 8] = [
    "the first time",
    "connect",
    "shake hands",
    "count the processors",
    "look whether the peer is there",
    "sleep",
    "ring",
    "drop a stream",
];
const STANDS: [&str; 5] = [
    "read and write",
    "look whether the peer is there",
    "sleep",
    "ring",
    "drop a stream",
];

/// A client that does not wait for anything.
const MEETS: [&str; 4] = [
    "the first time",
    "connect",
    "shake hands",
    "count the processors",
];

const PUBLISHES: [&str; 2] = ["publish", "serve subscribers"];
const SUBSCRIBES: [&str; 2] = ["subscribe", "drop a subscriber"];

/// Phases that depend on the machine and on the past of the process: how the processors are counted
/// (cgroups), whether a tick comes in between.
const DEPENDS: [&str; 3] = [
    "the first time",
    "count the processors",
    "look whether the peer is there",
];

/// These do nothing with descriptors but close them.
const DROPS: [&str; 4] = [
    "drop a stream",
    "drop a listener",
    "drop a subscriber",
    "serve subscribers",
];

/// The words in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The table of the document.
fn phases() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rows = DOCUMENT.lines().filter_map(|line| {
        let (phase, calls) = line.strip_prefix("| ")?.split_once(" |")?;
        Some((phase, quoted(calls)))
    });
    rows.collect()
}

/// The calls that the last paragraph allows besides.
fn runtime() -> BTreeSet<&'static str> {
    let (_, calls) = DOCUMENT
        .rsplit_once("no Rust program does without: ")
        .unwrap();
    quoted(calls)
}

fn calls_of(names: &[&str]) -> BTreeSet<&'static str> {
    let phases = phases();
    let calls = names.iter().flat_map(|name| {
        // In builds with debug assertions alone, the standard library checks whether a descriptor
        // is open before it closes it.
        let looks = cfg!(debug_assertions) || !DROPS.contains(name);
        phases[name]
            .iter()
            .copied()
            .filter(move |call| looks || *call != "fcntl")
    });
    calls.collect()
}

/// The names that the document may use.
const NUMBERS: [(&str, i64); 56] = [
    ("accept4", libc::SYS_accept4),
    ("bind", libc::SYS_bind),
    ("brk", libc::SYS_brk),
    ("close", libc::SYS_close),
    ("connect", libc::SYS_connect),
    ("epoll_create1", libc::SYS_epoll_create1),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("epoll_pwait", libc::SYS_epoll_pwait),
    ("eventfd2", libc::SYS_eventfd2),
    ("exit_group", libc::SYS_exit_group),
    ("fallocate", libc::SYS_fallocate),
    ("fchmod", libc::SYS_fchmod),
    ("fchmodat", libc::SYS_fchmodat),
    ("fcntl", libc::SYS_fcntl),
    ("flock", libc::SYS_flock),
    ("fstat", libc::SYS_fstat),
    ("fstatfs", libc::SYS_fstatfs),
    ("ftruncate", libc::SYS_ftruncate),
    ("futex", libc::SYS_futex),
    ("getegid", libc::SYS_getegid),
    ("geteuid", libc::SYS_geteuid),
    ("getpid", libc::SYS_getpid),
    ("getrandom", libc::SYS_getrandom),
    ("getsockopt", libc::SYS_getsockopt),
    ("ioctl", libc::SYS_ioctl),
    ("listen", libc::SYS_listen),
    ("lseek", libc::SYS_lseek),
    ("madvise", libc::SYS_madvise),
    ("memfd_create", libc::SYS_memfd_create),
    ("mkdirat", libc::SYS_mkdirat),
    ("mmap", libc::SYS_mmap),
    ("mremap", libc::SYS_mremap),
    ("munmap", libc::SYS_munmap),
    ("newfstatat", libc::SYS_newfstatat),
    ("open", libc::SYS_open),
    ("openat", libc::SYS_openat),
    ("ppoll", libc::SYS_ppoll),
    ("prctl", libc::SYS_prctl),
    ("prlimit64", libc::SYS_prlimit64),
    ("pread64", libc::SYS_pread64),
    ("pwrite64", libc::SYS_pwrite64),
    ("read", libc::SYS_read),
    ("readlinkat", libc::SYS_readlinkat),
    ("recvmsg", libc::SYS_recvmsg),
    ("sched_getaffinity", libc::SYS_sched_getaffinity),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
    ("setsockopt", libc::SYS_setsockopt),
    ("shutdown", libc::SYS_shutdown),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("socket", libc::SYS_socket),
    ("statx", libc::SYS_statx),
    ("timerfd_create", libc::SYS_timerfd_create),
    ("timerfd_settime", libc::SYS_timerfd_settime),
    ("unlinkat", libc::SYS_unlinkat),
    ("write", libc::SYS_write),
];

fn number(name: &str) -> i64 {
    let known = NUMBERS.iter().find(|(known, _)| *known == name);
    known
        .unwrap_or_else(|| panic!("the document lists `{name}`, which this test does not know"))
        .1
}

/// From now on this thread makes no other system calls than those of these phases, perhaps without
/// one of them. Any other call kills the process.
fn confine(phases: &[&str], without: &str) {
    let mut allowed = calls_of(phases);
    allowed.extend(runtime());
    allowed.remove(without);
    let filter = SeccompFilter::new(
        allowed
            .into_iter()
            .map(|name| (number(name), vec![]))
            .collect(),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("listens", listens),
        ("connects", connects),
        ("stands", stands),
        ("meets", meets),
        ("publishes a feed", publishes_a_feed),
        ("subscribes to a feed", subscribes_to_a_feed),
        ("publishes a board", publishes_a_board),
        ("subscribes to a board", subscribes_to_a_board),
    ]);
}

fn listens(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    confine(&LISTENS, arguments[1]);
    let listener = options().bind(arguments[0]).unwrap();
    say("bound");
    sleeps_and_rings(listener.accept().unwrap());
    drop(listener);
    std::process::exit(0);
}

fn connects(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    confine(&CONNECTS, arguments[1]);
    sleeps_and_rings(options().connect(arguments[0]).unwrap());
    std::process::exit(0);
}

fn stands(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    let stream = options().connect(arguments[0]).unwrap();
    confine(&STANDS, arguments[1]);
    sleeps_and_rings(stream);
    std::process::exit(0);
}

fn meets(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    confine(&MEETS, arguments[1]);
    let stream = options().spin(Spin::Always).connect(arguments[0]).unwrap();
    // To drop it is another phase.
    std::mem::forget(stream);
    std::process::exit(0);
}

/// In the process that is confined: sleeps for a word, then wakes the other side awake.
fn sleeps_and_rings(mut stream: Stream) {
    say("sleeps");
    stream.read_exact(&mut [0; 5]).unwrap();
    told();
    stream.write_all(b"hello").unwrap();
}

/// The other side of that. A process that is killed on the way says nothing more.
fn wakes_and_sleeps(other: &mut Other, thread: u32, mut stream: Stream) {
    if other.try_hear().as_deref() != Some("sleeps") {
        return;
    }
    eventually("it sleeps, or is dead", || {
        process::sleeps(thread) || gone(thread)
    });
    let _ = stream.write_all(b"hello");
    let (say, hear) = channel();
    let woken = thread::spawn(move || {
        say.send(process::thread_id()).unwrap();
        let _ = stream.read(&mut [0; 5]);
    });
    let here = hear.recv().unwrap();
    eventually("this side sleeps, or is told of a death", || {
        process::sleeps(here) || woken.is_finished()
    });
    other.tell_if_there("go");
    woken.join().unwrap();
}

/// Whether a thread of another process is no more.
fn gone(thread: u32) -> bool {
    !Path::new(&format!("/proc/{thread}")).exists()
}

fn accept(listener: &Listener, thread: u32) -> Option<Stream> {
    let mut accepted = None;
    eventually("it comes, or is dead", || {
        accepted = listener.try_accept().unwrap();
        accepted.is_some() || gone(thread)
    });
    accepted
}

/// Plays both sides, one of them confined to the calls of its phases, perhaps without one of them.
fn act(role: &str, without: &str) -> ExitStatus {
    let place = Place::new();
    let name = place.name("x");
    let listener = (role != "listens").then(|| options().bind(&name).unwrap());
    let mut other = process::start(&place, role, &[name.to_str().unwrap(), without]);
    let thread = other.hear().parse().unwrap();
    let stream = match &listener {
        Some(listener) => accept(listener, thread),
        None => match other.try_hear().as_deref() {
            Some("bound") => options().connect(&name).ok(),
            _ => None,
        },
    };
    if let Some(stream) = stream {
        wakes_and_sleeps(&mut other, thread, stream);
    }
    other.wait()
}

/// With the list all goes well; without any one of its calls the process is killed.
fn needs_just(role: &'static str, phases: &'static [&str]) {
    needs_just_in(role, phases, act);
}

/// The same of a role that has an other side of its own.
fn needs_just_in(role: &'static str, phases: &'static [&str], act: fn(&str, &str) -> ExitStatus) {
    guard_for(4 * GENEROUS, move || {
        let status = act(role, "nothing");
        assert!(
            status.success(),
            "{role}: more than the document lists: {status}"
        );
        let varies: BTreeSet<_> = calls_of(&DEPENDS).union(&runtime()).copied().collect();
        let superfluous: Vec<_> = calls_of(phases)
            .into_iter()
            .filter(|call| !varies.contains(call) && act(role, call).signal() != Some(libc::SIGSYS))
            .collect();
        assert!(
            superfluous.is_empty(),
            "{role}: listed and not needed: {superfluous:?}"
        );
    });
}

#[test]
fn a_listener_needs_just_what_is_listed() {
    needs_just("listens", &LISTENS);
}

#[test]
fn a_client_needs_just_what_is_listed() {
    needs_just("connects", &CONNECTS);
}

#[test]
fn a_stream_that_stands_needs_just_what_is_listed() {
    needs_just("stands", &STANDS);
}

/// No call more, on either side.
#[test]
fn a_stream_that_spins_for_ever_needs_just_what_is_listed() {
    guard_for(4 * GENEROUS, || {
        let place = Place::new();
        let name = place.name("x");
        let listener = options().spin(Spin::Always).bind(&name).unwrap();
        let mut other = process::start(&place, "meets", &[name.to_str().unwrap(), "nothing"]);
        let thread = other.hear().parse().unwrap();
        let _stream = accept(&listener, thread);
        let status = other.wait();
        assert!(status.success(), "more than the document lists: {status}");
    });
}

/// Subscribers of the other side: more than those that a publisher rings by itself.
const SUBSCRIBERS: usize = 6;

/// Publishes to subscribers that sleep, and serves them until they have left.
fn publishes(
    without: &str,
    serve: impl Fn() -> Vec<feed::SubscriberInfo>,
    publish: impl FnOnce(),
) -> ! {
    say("bound");
    eventually("all have begun", || {
        let all = serve();
        all.len() == SUBSCRIBERS && all.iter().all(|one| one.begun)
    });
    say("asleep?");
    told();
    // Their announcements are another matter than those that come while it is confined.
    serve();
    confine(&PUBLISHES, without);
    publish();
    while !serve().is_empty() {
        std::hint::spin_loop();
    }
    // To drop a publisher is to drop a listener.
    std::process::exit(0);
}

fn publishes_a_feed(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    let options = feed::PublisherOptions::new().own_thread(false);
    let publisher = std::cell::RefCell::new(options.bind(arguments[0]).unwrap());
    let serve = || {
        publisher.borrow().poll().unwrap();
        publisher.borrow().subscribers()
    };
    publishes(arguments[1], serve, || {
        publisher.borrow_mut().publish(b"tick").unwrap();
    });
}

fn publishes_a_board(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    let options = board::PublisherOptions::new().own_thread(false);
    let publisher = std::cell::RefCell::new(options.bind(arguments[0]).unwrap());
    let serve = || {
        publisher.borrow().poll().unwrap();
        publisher.borrow().subscribers()
    };
    publishes(arguments[1], serve, || {
        publisher.borrow_mut().set(b"key", b"tick").unwrap();
    });
}

fn subscribes_to_a_feed(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    let options = feed::SubscriberOptions::new().spin(Spin::Never);
    let mut subscriber = options.connect(arguments[0]).unwrap();
    confine(&SUBSCRIBES, arguments[1]);
    say("sleeps");
    assert!(matches!(subscriber.recv().unwrap(), feed::Event::Record(_)));
    drop(subscriber);
    std::process::exit(0);
}

fn subscribes_to_a_board(arguments: &[&str]) {
    say(&process::thread_id().to_string());
    let options = board::SubscriberOptions::new().spin(Spin::Never);
    let mut panel = options.connect(arguments[0]).unwrap();
    confine(&SUBSCRIBES, arguments[1]);
    say("sleeps");
    assert!(matches!(panel.changed().unwrap(), board::Event::Changes(_)));
    drop(panel);
    std::process::exit(0);
}

/// A subscriber in a thread, which sleeps for each record and ends with the feed; with its thread.
fn sleeper(name: &Path, is_board: bool) -> (u32, thread::JoinHandle<()>) {
    let (name, (say, hear)) = (name.to_owned(), channel());
    let sleeping = thread::spawn(move || {
        let id = process::thread_id();
        if is_board {
            let options = board::SubscriberOptions::new().spin(Spin::Never);
            let mut panel = options.connect(name).unwrap();
            say.send(id).unwrap();
            let _ = panel.changed();
        } else {
            let options = feed::SubscriberOptions::new().spin(Spin::Never);
            let mut subscriber = options.connect(name).unwrap();
            say.send(id).unwrap();
            let _ = subscriber.recv();
        }
    });
    (hear.recv().unwrap(), sleeping)
}

/// The other side of a publisher that is confined.
fn act_on_a_publisher(role: &str, without: &str) -> ExitStatus {
    let place = Place::new();
    let name = place.name("x");
    let mut other = process::start(&place, role, &[name.to_str().unwrap(), without]);
    other.hear();
    other.expect("bound");
    let is_board = role.ends_with("board");
    let sleepers: Vec<_> = (0..SUBSCRIBERS).map(|_| sleeper(&name, is_board)).collect();
    other.expect("asleep?");
    for (thread, _) in &sleepers {
        eventually("it sleeps", || process::polls(*thread));
    }
    other.tell("go");
    let status = other.wait();
    for (_, sleeping) in sleepers {
        sleeping.join().unwrap();
    }
    status
}

/// The other side of a subscriber that is confined.
fn act_on_a_subscriber(role: &str, without: &str) -> ExitStatus {
    let place = Place::new();
    let name = place.name("x");
    // Serves its subscriber for as long as it lives.
    let mut publish: Box<dyn FnMut()> = if role.ends_with("board") {
        let mut publisher = board::Publisher::bind(&name).unwrap();
        Box::new(move || assert_eq!(publisher.set(b"key", b"tick"), Ok(0)))
    } else {
        let mut publisher = feed::Publisher::bind(&name).unwrap();
        Box::new(move || assert_eq!(publisher.publish(b"tick"), Ok(0)))
    };
    let mut other = process::start(&place, role, &[name.to_str().unwrap(), without]);
    let thread = other.hear().parse().unwrap();
    if other.try_hear().as_deref() == Some("sleeps") {
        eventually("it sleeps, or is dead", || {
            process::polls(thread) || gone(thread)
        });
        publish();
    }
    other.wait()
}

#[test]
fn a_publisher_needs_just_what_is_listed() {
    for role in ["publishes a feed", "publishes a board"] {
        needs_just_in(role, &PUBLISHES, act_on_a_publisher);
    }
}

#[test]
fn a_subscriber_needs_just_what_is_listed() {
    for role in ["subscribes to a feed", "subscribes to a board"] {
        needs_just_in(role, &SUBSCRIBES, act_on_a_subscriber);
    }
}
