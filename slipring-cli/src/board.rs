//! `slipring board`: the keys of a board with their newest values, as a live table or as lines.

mod lines;
mod screen;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use slipring::board::{Event, Subscriber, SubscriberOptions};

use self::lines::Printer;
pub use self::screen::restore_terminal;
use crate::{
    failure::Failure,
    options::{PEER_CAPACITY, PeerArgs, name_parser},
    standard,
    subscribe::{NOTICE, finished, leave_with_the_reader},
    units::{FOREVER, parse_duration},
};

pub const EXAMPLES: &str = "\
On a terminal this is a live table of keys, their newest values, the numbers of the changes that \
brought them, and how old they are (of those that were there at first, at least). Elsewhere each \
change is a line: the key, a tab and the value, or the key alone if it was removed. All that is \
there comes first. A reader that is slow is told each key once, with its newest value.

With --json each line is an object whose `event` is one of
  set        key, value, and version: the number of the change that brought it
  removed    key
  restarted  epoch: a number that this publisher alone has; no key of the last one is left
  ended      reason (finished, aborted, publisher-died, corrupt, disconnected), code if there is \
one, next: the number of the change that would have come next, and reconnecting
and a key or a value that is not UTF-8 is `key_hex` or `value_hex`.

Keys of the table: q ends; s sorts by key or by age; the arrows, Page Up and Down, Home and End \
scroll.

Examples:
  slipring board disks                         # and elsewhere: df -P | slipring publish ...
  slipring board --wait --reconnect prices
  slipring board --once --json prices | jq -r 'select(.key == \"EUR/USD\") | .value'
  slipring board prices | slipring publish --key-field 1 copy

Exit code: 0 after an end in order, or q; 3 if the publisher died or aborted; 4 if no connection \
came about; see `slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name of the board: NAME or Local/NAME (this user), Global/NAME (this machine), or an
    /// absolute path
    #[arg(value_parser = name_parser())]
    name: OsString,

    /// Print what is there just now, sorted by key, and end
    #[arg(long, conflicts_with = "reconnect")]
    once: bool,

    /// Print one JSON object a line, also on a terminal
    #[arg(long)]
    json: bool,

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

    #[command(flatten)]
    peer: PeerArgs,
}

impl Args {
    fn options(&self) -> SubscriberOptions {
        let mut options = SubscriberOptions::new()
            .reconnect(self.reconnect)
            .max_capacity(PEER_CAPACITY);
        if let Some(wait) = self.wait {
            options = options.wait_for_publisher(wait.unwrap_or(FOREVER));
        }
        if let Some(timeout) = self.peer.timeout {
            options = options.handshake_timeout(timeout);
        }
        if let Some(protocol) = &self.peer.protocol {
            options = options.protocol(protocol);
        }
        match self.peer.peers() {
            Some(peers) => options.allow(peers),
            None => options,
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    standard::check_output()?;
    if io::stdout().is_terminal() && !args.once && !args.json {
        let options = args.options().wake(slipring::feed::Wake::Never);
        return screen::run(options.connect(&args.name)?, &args.name.to_string_lossy());
    }
    leave_with_the_reader().map_err(Failure::doing("watch standard output"))?;
    let mut subscriber = args.options().connect(&args.name)?;
    let mut printer = Printer::new(args.json);
    if args.once {
        let snapshot = subscriber.snapshot().map_err(io::Error::from)?;
        for (key, (version, value)) in &snapshot.entries {
            printer.set(key, value, *version)?;
        }
        printer.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&mut subscriber, &mut printer, args.reconnect)
}

fn print(
    subscriber: &mut Subscriber,
    printer: &mut Printer,
    reconnect: bool,
) -> Result<ExitCode, Failure> {
    // Whether it has been said that the publisher is gone.
    let mut told = false;
    loop {
        let event = if reconnect {
            subscriber.changed_timeout(NOTICE)?
        } else {
            Some(subscriber.changed()?)
        };
        match event {
            Some(Event::Changes(changes)) => {
                for change in changes {
                    printer.change(change)?;
                }
            }
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
                let gone = subscriber.reconnects_at().and(subscriber.end());
                if let Some(end) = gone.filter(|_| !told) {
                    told = true;
                    printer.ended(end, true)?;
                }
            }
        }
        printer.flush()?;
    }
}
