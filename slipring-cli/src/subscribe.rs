//! `slipring subscribe`: the records of a feed on standard output.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, BufWriter, Write},
    os::fd::AsFd,
    process::{self, ExitCode},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};
use slipring::{
    Spin,
    feed::{
        End, EndReason, Event, Lagged, Record, Restarted, Start, Subscriber, SubscriberOptions,
    },
};

use crate::{
    console,
    failure::Failure,
    options::{PEER_CAPACITY, PeerArgs, SpinParser, name_parser},
    records::{self, Form, StandardOutput},
    relay::output::OutputWatch,
    session::Session,
    standard,
    units::{FOREVER, parse_duration},
};

pub const EXAMPLES: &str = "\
Each record is printed as a line, or with --frames after its length in 4 bytes, little-endian. \
Standard error says the rest: how many records were missed, another publisher, and how the feed \
ended, with the number of the record that would have come next.

With --json each line is an object whose `event` is one of
  record     sequence, time_ns (since 1970, if the publisher says it), skipped (with --latest), and
             text, or if it is not UTF-8, hex
  lagged     missed, and next: the number of the record that comes next
  restarted  epoch: a number that this publisher alone has
  ended      reason (finished, aborted, publisher-died, corrupt, disconnected, too-slow), code if
             there is one, next, and reconnecting: whether another publisher is waited for

Examples:
  slipring subscribe load                      # and elsewhere: vmstat 1 | slipring publish load
  slipring subscribe --wait --reconnect --start oldest log >> copy.log
  slipring subscribe --latest=1s load
  slipring subscribe --json ticks | jq -r 'select(.event == \"record\") | .text'

