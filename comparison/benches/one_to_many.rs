//! One publisher and many readers: what a publication costs over a feed of slipring's, and over
//! what other libraries have for it. `cargo bench --features iceoryx2 --bench one_to_many`, with
//! `-- NAME` for some of the contenders. Medians of the rounds, of which there are
//! `COMPARISON_ROUNDS` (10); the contenders take turns.
//!
//! Nobody is held up by a reader here: each of these overwrites what is not read in time.

use std::{
    collections::BTreeMap,
    fs,
    hint::{black_box, spin_loop},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use slipring::{
    Spin,
    feed::{Event, Publisher, Subscriber, SubscriberOptions, Wake},
};

/// As much as a feed has by default.
const CAPACITY: usize = 1 << 20;
/// Messages of a batch.
const BATCH: usize = 16;

/// How readers wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// On one thread, without a pause.
    Spinning,
    /// On one thread, 60 times a second.
    Painting,
    /// Each on a thread of its own.
    Sleeping,
}

const PACES: [(&str, Pace); 3] = [
    ("spinning", Pace::Spinning),
    ("painting", Pace::Painting),
    ("sleeping", Pace::Sleeping),
];

trait Publish<const N: usize> {
    fn publish(&mut self, message: &[u8; N]);

    /// Publishes them so that readers see all of them at once, if that can be told.
    fn publish_batch(&mut self, messages: &[[u8; N]; BATCH]) {
        messages.iter().for_each(|message| self.publish(message));
    }
}

trait Read {
    /// Takes what is there. `false`: it is over.
    fn look(&mut self) -> bool;

    /// Sleeps until there is something, and takes it. `false`: it is over.
    fn wait(&mut self) -> bool;
}

/// A way from one publisher to many readers.
trait Way<const N: usize> {
    type Publisher: Publish<N>;
    type Reader: Read + Send + 'static;
    /// The readers are threads of the publisher's process.
    const THREADS: bool = false;
    /// A reader can be woken.
    const WAKES: bool = true;

    fn publisher(place: &Path, readers: usize) -> Self::Publisher;
    fn reader(place: &Path, pace: Pace, readers: usize) -> Self::Reader;
}

struct Feed;

fn feed_name(place: &Path) -> PathBuf {
    place.join("feed")
}

impl<const N: usize> Way<N> for Feed {
    type Publisher = Publisher;
    type Reader = Subscriber;

    fn publisher(place: &Path, _: usize) -> Publisher {
        Publisher::bind(feed_name(place)).unwrap()
    }

    fn reader(place: &Path, pace: Pace, _: usize) -> Subscriber {
        let wake = match pace {
            Pace::Sleeping => Wake::AtOnce,
            Pace::Spinning | Pace::Painting => Wake::Never,
        };
        let options = SubscriberOptions::new().wake(wake).spin(Spin::Never);
        options.connect(feed_name(place)).unwrap()
    }
}

impl<const N: usize> Publish<N> for Publisher {
    fn publish(&mut self, message: &[u8; N]) {
        Publisher::publish(self, message).unwrap();
    }

    fn publish_batch(&mut self, messages: &[[u8; N]; BATCH]) {
        let mut batch = self.batch();
        for message in messages {
            batch.publish(message).unwrap();
        }
    }
}

impl Read for Subscriber {
    fn look(&mut self) -> bool {
        while let Some(event) = self.try_recv().unwrap() {
            if let Event::Ended(_) = event {
                return false;
            }
            black_box(&event);
        }
        true
    }

    fn wait(&mut self) -> bool {
        !matches!(black_box(self.recv().unwrap()), Event::Ended(_))
    }
}

#[cfg(feature = "ringfire")]
mod with_ringfire {
    use super::*;
    use ringfire::{
        FutexWait, LayoutSignature, RecvStatus, RingConsumer, RingProducer, RingProducerBuilder,
    };

    pub struct Ringfire;

    pub struct Reader<const N: usize>(RingConsumer<[u8; N]>, FutexWait);

    impl<const N: usize> Way<N> for Ringfire
    where
        [u8; N]: LayoutSignature,
    {
        type Publisher = RingProducer<[u8; N]>;
        type Reader = Reader<N>;

        fn publisher(place: &Path, readers: usize) -> Self::Publisher {
            RingProducerBuilder::new((CAPACITY / N) as u64)
                .max_readers(readers)
                .build(place.join("ring"))
                .unwrap()
        }

        fn reader(place: &Path, _: Pace, _: usize) -> Reader<N> {
            let ring = RingConsumer::builder().start_from_latest();
            Reader(
                ring.attach(place.join("ring")).unwrap(),
                FutexWait::default(),
            )
        }
    }

