//! `slipring demo`: an engine process publishes order-book updates to panel processes, over one
//! stream each, over one feed or one board, and everything that arrives is checked.

mod board;
mod book;
mod comparison;
mod display;
mod engine;
mod events;
mod inbound;
mod json;
mod outcome;
mod painted;
mod panel;
mod panels;
mod prices;
mod random;
mod report;
mod schedule;
mod table;
mod wire;

use std::{num::NonZero, process::ExitCode, sync::Mutex, thread, time::Duration};

use slipring::{
    Listener, Options, Spin, board::PublisherOptions as BoardOptions, feed::PublisherOptions,
};

use self::{
    board::Board,
    display::Display,
    engine::{
        Engine,
        one_feed::{OneFeed, Publisher},
        threads::Threads,
    },
    outcome::Outcome,
    panels::Panels,
    schedule::Schedule,
};
use crate::{
    console,
    failure::Failure,
    harness::{child, clock, interrupt::Interrupt, limits},
    options::{SpinParser, parse_capacity},
};

const PROTOCOL: &str = "slipring-demo/1";
/// How long a panel may take to read to the end when everything has been published.
const READ_OUT: Duration = Duration::from_secs(5);
/// The descriptors that one panel's stream and its place at a feed take in the engine, with some to
/// spare.
const DESCRIPTORS: u64 = 11;
const REFRESH: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  slipring demo
  slipring demo --panels 2 --rate 200000 --spin always
  slipring demo --panels 50 --rate 5000 --spin never --seconds 20
  slipring demo --panels 500 --seconds 20
  slipring demo --feed --panels 100 --seconds 2
  slipring demo --json --seconds 2 | jq .latency_ns

While it runs, stop a panel (kill -STOP, kill -CONT) or kill it (kill -9): the others go on, and \
it is named.

Exit code: 0 all well; 1 something was lost, reordered or corrupt, or the demo could not run;
2 wrong arguments; 3 a panel went away; 130 ended by Ctrl-C.";

/// Watch an engine publish to panel processes over shared memory
///
/// Starts panel processes that connect to this one, each with a slipring stream of its own,
/// publishes sequenced, time-stamped and checksummed order-book updates (60 bytes to 4 KiB) to
/// them, and reads their acknowledgements and orders. Shows a table of latencies and CPU times at
/// the end (of the slowest panels, if there are many), how evenly the panels were served, and
/// whether anything was lost, reordered or corrupted.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Panel processes to start
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    panels: u16,

    /// Messages per second, all panels together
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    rate: u64,

    /// How long to publish, in seconds
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    seconds: u64,

    /// How long a side spins before it sleeps: never, always, adaptive, or a time such as 20us.
    /// "always" keeps two cores busy for every panel, and one for the publisher
    #[arg(long, default_value = "adaptive", value_parser = SpinParser, hide_possible_values = true)]
    spin: Spin,

    /// Bytes of the ring from the engine to each panel: a power of two from 4K to 1G
    #[arg(long, default_value = "256K", value_parser = parse_capacity)]
    capacity: usize,

    /// Compare a stream each with one feed for all, which panels still answer over streams: with
    /// panels that are woken at once, and with panels that paint 60 times a second; and with one
    /// board for such panels. Four runs, of which each delivers --rate messages per second;
    /// --capacity is also that of the feed
    #[arg(long)]
    feed: bool,

    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

/// How prices get to the panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Streams,
    /// Over one feed, to panels that are woken at once.
    Woken,
    /// Over one feed, to panels that look at each frame.
    Painting,
    /// Over one board, to panels that look at each frame.
    Board,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Streams => "a stream each",
            Way::Woken => "one feed, panels woken at once",
            Way::Painting => "one feed, panels that paint 60 times a second",
            Way::Board => "one board, panels that paint 60 times a second",
        }
    }
}

/// The hidden subcommand that the engine starts its panels with.
#[derive(Clone, Debug, clap::Args)]
pub struct PanelArgs {
    /// Process id of the engine
    #[arg(long)]
    parent: u32,

    /// Name to connect to
    #[arg(long)]
    name: String,

    /// As in demo
    #[arg(long, value_parser = SpinParser)]
    spin: Spin,

    /// Which panel this is, from 0
    #[arg(long)]
    number: u64,

    /// As in demo
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    panels: u64,

    /// The feed that has the prices, if it is not the stream
    #[arg(long)]
    feed: Option<String>,

    /// Look at the feed at each frame
    #[arg(long, requires = "feed")]
    paint: bool,

    /// Wait at the gate before connecting
    #[arg(long)]
    gated: bool,

    /// It is a board
    #[arg(long, requires = "paint")]
    board: bool,
}

/// The name of the feed of this process.
fn feed_name() -> String {
    format!("demo-feed-{}", std::process::id())
}

