//! Logarithmic scales, from one round number to another.

use crate::text;

/// The unit of a scale.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    pub text: fn(f64) -> String,
    /// from one name of the unit to the next: 1000, or 1024
    thousand: f64,
}

/// Nanoseconds.
pub(crate) const TIME: Unit = Unit {
    text: text::time_of,
    thousand: 1000.0,
};
/// Of anything.
pub(crate) const COUNT: Unit = Unit {
    text: |value| text::count(value as u64),
    thousand: 1000.0,
};
/// Bytes a second.
pub(crate) const RATE: Unit = Unit {
    text: |value| format!("{}/s", bytes(value)),
    thousand: 1024.0,
};
/// Bytes.
pub(crate) const MEMORY: Unit = Unit {
    text: bytes,
    thousand: 1024.0,
};

fn bytes(value: f64) -> String {
    text::bytes(value as u64)
}

/// More lines than that are only drawn at powers of ten.
const LINES: usize = 10;

pub(crate) struct Scale {
    /// the first and the last are its ends
    round: Vec<f64>,
    unit: Unit,
}

impl Scale {
    /// Around all of these values; `None` without any.
    pub(crate) fn of(values: impl Iterator<Item = f64>, unit: Unit) -> Option<Scale> {
        let values = values.filter(|value| *value > 0.0);
        let (least, most) = values.fold((f64::MAX, 0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if most == 0.0 {
            return None;
        }
        let round: Vec<f64> = round_numbers(unit.thousand).collect();
        let first = round.iter().rposition(|round| *round <= least);
        let first = first.unwrap_or(0).min(round.len() - 2);
        let last = round.iter().position(|round| *round >= most);
        let last = last.unwrap_or(round.len() - 1).max(first + 1);
        Some(Scale {
            round: round[first..=last].to_vec(),
            unit,
        })
    }

    /// From 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.round[0], self.round[self.round.len() - 1]);
        (value / low).ln() / (high / low).ln()
    }

    /// Where there are lines across, and their labels.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let all = self.round.len() <= LINES;
        let ten = |number: f64| is_power_of_ten(number, self.unit.thousand);
        let ticks = self.round.iter().filter(|&&number| all || ten(number));
        // A number and its unit without zeros behind the point.
        let whole = |text: String| text.replace(".00 ", " ").replace(".0 ", " ");
        ticks
            .map(|&number| (number, whole((self.unit.text)(number))))
            .collect()
    }
}

fn round_numbers(thousand: f64) -> impl Iterator<Item = f64> {
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    (0..5).flat_map(move |power| steps.map(|step| step * thousand.powi(power)))
}

/// 1, 10 or 100 of something that has a name.
fn is_power_of_ten(number: f64, thousand: f64) -> bool {
    (0..5).any(|power| [1.0, 10.0, 100.0].contains(&(number / thousand.powi(power))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64], unit: Unit) -> Option<Vec<f64>> {
        let scale = Scale::of(values.iter().copied(), unit)?;
        Some(scale.ticks().into_iter().map(|(value, _)| value).collect())
    }

    #[test]
    fn a_scale_spans_round_numbers() {
        let narrow = [100.0, 200.0, 500.0, 1000.0, 2000.0];
        assert_eq!(ticks(&[190.0, 1900.0], TIME), Some(narrow.to_vec()));
        let wide = [100.0, 1e3, 1e4, 1e5, 1e6];
        assert_eq!(ticks(&[190.0, 4_800_000.0], TIME), Some(wide.to_vec()));
        assert_eq!(ticks(&[1024.0, 2048.0], RATE), Some(vec![1024.0, 2048.0]));
        let scale = Scale::of([190.0, 1900.0].into_iter(), TIME).expect("there are values");
        assert!((scale.place(200.0) - 2_f64.ln() / 20_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn one_value_is_enough_for_a_scale_and_none_is_not() {
        assert_eq!(ticks(&[100.0], TIME).map(|ticks| ticks.len()), Some(2));
        assert_eq!(ticks(&[1e30], TIME).map(|ticks| ticks.len()), Some(2));
        assert!(ticks(&[], TIME).is_none());
        assert!(ticks(&[0.0, f64::NAN], TIME).is_none());
    }
}