    impl<const N: usize> Publish<N> for RingProducer<[u8; N]> {
        fn publish(&mut self, message: &[u8; N]) {
            self.push(message);
        }

        fn publish_batch(&mut self, messages: &[[u8; N]; BATCH]) {
            self.push_batch(messages);
        }
    }

    impl<const N: usize> Read for Reader<N> {
        fn look(&mut self) -> bool {
            while !matches!(black_box(self.0.recv_status()), RecvStatus::Empty) {}
            true
        }

        fn wait(&mut self) -> bool {
            black_box(self.0.recv_blocking(&mut self.1));
            true
        }
    }
}

#[cfg(feature = "iceoryx2")]
mod with_iceoryx2 {
    use super::{Pace, Publish, Read, Way, black_box};
    use iceoryx2::{
        port::{publisher, subscriber},
        prelude::{
            Config, FileName, LogLevel, Node, NodeBuilder, SemanticString, ipc_threadsafe,
            set_log_level,
        },
    };
    use std::path::Path;

    type Service = ipc_threadsafe::Service;

    pub struct Iceoryx2;

    pub struct Publisher(
        publisher::Publisher<Service, [u8], ()>,
        #[expect(dead_code, reason = "it lives as long")] Node<Service>,
    );
    pub struct Reader(
        subscriber::Subscriber<Service, [u8], ()>,
        #[expect(dead_code, reason = "it lives as long")] Node<Service>,
    );

    /// Messages that a subscriber keeps; a window that paints wants a few.
    fn buffer(pace: Pace) -> usize {
        if pace == Pace::Spinning { 1024 } else { 16 }
    }

    fn node(place: &Path) -> Node<Service> {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        let root = iceoryx2::prelude::Path::new(place.to_str().unwrap().as_bytes());
        config.global.set_root_path(&root.unwrap());
        // In memory there is one directory for all programs.
        let prefix = format!("{}_", place.file_name().unwrap().to_str().unwrap());
        config.global.prefix = FileName::new(prefix.as_bytes()).unwrap();
        NodeBuilder::new().config(&config).create().unwrap()
    }

    impl<const N: usize> Way<N> for Iceoryx2 {
        type Publisher = Publisher;
        type Reader = Reader;
        const WAKES: bool = false;

        fn publisher(place: &Path, readers: usize) -> Publisher {
            let node = node(place);
            let service = service(&node, readers);
            let publisher = service.publisher_builder().initial_max_slice_len(N);
            Publisher(publisher.create().unwrap(), node)
        }

        fn reader(place: &Path, pace: Pace, readers: usize) -> Reader {
            let node = node(place);
            let service = service(&node, readers);
            let subscriber = service.subscriber_builder().buffer_size(buffer(pace));
            Reader(subscriber.create().unwrap(), node)
        }
    }

    fn service(
        node: &Node<Service>,
        readers: usize,
    ) -> iceoryx2::service::port_factory::publish_subscribe::PortFactory<Service, [u8], ()> {
        node.service_builder(&"one-to-many".try_into().unwrap())
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(true)
            .subscriber_max_buffer_size(buffer(match readers {
                1 => Pace::Spinning,
                _ => Pace::Painting,
            }))
            .history_size(0)
            .max_subscribers(readers)
            .max_nodes(readers + 1)
            .open_or_create()
            .unwrap()
    }

    impl<const N: usize> Publish<N> for Publisher {
        fn publish(&mut self, message: &[u8; N]) {
            let sample = self.0.loan_slice_uninit(N).unwrap();
            sample.write_from_slice(message).send().unwrap();
        }
    }

    impl Read for Reader {
        fn look(&mut self) -> bool {
            while let Some(sample) = self.0.receive().unwrap() {
                black_box(sample.payload());
            }
            true
        }

        fn wait(&mut self) -> bool {
            unreachable!("it is woken by a service of another kind")
        }
    }
}

#[cfg(feature = "broadcast")]
mod with_broadcast {
    use super::*;
    use std::{any::Any, sync::Mutex};
    use tokio::sync::broadcast::{
        Receiver, Sender,
        error::{RecvError, TryRecvError},
    };

