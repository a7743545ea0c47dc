//! All charts: one for each figure that grows with the size or the number of streams, each case's
//! own, and the one that a document shows.

use crate::{
    case::{Case, Cores, Fill, Kind, Measure},
    chart::{
        self, Bar, Frame, Line, Stroke,
        scale::{COUNT, MEMORY, RATE, TIME, Unit},
    },
    contender::Side,
    contenders::{UNIX, slipring_name},
    medians,
    palette::Palette,
    results::{CaseResult, Row},
    text,
};

/// As many latencies are above it as one in so many, and its name.
const PERCENTILES: [(f64, &str); 4] = [
    (2.0, "p50"),
    (10.0, "p90"),
    (100.0, "p99"),
    (1000.0, "p99.9"),
];

/// A line for each contender, over several cases.
pub(crate) struct Curves {
    pub title: &'static str,
    pub caption: &'static str,
    wanted: fn(&Case) -> bool,
    value: fn(&Row) -> Option<f64>,
    unit: Unit,
}

const LOWER: &str = "median; lower is better";
const HIGHER: &str = "median; higher is better";

pub(crate) const ROUND_TRIPS: Curves = Curves {
    title: "Round trip by size",
    caption: LOWER,
    wanted: |case| case.kind == Kind::RoundTrip && case.cores == Cores::AsAsked,
    value: median,
    unit: TIME,
};
pub(crate) const WRITES: Curves = Curves {
    title: "Throughput by size of the writes",
    caption: HIGHER,
    wanted: |case| case.kind == Kind::Throughput,
    value: median,
    unit: RATE,
};
/// All that there are.
pub(crate) const CURVES: [Curves; 9] = [
    ROUND_TRIPS,
    WRITES,
    Curves {
        title: "One-way latency by size, 10,000 a second",
        caption: LOWER,
        wanted: |case| case.kind == Kind::FixedRate(10_000),
        value: median,
        unit: TIME,
    },
    Curves {
        title: "Every byte written and read, by size",
        caption: HIGHER,
        wanted: |case| case.kind == Kind::Filled(Fill::Same),
        value: median,
        unit: RATE,
    },
    Curves {
        title: "Round trips a second by streams",
        caption: HIGHER,
        wanted: |case| matches!(case.kind, Kind::Streams(_)),
        value: median,
        unit: COUNT,
    },
    Curves {
        title: "Memory of a stream by streams",
        caption: "in both processes; lower is better",
        wanted: |case| matches!(case.kind, Kind::Streams(_)),
        value: |row| row.memory.map(|[begin, _]| begin),
        unit: MEMORY,
    },
    Curves {
        title: "Messages a second by streams",
        caption: HIGHER,
        wanted: is_served,
        value: median,
        unit: COUNT,
    },
    Curves {
        title: "Latency (p99) by streams",
        caption: LOWER,
        wanted: is_served,
        value: |row| Some(row.spread(|round| round.p99 as f64)?.median),
        unit: TIME,
    },
    Curves {
        title: "CPU time of a message by streams",
        caption: "of all processes; lower is better",
        wanted: is_served,
        value: |row| Some(row.cpu_of_message()?.median),
        unit: TIME,
    },
];

fn median(row: &Row) -> Option<f64> {
    Some(row.value()?.median)
}

fn is_served(case: &Case) -> bool {
    matches!(case.kind, Kind::Served { .. })
}

impl Curves {
    /// Of several cases; of one it would be no line.
    pub(crate) fn draw(&self, results: &[CaseResult], palette: &Palette) -> Option<String> {
        let stroke = |row: &Row| Some((row.contender.title.clone(), palette.stroke(row.contender)));
        let (labels, lines) = self.lines(results, stroke)?;
        chart::lines(&labels, &lines, self.unit)
    }

    /// The labels of the cases, and the lines of the contenders that have a name and a stroke.
    fn lines(
        &self,
        results: &[CaseResult],
        stroke: impl Fn(&Row) -> Option<(String, Stroke)>,
    ) -> Option<(Vec<String>, Vec<Line>)> {
        let mut cases: Vec<&CaseResult> = results
            .iter()
            .filter(|result| (self.wanted)(&result.case))
            .collect();
        cases.sort_by_key(|result| (result.case.kind.streams(), result.case.size));
        if cases.len() < 2 {
            return None;
        }
        let labels = cases.iter().map(|result| match result.case.kind.streams() {
            1 if result.case.kind.measure() != Measure::Messages => text::size(result.case.size),
            streams => streams.to_string(),
        });
        let mut lines: Vec<Line> = Vec::new();
        for (at, result) in cases.iter().enumerate() {
            for row in &result.rows {
                let Some((name, stroke)) = stroke(row) else {
                    continue;
                };
                let known = lines.iter().position(|line| line.name == name);
                let index = known.unwrap_or(lines.len());
                if known.is_none() {
                    let points = vec![None; cases.len()];
                    lines.push(Line {
                        name,
                        stroke,
                        points,
                    });
                }
                lines[index].points[at] = (self.value)(row);
            }
        }
        // A curve that is mostly gaps is left out; the tables have its values.
        lines.retain(|line| 2 * line.points.iter().flatten().count() > cases.len());
        Some((labels.collect(), lines))
    }
}

