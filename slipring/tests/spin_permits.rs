//! However many halves of a process wait, only a bounded number of them spin at the same time; and
//! a half that has spun gives its permit to the next one, however the waiting ended. The streams
//! lead to another process, which watches the waiting.
//!
//! A half that spins in these tests would do so for an hour: so a thread that sleeps has found no
//! permit left, and one that uses its CPU has got one.

mod common;

use common::process::{self, Other, of_process, say, sleeps, thread_id, told};
use common::{GENEROUS, Place, eventually, guard, kind};
use slipring::{Listener, Options, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// One at a time: each takes all the cores that it may.
static ALONE: Mutex<()> = Mutex::new(());

/// As many more streams wait in a test as may spin.
const MORE: usize = 24;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("waits", waits), ("forks", forks), ("is there", is_there)]);
}

/// As many halves of one process may spin: all CPUs but one, and one at least, unless there is only
/// one CPU at all.
fn most() -> usize {
    match thread::available_parallelism().map_or(1, usize::from) {
        1 => 0,
        cpus => cpus - 1,
    }
}

fn alone(body: impl FnOnce() + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    guard(body);
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::UpTo(Duration::from_secs(3600)))
        .wait_for_listener(GENEROUS)
}

/// Whether a thread has used so much CPU time since it was asked first that it does nothing else.
fn spins(thread: u32) -> impl FnMut() -> bool {
    let used = move || -> u64 {
        let times = of_process(thread, &format!("task/{thread}/schedstat"));
        times.split(' ').next().unwrap().parse().unwrap()
    };
    let before = used();
    move || used() > before + 20_000_000
}

/// Waits until a thread that reads spins, or sleeps because it may not; whether it spins.
fn settles(thread: u32) -> bool {
    let mut spins = spins(thread);
    let mut spinning = false;
    eventually("a reader spins or sleeps", || {
        spinning = spins();
        spinning || sleeps(thread)
    });
    spinning
}

/// In the process that waits: obeys the commands, over streams that it connects.
fn waits(arguments: &[&str]) {
    let connect = || options().connect(arguments[0]).unwrap();
    let mut streams: Vec<Stream> = (0..most() + MORE).map(|_| connect()).collect();
    while let Some(what) = told() {
        let mut stream = None;
        match what.as_str() {
            "wait on all" => {
                thread::scope(|scope| {
                    for stream in &mut streams {
                        scope.spawn(|| {
                            say(&thread_id().to_string());
                            stream.read_exact(&mut [0]).unwrap();
                        });
                    }
                });
            }
            "time out" => {
                let stream = &mut streams[0];
                stream
                    .set_read_timeout(Some(Duration::from_millis(5)))
                    .unwrap();
                assert_eq!(kind(stream.read(&mut [0])), ErrorKind::WouldBlock);
                stream.set_read_timeout(None).unwrap();
            }
            "be closed" => {
                let mut stream = connect();
                let (closer, thread) = (stream.closer(), thread_id());
                let closing = thread::spawn(move || {
                    assert!(most() == 0 || settles(thread));
                    closer.close();
                });
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                closing.join().unwrap();
            }
            "wait for an end" => {
                let stream = stream.insert(connect());
                say(&thread_id().to_string());
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }
            "wait for a death" => {
                let stream = stream.insert(options().connect(arguments[1]).unwrap());
                say(&thread_id().to_string());
                assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionReset);
            }
            "wait for room" => {
                let stream = stream.insert(connect());
                stream.write_all(&[0; 4096]).unwrap();
                say(&thread_id().to_string());
                stream.write_all(&[0]).unwrap();
            }
            "wait on tasks" => wait_on_tasks(connect()),
            other => panic!("told to {other}"),
        }
        say("done");
    }
}

/// The optional spinning of polls has the same bound.
#[cfg(feature = "tokio")]
fn wait_on_tasks(stream: Stream) {
    use tokio::io::AsyncReadExt;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut stream = slipring::tokio::Stream::from_blocking(stream).unwrap();
        stream.reader().set_poll_spin(Duration::from_secs(3600));
        say(&thread_id().to_string());
        stream.read_exact(&mut [0]).await.unwrap();
    });
}

#[cfg(not(feature = "tokio"))]
fn wait_on_tasks(mut stream: Stream) {
    say(&thread_id().to_string());
    stream.read_exact(&mut [0]).unwrap();
}

/// Connects, and is there until it is killed.
fn is_there(arguments: &[&str]) {
    let listener = Listener::bind(arguments[0]).unwrap();
    say("bound");
    let _stream = listener.accept().unwrap();
    told();
}

struct Waiting {
    other: Other,
    place: Place,
    listener: Listener,
    /// The ends of the streams that it waits on.
    streams: Vec<Stream>,
}

impl Waiting {
    fn start() -> Waiting {
        let place = Place::new();
        let name = place.name("waits");
        let listener = options().bind(&name).unwrap();
        let mortal = place.name("mortal");
        let arguments = [name.to_str().unwrap(), mortal.to_str().unwrap()];
        let other = process::start(&place, "waits", &arguments);
        let streams = (0..most() + MORE)
            .map(|_| listener.accept().unwrap())
            .collect();
        Waiting {
            other,
            place,
            listener,
            streams,
        }
    }

