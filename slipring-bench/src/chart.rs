//! Charts as SVG: lines on logarithmic scales, and bars.

pub(crate) mod scale;

use std::fmt::Write;

use self::scale::{Scale, Unit};

/// for the names of the lines, or of the bars
const NAMES: f64 = 250.0;
/// for the values of the vertical axis
const VALUES: f64 = 80.0;
const WIDTH: f64 = 1000.0;
/// of a chart of lines, if the names beside it do not need more
const HEIGHT: f64 = 400.0;
const TOP: f64 = 14.0;
/// for the values of the horizontal axis
const BOTTOM: f64 = 34.0;
/// from one label of the horizontal axis to the next, at least
const LABEL: f64 = 48.0;
/// from one name to the next
const STEP: f64 = 18.0;
/// of a bar, with the gap to the next one
const BAR: f64 = 26.0;

/// How a line or a bar is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Stroke {
    pub colour: &'static str,
    pub dashes: &'static str,
    pub width: f64,
}

/// One line of a chart.
pub(crate) struct Line {
    pub name: String,
    pub stroke: Stroke,
    /// one for each label; a gap where there is nothing
    pub points: Vec<Option<f64>>,
}

pub(crate) struct Bar {
    pub name: String,
    pub colour: &'static str,
    pub value: f64,
    /// the least and the greatest of the values whose median is shown
    pub range: (f64, f64),
}

/// A rectangle to draw in: from the left, from above, to the right, down.
pub(crate) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// All values of these lines.
pub(crate) fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines
        .iter()
        .flat_map(|line| line.points.iter().flatten().copied())
}

/// A chart of lines, with their names beside them.
pub(crate) fn lines(labels: &[String], lines: &[Line], scale: &Scale) -> String {
    let height = HEIGHT.max(lines.len() as f64 * STEP + TOP + BOTTOM);
    let frame = Frame {
        left: VALUES,
        top: TOP,
        width: WIDTH - VALUES - NAMES,
        height: height - TOP - BOTTOM,
    };
    let (mut body, ends) = plot(&frame, labels, lines, scale);
    body += &names(&frame, ends);
    svg(WIDTH, height, &body)
}

/// Where a line ends.
pub(crate) struct End<'l> {
    x: f64,
    y: f64,
    line: &'l Line,
}

/// Axes and lines in a frame, and where the lines end.
pub(crate) fn plot<'l>(
    frame: &Frame,
    labels: &[String],
    lines: &'l [Line],
    scale: &Scale,
) -> (String, Vec<End<'l>>) {
    let y = |value: f64| frame.bottom() - scale.place(value) * frame.height;
    let step = frame.width / (labels.len().max(2) - 1) as f64;
    let x = |index: usize| frame.left + index as f64 * step;
    let mut body = String::new();
    // Writing to a String cannot fail.
    for (tick, text) in scale.ticks() {
        let (y, left, right) = (y(tick), frame.left, frame.right());
        let _ = writeln!(
            body,
            r##"<path d="M{left} {y:.1}H{right}" stroke="#dedede"/>"##
        );
        let _ = writeln!(body, "{}", label(left - 8.0, y, "end", "#555", &text));
    }
    let every = (LABEL / step).ceil().max(1.0) as usize;
    for (index, text) in labels.iter().enumerate().step_by(every) {
        let y = frame.bottom() + 20.0;
        let _ = writeln!(body, "{}", label(x(index), y, "middle", "#555", text));
    }
    let mut ends = Vec::new();
    for line in lines {
        let points: Vec<(f64, f64)> = (0..)
            .zip(&line.points)
            .filter_map(|(index, point)| Some((x(index), y((*point)?))))
            .collect();
        let colour = line.stroke.colour;
        let _ = writeln!(body, "{}", path(&points, line.stroke));
        for (x, y) in &points {
            let _ = writeln!(
                body,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
            );
        }
        if let Some(&(x, y)) = points.last() {
            ends.push(End { x, y, line });
        }
    }
    (body, ends)
}

/// A line through these points.
pub(crate) fn path(points: &[(f64, f64)], stroke: Stroke) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let (points, colour, width) = (points.join(" "), stroke.colour, stroke.width);
    let dashes = stroke.dashes;
    format!(
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" \
         stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\"/>"
    )
}

