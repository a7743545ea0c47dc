//! All charts: one for each figure that grows with the size or the number of streams, each case's
//! own, and the one that a document shows.

use crate::{
    case::{Case, Cores, Fill, Kind, Measure},
    chart::{
        self, Bar, Frame, Line, Stroke,
        scale::{COUNT, MEMORY, RATE, Scale, TIME, Unit},
    },
    contender::Side,
    contenders::{UNIX, slipring_name},
    figures::{CaseFigures, Figures, P99, Run},
    medians,
    palette::Palette,
    text,
};

/// A line for each contender, over several cases.
pub(crate) struct Curves {
    pub title: &'static str,
    pub caption: &'static str,
    wanted: fn(&Case) -> bool,
    value: fn(&Figures) -> Option<f64>,
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
        value: |row| row.memory_bytes_per_stream_at_start,
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
        value: |row| Some(row.p99_ns?.value()),
        unit: TIME,
    },
    Curves {
        title: "CPU time of a message by streams",
        caption: "of all processes; lower is better",
        wanted: is_served,
        value: |row| Some(row.cpu_ns_per_message?.median),
        unit: TIME,
    },
];

fn median(row: &Figures) -> Option<f64> {
    Some(row.value()?.median)
}

fn is_served(case: &Case) -> bool {
    matches!(case.kind, Kind::Served { .. })
}

impl Curves {
    /// Of several cases; of one it would be no line.
    pub(crate) fn draw(&self, run: &Run, palette: &Palette) -> Option<String> {
        let stroke = |row: &Figures| Some((row.title.clone(), palette.stroke(row)));
        let (labels, lines) = self.lines(run, stroke)?;
        let scale = Scale::of(chart::values(&lines), self.unit)?;
        Some(chart::lines(&labels, &lines, &scale))
    }

