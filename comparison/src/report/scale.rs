//! Logarithmic scales, from one round number to another.

use super::{count, memory, rate, time};

/// What a scale is of.
pub struct Unit {
    pub text: fn(f64) -> String,
    /// from one name of the unit to the next: 1000, or 1024
    thousand: f64,
}

pub const TIME: Unit = Unit {
    text: time,
    thousand: 1000.0,
};
pub const COUNT: Unit = Unit {
    text: count,
    thousand: 1000.0,
};
pub const RATE: Unit = Unit {
    text: rate,
    thousand: 1024.0,
};
pub const MEMORY: Unit = Unit {
    text: memory,
    thousand: 1024.0,
};

/// More lines than that are only drawn at powers of ten.
const LINES: usize = 10;

pub struct Scale {
    /// the first and the last are its ends
    round: Vec<f64>,
    thousand: f64,
}

impl Scale {
    pub fn of(values: impl Iterator<Item = f64>, unit: &Unit) -> Option<Scale> {
        let values = values.filter(|value| *value > 0.0);
        let (least, most) = values.fold((f64::MAX, 0f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if most == 0.0 {
            return None;
        }
        let round: Vec<f64> = round_numbers(unit.thousand).collect();
        let first = round.iter().rposition(|round| *round <= least).unwrap_or(0);
        let last = round
            .iter()
            .position(|round| *round >= most)
            .unwrap_or(round.len() - 1);
        Some(Scale {
            round: round[first..=last.max(first + 1).min(round.len() - 1)].to_vec(),
            thousand: unit.thousand,
        })
    }

    /// From 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.round[0], self.round[self.round.len() - 1]);
        (value / low).ln() / (high / low).ln()
    }

    pub fn ticks(&self) -> impl Iterator<Item = f64> {
        let all = self.round.len() <= LINES;
        let round = self.round.iter().copied();
        round.filter(move |&number| all || is_power_of_ten(number, self.thousand))
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

    fn scale(values: &[f64], unit: &Unit) -> Option<Scale> {
        Scale::of(values.iter().copied(), unit)
    }

    #[test]
    fn a_scale_spans_round_numbers() {
        let narrow = scale(&[190.0, 1900.0], &TIME).expect("there are values");
        assert_eq!(
            narrow.ticks().collect::<Vec<_>>(),
            [100.0, 200.0, 500.0, 1000.0, 2000.0]
        );
        assert!((narrow.place(200.0) - 2f64.ln() / 20f64.ln()).abs() < 1e-9);
        let wide = scale(&[190.0, 4_800_000.0], &TIME).expect("there are values");
        assert_eq!(
            wide.ticks().collect::<Vec<_>>(),
            [100.0, 1e3, 1e4, 1e5, 1e6]
        );
        let bytes = scale(&[1024.0, 2048.0], &RATE).expect("there are values");
        assert_eq!(bytes.ticks().collect::<Vec<_>>(), [1024.0, 2048.0]);
    }

    #[test]
    fn one_value_is_enough_for_a_scale_and_none_is_not() {
        let one = scale(&[100.0], &TIME).expect("there is a value");
        assert_eq!(one.ticks().count(), 2);
        assert!(scale(&[], &TIME).is_none());
        assert!(scale(&[0.0], &TIME).is_none());
    }
}
