//! Which charts the report has.

use super::{
    capitalised,
    chart::{self, Bar, Series},
    scale::{COUNT, MEMORY, RATE, TIME, Unit},
    size,
};
use crate::{
    case::{Case, Cores, Fill, Kind},
    results::{CaseResult, Figures},
};

type Measured<'r> = (&'r CaseResult<'r>, Vec<Figures>);

pub fn all(figures: &[Measured]) -> String {
    let page = Charts { figures };
    let by_size = |case: &Case| size(case.size);
    let kind = |kind: Kind| move |case: &Case| case.kind == kind && case.cores == Cores::AsAsked;
    let mut html = page.curves(
        "Round trip by size",
        kind(Kind::RoundTrip),
        by_size,
        median,
        &TIME,
    );
    html += &page.curves(
        "One-way latency by size, 10,000 a second",
        kind(Kind::FixedRate { per_second: 10_000 }),
        by_size,
        median,
        &TIME,
    );
    let timed = |case: &Case| {
        case.size == 64 && matches!(case.kind, Kind::RoundTrip | Kind::FixedRate { .. })
    };
    html += &page.percentiles(timed);
    html += &page.curves(
        "Throughput by size",
        kind(Kind::Throughput),
        by_size,
        median,
        &RATE,
    );
    html += &page.curves(
        "Every byte written and read, by size",
        kind(Kind::Filled(Fill::Same)),
        by_size,
        median,
        &RATE,
    );
    html += &page.bars(kind(Kind::Filled(Fill::Numbers)), &RATE);
    html += &page.bars(|case| matches!(case.kind, Kind::Batched { .. }), &RATE);
    html += &page.bars(|case| matches!(case.kind, Kind::SmallReads(_)), &RATE);
    let crowd = |case: &Case| matches!(case.kind, Kind::Streams { .. });
    let streams = |case: &Case| match case.kind {
        Kind::Streams { streams } => streams.to_string(),
        _ => String::new(),
    };
    html += &page.curves(
        "Round trips a second, by number of streams",
        crowd,
        streams,
        median,
        &COUNT,
    );
    html += &page.curves(
        "Memory of a stream, by number of streams",
        crowd,
        streams,
        |row| row.memory,
        &MEMORY,
    );
    html
}

fn median(row: &Figures) -> Option<f64> {
    Some(row.value?.median)
}

struct Charts<'r> {
    figures: &'r [Measured<'r>],
}

impl<'r> Charts<'r> {
    fn of(&self, wanted: impl Fn(&Case) -> bool) -> Vec<&'r Measured<'r>> {
        self.figures
            .iter()
            .filter(|one| wanted(one.0.case))
            .collect()
    }

    /// A line for each contender, over the cases.
    fn curves(
        &self,
        title: &str,
        wanted: impl Fn(&Case) -> bool,
        label: impl Fn(&Case) -> String,
        value: impl Fn(&Figures) -> Option<f64>,
        unit: &Unit,
    ) -> String {
        let mut cases = self.of(wanted);
        if cases.is_empty() {
            return String::new();
        }
        cases.sort_by_key(|one| one.0.case.size);
        let labels: Vec<_> = cases.iter().map(|one| label(one.0.case)).collect();
        let mut series: Vec<Series> = Vec::new();
        for (at, (_, rows)) in cases.iter().enumerate() {
            for row in rows {
                let known = series.iter().position(|one| one.name == row.title);
                let index = known.unwrap_or_else(|| {
                    series.push(Series {
                        name: row.title,
                        side: row.side,
                        points: vec![None; labels.len()],
                    });
                    series.len() - 1
                });
                series[index].points[at] = value(row);
            }
        }
        // What is mostly gaps is no curve; the tables have it.
        series.retain(|one| 2 * one.points.iter().flatten().count() > labels.len());
        heading(title) + &chart::lines(&labels, &series, unit)
    }

    /// A chart for each case: a line for each contender, over the percentiles.
    fn percentiles(&self, wanted: impl Fn(&Case) -> bool) -> String {
        let labels = ["p50", "p99", "p99.9", "max"].map(String::from);
        let chart = |(result, rows): &&Measured| {
            let series = rows.iter().map(|row| Series {
                name: row.title,
                side: row.side,
                points: match row.latency {
                    Some(latency) => latency.map(|value| Some(value as f64)).to_vec(),
                    None => Vec::new(),
                },
            });
            let title = format!("Percentiles: {}", result.case.title);
            heading(&title) + &chart::lines(&labels, &series.collect::<Vec<_>>(), &TIME)
        };
        self.of(wanted).iter().map(chart).collect()
    }

    /// A chart for each case: a bar for each contender.
    fn bars(&self, wanted: impl Fn(&Case) -> bool, unit: &Unit) -> String {
        let chart = |(result, rows): &&Measured| {
            let bars = rows.iter().filter_map(|row| {
                Some(Bar {
                    name: row.title,
                    side: row.side,
                    value: median(row)?,
                })
            });
            heading(&capitalised(result.case.title)) + &chart::bars(&bars.collect::<Vec<_>>(), unit)
        };
        self.of(wanted).iter().map(chart).collect()
    }
}

fn heading(title: &str) -> String {
    format!("<h2>{title}</h2>\n")
}