pub fn run_panel(args: PanelArgs) -> Result<ExitCode, Failure> {
    child::belong_to(args.parent)?;
    if args.gated {
        panels::wait_at_gate()?;
    }
    panel::run(&args)?;
    Ok(ExitCode::SUCCESS)
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    limits::make_room_for(args.panels.into(), "panel", DESCRIPTORS)?;
    let interrupt = Interrupt::install()?;
    warn_of_too_much_spinning(&args);
    if args.feed {
        // A feed that cannot be had is told before the first run.
        bind_feed(&args, Way::Woken)?.finish();
    }
    let ways = match args.feed {
        true => &[Way::Streams, Way::Woken, Way::Painting, Way::Board][..],
        false => &[Way::Streams],
    };
    let mut runs = Vec::with_capacity(ways.len());
    for &way in ways {
        if args.feed {
            console::say(format_args!("prices over {}", way.name()));
        }
        let listener = bind_streams(&args, way)?;
        let Some(outcome) = run_trial(&args, way, &listener, &interrupt)? else {
            console::log("interrupted before all panels were connected");
            return Ok(ExitCode::from(interrupt.exit_code().unwrap_or(1)));
        };
        let is_interrupted = outcome.interrupted.is_some();
        runs.push((way, outcome));
        if is_interrupted {
            break;
        }
    }
    let text = match (&runs[..], args.json) {
        ([(Way::Streams, outcome)], true) if !args.feed => {
            format!("{:#}\n", json::document(outcome))
        }
        ([(Way::Streams, outcome)], false) if !args.feed => table::text(outcome),
        (runs, true) => format!("{:#}\n", comparison::document(runs)),
        (runs, false) => comparison::text(runs),
    };
    console::print(text)?;
    Ok(ExitCode::from(exit_code(&runs)))
}

/// That of the worst run.
fn exit_code(runs: &[(Way, Outcome)]) -> u8 {
    let mut codes = runs.iter().map(|(_, outcome)| outcome.exit_code());
    let damaged = runs.iter().any(|(_, outcome)| outcome.damaged());
    if damaged {
        1
    } else {
        codes.find(|&code| code != 0).unwrap_or(0)
    }
}

/// The name to which panels connect their streams.
fn bind_streams(args: &Args, way: Way) -> Result<Listener, Failure> {
    // Beside a feed the engine's direction carries nothing.
    let capacity = match way {
        Way::Streams => args.capacity,
        _ => rustix::param::page_size(),
    };
    let listener = Options::new()
        .protocol(PROTOCOL)
        .capacity(capacity)
        .spin(args.spin)
        .bind(format!("demo-{}", std::process::id()))?;
    Ok(listener)
}

/// The feed or the board for one run.
fn bind_feed(args: &Args, way: Way) -> Result<Publisher, Failure> {
    if way == Way::Board {
        let board = BoardOptions::new()
            .protocol(PROTOCOL)
            .ring(args.capacity)
            .max_keys(book::SYMBOLS.len() as u32)
            .max_value(wire::LARGEST_UPDATE)
            .bind(feed_name())?;
        return Ok(Publisher::Board(Box::new(board)));
    }
    let feed = PublisherOptions::new()
        .protocol(PROTOCOL)
        .capacity(args.capacity)
        .max_record(wire::LARGEST_UPDATE)
        .bind(feed_name())?;
    Ok(Publisher::Feed(Box::new(feed)))
}

/// Spinning threads that have to share a core keep each other from running.
fn warn_of_too_much_spinning(args: &Args) {
    let threads = 2 * usize::from(args.panels) + 1;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if args.spin == Spin::Always && threads > cores {
        eprintln!(
            "note: with --spin always, {threads} threads never sleep, but there are {cores} cores: \
             expect latencies of milliseconds"
        );
    }
}

/// One run from the panels' start to their end; `None` if it was interrupted before it began.
fn run_trial(
    args: &Args,
    way: Way,
    listener: &Listener,
    interrupt: &Interrupt,
) -> Result<Option<Outcome>, Failure> {
    let shared = way != Way::Streams;
    let rate = if shared {
        (args.rate / u64::from(args.panels)).max(1)
    } else {
        args.rate
    };
    let schedule = Schedule {
        rate,
        seconds: args.seconds,
        panels: args.panels.into(),
        shared,
    };
    let never_sleep = args.spin == Spin::Always;
    let engine: Box<dyn Engine + Sync> = if shared {
        Box::new(OneFeed {
            never_sleep,
            publisher: Mutex::new(Some(bind_feed(args, way)?)),
        })
    } else {
        Box::new(Threads { never_sleep })
    };
    // Before the panels add to it.
    let load = slipring_bench::machine::load();
    if let Some(hint) = load.and_then(outcome::busy) {
        console::say(hint);
    }
    let started = Panels::start(
        schedule.panels,
        listener,
        args.spin,
        way,
        args.feed,
        interrupt,
    )?;
    let Some((mut panels, streams, start_up)) = started else {
        return Ok(None);
    };

    let cpu_before = clock::cpu();
    let board = if shared {
        Board::shared(panels.pids())
    } else {
        Board::new(panels.pids())
    };
    let mut display = Display::new(schedule, start_up, &board);
    thread::scope(|scope| {
        let running = thread::Builder::new()
            .name("engine".into())
            .spawn_scoped(scope, || engine.run(streams, schedule, &board))?;
        while !running.is_finished() {
            thread::sleep(REFRESH);
            display.update(&board);
            if interrupt.requested() {
                board.stop();
            }
            give_up_late_panels(&board, &mut panels);
        }
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    display.end();

    let outcome = Outcome::new(
        engine.name(),
        schedule,
        start_up,
        load,
        &board,
        clock::cpu() - cpu_before,
        interrupt.exit_code(),
    );
    panels.wait();
    Ok(Some(outcome))
}

/// Kills the panels that have not read to the end although nothing more is published: the engine
/// still waits for their streams.
fn give_up_late_panels(board: &Board, panels: &mut Panels) {
    if board
        .all_published()
        .is_none_or(|since| since.elapsed() < READ_OUT)
    {
        return;
    }
    for (number, panel) in board.panels.iter().enumerate() {
        let mut received = panel.received();
        if received.finish.is_none() && !received.given_up {
            received.given_up = true;
            drop(received);
            panels.kill(number);
        }
    }
}
