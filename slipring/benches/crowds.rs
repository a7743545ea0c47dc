//! A listener that is not idle, measured: the cost of a flood of clients for an honest one, beside
//! a server of Unix sockets in the same flood; the cost of a hello that announces a large region;
//! and the number of clients kept out by a crowd that shakes hands half-way.
//!
//!     cargo bench -p slipring --bench crowds
//!
//! Takes half a minute. Run it on a machine with nothing else to do; there are more processes than
//! cores in it all the same, so a single time says little.

#[path = "../tests/common/raw.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod raw;

use raw::Side;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use slipring::{Listener, Options, Spin, Stream};
use std::env;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const FLOODS: usize = 8;
const ROUNDS: usize = 6;
const HONEST: usize = 200;
const HELLOS: usize = 1000;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "floods", path] => floods(path),
        [_, "says hello", path, capacity, all] => {
            says_hello(path, capacity.parse().unwrap(), all == "true")
        }
        [_, "goes half-way", path, count] => goes_half_way(path, count.parse().unwrap()),
        // Cargo passes `--bench`.
        _ => measure(),
    }
}

fn measure() {
    let place = tempfile::tempdir().unwrap();
    let name = |text: &str| place.path().join(text);
    println!("{}", machine());
    println!(
        "\nconnecting, until the first byte, beside {FLOODS} processes that connect and leave:\n"
    );
    println!("| listener | median, µs | p99, µs |\n|---|---|---|");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.extend(beside_a_flood(
            &name(&format!("ours-{round}")),
            Server::Slipring,
        ));
        theirs.extend(beside_a_flood(
            &name(&format!("theirs-{round}")),
            Server::Unix,
        ));
    }
    let (ours, theirs) = (quantiles(ours), quantiles(theirs));
    println!("| slipring | {:.0} | {:.0} |", ours.0, ours.1);
    println!("| Unix socket | {:.0} | {:.0} |", theirs.0, theirs.1);
    println!(
        "| ratio | {:.2} | {:.2} |",
        ours.0 / theirs.0,
        ours.1 / theirs.1
    );

    println!(
        "\nCPU time of the thread that accepts, for {HELLOS} clients, ms (median of {ROUNDS}):\n"
    );
    println!("| the client | announces 4 KiB | announces 64 MiB | ratio |\n|---|---|---|---|");
    for (what, all) in [
        ("says hello and leaves", false),
        ("passes its memory, and is accepted", true),
    ] {
        let times = |capacity| {
            let each = (0..ROUNDS).map(|round| {
                cpu_of_hellos(&name(&format!("h{all}{capacity}{round}")), capacity, all)
            });
            quantiles(each.collect()).0 / 1000.0
        };
        let (small, large) = (times(4096), times(64 << 20));
        println!(
            "| {what} | {small:.1} | {large:.1} | {:.2} |",
            large / small
        );
    }

    let failed = beside_a_crowd(&name("crowd"));
    println!(
        "\nof 1000 honest clients beside 250 that go half-way, with 1024 descriptors: {failed} \
            failed"
    );
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}",
        model.unwrap_or("?"),
        kernel.trim()
    )
}

fn options() -> Options {
    Options::new()
        .capacity(4096)
        .max_capacity(4096)
        .spin(Spin::Never)
}

/// Another process of this program. Killed when dropped.
struct Other(Child);

impl Other {
    fn start(arguments: &[&str]) -> Other {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Other(command.spawn().unwrap())
    }

    fn begun(mut self) -> Other {
        self.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut [0])
            .unwrap();
        self
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn begun() {
    let mut output = std::io::stdout();
    output
        .write_all(b".")
        .and_then(|()| output.flush())
        .unwrap();
}

fn floods(path: &str) {
    begun();
    loop {
        drop(UnixStream::connect(path));
    }
}

#[derive(Clone, Copy)]
enum Server {
    Slipring,
    Unix,
}

/// Times of honest clients, in microseconds.
fn beside_a_flood(path: &Path, server: Server) -> Vec<f64> {
    match server {
        Server::Slipring => {
            let listener = options().bind(path).unwrap();
            let stopper = listener.stopper();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ = stream.map(|mut stream| stream.write_all(b"x"));
                }
            });
            let times = time_each(path, || {
                let mut stream: Stream = options().connect(path).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            });
            stopper.stop();
            times
        }
        Server::Unix => {
            let listener = UnixListener::bind(path).unwrap();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ = stream.map(|mut stream| stream.write_all(b"x"));
                }
            });
            time_each(path, || {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            })
        }
    }
}

fn time_each(path: &Path, mut connect: impl FnMut()) -> Vec<f64> {
    let path = path.to_str().unwrap();
    let _flooding: Vec<_> = (0..FLOODS)
        .map(|_| Other::start(&["floods", path]).begun())
        .collect();
    (0..HONEST)
        .map(|_| {
            let start = Instant::now();
            connect();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

/// Says hello many times, with the same memory, and leaves each time.
fn says_hello(path: &str, capacity: usize, all: bool) {
    let side = Side::new(capacity);
    begun();
    for _ in 0..HELLOS {
        let link = UnixStream::connect(path).unwrap();
        side.say_hello(&link);
        if all {
            side.pass(&link, &side.fds());
            // Until it is accepted.
            raw::answer(&link);
        } else {
            // Until it is answered.
            let _ = raw::receive(&link);
        }
    }
}

/// CPU time of the accepting thread, in microseconds.
fn cpu_of_hellos(path: &PathBuf, capacity: usize, all: bool) -> f64 {
    let listener: Listener = options().bind(path).unwrap();
    let _other = Other::start(&[
        "says hello",
        path.to_str().unwrap(),
        &capacity.to_string(),
        &all.to_string(),
    ])
    .begun();
    let start = thread_time();
    let mut accepted = 0;
    while listener.refused() + accepted < HELLOS as u64 {
        accepted += u64::from(listener.accept_timeout(Duration::from_millis(100)).is_ok());
    }
    (thread_time() - start).as_secs_f64() * 1e6
}

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn goes_half_way(path: &str, count: usize) {
    limit_descriptors(getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20));
    let links: Vec<_> = (0..count)
        .map(|_| {
            let link = UnixStream::connect(path).unwrap();
            Side::new(4096).say_hello(&link);
            link
        })
        .collect();
    begun();
    let _ = std::io::stdin().read(&mut [0]);
    drop(links);
}

fn limit_descriptors(to: u64) {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(to);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
}

/// How many honest clients failed, one after the other.
fn beside_a_crowd(path: &Path) -> usize {
    limit_descriptors(1024);
    let listener = options().bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.map(|mut stream| stream.write_all(b"x"));
        }
    });
    let _crowd = Other::start(&["goes half-way", path.to_str().unwrap(), "250"]).begun();
    (0..1000)
        .filter(|_| {
            let connected = options().connect(path);
            !connected.is_ok_and(|mut stream| stream.read_exact(&mut [0]).is_ok())
        })
        .count()
}

/// The median and the 99th percentile.
fn quantiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
