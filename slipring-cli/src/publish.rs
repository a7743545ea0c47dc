//! `slipring publish`: standard input becomes the records of a feed, or the keys of a board.

mod keys;
mod shared;

use std::{ffi::OsString, num::NonZero, process::ExitCode, thread, time::Duration};

use slipring::{
    board,
    feed::{Budget, PublisherOptions},
};

pub use self::shared::Shared;
use self::{keys::Keys, shared::Publisher};
use crate::{
    cleanup::{self, Duty},
    console,
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

With --key-field the name is that of a board, which `slipring board NAME` shows: a field of each \
line is a key, and the other fields are its value, in place of the one that it had. A line with \
nothing but a key removes that key.

The end of standard input ends the feed in order, as do SIGTERM and SIGHUP; subscribers are told, \
and still read what is kept. Ctrl-C and a failure abort the feed.

Examples:
  vmstat 1 | slipring publish load             # and elsewhere: slipring subscribe load
  tail -F app.log | slipring publish --capacity 16M log
  slipring publish --subscribers 3 --lossless=10s rows < rows.csv
  ./ticks | slipring publish --frames --protocol ticks/1 ticks
  df -P | slipring publish --key-field 6 disks  # and elsewhere: slipring board disks
  slipring publish --key-field 1 --delimiter , prices < prices.csv

Exit code: 0 at the end of the input, 1 if a record could not be read or is too long, or a board \
is full, 4 if the name could not be bound; see `slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name to publish at: NAME or Local/NAME (this user), Global/NAME (this machine), or an
    /// absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// Records have their length before them, 4 bytes, little-endian, rather than being lines
    #[arg(long, conflicts_with = "key_field")]
    frames: bool,

    /// Make a board: this field of each line, counted from 1, is a key, and the rest its value
    #[arg(long, value_name = "N")]
    key_field: Option<NonZero<usize>>,

    /// The character between two fields [default: blanks, any number of them]
    #[arg(long, value_name = "CHARACTER", requires = "key_field")]
    delimiter: Option<char>,

    /// Read standard input only when so many subscribers are connected
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    subscribers: usize,

    /// Say on standard error when subscribers can connect, and how many records there were
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    feed: FeedArgs,

    #[command(flatten)]
    board: BoardArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Feed options")]
struct FeedArgs {
    /// Room for the newest records, or of a board for its newest changes: a power of two from one
    /// page to 1G, with K, M or G for powers of 1024 [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_capacity)]
    capacity: Option<usize>,

    /// Bytes of the longest record [default: a quarter of the capacity, less 24]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "key_field")]
    max_record: Option<usize>,

    /// Admit lossless subscribers, and wait for one that is behind by the whole capacity: for as
    /// long as it takes, or for this long (--lossless=10s), after which that one is cut off
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration,
        conflicts_with = "key_field"
    )]
    lossless: Option<Option<Duration>>,

    #[command(flatten)]
    peer: PeerArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Board options")]
struct BoardArgs {
    /// The most keys that are there at the same time
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 4096,
        requires = "key_field"
    )]
    max_keys: u32,

    /// Bytes of the longest value
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = parse_size,
        default_value = "1K",
        requires = "key_field"
    )]
    max_value: usize,
}

impl Args {
    fn feed(&self) -> PublisherOptions {
        let mut options = PublisherOptions::new().timestamps(true);
        if let Some(bytes) = self.feed.capacity {
            options = options.capacity(bytes);
        }
        if let Some(bytes) = self.feed.max_record {
            options = options.max_record(bytes);
        }
        if let Some(time) = self.feed.lossless {
            options = options.lossless(Budget {
                bytes: usize::MAX,
                time: time.unwrap_or(FOREVER),
            });
        }
        if let Some(protocol) = &self.feed.peer.protocol {
            options = options.protocol(protocol);
        }
        if let Some(timeout) = self.feed.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        match self.feed.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }

    fn board(&self) -> board::PublisherOptions {
        let mut options = board::PublisherOptions::new()
            .max_keys(self.board.max_keys)
            .max_value(self.board.max_value);
        if let Some(bytes) = self.feed.capacity {
            options = options.ring(bytes);
        }
        if let Some(protocol) = &self.feed.peer.protocol {
            options = options.protocol(protocol);
        }
        if let Some(timeout) = self.feed.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        match self.feed.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }

    fn bind(&self) -> slipring::Result<Publisher> {
        Ok(match self.key_field {
            None => Publisher::Feed(Box::new(self.feed().bind(&self.name)?)),
            Some(_) => Publisher::Board(Box::new(self.board().bind(&self.name)?)),
        })
    }
}

/// Between two looks at how many subscribers there are.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    // If that is not possible, the present limit has to suffice.
    let _ = slipring::raise_descriptor_limit();
    let (publisher, watch) = cleanup::on_signal(|| {
        let publisher = args.bind();
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
    publisher.finish();
    if args.verbose {
        let many = if count == 1 { "" } else { "s" };
        console::log(format_args!("published {count} record{many}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes all that there is on standard input; returns how many records.
fn serve(args: &Args, publisher: &Shared) -> Result<u64, Failure> {
    while publisher.with(|publisher| publisher.subscribers()) < args.subscribers {
        thread::sleep(LOOK_AGAIN);
    }
    let form = if args.frames {
        Form::Frames
    } else {
        Form::Lines
    };
    let keys = args.key_field.map(|field| Keys {
        field: field.get(),
        delimiter: args.delimiter,
    });
    let longest = publisher.with(|publisher| publisher.longest());
    let mut records = RecordReader::standard(form, longest);
    let mut count = 0;
    let failed = |error: ReadError, count| error.failure(form, count + 1, longest);
    while let Some(record) = records.next().map_err(|error| failed(error, count))? {
        publisher.with(|publisher| match (publisher, &keys) {
            (Publisher::Board(board), Some(keys)) => keys.publish(board, record, count + 1),
            (Publisher::Feed(feed), _) => feed
                .publish(record)
                .map(drop)
                .map_err(|error| Failure::failed(error.to_string())),
            (Publisher::Board(_), None) => Ok(()),
        })?;
        count += 1;
    }
    Ok(count)
}
