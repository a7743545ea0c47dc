//! What a feed costs its publisher, with one reader and with hundreds: `cargo bench -p slipring
//! --bench feed`. Each case beside what it is compared with, in the same run; medians of the
//! rounds, of `SLIPRING_BENCH_ROUNDS` (10) each. `-- CASE` for some of the cases.
//!
//! On a machine with two cores hundreds of readers share them with the publisher, so that what is
//! measured of *all awake* is the machine's, and what is measured of the publisher's call is the
//! publisher's.

use slipring::feed::{
    Event, Publisher, PublisherOptions, Start, Subscriber, SubscriberOptions, Wake,
};
use slipring::{Listener, Options, Spin, Stream};
use std::hint::{black_box, spin_loop};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Where the names of this run lie.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, more @ ..] = &arguments[..]
        && role.starts_with("role-")
    {
        let count = more.first().map_or(1, |count| count.parse().unwrap());
        return match role.as_str() {
            "role-awake" => awake(name, count),
            "role-painting" => painting(name, count),
            "role-sleeping" => sleeping(name, count),
            "role-stream" => stream(name),
            "role-echo-feed" => echo_feed(name),
            "role-echo-stream" => echo_stream(name),
            role => panic!("no role {role}"),
        };
    }
    let place = tempfile::tempdir().unwrap();
    PLACE.set(place.path().to_owned()).unwrap();
    let cases: [(&str, fn()); 5] = [
        ("writes", writes),
        ("awake", many_awake),
        ("asleep", many_asleep),
        ("stopped", one_stopped),
        ("latency", latency),
    ];
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    println!("| case | median | p99 | of |\n|---|---|---|---|");
    for (name, case) in cases {
        if wanted.is_empty() || wanted.iter().any(|one| *one == name) {
            case();
        }
    }
}

fn rounds() -> usize {
    std::env::var("SLIPRING_BENCH_ROUNDS").map_or(10, |n| n.parse().expect("a number"))
}

/// A child in a role, killed when it is dropped.
struct Role(Child);

