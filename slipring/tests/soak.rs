//! Hundreds of streams between processes for minutes or hours: random traffic, connects, ends,
//! kills and pauses. Every byte is checked on both sides. At the end the one process with all the
//! streams has given back all its resources. `ci/soak.sh` runs it.

mod common;

use common::process::{self, Other, command, of_process, say, start_as, told};
use common::{CHILD_SECONDS, GENEROUS, Place, Random, bytes, eventually, guard_for, setting};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use slipring::{EndReason, Listener, Options, Reader, Spin, Stream, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 16 * 1024;
const PROCESSES: u64 = 8;
const STREAMS: u64 = 40;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("serves", serves), ("talks", talks)]);
}

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Never)
        .handshake_timeout(GENEROUS)
}

/// Seven descriptors a stream are more than a process may have unasked.
fn raise_the_limit() {
    let usual = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: usual.maximum,
        ..usual
    };
    setrlimit(Resource::Nofile, most).unwrap();
}

/// The counts of the server, since it began.
#[derive(Default)]
struct Counts {
    open: AtomicU64,
    accepted: AtomicU64,
    bytes: AtomicU64,
    finished: AtomicU64,
    aborted: AtomicU64,
    died: AtomicU64,
    wrong: AtomicU64,
}

static COUNTS: Counts = Counts {
    open: AtomicU64::new(0),
    accepted: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
    finished: AtomicU64::new(0),
    aborted: AtomicU64::new(0),
    died: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

/// Answers each byte of every stream with one of its own; prints its counts on demand.
fn serves(arguments: &[&str]) {
    raise_the_limit();
    let listener: Listener = options().bind(arguments[0]).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            COUNTS.accepted.fetch_add(1, Relaxed);
            COUNTS.open.fetch_add(1, Relaxed);
            let serving = thread::Builder::new().stack_size(256 * 1024).spawn(|| {
                let served =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| serve(stream)));
                if served.is_err() {
                    COUNTS.wrong.fetch_add(1, Relaxed);
                }
                COUNTS.open.fetch_sub(1, Relaxed);
            });
            serving.unwrap();
        }
    });
    say("bound");
    while told().is_some() {
        let counts = [
            &COUNTS.open,
            &COUNTS.accepted,
            &COUNTS.bytes,
            &COUNTS.finished,
            &COUNTS.aborted,
            &COUNTS.died,
            &COUNTS.wrong,
        ];
        let words: Vec<_> = counts
            .iter()
            .map(|count| count.load(Relaxed).to_string())
            .collect();
        say(&words.join(" "));
    }
}

/// One stream, to its end. Panics at a wrong byte, or an end that there is not.
fn serve(mut stream: Stream) {
    let mut seed = [0; 8];
    if stream.read_exact(&mut seed).is_ok() {
        let seed = u64::from_le_bytes(seed);
        let (mut sink, mut source) = (bytes::Sink::new(seed), bytes::Source::new(!seed));
        let mut writes = true;
        while let Ok(lent) = stream.fill_buf() {
            let n = lent.len();
            if n == 0 {
                break;
            }
            sink.take(lent);
            stream.consume(n);
            COUNTS.bytes.fetch_add(n as u64, Relaxed);
            // A client that reads no more may still have published something.
            writes = writes && source.write_all(&mut stream, n).is_ok();
        }
    }
    // The end stays, so that it is met again here; and no wrong one is met at all.
    if let Err(e) = stream.read(&mut [0]) {
        assert!(
            matches!(
                e.kind(),
                ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            ),
            "{e:?}"
        );
    }
    match stream.reader().end().unwrap().reason {
        EndReason::Finished => COUNTS.finished.fetch_add(1, Relaxed),
        EndReason::Aborted { code: 42 } => COUNTS.aborted.fetch_add(1, Relaxed),
        EndReason::PeerDied => COUNTS.died.fetch_add(1, Relaxed),
        other => panic!("{other:?}"),
    };
}

static LEAVE: AtomicBool = AtomicBool::new(false);

