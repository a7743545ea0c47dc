//! The figures of a run on one machine: as they are written down as JSON, and read again. All
//! tables, charts and pages are made of them, of one run or of runs on several machines.

mod stored;

use serde::{Deserialize, Serialize};

use crate::{
    case::{self, Case, Kind, Measure},
    clock::seconds,
    contender::Side,
    contenders::{REGION, UNIX, UNIX_BUFFERED},
    machine::Machine,
    results::{CaseResult, Round, Row, Setup},
    stats::Spread,
    text::{plural, time},
};

#[cfg(test)]
pub(crate) use self::stored::tests;
pub use self::stored::text;

/// A run. `None` stands for what is not known of an old one.
#[derive(Serialize, Deserialize)]
pub struct Run {
    /// the version that was measured
    pub slipring: Option<String>,
    /// the commit that was measured
    pub commit: Option<String>,
    /// when
    pub date: Option<String>,
    /// the command line
    pub command: String,
    /// where
    pub machine: Machine,
    /// cores of the two halves, if they were pinned
    pub cpus: Option<(usize, usize)>,
    /// of each measurement
    pub rounds: u32,
    /// how long a round took
    pub slice_seconds: f64,
    /// how long servers idled at the end
    pub idle_seconds: Option<f64>,
    /// It ended early, with what had been measured.
    #[serde(default)]
    pub interrupted: bool,
    /// between two processes
    pub cases: Option<Vec<CaseFigures>>,
    /// of a server with many streams, in place of the cases
    pub streams: Option<Vec<CaseFigures>>,
}

/// A case, with all that took part.
#[derive(Serialize, Deserialize)]
pub struct CaseFigures {
    /// its name
    pub case: String,
    /// for people
    pub title: String,
    kind: String,
    message_bytes: usize,
    streams: usize,
    repeated_rounds: u32,
    disturbed: bool,
    /// in the order of the contenders
    pub transports: Vec<Figures>,
}

/// A contender in a case. Ratios and spreads are of the rounds.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    /// its name
    pub transport: String,
    /// for people
    pub title: String,
    /// the purpose of the comparison
    pub side: Side,
    /// its differences
    pub caveat: String,
    /// why it could not be measured (to the end)
    pub failure: Option<String>,
    /// of all rounds
    pub seconds: f64,
    /// CPU time of the host
    pub cpu_seconds_parent: f64,
    /// CPU time of the peer
    pub cpu_seconds_peer: f64,
    /// `None` if the rounds differ by more than a factor of two
    pub ratio_to_unix: Option<f64>,
    /// likewise
    pub ratio_to_bare: Option<f64>,
    /// the name of the limit of the last ratio
    pub bare: Option<String>,
    /// the medians of the rounds
    pub p50_ns: Option<Spread>,
    /// of cases that measure that
    pub bytes_per_second: Option<Spread>,
    /// of cases that measure that; round trips, of many streams
    pub messages_per_second: Option<Spread>,
    /// of all rounds together
    pub p50_all_ns: Option<u64>,
    /// of all rounds
    pub p90_ns: Option<u64>,
    /// of all rounds, or of each
    pub p99_ns: Option<P99>,
    /// of all rounds
    #[serde(rename = "p99.9_ns")]
    pub p999_ns: Option<u64>,
    /// of all rounds
    pub max_ns: Option<u64>,
    /// inside `send`, at a fixed rate
    pub sending_seconds: Option<f64>,
    /// to many subscribers
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publications: Option<Publications>,
    /// in all processes, after the first messages
    pub memory_bytes_per_stream_at_start: Option<f64>,
    /// in all processes, at the end
    pub memory_bytes_per_stream: Option<i64>,
    /// meanwhile
    pub memory_bytes_grown_per_stream: Option<i64>,
    /// of all processes
    pub cpu_ns_per_message: Option<Spread>,
    /// of all processes
    pub idle_cpu_percent: Option<f64>,
    /// of all processes
    pub idle_wake_ups: Option<u64>,
    /// of the server
    pub server_descriptors_per_stream: Option<f64>,
    #[serde(default, skip_deserializing)]
    rounds: Vec<RoundFigures>,
}

/// What it costs to publish to many subscribers, in all rounds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Publications {
    /// how many
    pub count: u64,
    /// of the call
    pub p50_ns: u64,
    /// of the call
    pub p99_ns: u64,
    /// CPU time of the thread that wakes subscribers
    pub waking_cpu_seconds: f64,
}

/// The 99th percentile.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
pub enum P99 {
    /// of all rounds together
    All(u64),
    /// of each round
    Each(Spread),
}