/// The names next to the lines' ends, pushed apart where they would overlap, each with a piece of
/// its line.
fn names(frame: &Frame, mut ends: Vec<End>) -> String {
    ends.sort_by(|one, other| one.y.total_cmp(&other.y));
    let wanted: Vec<f64> = ends.iter().map(|end| end.y).collect();
    let edge = frame.right();
    let mut body = String::new();
    for (end, place) in ends.iter().zip(apart(&wanted, frame.top, frame.bottom())) {
        // A line that ends before the last label is not led to its name.
        let y = if end.x + 1.0 < edge { place } else { end.y };
        let points = [(edge + 6.0, y), (edge + 22.0, place), (edge + 38.0, place)];
        let text = label(edge + 44.0, place, "start", "#222", &end.line.name);
        // Writing to a String cannot fail.
        let _ = writeln!(body, "{}{text}", path(&points, end.line.stroke));
    }
    body
}

/// The places nearest to the wanted ones, which ascend, that are [`STEP`] apart and within these
/// bounds, if these have room.
fn apart(wanted: &[f64], least: f64, most: f64) -> Vec<f64> {
    let (mut places, mut least, mut most) = (wanted.to_vec(), least, most);
    for place in &mut places {
        *place = place.max(least);
        least = *place + STEP;
    }
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - STEP;
    }
    places
}

/// A longer bar means more, from zero; the thin line goes from the least to the greatest. `None`
/// without bars.
pub(crate) fn bars(bars: &[Bar], unit: Unit) -> Option<String> {
    let longest = bars.iter().map(|bar| bar.range.1).reduce(f64::max)?;
    let x = |value: f64| NAMES + value / longest * (WIDTH - NAMES - 130.0);
    let mut body = String::new();
    for (bar, index) in bars.iter().zip(0_u16..) {
        let (top, colour) = (f64::from(index) * BAR + 6.0, bar.colour);
        let middle = top + BAR / 2.0;
        let (height, length) = (BAR - 8.0, x(bar.value) - NAMES);
        let (least, greatest) = (x(bar.range.0), x(bar.range.1));
        let value = (unit.text)(bar.value);
        // Writing to a String cannot fail.
        let _ = writeln!(
            body,
            "<rect x=\"{NAMES}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{height}\" \
             fill=\"{colour}\"/><path d=\"M{least:.1} {middle:.1}H{greatest:.1}\" \
             stroke=\"#000\"/>{}{}",
            top + 4.0,
            label(NAMES - 8.0, middle, "end", "#222", &bar.name),
            label(greatest + 8.0, middle, "start", "#222", &value),
        );
    }
    Some(svg(WIDTH, bars.len() as f64 * BAR + 12.0, &body))
}

/// A text whose middle is at this height.
pub(crate) fn label(x: f64, y: f64, anchor: &str, colour: &str, text: &str) -> String {
    let (y, text) = (y + 5.0, escape(text));
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#)
}

/// The whole element.
pub(crate) fn svg(width: f64, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"15\">\n{body}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{scale::COUNT, *};

    const STROKE: Stroke = Stroke {
        colour: "#000",
        dashes: "none",
        width: 2.0,
    };

    #[test]
    fn a_gap_is_no_point_and_names_are_escaped() {
        let line = Line {
            name: "<b>&".into(),
            stroke: STROKE,
            points: vec![Some(10.0), None, Some(1000.0)],
        };
        let labels = ["a", "b", "c"].map(String::from);
        let lines = [line];
        let scale = Scale::of(values(&lines), COUNT).expect("there are values");
        let svg = super::lines(&labels, &lines, &scale);
        let document = roxmltree::Document::parse(&svg).expect("it is well-formed");
        let named = |name: &str| {
            let nodes = document.descendants();
            nodes.filter(|node| node.tag_name().name() == name).count()
        };
        assert_eq!(named("circle"), 2);
        assert!(
            document
                .descendants()
                .any(|node| node.text() == Some("<b>&"))
        );
    }

    #[test]
    fn names_move_apart_and_stay_in_bounds() {
        let apart = |wanted: &[f64]| apart(wanted, 0.0, 100.0);
        assert_eq!(apart(&[10.0, 50.0, 90.0]), [10.0, 50.0, 90.0]);
        assert_eq!(apart(&[50.0, 50.0, 50.0]), [50.0, 68.0, 86.0]);
        assert_eq!(apart(&[95.0, 96.0, 97.0]), [64.0, 82.0, 100.0]);
    }

    #[test]
    fn nothing_makes_no_chart() {
        assert!(Scale::of(values(&[]), COUNT).is_none());
        assert!(bars(&[], COUNT).is_none());
    }
}
