//! Charts as SVG, on logarithmic scales.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 80.0;
/// for the names of the lines
const RIGHT: f64 = 190.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
const HEIGHT: f64 = 380.0;
/// of a bar, with the gap to the next one
const BAR: f64 = 20.0;

/// Told apart by more than their colour: the lines' names stand at their ends.
const COLOURS: [&str; 8] = [
    "#0b6e4f", "#c8553d", "#2f6690", "#b5838d", "#8a6d00", "#6d597a", "#3a3a3a", "#118ab2",
];

pub struct Series {
    pub name: &'static str,
    /// one for each label; a gap where there is nothing
    pub points: Vec<Option<f64>>,
}

/// The powers of ten around some values.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>) -> Option<Scale> {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        (low <= high).then(|| Scale {
            low: low.floor(),
            high: high.ceil().max(low.floor() + 1.0),
        })
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

pub fn lines(labels: &[String], series: &[Series], text: fn(f64) -> String) -> String {
    let all = series.iter().flat_map(|one| one.points.iter().flatten().copied());
    let Some(scale) = Scale::of(all) else {
        return String::new();
    };
    let y = |value: f64| HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM);
    let x = |index: usize| LEFT + index as f64 * (WIDTH - LEFT - RIGHT) / (labels.len().max(2) - 1) as f64;
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
            text(tick)
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
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (number, one) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let dashes = if number < COLOURS.len() { "none" } else { "6 3" };
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
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>"#,
            path.join(" ")
        );
        for &(at, value) in &points {
            let _ = writeln!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"><title>{}: {}</title></circle>"#,
                x(at),
                y(value),
                one.name,
                text(value)
            );
        }
        if let Some(&(_, value)) = points.last() {
            ends.push((y(value), number));
        }
    }
    // The names next to the lines' ends, pushed apart where they would overlap.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let step = 13.0;
    let mut lowest = HEIGHT - step * (ends.len() as f64 - 1.0) - 4.0;
    let mut last = TOP - step;
    for (y, number) in ends {
        let at = y.max(last + step).min(lowest.max(last + step));
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            r#"<text x="{:.0}" y="{:.1}" fill="{colour}">{}</text>"#,
            WIDTH - RIGHT + 10.0,
            at + 4.0,
            series[number].name
        );
        last = at;
        lowest += step;
    }
    svg + "</svg>\n"
}

pub fn bars(bars: &[(&str, f64)], text: fn(f64) -> String) -> String {
    let Some(scale) = Scale::of(bars.iter().map(|bar| bar.1)) else {
        return String::new();
    };
    let mut svg = open(bars.len() as f64 * BAR + 8.0);
    let left = RIGHT;
    for (index, &(name, value)) in bars.iter().enumerate() {
        let y = index as f64 * BAR + 4.0;
        let length = (scale.place(value) * (WIDTH - left - 110.0)).max(2.0);
        let colour = COLOURS[usize::from(!name.starts_with("slipring"))];
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{name}</text><rect x="{left}" y="{y:.1}" width="{length:.1}" height="{}" fill="{colour}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
            left - 6.0,
            y + 12.0,
            BAR - 5.0,
            left + length + 6.0,
            y + 12.0,
            text(value)
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

    #[test]
    fn a_scale_spans_whole_powers_of_ten() {
        let scale = Scale::of([190.0, 48_700.0].into_iter()).expect("there are values");
        assert_eq!((scale.low, scale.high), (2.0, 5.0));
        assert!((scale.place(1000.0) - 1.0 / 3.0).abs() < 1e-9);
        assert!(Scale::of([100.0].into_iter()).is_some_and(|scale| scale.high > scale.low));
        assert!(Scale::of([].into_iter()).is_none());
    }

    #[test]
    fn a_gap_is_no_point() {
        let series = [Series {
            name: "one",
            points: vec![Some(10.0), None, Some(1000.0)],
        }];
        let labels = ["a", "b", "c"].map(String::from);
        let svg = lines(&labels, &series, |value| format!("{value}"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.ends_with("</svg>\n"));
    }
}