    /// All wait; as many as may do spin, and all others sleep.
    #[track_caller]
    fn check(&mut self) {
        self.other.tell("wait on all");
        let threads: Vec<u32> = self
            .streams
            .iter()
            .map(|_| number(&mut self.other))
            .collect();
        let mut spinning = Vec::new();
        eventually("all sleep who may not spin", || {
            spinning = threads
                .iter()
                .copied()
                .filter(|thread| !sleeps(*thread))
                .collect();
            spinning.len() <= most()
        });
        assert_eq!(spinning.len(), most(), "fewer spin than may");
        for thread in &spinning {
            eventually("the others do spin", spins(*thread));
        }
        for thread in threads.iter().filter(|thread| !spinning.contains(thread)) {
            assert!(sleeps(*thread), "more spin than may");
        }
        for stream in &mut self.streams {
            stream.write_all(&[1]).unwrap();
        }
        self.other.expect("done");
    }

    /// Has it wait once for something that then happens here, while it spins.
    fn once(&mut self, what: &str, happen: impl FnOnce(&mut Stream)) {
        self.other.tell(what);
        let mut stream = self.listener.accept().unwrap();
        let thread = number(&mut self.other);
        assert_eq!(settles(thread), most() > 0);
        happen(&mut stream);
        self.other.expect("done");
    }
}

fn number(other: &mut Other) -> u32 {
    other.hear().parse().unwrap()
}

#[test]
fn no_more_halves_spin_than_may_and_the_rest_sleeps() {
    alone(|| {
        let mut waiting = Waiting::start();
        for _ in 0..3 {
            waiting.check();
        }
    });
}

/// Each way out of a wait is taken more often than there are permits: were it to keep one, fewer
/// would spin afterwards.
#[test]
fn every_end_of_a_wait_lets_the_next_half_spin() {
    alone(|| {
        let mut waiting = Waiting::start();
        let rounds = most() + 1;
        for _ in 0..rounds {
            waiting.other.tell("time out");
            waiting.other.expect("done");
        }
        waiting.check();
        for _ in 0..rounds {
            waiting.other.tell("be closed");
            let _stream = waiting.listener.accept().unwrap();
            waiting.other.expect("done");
        }
        waiting.check();
        for _ in 0..rounds {
            waiting.once("wait for an end", |stream| {
                stream.writer().finish().unwrap()
            });
            waiting.once("wait for room", |stream| {
                stream.read_exact(&mut [0; 100]).unwrap()
            });
            waiting.once("wait on tasks", |stream| stream.write_all(&[1]).unwrap());
        }
        waiting.check();
        for round in 0..rounds {
            // A name is free again only when its listener's death has been noticed.
            let mortal = waiting.place.name("mortal");
            let mut dying = process::start(&waiting.place, "is there", &[mortal.to_str().unwrap()]);
            dying.expect("bound");
            waiting.other.tell("wait for a death");
            let thread = number(&mut waiting.other);
            assert_eq!(settles(thread), most() > 0, "round {round}");
            dying.kill();
            waiting.other.expect("done");
        }
        waiting.check();
    });
}

/// Forks while as many threads spin as may, and waits in the child.
fn forks(arguments: &[&str]) {
    let mut streams: Vec<Stream> = (0..most())
        .map(|_| options().connect(arguments[0]).unwrap())
        .collect();
    thread::scope(|scope| {
        let threads: Vec<u32> = streams
            .iter_mut()
            .map(|stream| {
                let (tell, hear) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    tell.send(thread_id()).unwrap();
                    stream.read_exact(&mut [0]).unwrap();
                });
                hear.recv().unwrap()
            })
            .collect();
        assert!(threads.into_iter().all(settles));
        // SAFETY: the other threads hold no lock: they spin, or wait in the harness and the
        // watchdog.
        match unsafe { libc::fork() } {
            0 => {
                rustix::process::set_parent_process_death_signal(Some(
                    rustix::process::Signal::KILL,
                ))
                .unwrap();
                let (_left, mut right) = options().pair().unwrap();
                let _ = right.read(&mut [0]);
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(0) }
            }
            child => {
                say(&child.to_string());
                told();
                // SAFETY: a child of this process, which has not been waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
            }
        }
    });
}

#[test]
fn a_forked_child_starts_with_no_half_that_spins() {
    alone(|| {
        let place = Place::new();
        let name = place.name("forks");
        let listener = options().bind(&name).unwrap();
        let mut other = process::start(&place, "forks", &[name.to_str().unwrap()]);
        let mut streams: Vec<Stream> = (0..most()).map(|_| listener.accept().unwrap()).collect();
        let child = number(&mut other);
        assert_eq!(settles(child), most() > 0);
        other.tell("kill it");
        for stream in &mut streams {
            stream.write_all(&[1]).unwrap();
        }
        other.succeed();
    });
}

/// A half that always spins does so regardless of the others, and counts for them.
#[test]
fn a_half_that_always_spins_counts_among_those_that_may() {
    alone(|| {
        let always = Options::new()
            .capacity(4096)
            .max_capacity(4096)
            .spin(Spin::Always);
        let (mut left, mut right) = always.pair().unwrap();
        let (tell, hear) = std::sync::mpsc::channel();
        let tell_too = tell.clone();
        let reading = thread::spawn(move || {
            tell.send(thread_id()).unwrap();
            right.read_exact(&mut [0]).unwrap();
        });
        eventually("it spins", spins(hear.recv().unwrap()));
        if most() == 1 {
            let (mut here, mut there) = options().pair().unwrap();
            let other = thread::spawn(move || {
                tell_too.send(thread_id()).unwrap();
                there.read_exact(&mut [0]).unwrap();
            });
            assert!(!settles(hear.recv().unwrap()));
            here.write_all(&[1]).unwrap();
            other.join().unwrap();
        }
        left.write_all(&[1]).unwrap();
        reading.join().unwrap();
    });
}