/// Many streams at a time, one after the other, until it is told to leave. Each error is one too
/// many: the server does not die.
fn talks(arguments: &[&str]) {
    raise_the_limit();
    let name = arguments[0].to_owned();
    let base: u64 = arguments[1].parse().unwrap();
    let talking: Vec<_> = (0..STREAMS)
        .map(|i| {
            let name = name.clone();
            let mut random = Random::new(base + i);
            thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(move || {
                    while !LEAVE.load(Relaxed) {
                        talk(&name, &mut random);
                    }
                })
                .unwrap()
        })
        .collect();
    assert_eq!(told().as_deref(), Some("leave"));
    LEAVE.store(true, Relaxed);
    for thread in talking {
        thread.join().unwrap();
    }
}

/// The life of one stream.
fn talk(name: &str, random: &mut Random) {
    let mut stream = options().connect(name).unwrap();
    let seed = random.next();
    stream.write_all(&seed.to_le_bytes()).unwrap();
    let (mut source, mut sink) = (bytes::Source::new(seed), bytes::Sink::new(!seed));
    for _ in 0..random.below(200) {
        if LEAVE.load(Relaxed) {
            break;
        }
        let most = random.choose(&[16, 300, 5000, 16_000, 16_000, 300_000]);
        exchange(
            &mut stream,
            &mut source,
            &mut sink,
            1 + random.below(most) as usize,
        );
        thread::sleep(Duration::from_millis(random.choose(&[0, 1, 20, 200])));
    }
    match random.below(4) {
        0 => {
            stream.writer().finish().unwrap();
            sink.drain(stream.reader()).unwrap();
        }
        1 => stream.writer().abort(42),
        2 => stream.closer().close(),
        _ => {}
    }
}

/// Sends `n` bytes, and takes as many; both at once, if a ring does not hold them.
fn exchange(stream: &mut Stream, source: &mut bytes::Source, sink: &mut bytes::Sink, n: usize) {
    if n <= CAPACITY {
        source.write_all(stream, n).unwrap();
        return sink.read_exact(stream, n).unwrap();
    }
    let (reader, writer): (&mut Reader, &mut Writer) = stream.halves();
    thread::scope(|scope| {
        scope.spawn(move || source.write_all(writer, n).unwrap());
        sink.read_exact(reader, n).unwrap();
    });
}

/// The resources of a process.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    descriptors: u64,
    /// Of shared memory.
    mappings: u64,
    /// Kibibytes, each page counted once: shared pages are divided among the processes that share
    /// them.
    memory: u64,
    /// Seconds, since it began.
    cpu: f64,
}

fn usage(pid: u32) -> Usage {
    let rollup = of_process(pid, "smaps_rollup");
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let stat = of_process(pid, "stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    Usage {
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count() as u64,
        mappings: of_process(pid, "maps").matches("memfd:").count() as u64,
        memory: pss.unwrap().trim().trim_end_matches(" kB").parse().unwrap(),
        cpu: ticks / rustix::param::clock_ticks_per_second() as f64,
    }
}

/// The server and its clients.
struct Scene {
    place: Place,
    server: Other,
    clients: Vec<Other>,
    random: Random,
    limit: String,
}

impl Scene {
    fn new(seconds: u64) -> Scene {
        let place = Place::new();
        let limit = (seconds + 600).to_string();
        let name = place.name("soak");
        let mut command = command(&place, "serves", &[name.to_str().unwrap()]);
        command.env(CHILD_SECONDS, &limit);
        let mut server = start_as(command, "serves");
        server.expect("bound");
        Scene {
            place,
            server,
            clients: Vec::new(),
            random: Random::new(1),
            limit,
        }
    }

    fn client(&mut self) -> Other {
        let (name, seed) = (self.place.name("soak"), self.random.next() >> 1);
        let mut command = command(
            &self.place,
            "talks",
            &[name.to_str().unwrap(), &seed.to_string()],
        );
        command.env(CHILD_SECONDS, &self.limit);
        start_as(command, "talks")
    }

    fn people(&mut self) {
        self.clients = (0..PROCESSES).map(|_| self.client()).collect();
    }

    /// The counts of the server: open, accepted, bytes, finished, aborted, died, wrong.
    fn counts(&mut self) -> [u64; 7] {
        self.server.tell("report");
        let words = self.server.hear();
        let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }

    /// Lets every client leave in order; returns the remaining resources of the server.
    fn clear(&mut self) -> Usage {
        for client in &mut self.clients {
            client.tell("leave");
        }
        for client in self.clients.drain(..) {
            client.succeed();
        }
        eventually("no stream is left at the server", || self.counts()[0] == 0);
        // A thread that has counted its stream may not have ended yet.
        let pid = self.server.id();
        eventually("its threads have ended", || {
            of_process(pid, "status").contains("Threads:\t4\n")
        });
        usage(pid)
    }
}

