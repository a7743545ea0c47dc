//! The results as a page of HTML that needs nothing else. Its appearance is defined in
//! `templates/page.html`.

use std::io;

use askama::Template;

use crate::{
    case::Kind,
    charts,
    figures::{CaseFigures, Figures, Run, all_cases},
    medians,
    palette::Palette,
    table,
};

const ALWAYS: &[&str] = &[
    "All contenders of a case take turns, round by round, so compare within a case of one run, \
     never between runs or machines. A value is the median of the rounds; the least and the \
     greatest stand beside it. Where these lie far apart the machine is noisy, and small \
     differences mean nothing. A ratio is taken round by round; there is none where these differ \
     by more than a factor of two.",
    "The charts of lines have logarithmic scales: a step up is a multiple. Bars begin at zero.",
];

const BETWEEN_TWO: &[&str] = &[
    "Two processes on one machine, but for what says that it uses threads. Everybody copies every \
     message in and out, but where it says in place. Before anything is measured, every byte of \
     some messages is compared, of equal and of mixed lengths. In each round the messages lie at \
     another place in their pages, the same one for all.",
    "Round trip: one message there and back, one at a time; shorter is better. Throughput: \
     messages in one direction as fast as they go, from the first one's sending to the last one's \
     arrival; higher is better. The percentiles are of all rounds together.",
    "\u{201c}x bare\u{201d} divides by the least that two processes need: spinning on a flag in \
     shared memory with the message beside it, or, for what only sleeps, the faster of two ways \
     of waiting for an eventfd. \u{201c}x region\u{201d} divides by one core that writes and one \
     that reads a shared region in slots of 64 KiB. These are no transports.",
    "Spinning is fast at the price of a core for each side that waits; sleeping costs nothing \
     until it is woken; adaptive spins where that has paid off. CPU: seconds of CPU time over all \
     rounds, of the host, which sends first, and of its peer.",
];

const MORE: &[&str] = &[
    "Filled and read: the sender writes every byte, and the receiver reads every byte, in place or \
     in memory of their own. 64 at a time: sent one by one, published once.",
    "At a fixed rate, latency is one-way, from the time when a message was due: a contender that \
     is late once pays for all messages that had to wait (no coordinated omission). The sender \
     keeps time by spinning; the share of time inside its send is told.",
    "Streams: round trips over all of them at the same time, with a thread for each on both sides \
     (on tokio a task). Memory is what both processes have in use after the first message, threads \
     included, without what the kernel keeps for sockets.",
];

const SERVED: &[&str] = &[
    "One server process with many streams, and its clients, on tokio with one thread each. At each \
     tick the server sends a message to every client and waits for all answers; a message and its \
     answer count once.",
    "Latency is from just before a message is written until its answer is there. With many streams \
     most of it is waiting for the others' turn: one thread serves them all.",
    "Idle: nothing is sent for a while; CPU time and wake-ups of all processes in that time. \
     Memory and descriptors are of one stream; every page is counted once.",
];

/// The parts of a page beside the results.
pub struct Page<'a> {
    /// of all of it
    pub title: &'a str,
    /// the figures that most people want to know
    pub summary: Option<String>,
    /// where, when and how it was measured
    pub header: Vec<String>,
    /// not everything was measured that was asked for
    pub cut_short: bool,
    /// the goals, and whether they were reached
    pub goals: Vec<String>,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Whole<'a> {
    page: &'a Page<'a>,
    reading: Vec<&'static str>,
    contenders: Vec<&'a Figures>,
    /// across all cases
    overview: Vec<Section>,
    sections: Vec<Section>,
}

#[derive(Default)]
struct Section {
    title: String,
    /// how to read its figures
    caption: &'static str,
    /// SVG
    chart: Option<String>,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// the measurements that failed
    notes: Vec<String>,
}

impl Page<'_> {
    /// The whole page, of one run or of runs on several machines.
    pub fn render(&self, runs: &[Run]) -> io::Result<String> {
        let cases = || runs.iter().flat_map(Run::cases);
        let palette = Palette::of(cases());
        // A machine need be told only where there are several.
        let on = |title: &str, run: &Run| match runs {
            [_] => title.to_string(),
            _ => format!("{title}, {}", run.name()),
        };
        let mut overview = Vec::new();
        for curves in &charts::CURVES {
            for run in runs {
                let chart = curves.draw(run, &palette);
                overview.extend(chart.map(|chart| Section {
                    title: on(curves.title, run),
                    caption: curves.caption,
                    chart: Some(chart),
                    ..Section::default()
                }));
            }
        }
        let section = |case: &CaseFigures, run: &Run| {
            let (columns, rows) = table::cells(case);
            Section {
                title: on(&case.title, run),
                caption: table::caption(case.case().kind),
                chart: charts::of_case(case, &palette),
                columns,
                rows,
                notes: case.notes(),
            }
        };
        let mut sections = Vec::new();
        for wanted in all_cases(runs) {
            for run in runs {
                let mut cases = run.cases();
                let case = cases.find(|case| case.case == wanted.case);
                sections.extend(case.map(|case| section(case, run)));
            }
        }
        let whole = Whole {
            page: self,
            reading: reading(cases()),
            contenders: medians::contenders(cases()),
            overview,
            sections,
        };
        Ok(whole.render().map_err(io::Error::other)? + "\n")
    }
}

/// The texts that explain the figures of these cases.
fn reading<'r>(cases: impl Iterator<Item = &'r CaseFigures>) -> Vec<&'static str> {
    let kinds: Vec<Kind> = cases.map(|case| case.case().kind).collect();
    let any = |wanted: fn(Kind) -> bool| kinds.iter().any(|kind| wanted(*kind));
    let mut lines = ALWAYS.to_vec();
    if any(|kind| !matches!(kind, Kind::Served { .. })) {
        lines.extend(BETWEEN_TWO);
    }
    if any(|kind| {
        !matches!(
            kind,
            Kind::Served { .. } | Kind::RoundTrip | Kind::Throughput
        )
    }) {
        lines.extend(MORE);
    }
    if any(|kind| matches!(kind, Kind::Served { .. })) {
        lines.extend(SERVED);
    }
    lines
}