#[derive(Serialize)]
struct RoundFigures {
    seconds: f64,
    messages: u64,
    bytes: u64,
    cpu_seconds_parent: f64,
    cpu_seconds_peer: f64,
    p50_ns: Option<f64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
}

impl P99 {
    /// One number.
    pub fn value(self) -> f64 {
        match self {
            P99::All(value) => value as f64,
            P99::Each(spread) => spread.median,
        }
    }
}

impl Run {
    /// Everything that was measured.
    pub fn of(setup: &Setup, results: &[CaseResult], interrupted: bool) -> Run {
        let served = |result: &CaseResult| matches!(result.case.kind, Kind::Served { .. });
        let streams = results.iter().any(served);
        let all = || results.iter().map(|result| CaseFigures::of(setup, result));
        Run {
            slipring: Some(env!("CARGO_PKG_VERSION").into()),
            commit: setup.commit.clone(),
            date: Some(setup.date.clone()),
            command: setup.command.clone(),
            machine: setup.machine.clone(),
            cpus: setup.cpus,
            rounds: setup.rounds,
            slice_seconds: seconds(setup.slice),
            idle_seconds: streams.then_some(seconds(setup.idle)),
            interrupted,
            cases: (!streams).then(|| all().collect()),
            streams: streams.then(|| all().collect()),
        }
    }

    /// All cases.
    pub fn cases(&self) -> impl Iterator<Item = &CaseFigures> {
        self.cases.iter().chain(&self.streams).flatten()
    }

    /// What tables call the machine.
    pub fn name(&self) -> &str {
        self.machine.name.as_ref().unwrap_or(&self.machine.cpu)
    }

    /// The commit that was measured, or else the version.
    pub fn build(&self) -> String {
        match (&self.commit, &self.slipring) {
            (Some(commit), _) => format!("commit {commit}"),
            (None, Some(version)) => format!("version {version}"),
            (None, None) => "commit unknown".into(),
        }
    }

    /// Where, when and how it was measured, in lines. The first begins with the title.
    pub fn conditions(&self, title: &str) -> Vec<String> {
        let (cpu, kernel, cores) = (&self.machine.cpu, &self.machine.kernel, self.machine.cores);
        let (build, s) = (self.build(), plural(cores));
        let date = self.date.as_deref().unwrap_or("a day that is not known");
        let mut lines = vec![
            format!("{title}: {cpu}, {cores} core{s}, {kernel}; {build}"),
            format!("measured on {date}"),
            format!("command: {}", self.command),
            format!(
                "{} round{} of {} each in turn",
                self.rounds,
                plural(self.rounds as usize),
                time((self.slice_seconds * 1e9).round() as u64)
            ),
            match self.cpus {
                Some((host, peer)) => format!("pinned: host to core {host}, peer to core {peer}"),
                None => "not pinned: the kernel places the processes (see --cpus)".into(),
            },
        ];
        if let Some(load) = self.machine.load.filter(|&load| load >= 0.5) {
            lines.push(format!(
                "other work on this machine: load {load:.1} when started"
            ));
        }
        lines
    }
}

/// The cases of all runs, once each, in the order in which they are measured.
pub(crate) fn all_cases(runs: &[Run]) -> Vec<&CaseFigures> {
    let mut all: Vec<&CaseFigures> = Vec::new();
    for case in runs.iter().flat_map(Run::cases) {
        if all.iter().all(|known| known.case != case.case) {
            all.push(case);
        }
    }
    let order = case::all();
    all.sort_by_key(|figures| order.iter().position(|case| case.name == figures.case));
    all
}

impl CaseFigures {
    /// Of a result.
    pub fn of(setup: &Setup, result: &CaseResult) -> CaseFigures {
        let case = &result.case;
        let rows = result.rows.iter();
        CaseFigures {
            case: case.name.clone(),
            title: case.title.clone(),
            kind: case.kind.name().into(),
            message_bytes: case.size,
            streams: case.kind.streams(),
            repeated_rounds: result.repeated,
            disturbed: result.disturbed,
            transports: rows.map(|row| Figures::of(setup, result, row)).collect(),
        }
    }

    /// The case that was measured.
    pub fn case(&self) -> Case {
        case::named(&self.case).expect("only known cases are measured or read")
    }

    /// The contender of this name, if it was measured.
    pub fn row(&self, name: &str) -> Option<&Figures> {
        let mut rows = self.transports.iter();
        rows.find(|row| row.transport == name && row.value().is_some())
    }

    /// The Unix socket.
    pub fn unix(&self) -> Option<&Figures> {
        self.row(UNIX).or_else(|| self.row(UNIX_BUFFERED))
    }

