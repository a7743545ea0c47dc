//! The results so far, and the figures computed from them.

use crate::{
    case::{Case, Cores, Kind, Measure},
    clock::seconds,
    contender::{Contender, Waits},
    contenders::{BARE_EVENTFD, BARE_EXCHANGE, REGION, UNIX, UNIX_BUFFERED},
    machine::{self, Machine},
    order::{Report, wall},
    stats::{self, Spread},
    usage::Activity,
};
use hdrhistogram::Histogram;

/// The conditions on which the results depend. Times are in nanoseconds.
pub struct Setup {
    /// the commit that is measured, if that is known
    pub commit: Option<String>,
    /// when
    pub date: String,
    /// the command line
    pub command: String,
    /// the machine
    pub machine: Machine,
    /// cores of the two halves, if they are pinned
    pub cpus: Option<(usize, usize)>,
    /// of each measurement
    pub rounds: u32,
    /// how long a round takes
    pub slice: u64,
    /// how long servers idle at the end
    pub idle: u64,
    /// how often a round is measured once more if other processes take too large a share of the
    /// machine
    pub repeats: u32,
}

impl Setup {
    /// Whether both halves of a case run on one core.
    pub fn one_core(&self, case: &Case) -> bool {
        match (case.cores, self.cpus) {
            (Cores::One, _) => true,
            (Cores::AsAsked, Some((here, there))) => here == there,
            _ => self.machine.cores == 1,
        }
    }

    /// The cores of the two halves; `None`: wherever the kernel places them.
    pub(crate) fn cpus(&self, case: &Case, contender: &Contender) -> Option<(usize, usize)> {
        let any = machine::cores();
        let first = any.first().copied();
        match case.cores {
            Cores::Any => None,
            Cores::One => self
                .cpus
                .map(|(here, _)| here)
                .or(first)
                .map(|core| (core, core)),
            // The kernel likes to put two that wake each other on one, where each would keep the
            // other from answering for as long as it spins.
            Cores::AsAsked
                if self.cpus.is_none()
                    && matches!(case.kind, Kind::Served { .. } | Kind::Mixed(_))
                    && contender.waits == Waits::Spinning =>
            {
                first.zip(any.get(1).copied())
            }
            Cores::AsAsked => self.cpus,
        }
    }
}

/// One case, with all that took part.
pub struct CaseResult<'c> {
    /// the case that was measured
    pub case: Case,
    /// of each contender
    pub rows: Vec<Row<'c>>,
    /// rounds measured once more because other processes had taken too large a share of the machine
    pub repeated: u32,
    /// the last time was no better
    pub disturbed: bool,
}

/// One contender in one case.
pub struct Row<'c> {
    /// the contender that was measured
    pub contender: &'c Contender,
    /// in their order
    pub rounds: Vec<Round>,
    /// nanoseconds, of all rounds together
    pub latency: Histogram<u64>,
    /// nanoseconds of the calls that publish to many subscribers, of all rounds together
    pub publishing: Histogram<u64>,
    /// bytes of a stream in all processes: after the first messages, and at the end
    pub memory: Option<[f64; 2]>,
    /// of a stream in the server
    pub descriptors: f64,
    /// the activity of all processes while nothing was sent
    pub idle: Option<Activity>,
    /// why it could not be measured (to the end)
    pub failure: Option<String>,
}

/// The results of one round.
pub struct Round {
    /// nanoseconds, bytes a second, or messages a second
    pub value: f64,
    /// that the messages took
    pub seconds: f64,
    /// messages, or round trips
    pub messages: u64,
    /// bytes in one direction
    pub bytes: u64,
    /// CPU time of the host and of the peer
    pub cpu_seconds: [f64; 2],
    /// inside `send`, at a fixed rate
    pub sending_seconds: f64,
    /// CPU time of the thread that wakes subscribers
    pub waking_seconds: f64,
    /// nanoseconds; `None` if no latency is measured
    pub p50: Option<f64>,
    /// nanoseconds
    pub p99: u64,
    /// nanoseconds
    pub max: u64,
}

