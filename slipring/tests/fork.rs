//! A forked child of a process has everything that its parent had, mapped and open; and must not
//! touch the parent's streams by it: it neither reads nor writes nor ends anything.

mod common;

use common::process::{self, Other};
use common::{Place, bytes, eventually, guard, kind};
use slipring::{EndReason, Listener, NameState, Options, Spin, Stream};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("forks", forks),
        ("forks on tokio", forks_on_tokio),
        ("forks with a grant", forks_with_a_grant),
        ("forks and ends", forks_and_ends),
        ("forks and dies", forks_and_dies),
        ("forks with a name", forks_with_a_name),
        ("forks with a stopper", forks_with_a_stopper),
    ]);
}

fn options() -> Options {
    Options::new()
        .capacity(16 * 1024)
        .max_capacity(16 * 1024)
        .spin(Spin::Never)
        .wait_for_listener(common::GENEROUS)
}

/// Forks; the child runs `body` and exits with its result, without any cleaning up.
fn fork(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the other threads of this process only wait (in the harness and the watchdog), so
    // that the child, which has none of them, finds no lock held.
    match unsafe { libc::fork() } {
        0 => {
            let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(111);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(status) }
        }
        pid => pid,
    }
}

/// Waits for a forked child and returns its status.
fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is alive; the pid is of a child that no other code waits for.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WEXITSTATUS(status)
}

/// Tries everything with a stream that must fail; returns the number of the attempt that succeeded.
fn misbehave(mut stream: Stream) -> i32 {
    let closer = stream.closer();
    let foreign = |result: std::io::Result<()>| {
        result.is_err_and(|e| e.kind() == ErrorKind::Other && e.to_string().contains("forked"))
    };
    let batched = stream.writer().batch().write_all(b"from the child");
    let checks = [
        foreign(batched),
        foreign(stream.write_all(b"from the child")),
        foreign(stream.writer().try_write(b"from the child").map(|_| ())),
        foreign(stream.writer().reserve(1).map(|_| ())),
        foreign(stream.writer().space().map(|_| ())),
        foreign(stream.read(&mut [0; 8]).map(|_| ())),
        foreign(stream.reader().try_read(&mut [0; 8]).map(|_| ())),
        foreign(stream.reader().available().map(|_| ())),
        foreign(stream.reader().fill_at_least(1).map(|_| ())),
        // Calls that need no bytes to be there fail in the child too.
        foreign(stream.reader().fill_at_least(0).map(|_| ())),
        foreign(stream.writer().wait_consumed()),
        foreign(stream.writer().reserve(0).map(|_| ())),
        foreign(stream.fill_buf().map(|_| ())),
    ];
    stream.consume(0);
    closer.close();
    stream.reader().shutdown();
    let _ = stream.writer().finish();
    stream.writer().abort(1);
    closer.close();
    drop(stream);
    checks
        .iter()
        .position(|well| !well)
        .map_or(0, |wrong| wrong as i32 + 1)
}

/// Echoes; in between it forks a child that misbehaves.
fn forks(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    // Something unread and something under way, for the child to find.
    assert!(stream.reader().fill_at_least(10).unwrap().len() >= 10);
    // And something just read, so that the next bytes could be read with no more ado.
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    stream.write_all(&byte).unwrap();
    let mut stream = Some(stream);
    let pid = fork(|| misbehave(stream.take().unwrap()));
    assert_eq!(wait(pid), 0);
    let mut stream = stream.unwrap();
    let (reader, writer) = stream.halves();
    std::io::copy(reader, writer).unwrap();
}