/// A line of blocks, from nothing to the largest of the numbers.
fn plot(name: &str, unit: &str, numbers: &[f64]) {
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let blocks: String = numbers
        .iter()
        .map(|n| {
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((n / most.max(1e-9)) * 7.0).round() as usize]
        })
        .collect();
    println!("{name:>12} 0 |{blocks}| {most:.1} {unit}");
}

#[test]
#[ignore = "takes minutes: ci/soak.sh"]
fn soak() {
    let seconds = setting("SLIPRING_SOAK_SECONDS", 60);
    guard_for(Duration::from_secs(seconds + 600), move || run(seconds));
}

fn run(seconds: u64) {
    let mut scene = Scene::new(seconds);
    let pid = scene.server.id();
    // A first crowd, so that what stays anyway (threads' stacks, the allocator's memory) is there.
    scene.people();
    eventually("all are there", || scene.counts()[0] == PROCESSES * STREAMS);
    thread::sleep(Duration::from_secs(5));
    let settled = scene.clear();

    scene.people();
    println!(
        "the server's; memory is its Pss. {PROCESSES} processes with {STREAMS} streams each, \
            {seconds} s"
    );
    println!(
        "     s  streams  descriptors  memory KiB  CPU %  connects  kills  pauses  checked MiB"
    );
    let (start, mut last, mut cpu) = (Instant::now(), Instant::now(), usage(pid).cpu);
    let every = Duration::from_secs((seconds / 30).max(1));
    let (mut kills, mut pauses) = (0, 0);
    let mut rows = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        let victim = scene.random.below(PROCESSES) as usize;
        if scene.random.below(3) == 0 {
            // None of them ends by itself.
            scene.clients[victim].kill();
            scene.clients[victim] = scene.client();
            kills += 1;
        } else {
            scene.clients[victim].signal(Signal::STOP);
            thread::sleep(Duration::from_millis(scene.random.below(1000)));
            scene.clients[victim].signal(Signal::CONT);
            pauses += 1;
        }
        thread::sleep(Duration::from_millis(scene.random.below(1000)));
        if last.elapsed() >= every {
            let (counts, now) = (scene.counts(), usage(pid));
            let percent = (now.cpu - cpu) / last.elapsed().as_secs_f64() * 100.0;
            println!(
                "{:6}  {:7}  {:11}  {:10}  {percent:5.1}  {:8}  {kills:5}  {pauses:6}  {:11}",
                start.elapsed().as_secs(),
                counts[0],
                now.descriptors,
                now.memory,
                counts[1],
                counts[2] >> 20
            );
            (last, cpu) = (Instant::now(), now.cpu);
            rows.push((now, percent));
            assert_eq!(counts[6], 0, "streams went wrong at the server; see above");
        }
    }
    let left = scene.clear();
    let counts = scene.counts();
    println!();
    plot(
        "descriptors",
        "",
        &rows
            .iter()
            .map(|row| row.0.descriptors as f64)
            .collect::<Vec<_>>(),
    );
    plot(
        "memory",
        "MiB",
        &rows
            .iter()
            .map(|row| row.0.memory as f64 / 1024.0)
            .collect::<Vec<_>>(),
    );
    plot(
        "CPU",
        "%",
        &rows.iter().map(|row| row.1).collect::<Vec<_>>(),
    );
    let [_, accepted, bytes, finished, aborted, died, wrong] = counts;
    println!(
        "\n{accepted} streams: {finished} ended in order, {aborted} aborted, {died} died\n\
         {bytes} bytes each way, all checked"
    );
    println!("before: {settled:?}\nafter:  {left:?}");
    assert_eq!(wrong, 0, "streams went wrong at the server; see above");
    assert_eq!(
        finished + aborted + died,
        accepted,
        "each stream has one end"
    );
    assert!(died > 0 || kills == 0);
    assert_eq!(left.descriptors, settled.descriptors, "descriptors leak");
    assert_eq!((left.mappings, settled.mappings), (0, 0), "mappings leak");
    // The allocator keeps some memory; a stream of each second would be more.
    assert!(left.memory <= settled.memory + 4096, "memory leaks");
}
