//! What was measured, and what it amounts to.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    case::{Case, Kind},
    clock::SECOND,
    contender::{self, Contender, Side, UNIX, UNIX_BUFFERED},
    order::Report,
    pair::wall,
    stats::{self, Spread},
};

/// One contender in one case.
pub struct Row<'c> {
    pub contender: &'c Contender,
    /// One value a round: nanoseconds of half of the round trips or messages, bytes a second, or
    /// round trips a second of many streams.
    pub rounds: Vec<f64>,
    /// of all rounds
    pub latency: Histogram<u64>,
    /// seconds of all rounds: of the clock, and of each half's CPU time
    pub seconds: f64,
    pub cpu: [f64; 2],
    /// seconds inside `send`, at a fixed rate
    pub sending: f64,
    /// bytes of both processes for a stream
    pub memory: Option<f64>,
    pub failure: Option<String>,
}

pub struct CaseResult<'c> {
    pub case: &'static Case,
    pub rows: Vec<Row<'c>>,
    /// rounds measured once more because other processes had taken too much of the machine
    pub repeated: u32,
    /// the last time was no better
    pub disturbed: bool,
}

/// A row as it is written down.
#[derive(Serialize)]
pub struct Figures {
    pub name: &'static str,
    pub title: &'static str,
    pub side: Side,
    pub caveat: &'static str,
    pub failure: Option<String>,
    /// nanoseconds, bytes a second, or round trips a second
    pub value: Option<Spread>,
    /// nanoseconds: p50, p99, p99.9, max of all rounds together
    pub latency: Option<[u64; 4]>,
    /// value divided by the limit's of the same round, median
    pub to_limit: Option<f64>,
    /// value divided by the Unix socket's of the same round, median
    pub to_unix: Option<f64>,
    pub seconds: f64,
    pub cpu_seconds: [f64; 2],
    pub sending_seconds: f64,
    /// bytes of both processes for a stream
    pub memory: Option<f64>,
}

impl<'c> Row<'c> {
    pub fn new(contender: &'c Contender) -> Self {
        Row {
            contender,
            rounds: Vec::new(),
            latency: stats::histogram(),
            seconds: 0.0,
            cpu: [0.0; 2],
            sending: 0.0,
            memory: None,
            failure: None,
        }
    }

    pub fn add(&mut self, case: &Case, messages: u64, [here, there]: &[Report; 2]) {
        let wall = wall(here, there);
        let mut latency = stats::histogram();
        for report in [here, there] {
            stats::add(&mut latency, &report.latency);
        }
        self.rounds.push(match case.kind {
            Kind::Throughput | Kind::Filled(_) | Kind::Batched { .. } | Kind::SmallReads(_) => {
                (messages * case.size as u64) as f64 * SECOND as f64 / wall as f64
            }
            Kind::RoundTrip | Kind::FixedRate { .. } => stats::median(&latency),
            Kind::Streams { streams } => {
                self.memory = Some((here.memory + there.memory) as f64 / streams as f64);
                (messages * streams as u64) as f64 * SECOND as f64 / wall as f64
            }
        });
        self.latency += latency;
        let seconds = |nanoseconds: u64| nanoseconds as f64 / SECOND as f64;
        self.seconds += seconds(wall);
        self.cpu[0] += seconds(here.cpu);
        self.cpu[1] += seconds(there.cpu);
        self.sending += seconds(here.sending);
    }

    pub fn value(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().copied())
    }
}

impl CaseResult<'_> {
    pub fn figures(&self) -> Vec<Figures> {
        let find = |name| self.rows.iter().find(|row| row.contender.name == name);
        let limit = contender::limit(self.case).and_then(find);
        let unix = find(UNIX).or_else(|| find(UNIX_BUFFERED));
        let figures = |row: &Row| {
            let value = row.value();
            // Round by round: what slows the machine down for a while slows both down.
            let ratio = |other: Option<&Row>| {
                let pairs = row.rounds.iter().zip(&other?.rounds);
                Some(Spread::of(pairs.map(|(this, other)| this / other))?.median)
            };
            let latency = &row.latency;
            Figures {
                name: row.contender.name,
                title: row.contender.title,
                side: row.contender.side(),
                caveat: row.contender.caveat,
                failure: row.failure.clone(),
                value,
                latency: (!latency.is_empty()).then(|| {
                    let [p50, p99, p999] =
                        [0.5, 0.99, 0.999].map(|quantile| latency.value_at_quantile(quantile));
                    [p50, p99, p999, latency.max()]
                }),
                to_limit: ratio(limit),
                to_unix: ratio(unix),
                seconds: row.seconds,
                cpu_seconds: row.cpu,
                sending_seconds: row.sending,
                memory: row.memory,
            }
        };
        self.rows.iter().map(figures).collect()
    }
}
