//! The page of round trips and throughput: what grows with the size, then every case with its chart
//! and its table.

use super::{
    Page, Palette, Section,
    chart::{self, Bar, Line, Scale, Steps},
    goal_lines, text_lines,
};
use crate::{
    bench::{
        Setup,
        case::Kind,
        goals::Goal,
        report,
        results::{CaseResult, Results, Row},
        stats,
    },
    trial::text,
};

const READING: &[&str] = &[
    "Two processes on one machine. All transports of a case take turns, round by round, so compare within a case of one run, never \
     between runs or machines. A value is the median of the rounds; the least and the greatest stand beside it. Where these lie far \
     apart the machine is noisy, and small differences mean nothing; beyond a factor of two nothing is compared.",
    "Everybody copies every message in and out, and before it is measured, the bytes of some \
        messages are compared.",
    "Round trip: one message there and back, one at a time; shorter is better. The percentiles in the charts, and p99, p99.9 and max in \
     the tables, are of all rounds together.",
    "Throughput: messages in one direction as fast as they go, from the first one's sending to \
        the last one's arrival; higher is better.",
    "\u{201c}x bare\u{201d} divides by the least that two processes need: spinning on a flag in shared memory with the message beside it, or, \
     for what only sleeps, the faster of two ways of waiting for an eventfd. These are no transports: one message at a time, no ring.",
    "Spinning is fast at the price of a core for each side that waits; sleeping costs nothing until it is woken; adaptive spins where that \
     has paid off. CPU: seconds of CPU time over all rounds, here and in the peer process.",
    "The charts over sizes and of percentiles have logarithmic scales: a step up is a multiple. \
        Bars begin at zero.",
];

/// Of a percentile chart; as many round trips are slower as one in so many.
const PERCENTILES: [(f64, &str); 5] = [
    (2.0, "p50"),
    (10.0, "p90"),
    (100.0, "p99"),
    (1000.0, "p99.9"),
    // At the place of p99.99: there is no better one on this scale.
    (10_000.0, "max"),
];

const TIME: Scale = Scale {
    base: 10.0,
    text: time,
};
const RATE: Scale = Scale {
    base: 4.0,
    text: rate,
};

pub fn page(setup: &Setup, results: &Results, goals: &[Goal], cut_short: bool) -> Page {
    let rows = results.cases.iter().flat_map(|result| &result.rows);
    let palette = Palette::of(rows.map(|row| row.contender.name.as_str()));
    let overview = [Kind::RoundTrip, Kind::Throughput];
    Page {
        title: "slipring bench",
        summary: report::summary(results),
        header: text_lines(&report::header(setup)),
        reading: READING,
        cut_short,
        overview: overview
            .iter()
            .filter_map(|&kind| by_size(results, kind, &palette))
            .collect(),
        goals: goal_lines(goals),
        sections: results
            .cases
            .iter()
            .map(|result| section(setup, result, &palette))
            .collect(),
    }
}

/// All cases of a kind, if there are several to draw a line through.
fn by_size(results: &Results, kind: Kind, palette: &Palette) -> Option<Section> {
    let cases: Vec<&CaseResult> = results
        .cases
        .iter()
        .filter(|result| result.case.kind == kind)
        .collect();
    let rows = cases
        .iter()
        .flat_map(|result| result.rows.iter().map(|row| (result.case, row)));
    let lines = Line::through(rows.filter_map(|(case, row)| {
        let point = (case.size as f64, row.spread()?.median);
        Some((
            row.contender.title.clone(),
            palette.colour(&row.contender.name),
            point,
        ))
    }));
    let sizes = Steps {
        values: cases.iter().map(|result| result.case.size as f64).collect(),
        text: size,
    };
    let (title, caption, scale) = match kind {
        Kind::RoundTrip => ("Round trip by size", "median; lower is better", TIME),
        Kind::Throughput => (
            "Throughput by size of the writes",
            "median; higher is better",
            RATE,
        ),
    };
    Some(Section {
        title: title.into(),
        caption: caption.into(),
        chart: Some(chart::lines(&sizes, &scale, &lines)?),
        ..Section::default()
    })
}

/// One case: its chart, and the table that is printed, too.
fn section(setup: &Setup, result: &CaseResult, palette: &Palette) -> Section {
    Section {
        title: result.case.title.into(),
        caption: report::caption(result.case.kind).into(),
        chart: match result.case.kind {
            Kind::RoundTrip => percentiles(&result.rows, palette),
            Kind::Throughput => throughputs(&result.rows, palette),
        },
        columns: report::columns(result.case.kind),
        rows: result
            .rows
            .iter()
            .map(|row| report::cells(setup, result, row))
            .collect(),
        failures: report::failures(result),
    }
}

fn percentiles(rows: &[Row], palette: &Palette) -> Option<String> {
    let line = |row: &Row| {
        let all = stats::latency(&row.rounds);
        let value = |(one_in, name)| match name {
            "max" => all.max(),
            _ => all.value_at_quantile(1.0 - 1.0 / one_in),
        };
        (!all.is_empty()).then(|| Line {
            name: row.contender.title.clone(),
            colour: palette.colour(&row.contender.name),
            points: PERCENTILES.map(|one| (one.0, value(one) as f64)).to_vec(),
        })
    };
    let percentiles = Steps {
        values: PERCENTILES.map(|(one_in, _)| one_in).to_vec(),
        text: |one_in| {
            let found = PERCENTILES.iter().find(|(known, _)| *known == one_in);
            found.map_or_else(String::new, |(_, name)| (*name).into())
        },
    };
    let lines: Vec<Line> = rows.iter().filter_map(line).collect();
    chart::lines(&percentiles, &TIME, &lines)
}

fn throughputs(rows: &[Row], palette: &Palette) -> Option<String> {
    let bar = |row: &Row| {
        let spread = row.spread()?;
        Some(Bar {
            name: row.contender.title.clone(),
            colour: palette.colour(&row.contender.name),
            value: spread.median,
            range: (spread.min, spread.max),
        })
    };
    let bars: Vec<Bar> = rows.iter().filter_map(bar).collect();
    chart::bars(&bars, rate)
}

fn time(nanoseconds: f64) -> String {
    text::time(nanoseconds as u64)
}

fn rate(bytes: f64) -> String {
    format!("{}/s", text::bytes(bytes as u64))
}

fn size(bytes: f64) -> String {
    match bytes as usize {
        b if b < 1 << 10 => format!("{b} B"),
        b => text::size(b),
    }
}
