//! The medians side by side, as Markdown: a table for each group of cases and each machine; and a
//! summary with columns of each machine.

use std::fmt::Write;

use crate::{
    case::{Case, Cores, Fill, Kind, Measure},
    contender::Side,
    contenders::slipring_name,
    figures::{CaseFigures, Figures, Run, all_cases},
    text::{bytes, many, plural, size, time_of},
};

/// All tables, and the differences of each contender.
pub fn tables(runs: &[Run]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for case in all_cases(runs) {
        let group = group(&case.case());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut text = conditions(runs);
    // Writing to a String cannot fail.
    for wanted in groups {
        let _ = writeln!(text, "\n### {wanted}");
        for run in runs {
            let cases = run.cases().filter(|case| group(&case.case()) == wanted);
            let cases: Vec<&CaseFigures> = cases.collect();
            if !cases.is_empty() {
                let _ = write!(text, "\n{}", table(run, &cases));
            }
        }
    }
    let contenders = contenders(runs.iter().flat_map(Run::cases));
    let rows = contenders
        .iter()
        .map(|one| [one.title.clone(), one.caveat.clone()]);
    let _ = write!(
        text,
        "\n### How each differs\n\n{}",
        markdown(
            &["contender", "how it differs"].map(String::from),
            rows,
            "---"
        )
    );
    text
}

/// Where each machine's figures come from.
fn conditions(runs: &[Run]) -> String {
    let head = [
        "machine",
        "processor",
        "system",
        "slipring",
        "date",
        "command",
    ];
    let rows = runs.iter().map(|run| {
        let (machine, s) = (&run.machine, plural(run.machine.cores));
        [
            run.name().into(),
            format!("{}, {} core{s}", machine.cpu, machine.cores),
            machine.kernel.clone(),
            run.build(),
            run.date.clone().unwrap_or_else(|| "not known".into()),
            format!("`{}`", run.command),
        ]
    });
    markdown(&head.map(String::from), rows, "---")
}

/// Round trips and throughput alone: slipring, the fastest other library, the Unix socket and the
/// limit, in columns of each machine; and where each machine's columns come from.
pub fn summary(runs: &[Run]) -> String {
    let mut head = vec![String::new()];
    for run in runs {
        head.push(format!("{}: slipring", run.name()));
        head.extend(["best library", "Unix socket", "limit"].map(String::from));
    }
    let row = |case: &CaseFigures| {
        let mut cells = vec![case.title.clone()];
        for run in runs {
            let here = run.cases().find(|here| here.case == case.case);
            cells.extend(here.map_or_else(Default::default, summed_up));
        }
        cells
    };
    let mut cases = all_cases(runs);
    cases.retain(|case| is_summed_up(case));
    markdown(&head, cases.into_iter().map(row), "---:") + "\n" + &conditions(runs)
}

fn is_summed_up(case: &CaseFigures) -> bool {
    let kind = case.case().kind;
    matches!(kind, Kind::RoundTrip | Kind::Throughput | Kind::Batched(_))
}

/// slipring spins, but not where both halves share a core.
fn summed_up(case: &CaseFigures) -> [String; 4] {
    let names = [slipring::Spin::Always, slipring::Spin::default()].map(slipring_name);
    let ours = names.iter().find_map(|name| case.row(name));
    let libraries = case
        .transports
        .iter()
        .filter(|row| row.side == Side::Library);
    let measured = libraries.filter_map(|row| Some((row, row.value()?.median)));
    let best = measured.reduce(|best, other| {
        let shorter = other.1 < best.1;
        let is_better = shorter == (case.case().kind.measure() == Measure::Latency);
        if is_better { other } else { best }
    });
    let limit = ours.and_then(|row| case.row(row.bare.as_ref()?));
    let text = |row: Option<&Figures>| row.and_then(|row| cell(&case.case(), row));
    let best = best.map(|(row, _)| {
        let name = row.title.split([' ', ',']).next().unwrap_or_default();
        format!("{} ({name})", text(Some(row)).unwrap_or_default())
    });
    [text(ours), best, text(case.unix()), text(limit)].map(Option::unwrap_or_default)
}

/// All that took part, once each.
pub(crate) fn contenders<'r>(cases: impl Iterator<Item = &'r CaseFigures>) -> Vec<&'r Figures> {
    let mut all: Vec<&Figures> = Vec::new();
    for row in cases.flat_map(|case| &case.transports) {
        if all.iter().all(|known| known.transport != row.transport) {
            all.push(row);
        }
    }
    all
}

/// The features that a case has in common with others.
fn group(case: &Case) -> &'static str {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) => "Round trip by size",
        (Kind::RoundTrip, Cores::One | Cores::Any) => "Round trip, elsewhere",
        (Kind::Throughput, _) => "Throughput by size of the writes",
        (Kind::Filled(_), _) => "Every byte written and read, by size",
        (Kind::Batched(_), _) => "Messages that are published together",
        (Kind::FixedRate(_), _) => {
            "At a fixed rate: p50 / p99 one-way, and the CPU time of the receiving process"
        }
        (Kind::SmallReads(_), _) => "Small reads",
        (Kind::Streams(_), _) => {
            "Streams, all at the same time: round trips, and the memory of a stream"
        }
        (Kind::Served { .. }, _) => "Messages a second by streams",
        (Kind::Subscribed(_), _) => {
            "Subscribers: p50 / p99 one-way, and p50 of the call that publishes"
        }
        (Kind::Mixed(_), _) => "Mixed lengths",
    }
}