Exit code: 0 after an end in order, also if records were missed, which is said; 1 if a lossless \
subscriber was too slow; 3 if the publisher died or aborted; 4 if no connection came about; see \
`slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name that is published at: NAME or Local/NAME (this user), Global/NAME (this machine),
    /// or an absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// Where to begin: newest (with the first record from now on), oldest (with the oldest that is
    /// kept), or the number of a record
    #[arg(long, value_parser = parse_start, default_value = "newest")]
    start: Start,

    /// Miss nothing: the publisher has to wait, which it may refuse
    #[arg(long, conflicts_with = "latest")]
    lossless: bool,

    /// Print only the newest record, each TIME, if there is a newer one [default: 100ms]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration
    )]
    latest: Option<Option<Duration>>,

    /// If nobody publishes yet, wait for that: for ever, or for this long (--wait=500ms,
    /// --wait=10s)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = parse_duration
    )]
    wait: Option<Option<Duration>>,

    /// When the publisher has finished or died, go on with the next one of the name
    #[arg(long)]
    reconnect: bool,

    /// Print each record after its length, 4 bytes, little-endian, rather than as a line
    #[arg(long)]
    frames: bool,

    /// Print one JSON object a line: records, and what else there is to know
    #[arg(long, conflicts_with = "frames")]
    json: bool,

    #[command(flatten)]
    feed: FeedArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Feed options")]
struct FeedArgs {
    /// How long to poll the shared memory before going to sleep: never, always, adaptive, or a
    /// time such as 20us
    #[arg(
        long,
        value_name = "MODE",
        value_parser = SpinParser,
        hide_possible_values = true,
        default_value = "adaptive"
    )]
    spin: Spin,

    #[command(flatten)]
    peer: PeerArgs,
}

fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "newest" => Ok(Start::Newest),
        "oldest" => Ok(Start::Oldest),
        _ => text
            .parse()
            .map(Start::At)
            .map_err(|_| "write newest, oldest, or the number of a record, such as 0".to_owned()),
    }
}

/// Between two looks with `--latest`.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// With `--reconnect`, how long until it is said that the publisher is gone.
pub const NOTICE: Duration = Duration::from_millis(100);

impl Args {
    fn options(&self) -> SubscriberOptions {
        let mut options = SubscriberOptions::new()
            .start(self.start)
            .lossless(self.lossless)
            .reconnect(self.reconnect)
            .spin(self.feed.spin)
            .max_capacity(PEER_CAPACITY);
        if self.latest.is_some() {
            options = options.wake(slipring::feed::Wake::Never);
        }
        if let Some(wait) = self.wait {
            options = options.wait_for_publisher(wait.unwrap_or(FOREVER));
        }
        if let Some(timeout) = self.feed.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        if let Some(protocol) = &self.feed.peer.protocol {
            options = options.protocol(protocol);
        }
        match self.feed.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    standard::check_output()?;
    leave_with_the_reader().map_err(Failure::doing("watch standard output"))?;
    let mut subscriber = args.options().connect(&args.name)?;
    let mut printer = Printer {
        output: StandardOutput::buffered(),
        shape: match (args.json, args.frames) {
            (true, _) => Shape::Json,
            (false, true) => Shape::Plain(Form::Frames),
            (false, false) => Shape::Plain(Form::Lines),
        },
        latest: args.latest.is_some(),
    };
    let latest = args.latest.map(|each| each.unwrap_or(LOOK_AGAIN));
    // Whether it has been said that the publisher is gone.
    let mut told = false;
    loop {
        let event = match latest {
            Some(_) => subscriber.latest()?,
            None => subscriber.try_recv()?,
        };
        let event = match (event, latest) {
            (Some(event), _) => Some(event),
            (None, Some(each)) => {
                printer.flush()?;
                thread::sleep(each);
                None
            }
            (None, None) => {
                // Nothing is there just now, so that others can be told of what was.
                printer.flush()?;
                if args.reconnect {
                    subscriber.recv_timeout(NOTICE)?
                } else {
                    Some(subscriber.recv()?)
                }
            }
        };
        match event {
            Some(Event::Record(record)) => printer.record(record)?,
            Some(Event::Lagged(lagged)) => printer.lagged(lagged)?,
            Some(Event::Restarted(restarted)) => {
                told = false;
                printer.restarted(restarted)?;
            }
            Some(Event::Ended(end)) => {
                printer.ended(end, false)?;
                printer.flush()?;
                return finished(end);
            }
            None => {
                if let Some(end) = gone(&subscriber).filter(|_| !told) {
                    told = true;
                    printer.ended(end, true)?;
                    printer.flush()?;
                }
            }
        }
    }
}

/// How the last publisher ended, if another one is waited for.
fn gone(subscriber: &Subscriber) -> Option<End> {
    subscriber.reconnects_at().and(subscriber.end())
}

/// The exit code after an end.
pub fn finished(end: End) -> Result<ExitCode, Failure> {
    match end.reason {
        EndReason::Finished => Ok(ExitCode::SUCCESS),
        EndReason::TooSlow => Err(Failure::failed(format!(
            "{end}; read faster, or give the publisher a larger --capacity or a longer --lossless"
        ))),
        _ => Err(Failure::peer_lost(format!(
            "{end}; run it again once there is another publisher, or with --reconnect"
        ))),
    }
}

/// Ends this process when nobody reads its output any more, although there is nothing to write.
pub fn leave_with_the_reader() -> io::Result<()> {
    let watch = OutputWatch::new(io::stdout().as_fd().try_clone_to_owned()?)?;
    let session = Session::new(Vec::new())?;
    thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            watch.run(&session);
            if watch.is_unread() {
                process::exit(0);
            }
        })
        .map(drop)
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Plain(Form),
    Json,
}

struct Printer {
    output: BufWriter<StandardOutput>,
    shape: Shape,
    /// Records that are skipped are of interest.
    latest: bool,
}

impl Printer {
    fn record(&mut self, record: Record<&[u8]>) -> Result<(), Failure> {
        match self.shape {
            Shape::Plain(form) => records::write(&mut self.output, form, record.payload)
                .map_err(Failure::writing_output),
            Shape::Json => {
                let object = json_of(&record, self.latest);
                self.object("record", object)
            }
        }
    }

    fn lagged(&mut self, lagged: Lagged) -> Result<(), Failure> {
        let Lagged { missed, next } = lagged;
        self.news(
            "lagged",
            [("missed", missed.into()), ("next", next.into())],
            format_args!("{missed} records were missed; the next one is {next}"),
        )
    }

    fn restarted(&mut self, restarted: Restarted) -> Result<(), Failure> {
        let epoch = format!("{:016x}", restarted.epoch);
        let said = format!("connected to another publisher, {epoch}; its records begin with 0");
        self.news("restarted", [("epoch", epoch.into())], said)
    }

    fn ended(&mut self, end: End, reconnecting: bool) -> Result<(), Failure> {
        let (reason, code) = reason(end.reason);
        let mut fields = vec![("reason", reason.into())];
        fields.extend(code.map(|code| ("code", code.into())));
        fields.push(("next", end.next.into()));
        fields.push(("reconnecting", reconnecting.into()));
        match (self.shape, reconnecting) {
            // The failure says it.
            (Shape::Plain(_), false) if end.reason != EndReason::Finished => Ok(()),
            (_, false) => self.news("ended", fields, end),
            (_, true) => self.news(
                "ended",
                fields,
                format_args!("{end}; waiting for another publisher"),
            ),
        }
    }

    /// Something else than a record: on standard error, unless the output has a form for it.
    fn news(
        &mut self,
        event: &str,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
        said: impl Display,
    ) -> Result<(), Failure> {
        match self.shape {
            Shape::Plain(_) => {
                // What came before it is printed before it.
                self.flush()?;
                console::log(said);
                Ok(())
            }
            Shape::Json => {
                let fields = fields.into_iter();
                let object = fields.map(|(name, value)| (name.to_owned(), value));
                self.object(event, object.collect())
            }
        }
    }

    fn object(&mut self, event: &str, fields: Map<String, Value>) -> Result<(), Failure> {
        let mut object = Map::from_iter([("event".to_owned(), event.into())]);
        object.extend(fields);
        writeln!(self.output, "{}", Value::Object(object)).map_err(Failure::writing_output)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush().map_err(Failure::writing_output)
    }
}

fn json_of(record: &Record<&[u8]>, with_skipped: bool) -> Map<String, Value> {
    let mut fields = Map::from_iter([("sequence".to_owned(), record.sequence.into())]);
    let since = record.time.and_then(nanoseconds);
    fields.extend(since.map(|time| ("time_ns".to_owned(), time.into())));
    if with_skipped {
        fields.insert("skipped".to_owned(), record.skipped.into());
    }
    let (name, value) = match str::from_utf8(record.payload) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("hex", hex(record.payload)),
    };
    fields.insert(name.to_owned(), value.into());
    fields
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The word for an end in JSON, and its number.
pub fn reason(reason: EndReason) -> (&'static str, Option<u32>) {
    match reason {
        EndReason::Finished => ("finished", None),
        EndReason::Aborted { code } => ("aborted", Some(code)),
        EndReason::PublisherDied => ("publisher-died", None),
        EndReason::Corrupt => ("corrupt", None),
        EndReason::Disconnected { reason } => ("disconnected", Some(reason)),
        EndReason::TooSlow => ("too-slow", None),
        _ => ("unknown", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_parsed() {
        assert_eq!(parse_start("newest"), Ok(Start::Newest));
        assert_eq!(parse_start("oldest"), Ok(Start::Oldest));
        assert_eq!(parse_start("7"), Ok(Start::At(7)));
        for wrong in ["", "-1", "first", "1.5"] {
            assert!(
                parse_start(wrong).unwrap_err().contains("oldest"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_record_is_text_or_hex() {
        let record = |payload| Record {
            sequence: 7,
            time: Some(UNIX_EPOCH + Duration::from_nanos(5)),
            skipped: 2,
            payload,
        };
        let object = |payload, latest| Value::Object(json_of(&record(payload), latest));
        assert_eq!(
            object(b"a\"b", true),
            serde_json::json!({"sequence": 7, "time_ns": 5, "skipped": 2, "text": "a\"b"})
        );
        assert_eq!(
            object(b"\xff\x00", false),
            serde_json::json!({"sequence": 7, "time_ns": 5, "hex": "ff00"})
        );
    }
}