impl<'c> Row<'c> {
    pub(crate) fn new(contender: &'c Contender) -> Self {
        Row {
            contender,
            rounds: Vec::new(),
            latency: stats::histogram(),
            publishing: stats::histogram(),
            memory: None,
            descriptors: 0.0,
            idle: None,
            failure: None,
        }
    }

    pub(crate) fn add(&mut self, case: &Case, messages: u64, [here, there]: &[Report; 2]) {
        let mut latency = stats::histogram();
        for report in [here, there] {
            stats::add(&mut latency, &report.latency);
        }
        let messages = messages * case.kind.streams() as u64;
        let bytes = messages * case.size as u64;
        let taken = seconds(wall(here, there).max(1));
        let p50 = stats::median(&latency);
        self.rounds.push(Round {
            value: match case.kind.measure() {
                Measure::Latency => p50.unwrap_or_default(),
                Measure::Bytes => bytes as f64 / taken,
                Measure::Messages => messages as f64 / taken,
            },
            seconds: taken,
            messages,
            bytes,
            cpu_seconds: [seconds(here.cpu), seconds(there.cpu)],
            sending_seconds: seconds(here.sending),
            waking_seconds: seconds(here.waking),
            p50,
            p99: latency.value_at_quantile(0.99),
            max: latency.max(),
        });
        self.latency += latency;
        stats::add(&mut self.publishing, &here.publishing);
    }

    /// Of the rounds.
    pub fn spread(&self, of: impl Fn(&Round) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(of))
    }

    /// Nanoseconds, bytes a second or messages a second; `None` if nothing was measured.
    pub fn value(&self) -> Option<Spread> {
        self.spread(|round| round.value)
    }

    /// Of all rounds.
    pub fn sum(&self, of: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(of).sum()
    }

    /// Nanoseconds of CPU time of all processes for a message.
    pub fn cpu_of_message(&self) -> Option<Spread> {
        self.spread(|round| round.cpu_seconds.iter().sum::<f64>() * 1e9 / round.messages as f64)
    }

    /// This one's values divided by those of another in the same rounds; `None` without any.
    pub fn over(&self, other: Option<&Row>) -> Option<Spread> {
        let values = |row: &Row| {
            row.rounds
                .iter()
                .map(|round| round.value)
                .collect::<Vec<_>>()
        };
        Spread::of_ratios(values(self), values(other?))
    }
}

impl<'c> CaseResult<'c> {
    /// The one that has been measured of these; of several, that with the lowest median.
    pub fn lowest(&self, names: &[&str]) -> Option<&Row<'c>> {
        let rows = self.rows.iter().filter_map(|row| {
            let wanted = names.contains(&row.contender.name.as_str());
            Some((row, row.value().filter(|_| wanted)?.median))
        });
        let lowest = rows.min_by(|(_, one), (_, other)| one.total_cmp(other));
        lowest.map(|(row, _)| row)
    }

    /// The Unix socket.
    pub fn unix(&self) -> Option<&Row<'c>> {
        self.lowest(&[UNIX])
            .or_else(|| self.lowest(&[UNIX_BUFFERED]))
    }

    /// The limit for everything that waits in the same way.
    pub fn limit(&self, setup: &Setup, contender: &Contender) -> Option<&Row<'c>> {
        match self.case.kind {
            Kind::RoundTrip if contender.waits == Waits::Asleep || setup.one_core(&self.case) => {
                self.lowest(&BARE_EVENTFD)
            }
            Kind::RoundTrip => self.lowest(&[BARE_EXCHANGE]),
            _ => self.lowest(&[REGION]),
        }
    }
}

/// Whether something could not be measured.
pub fn any_failed(results: &[CaseResult]) -> bool {
    let mut rows = results.iter().flat_map(|result| &result.rows);
    rows.any(|row| row.failure.is_some())
}
