//! Charts as SVG: curves on logarithmic scales, and bars.

use std::fmt::Write;

use super::{
    escape,
    scale::{Scale, Unit},
};
use crate::contender::Side;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 80.0;
/// for the names of the lines
const RIGHT: f64 = 230.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
const HEIGHT: f64 = 400.0;
/// of a bar, with the gap to the next one
const BAR: f64 = 20.0;

/// of the names at the ends of lines
const NAME: f64 = 13.0;

const OURS: [&str; 2] = ["#0b6e4f", "#4aa96c"];
const LIMIT: &str = "#8a8a8a";
/// Told apart by more than their colour: the lines' names stand at their ends.
const PEERS: [&str; 7] = [
    "#c8553d", "#2f6690", "#b5838d", "#8a6d00", "#6d597a", "#118ab2", "#3a3a3a",
];
const DASHES: [&str; 4] = ["none", "7 3", "2 2", "9 3 2 3"];

pub struct Series {
    pub name: &'static str,
    pub side: Side,
    /// one for each label; a gap where there is nothing
    pub points: Vec<Option<f64>>,
}

pub struct Bar {
    pub name: &'static str,
    pub side: Side,
    pub value: f64,
}

/// How a line is drawn.
struct Stroke {
    colour: &'static str,
    dashes: &'static str,
    width: f64,
}

impl Stroke {
    /// The `number`th line of its side.
    fn of(side: Side, number: usize) -> Stroke {
        let (colours, width): (&[_], _) = match side {
            Side::Slipring => (&OURS, 3.0),
            Side::Limit => (&[LIMIT], 1.5),
            Side::Peer => (&PEERS, 1.5),
        };
        Stroke {
            colour: colours[number % colours.len()],
            dashes: DASHES[number / colours.len() % DASHES.len()],
            width,
        }
    }
}

pub fn lines(labels: &[String], series: &[Series], unit: &Unit) -> String {
    let all = series
        .iter()
        .flat_map(|one| one.points.iter().flatten().copied());
    let Some(scale) = Scale::of(all, unit) else {
        return String::new();
    };
    let y = |value: f64| HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM);
    let x = |index: usize| {
        LEFT + index as f64 * (WIDTH - LEFT - RIGHT) / (labels.len().max(2) - 1) as f64
    };
    let mut svg = open(HEIGHT);
    // Writing to a String cannot fail.
    for tick in scale.ticks() {
        let y = y(tick);
        let _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" x2="{:.0}" y1="{y:.1}" y2="{y:.1}" class="grid"/><text x="{:.0}" y="{:.1}" text-anchor="end">{}</text>"##,
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            (unit.text)(tick)
        );
    }
    for (index, label) in labels.iter().enumerate() {
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{}" text-anchor="middle">{label}</text>"#,
            x(index),
            HEIGHT - 8.0
        );
    }
    let mut ends: Vec<End> = Vec::new();
    for (number, one) in series.iter().enumerate() {
        let of_its_side = series[..number]
            .iter()
            .filter(|other| other.side == one.side)
            .count();
        let stroke = Stroke::of(one.side, of_its_side);
        let points: Vec<(usize, f64)> = one
            .points
            .iter()
            .enumerate()
            .filter_map(|(at, y)| Some((at, (*y)?)))
            .collect();
        let path: Vec<String> = points
            .iter()
            .map(|&(at, value)| format!("{:.1},{:.1}", x(at), y(value)))
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>"#,
            path.join(" "),
            stroke.colour,
            stroke.width,
            stroke.dashes
        );
        for &(at, value) in &points {
            let _ = writeln!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{}"><title>{}, {}: {}</title></circle>"#,
                x(at),
                y(value),
                stroke.colour,
                escape(one.name),
                labels[at],
                (unit.text)(value)
            );
        }
        if let Some(&(at, value)) = points.last() {
            ends.push(End {
                x: x(at),
                y: y(value),
                name: one.name,
                stroke,
            });
        }
    }
    svg += &names(ends);
    svg + "</svg>\n"
}

/// Of a line.
struct End {
    x: f64,
    y: f64,
    name: &'static str,
    stroke: Stroke,
}

/// The names next to the lines' ends, pushed apart where they would overlap, each with a piece of
/// its line.
fn names(mut ends: Vec<End>) -> String {
    ends.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut svg = String::new();
    let mut lowest = HEIGHT - BOTTOM - NAME * (ends.len() as f64 - 1.0);
    let mut last = TOP - NAME;
    let edge = WIDTH - RIGHT;
    for End { x, y, name, stroke } in ends {
        let at = y.max(last + NAME).min(lowest.max(last + NAME));
        let [start, near, far] = [4.0, 22.0, 38.0].map(|distance| edge + distance);
        // What ends before the last label is not led to its name.
        let y = if x < edge { at } else { y };
        let _ = writeln!(
            svg,
            r#"<polyline points="{start},{y:.1} {near},{at:.1} {far},{at:.1}" fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/><text x="{}" y="{:.1}" fill="{}">{}</text>"#,
            stroke.colour,
            stroke.width / 1.5,
            stroke.dashes,
            far + 4.0,
            at + 4.0,
            stroke.colour,
            escape(name)
        );
        last = at;
        lowest += NAME;
    }
    svg
}

/// From zero: bars are compared by their length.
pub fn bars(bars: &[Bar], unit: &Unit) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let mut svg = open(bars.len() as f64 * BAR + 8.0);
    let left = RIGHT;
    for (index, bar) in bars.iter().enumerate() {
        let y = index as f64 * BAR + 4.0;
        let length = (bar.value / most * (WIDTH - left - 110.0)).max(1.0);
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{}</text><rect x="{left}" y="{y:.1}" width="{length:.1}" height="{}" fill="{}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
            left - 6.0,
            y + 12.0,
            escape(bar.name),
            BAR - 5.0,
            Stroke::of(bar.side, 0).colour,
            left + length + 6.0,
            y + 12.0,
            (unit.text)(bar.value)
        );
    }
    svg + "</svg>\n"
}

fn open(height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::scale::COUNT;

    #[test]
    fn a_gap_is_no_point() {
        let series = [Series {
            name: "one",
            side: Side::Peer,
            points: vec![Some(10.0), None, Some(1000.0)],
        }];
        let labels = ["a", "b", "c"].map(String::from);
        let svg = lines(&labels, &series, &COUNT);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.ends_with("</svg>\n"));
    }
}