    /// The shared region.
    pub fn region(&self) -> Option<&Figures> {
        self.row(REGION)
    }

    /// The failed measurements, and the other activity of the machine.
    pub fn notes(&self) -> Vec<String> {
        let failed = |row: &Figures| {
            let why = row.failure.as_ref()?;
            Some(format!("{} failed: {why}", row.title))
        };
        let mut notes: Vec<String> = self.transports.iter().filter_map(failed).collect();
        if self.repeated_rounds > 0 {
            let still = match self.disturbed {
                true => "; some of these to no avail",
                false => "",
            };
            notes.push(format!(
                "{} round{} repeated: other processes took more than 10 % of a core{still}",
                self.repeated_rounds,
                plural(self.repeated_rounds as usize),
            ));
        }
        notes
    }
}

impl Figures {
    fn of(setup: &Setup, result: &CaseResult, row: &Row) -> Figures {
        let kind = result.case.kind;
        let measures = |measure| row.value().filter(|_| kind.measure() == measure);
        let many = kind.measure() == Measure::Messages;
        let served = matches!(kind, Kind::Served { .. });
        let over = |other| row.over(other).and_then(Spread::steady);
        let limit = result.limit(setup, row.contender);
        let quantile = |quantile| {
            let known = !row.latency.is_empty() && !served;
            known.then(|| row.latency.value_at_quantile(quantile))
        };
        let memory = row.memory.filter(|_| many);
        let idle = row.idle.filter(|_| served);
        Figures {
            transport: row.contender.name.clone(),
            title: row.contender.title.clone(),
            side: row.contender.side,
            caveat: row.contender.caveat.clone(),
            failure: row.failure.clone(),
            seconds: row.sum(|round| round.seconds),
            cpu_seconds_parent: row.sum(|round| round.cpu_seconds[0]),
            cpu_seconds_peer: row.sum(|round| round.cpu_seconds[1]),
            ratio_to_unix: over(result.unix()),
            ratio_to_bare: over(limit),
            bare: limit.map(|limit| limit.contender.name.clone()),
            p50_ns: match many {
                true => row.spread(|round| round.p50.unwrap_or_default()),
                false => measures(Measure::Latency),
            },
            bytes_per_second: measures(Measure::Bytes),
            messages_per_second: measures(Measure::Messages),
            p50_all_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: match served {
                true => row.spread(|round| round.p99 as f64).map(P99::Each),
                false => quantile(0.99).map(P99::All),
            },
            p999_ns: quantile(0.999),
            max_ns: (!row.latency.is_empty()).then(|| row.latency.max()),
            sending_seconds: match kind {
                Kind::FixedRate(_) => Some(row.sum(|round| round.sending_seconds)),
                _ => None,
            },
            publications: (!row.publishing.is_empty()).then(|| Publications {
                count: row.rounds.iter().map(|round| round.messages).sum::<u64>()
                    / kind.streams() as u64,
                p50_ns: row.publishing.value_at_quantile(0.5),
                p99_ns: row.publishing.value_at_quantile(0.99),
                waking_cpu_seconds: row.sum(|round| round.waking_seconds),
            }),
            memory_bytes_per_stream_at_start: memory.map(|[begin, _]| begin),
            memory_bytes_per_stream: memory.map(|[_, end]| end as i64),
            memory_bytes_grown_per_stream: memory.map(|[begin, end]| (end - begin) as i64),
            cpu_ns_per_message: row.cpu_of_message().filter(|_| served),
            idle_cpu_percent: idle.map(|idle| 100.0 * idle.cpu as f64 / setup.idle as f64),
            idle_wake_ups: idle.map(|idle| idle.wakes),
            server_descriptors_per_stream: served.then_some(row.descriptors),
            rounds: row.rounds.iter().map(RoundFigures::of).collect(),
        }
    }

    /// Nanoseconds, bytes a second or messages a second; `None` if nothing was measured.
    pub fn value(&self) -> Option<Spread> {
        self.messages_per_second
            .or(self.bytes_per_second)
            .or(self.p50_ns)
    }
}

impl RoundFigures {
    fn of(round: &Round) -> RoundFigures {
        let latency = |value: u64| round.p50.map(|_| value);
        RoundFigures {
            seconds: round.seconds,
            messages: round.messages,
            bytes: round.bytes,
            cpu_seconds_parent: round.cpu_seconds[0],
            cpu_seconds_peer: round.cpu_seconds[1],
            p50_ns: round.p50,
            p99_ns: latency(round.p99),
            max_ns: latency(round.max),
        }
    }
}
