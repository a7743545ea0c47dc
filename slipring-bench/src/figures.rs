//! The figures of a run on one machine: as they are written down as JSON, and read again. All
//! tables, charts and pages are made of them, of one run or of runs on several machines.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// A run. What is not known of an old one is `None`.
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

    /// The figures of a file that holds them as JSON.
    pub fn read(path: &Path) -> io::Result<Run> {
        let failed = |why: String| {
            let why = format!("cannot read figures from {}: {why}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let run: Run = serde_json::from_str(&text)
            .map_err(|error| failed(format!("{error}; name files that --json has written")))?;
        let unknown = run
            .cases()
            .find(|one| case::named(&one.case).is_none())
            .map(|one| {
                format!(
                    "no case is called {} here; use the version that measured it",
                    one.case
                )
            });
        unknown.map_or(Ok(run), |why| Err(failed(why)))
    }

    /// Those of several files, and of these what has one of the patterns in its name
    /// CASE/CONTENDER; without patterns, everything.
    pub fn read_all(paths: &[impl AsRef<Path>], only: &[String]) -> io::Result<Vec<Run>> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut runs: Vec<Run> = Vec::new();
        for path in paths {
            let mut run = Run::read(path.as_ref())?;
            for case in run.cases.iter_mut().chain(&mut run.streams).flatten() {
                let wanted = |row: &Figures| {
                    let name = format!("{}/{}", case.case, row.transport);
                    only.is_empty() || only.iter().any(|part| name.contains(part))
                };
                case.transports.retain(wanted);
            }
            for cases in run.cases.iter_mut().chain(&mut run.streams) {
                cases.retain(|case| !case.transports.is_empty());
            }
            if runs.iter().any(|other| other.name() == run.name()) {
                return Err(invalid(format!(
                    "two of the files are of a machine called {}; give one another \"name\" in its \
                     \"machine\"",
                    run.name()
                )));
            }
            runs.push(run);
        }
        match runs.iter().any(|run| run.cases().next().is_some()) {
            true => Ok(runs),
            false => Err(invalid(format!(
                "nothing in the files has {} in its name CASE/CONTENDER",
                only.join(" or ")
            ))),
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

    /// As a document, to which a program adds results of its own.
    pub fn document(&self) -> Value {
        let mut value = serde_json::to_value(self).expect("the keys are strings");
        drop_unknown(&mut value);
        value
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

/// Removes the members without a value.
fn drop_unknown(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_unknown);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_unknown),
        _ => {}
    }
}

/// A document as text, each contender in a line of its own.
pub fn text(document: &Value) -> String {
    /// The document, its cases, one of these, its transports.
    const DEEP: usize = 4;
    fn put(value: &Value, depth: usize, to: &mut String) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(all) => all
                .iter()
                .map(|(name, member)| (format!("{}: ", Value::from(name.as_str())), member))
                .collect(),
            Value::Array(all) => all.iter().map(|item| (String::new(), item)).collect(),
            _ => Vec::new(),
        };
        if depth == DEEP || members.is_empty() {
            *to += &value.to_string();
            return;
        }
        let (open, close) = if value.is_object() {
            ('{', '}')
        } else {
            ('[', ']')
        };
        let indent = |depth: usize| format!("\n{}", "  ".repeat(depth));
        to.push(open);
        for (number, (name, member)) in members.into_iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            *to += &format!("{comma}{}{name}", indent(depth + 1));
            put(member, depth + 1, to);
        }
        *to += &indent(depth);
        to.push(close);
    }
    let mut text = String::new();
    put(document, 0, &mut text);
    text + "\n"
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run in which slipring takes so many nanoseconds for 8 B, and other round trips.
    pub(crate) fn run(name: &str, eight: u32, sizes: &[&str]) -> Run {
        let row = |transport: &str, side: &str, value: u32| {
            serde_json::json!({
                "transport": transport, "title": format!("{transport}, spinning"), "side": side,
                "caveat": "has | and <", "seconds": 1.0, "cpu_seconds_parent": 0.5,
                "cpu_seconds_peer": 0.25, "bare": "bare-exchange", "ratio_to_bare": 2.0,
                "p50_ns": {"median": value, "min": value - 1, "max": value + 1},
                "p99_ns": 2 * value, "p99.9_ns": 3 * value, "max_ns": 4 * value,
            })
        };
        let case = |(number, size): (usize, &&str)| {
            let value = eight + number as u32;
            serde_json::json!({
                "case": format!("rtt-{size}"), "title": format!("round trip, {size}"),
                "kind": "round_trip", "message_bytes": 8, "streams": 1, "repeated_rounds": 0,
                "disturbed": false, "transports": [
                    row("slipring-always", "slipring", value),
                    row("unix", "peer", 500 * value),
                    row("slow", "library", 3 * value),
                    row("fast", "library", 2 * value),
                    row("bare-exchange", "limit", value / 2),
                ],
            })
        };
        let cases: Vec<Value> = sizes.iter().enumerate().map(case).collect();
        let document = serde_json::json!({
            "commit": "abc1234", "command": "compare", "rounds": 5, "slice_seconds": 0.05,
            "machine": {"name": name, "cpu": "a CPU", "kernel": "Linux", "cores": 2},
            "cases": cases,
        });
        serde_json::from_value(document).expect("the document has all that is needed")
    }

    #[test]
    fn a_run_is_the_same_after_it_was_written_and_read() -> io::Result<()> {
        let directory = crate::scratch::Scratch::new()?;
        let path = directory.path().join("run.json");
        let text = text(&run("here", 100, &["8", "64"]).document());
        fs::write(&path, &text)?;
        let lines = text.lines().filter(|line| line.contains("\"transport\""));
        assert_eq!(lines.count(), 2 * 5, "a line each: {text}");

        let read = Run::read_all(&[&path], &[])?;
        assert_eq!(super::text(&read[0].document()), text);
        let figures = read[0].cases().next().and_then(|case| case.row("unix"));
        assert_eq!(
            figures.and_then(Figures::value).map(|value| value.max),
            Some(50_001.0)
        );
        assert_eq!(
            read[0].conditions("here")[0],
            "here: a CPU, 2 cores, Linux; commit abc1234"
        );
        Ok(())
    }

    #[test]
    fn patterns_choose_and_mistakes_are_told() -> io::Result<()> {
        let directory = crate::scratch::Scratch::new()?;
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).map(|()| path)
        };
        let text = text(&run("here", 100, &["8", "64"]).document());
        let path = write("run.json", &text)?;
        let only = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|one| one.to_string()).collect();
            Run::read_all(&[&path], &patterns)
        };
        let names = |runs: &[Run]| -> Vec<String> {
            let cases = runs.iter().flat_map(Run::cases);
            let names = cases.flat_map(|case| {
                let rows = case.transports.iter();
                rows.map(move |row| format!("{}/{}", case.case, row.transport))
            });
            names.collect()
        };
        assert_eq!(
            names(&only(&["rtt-8/fast", "64/unix"])?),
            ["rtt-8/fast", "rtt-64/unix"]
        );

        let why = |read: io::Result<Vec<Run>>| read.err().expect("it is a mistake").to_string();
        assert!(why(only(&["no such"])).contains("nothing in the files has no such"));
        let twice = Run::read_all(&[&path, &path], &[]);
        assert!(why(twice).contains("two of the files are of a machine called here"));
        let other = write("other.json", &text.replace("rtt-64", "rtt-65"))?;
        assert!(why(Run::read_all(&[other], &[])).contains("no case is called rtt-65"));
        let other = write("other.json", "{}")?;
        assert!(why(Run::read_all(&[other], &[])).contains("name files that --json has written"));
        let missing = directory.path().join("missing.json");
        assert!(why(Run::read_all(&[missing], &[])).contains("missing.json: No such file"));
        Ok(())
    }
}