fn label(case: &Case) -> String {
    match (case.kind, case.cores) {
        (Kind::RoundTrip, Cores::AsAsked) | (Kind::Throughput | Kind::Filled(Fill::Same), _) => {
            size(case.size)
        }
        (Kind::Filled(Fill::Numbers), _) => format!("{}, numbers", size(case.size)),
        (Kind::Streams(streams) | Kind::Served { streams, .. } | Kind::Subscribed(streams), _) => {
            streams.to_string()
        }
        _ => case.title.clone(),
    }
}

/// The cases of a group on one machine.
fn table(run: &Run, cases: &[&CaseFigures]) -> String {
    let mut head = vec![format!("{}, {}", run.name(), run.build())];
    head.extend(cases.iter().map(|case| label(&case.case())));
    let row = |contender: &&Figures| {
        let mut cells = vec![contender.title.clone()];
        cells.extend(cases.iter().map(|case| {
            let row = case.row(&contender.transport);
            row.and_then(|row| cell(&case.case(), row))
                .unwrap_or_default()
        }));
        cells
    };
    let all = contenders(cases.iter().copied());
    markdown(&head, all.iter().map(row), "---:")
}

/// A table whose first column is text; the rule of the others says on which side they are aligned.
fn markdown<R: AsRef<[String]>>(
    head: &[String],
    rows: impl IntoIterator<Item = R>,
    rule: &str,
) -> String {
    let line = |cells: &[String]| {
        let cells = cells.iter().map(|cell| match cell.as_str() {
            "" => " |".into(),
            cell => format!(" {} |", cell.replace('|', "\\|").replace('<', "\\<")),
        });
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = format!("|---|{}\n", format!("{rule}|").repeat(head.len() - 1));
    let rows: String = rows.into_iter().map(|cells| line(cells.as_ref())).collect();
    line(head) + &rule + &rows
}

fn cell(case: &Case, row: &Figures) -> Option<String> {
    let value = row.value()?.median;
    Some(match (case.kind.measure(), case.kind) {
        (Measure::Latency, Kind::FixedRate(_)) => {
            let share = 100.0 * row.cpu_seconds_peer / row.seconds;
            let p99 = row.p99_ns?.value();
            format!("{} / {}, {share:.0} %", time_of(value), time_of(p99))
        }
        (Measure::Latency, Kind::Subscribed(_)) => {
            let p99 = row.p99_ns?.value();
            let call = time_of(row.publications?.p50_ns as f64);
            format!("{} / {}, {call}", time_of(value), time_of(p99))
        }
        (Measure::Latency, _) => time_of(value),
        (Measure::Bytes, _) => format!("{}/s", bytes(value as u64)),
        (Measure::Messages, _) => {
            let memory = row.memory_bytes_per_stream_at_start.unwrap_or_default();
            format!("{}/s, {}", many(value), bytes(memory.max(0.0) as u64))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::run;

    #[test]
    fn a_summary_has_columns_of_each_machine() {
        let summary = summary(&[
            run("here", 100, &["64", "1k"]),
            run("there", 300, &["8", "64"]),
        ]);
        let lines: Vec<&str> = summary.lines().collect();
        let expected = [
            "| | here: slipring | best library | Unix socket | limit \
             | there: slipring | best library | Unix socket | limit |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            "| round trip, 8 | | | | | 300 ns | 600 ns (fast) | 150 µs | 150 ns |",
            "| round trip, 64 | 100 ns | 200 ns (fast) | 50.0 µs | 50 ns \
             | 301 ns | 602 ns (fast) | 150 µs | 150 ns |",
            "| round trip, 1k | 101 ns | 202 ns (fast) | 50.5 µs | 50 ns | | | | |",
            "",
            "| machine | processor | system | slipring | date | command |",
            "|---|---|---|---|---|---|",
            "| here | a CPU, 2 cores | Linux | commit abc1234 | not known | `compare` |",
            "| there | a CPU, 2 cores | Linux | commit abc1234 | not known | `compare` |",
        ];
        assert_eq!(lines, expected, "{summary}");
    }

    #[test]
    fn the_tables_of_a_group_follow_each_other() {
        let tables = tables(&[run("here", 100, &["8", "64"]), run("there", 300, &["64"])]);
        let here = "### Round trip by size\n\n\
                    | here, commit abc1234 | 8 B | 64 B |\n|---|---:|---:|\n\
                    | slipring-always, spinning | 100 ns | 101 ns |\n";
        let there = "| there, commit abc1234 | 64 B |\n|---|---:|\n\
                     | slipring-always, spinning | 300 ns |\n";
        let differences = "| slow, spinning | has \\| and \\< |\n";
        let mut rest = tables.as_str();
        for part in [here, there, differences] {
            rest = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("no {part}:\n{tables}"))
                .1;
        }
    }
}