/// The same on tokio, as far as it has methods of its own. The child asks each future once.
#[cfg(feature = "tokio")]
fn forks_on_tokio(_: &[&str]) {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn foreign<T>(future: impl Future<Output = std::io::Result<T>>) -> bool {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(e)) => e.kind() == ErrorKind::Other && e.to_string().contains("forked"),
            _ => false,
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut left, mut right) = slipring::tokio::Stream::pair().unwrap();
        left.writer().try_write(b"0123456789").unwrap();
        assert_eq!(right.reader().fill_at_least(10).await.unwrap().len(), 10);
        let pid = fork(|| {
            let well = [
                foreign(right.reader().fill_at_least(0)),
                foreign(right.reader().fill_at_least(1)),
                foreign(right.writer().wait_consumed()),
                foreign(right.writer().reserve(0)),
            ];
            well.iter()
                .position(|well| !well)
                .map_or(0, |wrong| wrong as i32 + 1)
        });
        assert_eq!(wait(pid), 0);
        assert_eq!(
            right.reader().fill_at_least(0).await.unwrap(),
            b"0123456789"
        );
    });
}

#[cfg(not(feature = "tokio"))]
fn forks_on_tokio(_: &[&str]) {}

/// Has found room, and written there, when it forks.
fn forks_with_a_grant(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    let mut grant = stream.writer().reserve(4).unwrap();
    grant.copy_from_slice(b"mine");
    let pid = fork(|| {
        let writes = catch_unwind(AssertUnwindSafe(|| grant.fill(0)));
        let looks = catch_unwind(AssertUnwindSafe(|| grant[0]));
        i32::from(writes.is_ok() || looks.is_ok())
    });
    assert_eq!(wait(pid), 0);
    grant.commit(4);
}

/// Forks a child that stays, and drops its stream in order.
fn forks_and_ends(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    let pid = fork(stays);
    stream.write_all(b"abc").unwrap();
    drop(stream);
    process::say("dropped");
    assert_eq!(process::told().as_deref(), Some("go on"));
    // SAFETY: the child is this process's own, and no other code waits for it.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait(pid);
}

/// A child that has nothing to do with its parent's streams, but holds everything open until it is
/// killed.
fn stays() -> i32 {
    // Nobody is left behind.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    thread::sleep(2 * common::GENEROUS);
    0
}

/// The same, until its parent's input ends; it outlives its parent.
fn stays_for_longer() -> i32 {
    while std::io::stdin().read(&mut [0]).is_ok_and(|n| n > 0) {}
    0
}

/// Forks a child that stays, and waits to be killed.
fn forks_and_dies(arguments: &[&str]) {
    let mut stream = options().connect(arguments[0]).unwrap();
    let _pid = fork(stays_for_longer);
    stream.write_all(b"abc").unwrap();
    process::say("ready");
    thread::sleep(common::GENEROUS);
}

/// Binds a name and forks children that drop it, and one that stays.
fn forks_with_a_name(arguments: &[&str]) {
    let listener = options().bind(arguments[0]).unwrap();
    let mut listener = Some(listener);
    let pid = fork(|| {
        drop(listener.take());
        0
    });
    assert_eq!(wait(pid), 0);
    let listener = listener.unwrap();
    process::say("forked");
    // Still bound: somebody connects.
    let mut stream = listener.accept().unwrap();
    stream.write_all(b"abc").unwrap();
    let pid = fork(stays);
    drop((listener, stream));
    process::say("dropped");
    process::told();
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait(pid);
}

/// Has a listener, which a forked child tries to stop.
fn forks_with_a_stopper(arguments: &[&str]) {
    let listener = options().bind(arguments[0]).unwrap();
    let stopper = listener.stopper();
    let pid = fork(|| {
        stopper.stop();
        0
    });
    assert_eq!(wait(pid), 0);
    assert!(listener.try_accept().unwrap().is_none());
    // A child that wakes all the same, as only the descriptor is needed for that, is silenced.
    let polled = |listener: &Listener| {
        let mut fds = [rustix::event::PollFd::new(
            listener,
            rustix::event::PollFlags::IN,
        )];
        let at_once = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut fds, Some(&at_once)).unwrap()
    };
    assert_eq!(polled(&listener), 0, "there is nothing to do");
    let doorbells: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|fd| {
            let target = std::fs::read_link(format!("/proc/self/fd/{fd}"));
            target.is_ok_and(|target| target.as_os_str() == "anon_inode:[eventfd]")
        })
        .collect();
    let pid = fork(|| {
        for doorbell in &doorbells {
            // SAFETY: eight bytes that are there, to a descriptor of this process.
            unsafe { libc::write(*doorbell, (&raw const RING).cast(), 8) };
        }
        0
    });
    assert_eq!(wait(pid), 0);
    assert_eq!(polled(&listener), 1);
    assert!(listener.try_accept().unwrap().is_none());
    assert_eq!(polled(&listener), 0, "it goes on ringing");
    // And this process can stop it.
    stopper.stop();
    assert!(matches!(listener.accept(), Err(slipring::Error::Stopped)));
}