impl Role {
    /// Starts it, and waits until it says that it is there.
    fn start(role: &str, name: &str, count: usize) -> Role {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([role, name, &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "here\n", "{role}");
        Role(child)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A path in a directory of this run's own: a child that is killed leaves its socket.
fn name(what: &str) -> String {
    let place = PLACE.get().expect("a directory of this run's");
    place.join(what).to_str().unwrap().to_owned()
}

fn here() {
    println!("here");
}

/// Readers that poll without a pause.
fn awake(name: &str, count: usize) {
    let looking = SubscriberOptions::new().wake(Wake::Never);
    let mut all: Vec<_> = (0..count).map(|_| looking.connect(name).unwrap()).collect();
    here();
    loop {
        for subscriber in &mut all {
            while let Some(event) = subscriber.try_recv().unwrap() {
                if let Event::Ended(_) = event {
                    return;
                }
                black_box(&event);
            }
        }
        spin_loop();
    }
}

/// Readers that look sixty times a second.
fn painting(name: &str, count: usize) {
    let looking = SubscriberOptions::new().wake(Wake::Never);
    let mut all: Vec<_> = (0..count).map(|_| looking.connect(name).unwrap()).collect();
    here();
    loop {
        for subscriber in &mut all {
            let event = subscriber.latest().unwrap();
            if let Some(Event::Ended(_)) = event {
                return;
            }
            black_box(&event);
        }
        thread::sleep(Duration::from_millis(16));
    }
}

/// Readers that sleep, each on a thread of its own. Another feed says so whenever all of them have
/// received a record.
fn sleeping(name: &str, count: usize) {
    let asleep = SubscriberOptions::new().spin(Spin::Never);
    let all: Vec<_> = (0..count).map(|_| asleep.connect(name).unwrap()).collect();
    let back = Publisher::bind(back(name)).unwrap();
    let counted = Arc::new((AtomicUsize::new(0), Mutex::new(back)));
    let threads: Vec<_> = all
        .into_iter()
        .map(|mut subscriber: Subscriber| {
            let counted = Arc::clone(&counted);
            let receive = move || {
                while !matches!(subscriber.recv().unwrap(), Event::Ended(_)) {
                    let received = counted.0.fetch_add(1, Ordering::AcqRel) + 1;
                    if received.is_multiple_of(count) {
                        counted.1.lock().unwrap().publish(b"all").unwrap();
                    }
                }
            };
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(receive)
                .unwrap()
        })
        .collect();
    here();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Reads a stream to its end.
fn stream(name: &str) {
    let mut stream = Options::new().spin(Spin::Always).connect(name).unwrap();
    here();
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Runs the rounds; each returns its durations in nanoseconds. Prints the medians over the rounds.
fn report(what: &str, of: &str, mut round: impl FnMut() -> Vec<f64>) {
    let (mut p50, mut p99): (Vec<f64>, Vec<f64>) = (0..rounds())
        .map(|_| {
            let mut times = round();
            times.sort_by(f64::total_cmp);
            (percentile(&times, 0.5), percentile(&times, 0.99))
        })
        .unzip();
    p50.sort_by(f64::total_cmp);
    p99.sort_by(f64::total_cmp);
    println!(
        "| {what} | {:.1} ns | {:.1} ns | {of} |",
        percentile(&p50, 0.5),
        percentile(&p99, 0.5)
    );
}

/// Nanoseconds for each of `count` calls, in groups so that the clock is not what is measured.
fn in_groups(count: usize, mut call: impl FnMut()) -> Vec<f64> {
    const GROUP: usize = 64;
    (0..count / GROUP)
        .map(|_| {
            let start = Instant::now();
            (0..GROUP).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / GROUP as f64
        })
        .collect()
}

/// Publishing beside writing to a stream, with one reader that is awake.
fn writes() {
    const COUNT: usize = 1 << 19;
    for size in [64, 1024] {
        let record = vec![7; size];
        let feed = name("writes");
        let mut publisher = Publisher::bind(&feed).unwrap();
        let _reader = Role::start("role-awake", &feed, 1);
        let listener = Listener::bind(name("stream")).unwrap();
        let to = name("stream");
        let starting = thread::spawn(move || Role::start("role-stream", &to, 1));
        let mut stream: Stream = listener.accept().unwrap();
        let _other = starting.join().unwrap();
        report(&format!("publish {size} B"), "one call", || {
            in_groups(COUNT, || {
                publisher.publish(&record).unwrap();
            })
        });
        report(
            &format!("publish {size} B, 16 in a batch"),
            "one record",
            || {
                let batches = in_groups(COUNT / 16, || {
                    let mut batch = publisher.batch();
                    for _ in 0..16 {
                        batch.publish(&record).unwrap();
                    }
                });
                batches.into_iter().map(|time| time / 16.0).collect()
            },
        );
        report(&format!("write {size} B to a stream"), "one call", || {
            in_groups(COUNT, || stream.write_all(&record).unwrap())
        });
    }
}

/// The same call with 1, 100 and 500 readers that have timers of their own.
fn many_awake() {
    for count in [1, 100, 500] {
        let feed = name("awake");
        let mut publisher = Publisher::bind(&feed).unwrap();
        let _readers = Role::start("role-painting", &feed, count);
        report(
            &format!("publish 64 B to {count} with timers"),
            "one call",
            || {
                in_groups(1 << 18, || {
                    publisher.publish(&[7; 64]).unwrap();
                })
            },
        );
    }
}

/// The name over which sleeping readers say that all of them have received a record.
fn back(name: &str) -> String {
    format!("{name}-back")
}

/// The processor time of the thread that wakes, in seconds.
fn waker_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of_waker = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let times = std::fs::read_to_string(path.join("schedstat")).ok()?;
        (name.trim() == "slipring-feed").then(|| times.split(' ').next()?.parse::<f64>().ok())?
    });
    of_waker.sum::<f64>() / 1e9
}

/// One publication at a time to readers that all sleep.
fn many_asleep() {
    for count in [1, 100, 500] {
        let feed = name("asleep");
        let mut publisher = Publisher::bind(&feed).unwrap();
        let _readers = Role::start("role-sleeping", &feed, count);
        // It sleeps, so that it takes no core from the readers; so its own waking counts, too.
        let asleep = SubscriberOptions::new().spin(Spin::Never);
        let mut all = asleep.connect(back(&feed)).unwrap();
        let mut awake = Vec::new();
        let before = waker_time();
        report(
            &format!("publish 64 B to {count} asleep"),
            "one call",
            || {
                (0..100)
                    .map(|_| {
                        // So that all sleep again.
                        thread::sleep(Duration::from_millis(5));
                        let start = Instant::now();
                        publisher.publish(&[7; 64]).unwrap();
                        let called = start.elapsed();
                        black_box(&all.recv().unwrap());
                        awake.push(start.elapsed().as_nanos() as f64);
                        called.as_nanos() as f64
                    })
                    .collect()
            },
        );
        let times = awake.len() as f64;
        let used = (waker_time() - before) / times * 1e9;
        awake.sort_by(f64::total_cmp);
        println!(
            "| all {count} awake | {:.0} ns | {:.0} ns | one publication |",
            percentile(&awake, 0.5),
            percentile(&awake, 0.99)
        );
        println!(
            "| processor time of the waking thread, {count} | {used:.0} ns | | one publication |"
        );
        in_flow(&mut publisher, count);
        one_by_one(count);
    }
}

/// A publication each 100 µs, to readers that sleep as soon as they have read: most calls come
/// while the waking thread is at work.
fn in_flow(publisher: &mut Publisher, count: usize) {
    report(
        &format!("publish 64 B each 100 µs to {count} that sleep"),
        "one call",
        || {
            let begin = Instant::now();
            (0..2000u32)
                .map(|i| {
                    while begin.elapsed() < Duration::from_micros(100) * i {
                        spin_loop();
                    }
                    let start = Instant::now();
                    publisher.publish(&[7; 64]).unwrap();
                    start.elapsed().as_nanos() as f64
                })
                .collect()
        },
    );
}

/// As many threads that sleep on eventfds, woken one by one by the caller.
fn one_by_one(count: usize) {
    use rustix::event::{EventfdFlags, eventfd};
    let woken = Arc::new(AtomicUsize::new(0));
    let bells: Vec<Arc<OwnedFd>> = (0..count)
        .map(|_| Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap()))
        .collect();
    for bell in &bells {
        let (bell, woken) = (Arc::clone(bell), Arc::clone(&woken));
        thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || {
                loop {
                    let mut count = [0; 8];
                    rustix::io::read(bell.as_fd(), &mut count).unwrap();
                    // The last value ends it.
                    if u64::from_ne_bytes(count) > 1 {
                        return;
                    }
                    woken.fetch_add(1, Ordering::AcqRel);
                }
            })
            .unwrap();
    }
    report(
        &format!("all {count} awake, one by one by eventfds"),
        "all",
        || {
            (0..100)
                .map(|_| {
                    thread::sleep(Duration::from_millis(5));
                    woken.store(0, Ordering::Release);
                    let start = Instant::now();
                    for bell in &bells {
                        rustix::io::write(bell, &1u64.to_ne_bytes()).unwrap();
                    }
                    while woken.load(Ordering::Acquire) < count {
                        spin_loop();
                    }
                    start.elapsed().as_nanos() as f64
                })
                .collect()
        },
    );
    for bell in &bells {
        rustix::io::write(bell, &2u64.to_ne_bytes()).unwrap();
    }
}

