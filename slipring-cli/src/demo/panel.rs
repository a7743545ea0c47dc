//! One panel: a process that reads the engine's updates, checks every one, and answers with
//! acknowledgements, orders and reports.

use std::{
    io::{self, Write},
    time::Duration,
};

use hdrhistogram::Histogram;
use slipring::{End, EndReason, Options, Writer, feed};

use super::{
    PROTOCOL, PanelArgs,
    book::{self, Top},
    inbound::{Inbound, Step, Tally},
    painted::Painted,
    prices::Prices,
    report::{self, Report},
    wire::{self, HEADER, Header, Kind},
};
use crate::{failure::Failure, harness::clock};

/// The code with which a panel aborts its direction if the bytes that it reads are no messages.
pub const BAD_FRAME: u32 = 1;

/// The panel's own direction: it has to hold the largest report.
const CAPACITY: usize = wire::LARGEST;
const ACKNOWLEDGE_EACH: u64 = 64;
const ORDER_EACH: u64 = 97;

/// Connects, serves the engine until it finishes its direction, and reports.
pub fn run(args: &PanelArgs) -> Result<(), Failure> {
    // Before the stream, so that the engine publishes nothing before this panel has begun.
    let prices = args.feed.as_ref();
    let prices = prices.map(|feed| Source::connect(feed, args)).transpose()?;
    let stream = Options::new()
        .protocol(PROTOCOL)
        .capacity(CAPACITY)
        .spin(args.spin)
        .wait_for_listener(Duration::from_secs(5))
        .connect(&args.name)?;
    let (mut reader, writer) = stream.into_split();
    let (report_each, first_report) = report::rhythm(args.number, args.panels);
    if let Some(prices) = prices {
        return follow(prices, Panel::new(writer), report_each, first_report);
    }
    // Reports are due even when no updates come.
    reader.set_timeout(Some(Duration::from_nanos(report_each)))?;
    let mut inbound = Inbound::new(reader);
    let mut panel = Panel::new(writer);

    let mut next_report = clock::now() + first_report;
    loop {
        match inbound
            .step(|header, message| panel.update(header.sequence, header.stamp, message))?
        {
            Step::Messages | Step::Quiet => {}
            Step::Ended => break,
            Step::BadFrame => {
                panel.report(inbound.tally, false)?;
                panel.writer.wait_consumed()?;
                panel.writer.abort(BAD_FRAME);
                return Err(Failure::failed(
                    "the engine sends bytes that are no messages",
                ));
            }
        }
        let now = clock::now();
        if now >= next_report {
            panel.report(inbound.tally, false)?;
            next_report = now + report_each;
        }
    }
    match inbound.reader().end() {
        Some(End {
            reason: EndReason::Finished,
            ..
        }) => {
            panel.report(inbound.tally, true)?;
            panel.writer.finish()?;
            Ok(())
        }
        end => Err(Failure::failed(format!("the engine went away: {end:?}"))),
    }
}

/// The one place from which all panels have their updates.
enum Source {
    Feed(Box<Prices>),
    Board(Box<Painted>),
}

impl Source {
    fn connect(name: &str, args: &PanelArgs) -> slipring::Result<Source> {
        Ok(if args.board {
            Source::Board(Box::new(Painted::connect(name)?))
        } else {
            Source::Feed(Box::new(Prices::connect(name, args)?))
        })
    }

    fn step(
        &mut self,
        timeout: Duration,
        each: impl FnMut(&Header, &[u8]) -> io::Result<bool>,
    ) -> io::Result<Option<feed::End>> {
        match self {
            Source::Feed(prices) => prices.step(timeout, each),
            Source::Board(painted) => painted.step(timeout, each),
        }
    }

    fn tally(&self) -> Tally {
        match self {
            Source::Feed(prices) => prices.tally,
            Source::Board(painted) => painted.tally,
        }
    }
}

/// As [`run`], with the updates from a feed or a board.
fn follow(
    mut prices: Source,
    mut panel: Panel,
    report_each: u64,
    first_report: u64,
) -> Result<(), Failure> {
    let mut next_report = clock::now() + first_report;
    let end = loop {
        let left = Duration::from_nanos(next_report.saturating_sub(clock::now()));
        let end = prices.step(left, |header, message| {
            panel.update(header.sequence, header.stamp, message)
        })?;
        if let Some(end) = end {
            break end;
        }
        let now = clock::now();
        if now >= next_report {
            panel.report(prices.tally(), false)?;
            next_report = now + report_each;
        }
    };
    if end.reason != feed::EndReason::Finished {
        return Err(Failure::failed(format!("the engine went away: {end}")));
    }
    panel.report(prices.tally(), true)?;
    panel.writer.finish()?;
    Ok(())
}

struct Panel {
    writer: Writer,
    sent: u64,
    latency: Histogram<u64>,
}

impl Panel {
    fn new(writer: Writer) -> Panel {
        Panel {
            writer,
            sent: 0,
            latency: report::latencies(),
        }
    }

    /// Measures, reads and answers one update; tells whether it makes sense.
    fn update(&mut self, sequence: u64, stamp: u64, message: &[u8]) -> io::Result<bool> {
        let now = clock::now();
        self.latency.saturating_record(now.saturating_sub(stamp));
        let Some(top) = book::read(message) else {
            return Ok(false);
        };
        if sequence % ACKNOWLEDGE_EACH == ACKNOWLEDGE_EACH - 1 {
            self.acknowledge(sequence)?;
        }
        if sequence % ORDER_EACH == ORDER_EACH - 1 {
            self.order(sequence, top)?;
        }
        Ok(true)
    }

    fn acknowledge(&mut self, update: u64) -> io::Result<()> {
        let mut message = [0; HEADER + 8];
        message[HEADER..].copy_from_slice(&update.to_le_bytes());
        self.send(&mut message, Kind::Acknowledge)
    }

    /// Buys some at the best price asked.
    fn order(&mut self, update: u64, top: Top) -> io::Result<()> {
        let mut message = [0; HEADER + 32];
        message[HEADER..HEADER + 8].copy_from_slice(&update.to_le_bytes());
        message[HEADER + 8..HEADER + 16].copy_from_slice(&top.symbol);
        message[HEADER + 16..HEADER + 24].copy_from_slice(&top.best_ask.to_le_bytes());
        message[HEADER + 24..].copy_from_slice(&100_u64.to_le_bytes());
        self.send(&mut message, Kind::Order)
    }

    fn report(&mut self, tally: Tally, last: bool) -> io::Result<()> {
        let report = Report {
            tally,
            sent: self.sent + 1,
            cpu: clock::cpu(),
            last,
            latency: self.latency.clone(),
        };
        let Some(mut message) = report.write() else {
            return Err(io::Error::other("the latencies cannot be serialized"));
        };
        self.send(&mut message, Kind::Report)
    }

    fn send(&mut self, message: &mut [u8], kind: Kind) -> io::Result<()> {
        wire::seal(message, kind, self.sent, clock::now());
        self.sent += 1;
        self.writer.write_all(message)
    }
}
