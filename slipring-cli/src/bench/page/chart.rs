//! Charts as SVG: lines on logarithmic scales, and bars.

use std::{error::Error, ops::Range};

use plotters::{
    coord::{
        Shift,
        combinators::{LogCoord, WithKeyPoints},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

const WIDTH: u32 = 1000;
/// of the drawing, if the names beside it do not need more
const HEIGHT: u32 = 380;
const MARGIN: u32 = 12;
/// for the values of the vertical axis
const VALUES: u32 = 80;
/// for the names of the lines, or of the bars
const NAMES: u32 = 220;
/// for the value beside the longest bar
const BESIDE: u32 = 130;
/// for the values of the horizontal axis
const BELOW: u32 = 30;
/// from one name to the next
const STEP: u32 = 20;
const BAR: u32 = 26;
const FONT: (&str, u32) = ("system-ui, sans-serif", 17);
const GRID: RGBColor = RGBColor(222, 222, 222);
const TICK: RGBColor = RGBColor(120, 120, 120);

/// What is drawn on.
type Root<'s> = DrawingArea<SVGBackend<'s>, Shift>;

/// What goes up, logarithmically.
pub struct Scale {
    /// Its powers are written on it.
    pub base: f64,
    pub text: fn(f64) -> String,
}

/// What goes from left to right, logarithmically.
pub struct Steps {
    /// ascending
    pub values: Vec<f64>,
    pub text: fn(f64) -> String,
}

pub struct Line {
    pub name: String,
    pub colour: RGBColor,
    /// from left to right
    pub points: Vec<(f64, f64)>,
}

pub struct Bar {
    pub name: String,
    pub colour: RGBColor,
    pub value: f64,
    /// the least and the greatest of what the value is the median of
    pub range: (f64, f64),
}

impl Line {
    /// The lines that these points make: each says the name and the colour of its line.
    pub fn through(points: impl IntoIterator<Item = (String, RGBColor, (f64, f64))>) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for (name, colour, point) in points {
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push(point),
                None => lines.push(Line {
                    name,
                    colour,
                    points: vec![point],
                }),
            }
        }
        lines
    }
}

impl Scale {
    /// The powers around and between these values; `None` without values.
    fn powers(&self, values: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
        let values = values.filter(|value| *value > 0.0);
        let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if high == 0.0 {
            return None;
        }
        let low = low.log(self.base).floor() as i32;
        let high = (high.log(self.base).ceil() as i32).max(low + 1);
        Some((low..=high).map(|power| self.base.powi(power)).collect())
    }
}

/// A scale from the first to the last of these, at which there are lines across.
fn through(ticks: &[f64]) -> Option<WithKeyPoints<LogCoord<f64>>> {
    let (&low, &high) = ticks.first().zip(ticks.last())?;
    (low < high).then(|| (low..high).log_scale().with_key_points(ticks.to_vec()))
}

/// The name of a line stands beside its last point, in a column of names if the line goes through
/// to the right. `None` if there is nothing to draw a line through.
pub fn lines(x: &Steps, y: &Scale, lines: &[Line]) -> Option<String> {
    let values = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.1));
    let (across, up) = through(&x.values).zip(through(&y.powers(values)?))?;
    let height = HEIGHT.max(lines.len() as u32 * STEP + BELOW + 2 * MARGIN);
    let svg = drawn((WIDTH, height), |root| {
        let mut chart = ChartBuilder::on(root)
            .margin(MARGIN)
            .margin_right(NAMES)
            .x_label_area_size(BELOW)
            .y_label_area_size(VALUES)
            .build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(TICK)
            .label_style(FONT)
            .x_label_formatter(&|value| (x.text)(*value))
            .y_label_formatter(&|value| whole(&(y.text)(*value)))
            .draw()?;
        let right = (WIDTH - NAMES) as i32;
        let mut ends = Vec::new();
        for line in lines {
            let points = line.points.iter().copied();
            chart.draw_series(LineSeries::new(points.clone(), line.colour.stroke_width(2)))?;
            chart.draw_series(points.map(|point| Circle::new(point, 3, line.colour.filled())))?;
            match line.points.last().map(|last| chart.backend_coord(last)) {
                Some((x, y)) if x + 1 < right => root.draw(&Text::new(
                    line.name.as_str(),
                    (x + 10, y),
                    beside(root, HPos::Left),
                ))?,
                Some((_, y)) => ends.push((y, line)),
                None => {}
            }
        }
        // Lines with the same end would have their names at the same place: these move apart, and a
        // thin line leads there.
        ends.sort_by_key(|(y, _)| *y);
        let wanted: Vec<i32> = ends.iter().map(|(y, _)| *y).collect();
        let bounds = MARGIN as i32..(height - BELOW - MARGIN) as i32;
        for ((y, line), place) in ends.into_iter().zip(apart(&wanted, STEP as i32, bounds)) {
            root.draw(&PathElement::new(
                [(right + 4, y), (right + 18, place)],
                line.colour,
            ))?;
            root.draw(&Text::new(
                line.name.as_str(),
                (right + 22, place),
                beside(root, HPos::Left),
            ))?;
        }
        Ok(())
    });
    Some(svg)
}

