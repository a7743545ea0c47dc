//! The page of many streams: what grows with their number, then each number with its chart and its
//! table.

use super::{Measured, entry::Entry, report, report::Setup};
use crate::{
    bench::{
        goals::Goal,
        page::{
            Page, Palette, Section,
            chart::{self, Bar, Line, Scale, Steps},
            goal_lines, text_lines,
        },
        stats::Spread,
    },
    trial::text,
};

const READING: &[&str] = &[
    "One server process with many streams, and its clients, on tokio with one thread each. At each tick the server sends a message to \
     every client and waits for all answers; a message and its answer count once.",
    "The transports take turns, round by round, so compare within one run, never between runs or machines. A value is the median of the \
     rounds, but for max; where the least and the greatest lie far apart the machine is noisy, and small differences mean nothing.",
    "Latency is from just before a message is written until its answer is there. With many streams most of it is waiting for the others' \
     turn: one thread serves them all.",
    "Idle: nothing is sent for a while; CPU time and wake-ups of all processes in that time. \
        Memory and descriptors are of one stream.",
    "The charts over streams have logarithmic scales: a step up is a multiple. Bars begin at zero.",
];

const COUNT: Scale = Scale {
    base: 10.0,
    text: count,
};
const TIME: Scale = Scale {
    base: 10.0,
    text: time,
};

pub fn page(setup: &Setup, all: &[Measured], goals: &[Goal], cut_short: bool) -> Page {
    let entries = all.iter().flat_map(|measured| &measured.entries);
    let palette = Palette::of(entries.map(|entry| entry.contender.name()));
    let by_count =
        |title: &str, caption: &str, scale, of| by_count(title, caption, all, &palette, &scale, of);
    Page {
        title: "slipring bench --streams",
        summary: report::summary(all),
        header: text_lines(&report::header(setup)),
        reading: READING,
        cut_short,
        overview: [
            by_count(
                "Messages a second by streams",
                "higher is better",
                COUNT,
                Entry::rate,
            ),
            by_count(
                "Latency (p99) by streams",
                "lower is better",
                TIME,
                Entry::p99,
            ),
            by_count(
                "CPU time of a message by streams",
                "of all processes; lower is better",
                TIME,
                Entry::cpu,
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
        goals: goal_lines(goals),
        sections: all
            .iter()
            .map(|measured| section(measured, &palette))
            .collect(),
    }
}

/// All numbers of streams, if there are several to draw a line through.
fn by_count(
    title: &str,
    caption: &str,
    all: &[Measured],
    palette: &Palette,
    scale: &Scale,
    of: fn(&Entry) -> Option<Spread>,
) -> Option<Section> {
    let mut ascending: Vec<&Measured> = all.iter().collect();
    ascending.sort_by_key(|measured| measured.streams);
    let entries = ascending
        .iter()
        .flat_map(|one| one.entries.iter().map(|entry| (one.streams, entry)));
    let lines = Line::through(entries.filter_map(|(streams, entry)| {
        let contender = entry.contender;
        let point = (streams as f64, of(entry)?.median);
        Some((
            contender.title().into(),
            palette.colour(contender.name()),
            point,
        ))
    }));
    let streams = Steps {
        values: ascending
            .iter()
            .map(|measured| measured.streams as f64)
            .collect(),
        text: count,
    };
    Some(Section {
        title: title.into(),
        caption: caption.into(),
        chart: Some(chart::lines(&streams, scale, &lines)?),
        ..Section::default()
    })
}

/// One number of streams: its chart, and the table that is printed, too.
fn section(measured: &Measured, palette: &Palette) -> Section {
    let bar = |entry: &Entry| {
        let rate = entry.rate()?;
        Some(Bar {
            name: entry.contender.title().into(),
            colour: palette.colour(entry.contender.name()),
            value: rate.median,
            range: (rate.min, rate.max),
        })
    };
    let bars: Vec<Bar> = measured.entries.iter().filter_map(bar).collect();
    let rows = measured
        .entries
        .iter()
        .map(|entry| report::cells(measured, entry));
    Section {
        title: report::title(measured),
        caption: "messages a second".into(),
        chart: chart::bars(&bars, count),
        columns: &report::COLUMNS,
        rows: rows.collect(),
        failures: report::failures(measured),
    }
}

fn count(number: f64) -> String {
    text::count(number as u64)
}

fn time(nanoseconds: f64) -> String {
    text::time(nanoseconds as u64)
}