    pub struct Broadcast;

    /// The one that readers find.
    static SENDER: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);

    impl<const N: usize> Way<N> for Broadcast {
        type Publisher = Sender<[u8; N]>;
        type Reader = Receiver<[u8; N]>;
        const THREADS: bool = true;

        fn publisher(_: &Path, _: usize) -> Sender<[u8; N]> {
            let sender = Sender::new(CAPACITY / N);
            let weak = sender.downgrade();
            *SENDER.lock().unwrap() = Some(Box::new(weak));
            sender
        }

        fn reader(_: &Path, _: Pace, _: usize) -> Receiver<[u8; N]> {
            let sender = SENDER.lock().unwrap();
            let weak = sender.as_ref().unwrap();
            let weak: &tokio::sync::broadcast::WeakSender<[u8; N]> = weak.downcast_ref().unwrap();
            weak.upgrade().unwrap().subscribe()
        }
    }

    impl<const N: usize> Publish<N> for Sender<[u8; N]> {
        fn publish(&mut self, message: &[u8; N]) {
            self.send(*message).unwrap();
        }
    }

    impl<const N: usize> Read for Receiver<[u8; N]> {
        fn look(&mut self) -> bool {
            loop {
                match black_box(self.try_recv()) {
                    Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Closed) => return false,
                }
            }
        }

        fn wait(&mut self) -> bool {
            !matches!(black_box(self.blocking_recv()), Err(RecvError::Closed))
        }
    }
}

