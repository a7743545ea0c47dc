//! `slipring publish`: standard input becomes the records of a feed.

use std::{
    ffi::OsString,
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use slipring::feed::{Budget, PublishError, Publisher, PublisherOptions};

use crate::{
    cleanup::{self, Duty},
    console,
    duplex::abort_code,
    failure::Failure,
    options::{PeerArgs, name_parser, not_bound, parse_capacity},
    records::{Form, ReadError, RecordReader},
    units::{FOREVER, parse_duration, parse_size},
};

pub const EXAMPLES: &str = "\
Any number of `slipring subscribe NAME` read the same records out of this process's memory. None \
of them holds up this command or another one, unless they are lossless; one that is too slow is \
told how many records it missed. A record carries the time at which it was published. Records are \
kept as long as the ring has room for them, and this command runs: a subscriber that comes later \
begins with the oldest of them, if it asks for that.

The end of standard input ends the feed in order, as do SIGTERM and SIGHUP; subscribers are told, \
and still read what is kept. Ctrl-C and a failure abort the feed.

Examples:
  vmstat 1 | slipring publish load             # and elsewhere: slipring subscribe load
  tail -F app.log | slipring publish --capacity 16M log
  slipring publish --subscribers 3 --lossless=10s rows < rows.csv
  ./ticks | slipring publish --frames --protocol ticks/1 ticks

Exit code: 0 at the end of the input, 1 if a record could not be read or is too long, 4 if the \
name could not be bound; see `slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name to publish at: NAME or Local/NAME (this user), Global/NAME (this machine), or an
    /// absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// Records have their length before them, 4 bytes, little-endian, rather than being lines
    #[arg(long)]
    frames: bool,

    /// Read standard input only when so many subscribers are connected
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    subscribers: usize,

    /// Say on standard error when subscribers can connect, and how many records there were
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    feed: FeedArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Feed options")]
struct FeedArgs {
    /// Room for the newest records: a power of two from one page to 1G, with K, M or G for powers
    /// of 1024 [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_capacity)]
    capacity: Option<usize>,

    /// Bytes of the longest record [default: a quarter of the capacity, less 24]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_record: Option<usize>,

    /// Admit lossless subscribers, and wait for one that is behind by the whole capacity: for as
    /// long as it takes, or for this long (--lossless=10s), after which that one is cut off
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration
    )]
    lossless: Option<Option<Duration>>,

    #[command(flatten)]
    peer: PeerArgs,
}

impl FeedArgs {
    fn options(&self) -> PublisherOptions {
        let mut options = PublisherOptions::new().timestamps(true);
        if let Some(bytes) = self.capacity {
            options = options.capacity(bytes);
        }
        if let Some(bytes) = self.max_record {
            options = options.max_record(bytes);
        }
        if let Some(time) = self.lossless {
            options = options.lossless(Budget {
                bytes: usize::MAX,
                time: time.unwrap_or(FOREVER),
            });
        }
        if let Some(protocol) = &self.peer.protocol {
            options = options.protocol(protocol);
        }
        if let Some(timeout) = self.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        match self.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }
}

/// How long a signal waits for a publication, which waits for lossless subscribers, before the
/// process ends all the same. For subscribers the publisher has died then.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The publisher, which a signal ends.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    publisher: Mutex<Option<Publisher>>,
    ending: AtomicBool,
}

impl Shared {
    fn new(publisher: Publisher) -> Self {
        Self(Arc::new(Inner {
            publisher: Mutex::new(Some(publisher)),
            ending: AtomicBool::new(false),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Publisher>> {
        // A publisher is whole between two calls, also after a panic.
        let publisher = &self.0.publisher;
        publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the publisher. If a signal has taken it, the process ends meanwhile.
    fn with<T>(&self, act: impl FnOnce(&mut Publisher) -> T) -> T {
        if !self.0.ending.load(SeqCst)
            && let Some(publisher) = &mut *self.lock()
        {
            return act(publisher);
        }
        loop {
            thread::park();
        }
    }

    /// Called by the thread that ends the process.
    pub fn end(&self, is_interrupt: bool) {
        self.0.ending.store(true, SeqCst);
        let deadline = Instant::now() + PATIENCE;
        let publisher = loop {
            match self.0.publisher.try_lock() {
                Ok(mut publisher) => break publisher.take(),
                Err(TryLockError::Poisoned(publisher)) => break publisher.into_inner().take(),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return,
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
            }
        };
        match publisher {
            Some(publisher) if is_interrupt => publisher.abort(abort_code::INTERRUPTED),
            Some(publisher) => publisher.finish(),
            None => {}
        }
    }

    fn abort(&self) {
        if let Some(publisher) = self.lock().take() {
            publisher.abort(abort_code::FAILED);
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    // If that is not possible, the present limit has to suffice.
    let _ = slipring::raise_descriptor_limit();
    let (publisher, watch) = cleanup::on_signal(|| {
        let options = args.feed.options();
        let publisher = options.bind(&args.name);
        let publisher = Shared::new(publisher.map_err(|error| not_bound(error, &args.name))?);
        Ok((publisher.clone(), vec![Duty::End(publisher)]))
    })?;
    if args.verbose {
        publisher.with(|publisher| {
            console::say(format_args!("publishing at {}", publisher.name()));
        });
    }
    let count = match serve(&args, &publisher) {
        Ok(count) => count,
        Err(failure) => {
            // Otherwise subscribers would take this for the end of the records.
            publisher.abort();
            return Err(failure);
        }
    };
    drop(watch);
    if let Some(publisher) = publisher.lock().take() {
        publisher.finish();
    }
    if args.verbose {
        let many = if count == 1 { "" } else { "s" };
        console::log(format_args!("published {count} record{many}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes all that there is on standard input; returns how many records.
fn serve(args: &Args, publisher: &Shared) -> Result<u64, Failure> {
    while publisher.with(|publisher| publisher.subscribers().len()) < args.subscribers {
        thread::sleep(LOOK_AGAIN);
    }
    let form = if args.frames {
        Form::Frames
    } else {
        Form::Lines
    };
    let longest = publisher.with(|publisher| publisher.max_record());
    let mut records = RecordReader::standard(form, longest);
    let mut count = 0;
    let failed = |error: ReadError, count| error.failure(form, count + 1, longest);
    while let Some(record) = records.next().map_err(|error| failed(error, count))? {
        let published = publisher.with(|publisher| publisher.publish(record));
        published.map_err(|error: PublishError| Failure::failed(error.to_string()))?;
        count += 1;
    }
    Ok(count)
}