/// The publisher's call with and without a reader that is stopped, among those with timers.
fn one_stopped() {
    let feed = name("stopped");
    let mut publisher = PublisherOptions::new().bind(&feed).unwrap();
    let _readers = Role::start("role-painting", &feed, 499);
    let one = Role::start("role-sleeping", &feed, 1);
    for (what, signal) in [
        ("none of 500 stopped", None),
        ("one of 500 stopped", Some(rustix::process::Signal::STOP)),
    ] {
        if let Some(signal) = signal {
            one.signal(signal);
        }
        report(&format!("publish 64 B, {what}"), "one call", || {
            in_groups(1 << 16, || {
                publisher.publish(&[7; 64]).unwrap();
            })
        });
    }
    one.signal(rustix::process::Signal::CONT);
}

/// With a ring of the size that a stream has.
fn like_a_stream() -> PublisherOptions {
    PublisherOptions::new().capacity(256 << 10)
}

/// Sends back each record over a feed of its own.
fn echo_feed(name: &str) {
    let spinning = SubscriberOptions::new().spin(Spin::Always);
    let mut publisher = like_a_stream().bind(format!("{name}-back")).unwrap();
    let mut subscriber = spinning.connect(name).unwrap();
    here();
    while let Event::Record(record) = subscriber.recv().unwrap() {
        publisher.publish(record.payload).unwrap();
    }
}

fn echo_stream(name: &str) {
    let mut stream = Options::new().spin(Spin::Always).connect(name).unwrap();
    here();
    let mut buffer = [0; 64];
    while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
}

/// A round trip over two feeds, beside one over a stream: both ends spin.
fn latency() {
    const COUNT: usize = 1 << 16;
    let feed = name("latency");
    let mut publisher = like_a_stream().bind(&feed).unwrap();
    let _echo = Role::start("role-echo-feed", &feed, 1);
    let mut back = SubscriberOptions::new()
        .spin(Spin::Always)
        .start(Start::Newest)
        .connect(format!("{feed}-back"))
        .unwrap();
    report("there and back over two feeds, 64 B", "two ways", || {
        in_groups(COUNT, || {
            publisher.publish(&[7; 64]).unwrap();
            let event = back.recv().unwrap();
            assert!(matches!(event, Event::Record(_)));
        })
    });
    let listener = Options::new()
        .spin(Spin::Always)
        .bind(name("back"))
        .unwrap();
    let to = name("back");
    let starting = thread::spawn(move || Role::start("role-echo-stream", &to, 1));
    let mut stream = listener.accept().unwrap();
    let _other = starting.join().unwrap();
    let mut buffer = [0; 64];
    report("there and back over a stream, 64 B", "two ways", || {
        in_groups(COUNT, || {
            stream.write_all(&[7; 64]).unwrap();
            stream.read_exact(&mut buffer).unwrap();
        })
    });
}