/// Longer is more, from zero; the thin line goes from the least to the greatest. `None` without
/// bars.
pub fn bars(bars: &[Bar], text: fn(f64) -> String) -> Option<String> {
    let longest = bars.iter().map(|bar| bar.range.1).reduce(f64::max)?;
    let svg = drawn((WIDTH, bars.len() as u32 * BAR + 2 * MARGIN), |root| {
        // Each bar is one high; the first one is at the top.
        let end = bars.len() as f64;
        let mut chart = ChartBuilder::on(root)
            .margin(MARGIN)
            .margin_left(NAMES)
            .margin_right(BESIDE)
            .build_cartesian_2d(0.0..longest, end..0.0)?;
        for (index, bar) in bars.iter().enumerate() {
            let middle = index as f64 + 0.5;
            let corners = [(0.0, middle - 0.35), (bar.value, middle + 0.35)];
            let (least, greatest) = bar.range;
            chart.draw_series([Rectangle::new(corners, bar.colour.filled())])?;
            chart.draw_series([PathElement::new(
                [(least, middle), (greatest, middle)],
                BLACK,
            )])?;
            let name = Text::new(bar.name.clone(), (-8, 0), beside(root, HPos::Right));
            chart.draw_series([EmptyElement::at((0.0, middle)) + name])?;
            let value = Text::new(text(bar.value), (8, 0), beside(root, HPos::Left));
            chart.draw_series([EmptyElement::at((greatest, middle)) + value])?;
        }
        chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, end)], TICK)])?;
        Ok(())
    });
    Some(svg)
}

/// A number and its unit without zeros behind the point.
fn whole(text: &str) -> String {
    text.replace(".00 ", " ").replace(".0 ", " ")
}

/// Of a text that begins, or ends, at its place.
fn beside<'r>(root: &'r Root<'_>, end: HPos) -> TextStyle<'r> {
    FONT.into_text_style(root).pos(Pos::new(end, VPos::Center))
}

/// The SVG element of this size that is drawn on.
fn drawn(size: (u32, u32), draw: impl FnOnce(&Root) -> Result<(), Box<dyn Error>>) -> String {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    draw(&root)
        .and_then(|()| Ok(root.present()?))
        .expect("a string takes every drawing");
    drop(root);
    svg
}

/// The places nearest to the wanted ones, which ascend, that are `step` apart and within the
/// bounds, if these have room.
fn apart(wanted: &[i32], step: i32, bounds: Range<i32>) -> Vec<i32> {
    let mut places = wanted.to_vec();
    let mut least = bounds.start;
    for place in &mut places {
        *place = (*place).max(least);
        least = *place + step;
    }
    let mut greatest = bounds.end;
    for place in places.iter_mut().rev() {
        *place = (*place).min(greatest);
        greatest = *place - step;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_goes_from_power_to_power() {
        let text = |value| format!("{value}");
        let powers = |values: &[f64]| Scale { base: 10.0, text }.powers(values.iter().copied());
        assert_eq!(powers(&[190.0, 48_700.0]), Some(vec![100.0, 1e3, 1e4, 1e5]));
        assert_eq!(powers(&[100.0]), Some(vec![100.0, 1e3]));
        assert_eq!(powers(&[0.0, f64::NAN]), None);
        assert_eq!(powers(&[]), None);
    }

    #[test]
    fn names_move_apart_and_stay_in_bounds() {
        assert_eq!(apart(&[10, 50, 90], 20, 0..100), [10, 50, 90]);
        assert_eq!(apart(&[50, 50, 50], 20, 0..100), [50, 70, 90]);
        assert_eq!(apart(&[95, 96, 97], 20, 0..100), [60, 80, 100]);
        assert_eq!(apart(&[], 20, 0..100), [0; 0]);
    }

    #[test]
    fn names_are_escaped() {
        let bar = Bar {
            name: "<b>&".into(),
            colour: BLACK,
            value: 1.0,
            range: (0.5, 1.5),
        };
        let svg = bars(&[bar], |value| format!("{value}")).expect("there is a bar");
        let document = roxmltree::Document::parse(&svg).expect("it is well-formed");
        let texts: Vec<&str> = document
            .descendants()
            .filter_map(|node| node.text())
            .map(str::trim)
            .collect();
        assert!(texts.contains(&"<b>&"), "{texts:?}");
    }
}