/// Reads until it is over, or this process is killed. `here` is called before.
fn read<W: Way<N>, const N: usize>(place: &Path, pace: Pace, count: usize, here: impl FnOnce()) {
    let mut all: Vec<_> = (0..count).map(|_| W::reader(place, pace, count)).collect();
    if pace == Pace::Sleeping {
        let threads: Vec<_> = all
            .into_iter()
            .map(|mut reader| {
                let thread = thread::Builder::new().stack_size(64 << 10);
                thread.spawn(move || while reader.wait() {}).unwrap()
            })
            .collect();
        here();
        return threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
    here();
    while all.iter_mut().all(Read::look) {
        match pace {
            Pace::Painting => thread::sleep(Duration::from_millis(16)),
            _ => spin_loop(),
        }
    }
}

/// Readers, of another process or of a thread.
enum Readers {
    Process(Child),
    Thread(Option<thread::JoinHandle<()>>),
}

impl Readers {
    fn start<W: Way<N>, const N: usize>(
        name: &str,
        place: &Path,
        pace: Pace,
        count: usize,
    ) -> Readers {
        if W::THREADS {
            let place = place.to_owned();
            let (here, is_here) = std::sync::mpsc::channel();
            let reading =
                thread::spawn(move || read::<W, N>(&place, pace, count, || here.send(()).unwrap()));
            is_here.recv().unwrap();
            return Readers::Thread(Some(reading));
        }
        let (word, _) = PACES.iter().find(|(_, other)| *other == pace).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("role")
            .args([name, word, &N.to_string(), &count.to_string()])
            .arg(place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "here\n", "{name}");
        Readers::Process(child)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        match self {
            Readers::Process(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Readers::Thread(thread) => thread.take().unwrap().join().unwrap(),
        }
    }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Nanoseconds of calls in groups, so that the clock is not what is measured.
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

/// The figures of each case and contender: p50 and p99 of each round.
type Figures = BTreeMap<(usize, String), Vec<(&'static str, Vec<(f64, f64)>)>>;

fn note(figures: &mut Figures, case: (usize, String), name: &'static str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let round = (percentile(&times, 0.5), percentile(&times, 0.99));
    let of_case = figures.entry(case).or_default();
    match of_case.iter_mut().find(|(other, _)| *other == name) {
        Some((_, rounds)) => rounds.push(round),
        None => of_case.push((name, vec![round])),
    }
}

/// One round of everything with messages of this size.
fn measure<W: Way<N>, const N: usize>(name: &'static str, figures: &mut Figures) {
    let within = |count,
                  pace,
                  figures: &mut Figures,
                  run: &mut dyn FnMut(&mut W::Publisher, &mut Figures)| {
        let place = tempfile::tempdir().unwrap();
        let mut publisher = W::publisher(place.path(), count);
        let readers = Readers::start::<W, N>(name, place.path(), pace, count);
        run(&mut publisher, figures);
        // A thread ends with its publisher.
        drop(publisher);
        drop(readers);
    };
    within(1, Pace::Spinning, figures, &mut |publisher, figures| {
        let message = [7; N];
        let times = in_groups(1 << 18, || publisher.publish(&message));
        note(
            figures,
            (0, format!("{N} B, one reader that spins")),
            name,
            times,
        );
        let messages = [[7; N]; BATCH];
        let times = in_groups((1 << 18) / BATCH, || publisher.publish_batch(&messages));
        let times = times.into_iter().map(|time| time / BATCH as f64);
        let case = format!("{N} B, {BATCH} in a batch, for one; one reader that spins");
        note(figures, (1, case), name, times.collect());
    });
    if N > 64 {
        return;
    }
    for count in [1, 100, 500] {
        within(count, Pace::Painting, figures, &mut |publisher, figures| {
            let times = in_groups(1 << 16, || publisher.publish(&[7; N]));
            let case = format!("{N} B, {count} with timers of their own");
            note(figures, (2 + count, case), name, times);
        });
        if !W::WAKES {
            continue;
        }
        within(count, Pace::Sleeping, figures, &mut |publisher, figures| {
            let times = (0..100).map(|_| {
                // So that all sleep again.
                thread::sleep(Duration::from_millis(8));
                let start = Instant::now();
                publisher.publish(&[7; N]);
                start.elapsed().as_nanos() as f64
            });
            let case = format!("{N} B, {count} that sleep");
            note(figures, (1000 + count, case), name, times.collect());
        });
    }
}

/// What is done with each contender: measuring it, and reading for it.
struct Contender {
    name: &'static str,
    measure: fn(&'static str, &mut Figures),
    read: fn(usize, &Path, Pace, usize),
}

fn here() {
    println!("here");
}

/// A contender of messages of 64 B and of 1 KiB.
macro_rules! contender {
    ($name:literal, $way:ty) => {
        Contender {
            name: $name,
            measure: |name, figures| {
                measure::<$way, 64>(name, figures);
                measure::<$way, 1024>(name, figures);
            },
            read: |size, place, pace, count| match size {
                64 => read::<$way, 64>(place, pace, count, here),
                _ => read::<$way, 1024>(place, pace, count, here),
            },
        }
    };
}

fn contenders() -> Vec<Contender> {
    vec![
        contender!("slipring feed", Feed),
        #[cfg(feature = "iceoryx2")]
        contender!("iceoryx2", with_iceoryx2::Iceoryx2),
        #[cfg(feature = "ringfire")]
        contender!("ringfire", with_ringfire::Ringfire),
        #[cfg(feature = "broadcast")]
        contender!("tokio broadcast (threads)", with_broadcast::Broadcast),
    ]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, pace, size, count, place] = &arguments[..]
        && role == "role"
    {
        let all = contenders();
        let one = all.iter().find(|one| one.name == name).unwrap();
        let (_, pace) = PACES.iter().find(|(word, _)| word == pace).unwrap();
        let (size, count) = (size.parse().unwrap(), count.parse().unwrap());
        return (one.read)(size, Path::new(place), *pace, count);
    }
    // Children have the raised limit as well.
    let _limit = slipring::raise_descriptor_limit().unwrap();
    let rounds = std::env::var("COMPARISON_ROUNDS").map_or(10, |n| n.parse().expect("a number"));
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let mut figures = Figures::new();
    for _ in 0..rounds {
        for one in contenders() {
            if wanted.is_empty() || wanted.iter().any(|part| one.name.contains(part.as_str())) {
                (one.measure)(one.name, &mut figures);
            }
        }
    }
    let machine = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = machine.lines().find(|line| line.starts_with("model name"));
    println!("{}\n", model.unwrap_or("an unknown processor"));
    println!("| one call | contender | p50 | p99 |\n|---|---|---|---|");
    for ((_, case), contenders) in figures {
        for (name, rounds) in contenders {
            let (mut p50, mut p99): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
            p50.sort_by(f64::total_cmp);
            p99.sort_by(f64::total_cmp);
            let (p50, p99) = (percentile(&p50, 0.5), percentile(&p99, 0.5));
            println!("| {case} | {name} | {p50:.1} ns | {p99:.1} ns |");
        }
    }
}