/// A case's own chart: the percentiles of its latencies, or bars.
pub(crate) fn of_case(result: &CaseResult, palette: &Palette) -> Option<String> {
    let unit = match result.case.kind.measure() {
        Measure::Latency => return percentiles(&result.rows, palette),
        Measure::Bytes => RATE,
        Measure::Messages => COUNT,
    };
    let bar = |row: &Row| {
        let value = row.value()?;
        Some(Bar {
            name: row.contender.title.clone(),
            colour: palette.stroke(row.contender).colour,
            value: value.median,
            range: (value.min, value.max),
        })
    };
    let bars: Vec<Bar> = result.rows.iter().filter_map(bar).collect();
    chart::bars(&bars, unit)
}

fn percentiles(rows: &[Row], palette: &Palette) -> Option<String> {
    let mut labels = PERCENTILES.map(|(_, name)| name.to_string()).to_vec();
    labels.push("max".into());
    let line = |row: &Row| {
        let all = &row.latency;
        let value = |(one_in, _)| Some(all.value_at_quantile(1.0 - 1.0 / one_in) as f64);
        let mut points = PERCENTILES.map(value).to_vec();
        points.push(Some(all.max() as f64));
        (!all.is_empty()).then(|| Line {
            name: row.contender.title.clone(),
            stroke: palette.stroke(row.contender),
            points,
        })
    };
    let lines: Vec<Line> = rows.iter().filter_map(line).collect();
    chart::lines(&labels, &lines, TIME)
}

/// Those of the chart that a document shows, with their names and colours there.
const SHOWN: [(&str, &str, &str); 4] = [
    ("", "slipring", "#00855a"),
    (UNIX, "Unix socket", "#c43428"),
    ("pipe", "pipe", "#e4861c"),
    ("tcp", "TCP loopback", "#2e6eaa"),
];

/// Whether enough cases have the figures that [`for_a_document`] draws.
pub fn can_draw<'a>(cases: impl Iterator<Item = &'a Case> + Clone) -> bool {
    let enough = |curves: &Curves| cases.clone().filter(|case| (curves.wanted)(case)).count() > 1;
    enough(&ROUND_TRIPS) || enough(&WRITES)
}

/// slipring beside the kernel's streams, by size: one SVG file that needs nothing else. slipring is
/// the default, if that was measured. `None` if there is nothing to draw.
pub fn for_a_document(results: &[CaseResult], below: &str) -> Option<String> {
    let usual = slipring_name(slipring::Spin::default());
    let mut ours = medians::contenders(results);
    ours.retain(|one| one.side == Side::Slipring);
    let ours = ours.iter().find(|one| one.name == usual).or(ours.first());
    let ours = ours.map_or(String::new(), |one| one.name.clone());
    let drawn = |row: &Row| {
        let name = row.contender.name.as_str();
        let shown = SHOWN.iter().find(|(known, ..)| match *known {
            "" => name == ours,
            known => name == known,
        });
        let &(known, title, colour) = shown?;
        let width = if known.is_empty() { 3.5 } else { 2.0 };
        Some((
            title.to_string(),
            Stroke {
                colour,
                dashes: "none",
                width,
            },
        ))
    };
    let (mut body, mut any) = (legend(), false);
    for (curves, left) in [(&ROUND_TRIPS, 66.0), (&WRITES, 470.0)] {
        let frame = Frame {
            left,
            top: 96.0,
            width: 300.0,
            height: 240.0,
        };
        let title = format!(
            r#"<g font-weight="600">{}</g>"#,
            text_at(left, 62.0, "#222", curves.title)
        );
        body += &title;
        body += &text_at(left, 80.0, "#666", curves.caption);
        if let Some((labels, lines)) = curves.lines(results, drawn)
            && let Some((plot, _)) = chart::plot(&frame, &labels, &lines, curves.unit)
        {
            body += &format!("<g font-size=\"13\">{plot}</g>");
            any = true;
        }
    }
    body += &format!(
        r#"<g font-size="12">{}</g>"#,
        text_at(16.0, 380.0, "#666", below)
    );
    any.then(|| chart::svg(800.0, 396.0, &body))
}

fn text_at(x: f64, y: f64, colour: &str, text: &str) -> String {
    chart::label(x, y - 5.0, "start", colour, text) + "\n"
}

/// A light card, on any background, and the meaning of the colours.
fn legend() -> String {
    let mut body = String::from(
        "<rect x=\"0.5\" y=\"0.5\" width=\"799\" height=\"395\" rx=\"8\" fill=\"#ffffff\" \
         stroke=\"#d0d0d0\"/>\n",
    );
    for ((_, title, colour), left) in SHOWN.into_iter().zip([66.0, 186.0, 326.0, 416.0]) {
        let stroke = Stroke {
            colour,
            dashes: "none",
            width: 4.0,
        };
        body += &chart::path(&[(left, 25.0), (left + 24.0, 25.0)], stroke);
        body += &text_at(left + 32.0, 30.0, "#222", title);
    }
    body
}