static RING: u64 = 1;

#[test]
fn a_forked_child_stops_no_listener_of_its_parents() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        process::start(&place, "forks with a stopper", &[name.to_str().unwrap()]).succeed();
    });
}

fn scene(role: &str) -> (Place, Listener, Other, Stream) {
    let place = Place::new();
    let name = place.name("x");
    let listener = options().bind(&name).unwrap();
    let other = process::start(&place, role, &[name.to_str().unwrap()]);
    let stream = listener.accept().unwrap();
    (place, listener, other, stream)
}

#[test]
fn a_forked_child_neither_writes_nor_reads_nor_ends_anything() {
    guard(|| {
        let (_place, _listener, other, mut stream) = scene("forks");
        let (mut source, mut sink) = (bytes::Source::new(1), bytes::Sink::new(1));
        source.write_all(&mut stream, 10).unwrap();
        for n in [100, 10_000, 100_000] {
            thread::scope(|scope| {
                let (reader, writer) = stream.halves();
                scope.spawn(|| source.write_all(writer, n).unwrap());
                sink.read_exact(reader, n).unwrap();
            });
        }
        sink.read_exact(&mut stream, 10).unwrap();
        stream.writer().finish().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(stream.reader().end().unwrap().reason, EndReason::Finished);
        other.succeed();
    });
}

#[test]
fn a_forked_child_is_refused_on_tokio() {
    guard(|| {
        let place = Place::new();
        process::start(&place, "forks on tokio", &[]).succeed();
    });
}

#[test]
fn a_forked_child_writes_into_no_room_that_its_parent_found() {
    guard(|| {
        let (_place, _listener, other, mut stream) = scene("forks with a grant");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"mine");
        other.succeed();
    });
}

#[test]
fn an_orderly_end_arrives_though_a_forked_child_holds_everything() {
    guard(|| {
        let (_place, _listener, mut other, mut stream) = scene("forks and ends");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        other.expect("dropped");
        // The link too has ended, though the child has it open.
        eventually("writing fails", || stream.write(b"x").is_err());
        other.tell("go on");
        other.succeed();
    });
}

/// A documented limit: the death of a process is told when the last process that has its
/// descriptors closes them.
#[test]
fn a_death_is_told_when_the_forked_children_are_gone_too() {
    guard(|| {
        let (_place, _listener, mut other, mut stream) = scene("forks and dies");
        stream.read_exact(&mut [0; 3]).unwrap();
        other.expect("ready");
        // Its input stays open for the child of the process that is killed here.
        other.kill();
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        assert_eq!(kind(stream.read(&mut [0])), ErrorKind::WouldBlock);
        stream.set_read_timeout(None).unwrap();
        let reading = process::asleep(move || kind(stream.read(&mut [0])));
        drop(other);
        assert_eq!(reading.join().unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_forked_child_that_drops_a_listener_leaves_the_name() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let mut other = process::start(&place, "forks with a name", &[name.to_str().unwrap()]);
        other.expect("forked");
        assert!(matches!(
            Listener::bind(&name),
            Err(slipring::Error::NameInUse { .. })
        ));
        let mut stream = options().connect(&name).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        other.expect("dropped");
        // Free again, though a child of the one that had it has everything open.
        drop(Listener::bind(&name).unwrap());
        other.tell("go on");
        other.succeed();
        assert!(slipring::names().is_ok_and(|names| {
            names
                .iter()
                .all(|bound| bound.path != name || !matches!(bound.state, NameState::Live { .. }))
        }));
    });
}