    /// The labels of the cases, and the lines of the contenders that have a name and a stroke.
    fn lines(
        &self,
        run: &Run,
        stroke: impl Fn(&Figures) -> Option<(String, Stroke)>,
    ) -> Option<(Vec<String>, Vec<Line>)> {
        let all = run.cases().map(|figures| (figures.case(), figures));
        let mut cases: Vec<(Case, &CaseFigures)> =
            all.filter(|(case, _)| (self.wanted)(case)).collect();
        cases.sort_by_key(|(case, _)| (case.kind.streams(), case.size));
        if cases.len() < 2 {
            return None;
        }
        let labels = cases.iter().map(|(case, _)| match case.kind.streams() {
            1 if case.kind.measure() != Measure::Messages => text::size(case.size),
            streams => streams.to_string(),
        });
        let mut lines: Vec<Line> = Vec::new();
        for (at, (_, figures)) in cases.iter().enumerate() {
            for row in &figures.transports {
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
pub(crate) fn of_case(case: &CaseFigures, palette: &Palette) -> Option<String> {
    let unit = match case.case().kind.measure() {
        Measure::Latency => return percentiles(&case.transports, palette),
        Measure::Bytes => RATE,
        Measure::Messages => COUNT,
    };
    let bar = |row: &Figures| {
        let value = row.value()?;
        Some(Bar {
            name: row.title.clone(),
            colour: palette.stroke(row).colour,
            value: value.median,
            range: (value.min, value.max),
        })
    };
    let bars: Vec<Bar> = case.transports.iter().filter_map(bar).collect();
    chart::bars(&bars, unit)
}

fn percentiles(rows: &[Figures], palette: &Palette) -> Option<String> {
    let labels = ["p50", "p90", "p99", "p99.9", "max"].map(String::from);
    let line = |row: &Figures| {
        let of_all = |value: Option<u64>| value.map(|value| value as f64);
        let points = vec![
            of_all(row.p50_all_ns),
            of_all(row.p90_ns),
            row.p99_ns.map(P99::value),
            of_all(row.p999_ns),
            of_all(row.max_ns),
        ];
        row.value().is_some().then(|| Line {
            name: row.title.clone(),
            stroke: palette.stroke(row),
            points,
        })
    };
    let lines: Vec<Line> = rows.iter().filter_map(line).collect();
    let scale = Scale::of(chart::values(&lines), TIME)?;
    Some(chart::lines(&labels, &lines, &scale))
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

/// Of the chart that a document shows: the height of a machine's part, and of what is above them.
const PART: f64 = 354.0;
const ABOVE: f64 = 42.0;

/// slipring beside the kernel's streams, by size, on each machine: one SVG file that needs nothing
/// else. slipring is the default, if that was measured. The machines have the same scales. `None`
/// if there is nothing to draw.
pub fn for_a_document(runs: &[Run]) -> Option<String> {
    let mut body = legend(ABOVE + runs.len() as f64 * PART);
    let mut top = ABOVE;
    let drawn: Vec<_> = [(&ROUND_TRIPS, 66.0), (&WRITES, 470.0)]
        .map(|(curves, left)| {
            let lines: Vec<_> = runs
                .iter()
                .map(|run| curves.lines(run, shown(run)))
                .collect();
            let values = lines
                .iter()
                .flatten()
                .flat_map(|(_, lines)| chart::values(lines));
            let scale = Scale::of(values, curves.unit);
            (curves, left, lines, scale)
        })
        .into();
    drawn.iter().find(|(.., scale)| scale.is_some())?;
    for (number, run) in runs.iter().enumerate() {
        for (curves, left, lines, scale) in &drawn {
            let frame = Frame {
                left: *left,
                top: top + 54.0,
                width: 300.0,
                height: 240.0,
            };
            let title = text_at(*left, top + 20.0, "#222", curves.title);
            body += &format!("<g font-weight=\"600\">{title}</g>");
            body += &text_at(*left, top + 38.0, "#666", curves.caption);
            if let Some((scale, (labels, lines))) = scale.as_ref().zip(lines[number].as_ref()) {
                let (plot, _) = chart::plot(&frame, labels, lines, scale);
                body += &format!("<g font-size=\"13\">{plot}</g>");
            }
        }
        let machine = &run.machine;
        let below = match &machine.name {
            Some(name) => format!("{name}: {}", machine.cpu),
            None => machine.cpu.clone(),
        };
        let below = format!("{below}, {}; {}", machine.kernel, run.build());
        let below = text_at(16.0, top + 338.0, "#666", &below);
        body += &format!("<g font-size=\"12\">{below}</g>");
        top += PART;
    }
    Some(chart::svg(800.0, top, &body))
}

/// The names and strokes of the lines of a run.
fn shown(run: &Run) -> impl Fn(&Figures) -> Option<(String, Stroke)> {
    let usual = slipring_name(slipring::Spin::default());
    let mut ours = medians::contenders(run.cases());
    ours.retain(|one| one.side == Side::Slipring);
    let ours = ours
        .iter()
        .find(|one| one.transport == usual)
        .or(ours.first());
    let ours = ours.map_or(String::new(), |one| one.transport.clone());
    move |row| {
        let name = row.transport.as_str();
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
    }
}

fn text_at(x: f64, y: f64, colour: &str, text: &str) -> String {
    chart::label(x, y - 5.0, "start", colour, text) + "\n"
}

/// A light card, on any background, and the meaning of the colours.
fn legend(height: f64) -> String {
    let mut body = format!(
        "<rect x=\"0.5\" y=\"0.5\" width=\"799\" height=\"{}\" rx=\"8\" fill=\"#ffffff\" \
         stroke=\"#d0d0d0\"/>\n",
        height - 1.0
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::run;

    #[test]
    fn each_machine_has_its_part_and_they_have_one_scale() {
        let svg = |runs: &[Run]| for_a_document(runs).expect("there are lines");
        let both = svg(&[
            run("here", 100, &["8", "64"]),
            run("there", 9000, &["8", "64"]),
        ]);
        let document = roxmltree::Document::parse(&both).expect("it is well-formed");
        let nodes = document.descendants().filter(|node| node.is_text());
        let texts: Vec<&str> = nodes.filter_map(|node| node.text()).collect();
        let count = |wanted: &str| texts.iter().filter(|text| **text == wanted).count();
        for name in ["here", "there"] {
            assert_eq!(count(&format!("{name}: a CPU, Linux; commit abc1234")), 1);
        }
        // The least is of one machine, the greatest of the other; both have a line across.
        assert_eq!([count("100 ns"), count("1 ms")], [2, 2], "{texts:?}");
        let one = svg(&[run("here", 100, &["8", "64"])]);
        assert!(!one.contains(">1 ms<") && one.contains(">100 ns<"), "{one}");
        assert!(for_a_document(&[run("here", 100, &["8"])]).is_none());
    }
}
