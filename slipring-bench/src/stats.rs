//! The statistics of the rounds of a measurement.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longer latencies count as this long: 100 seconds.
const LONGEST: u64 = 100_000_000_000;

/// Of nanoseconds, exact to 0.1 %.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are valid")
}

/// Every value that was recorded, and how often.
pub(crate) fn counts(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let recorded = histogram.iter_recorded();
    recorded
        .map(|step| (step.value_iterated_to(), step.count_at_value()))
        .collect()
}

pub(crate) fn add(histogram: &mut Histogram<u64>, counts: &[(u64, u64)]) {
    for &(value, count) in counts {
        histogram.saturating_record_n(value, count);
    }
}

/// The median, more exact than the clock's steps: these can be a tenth of the shortest latencies,
/// so the values of a step are taken as evenly spread around it. `None` without values.
pub(crate) fn median(latency: &Histogram<u64>) -> Option<f64> {
    let half = latency.len() as f64 / 2.0;
    let mut below = 0.0;
    // The middle of the step before: how many values are below it, and where it is.
    let mut before: Option<(f64, f64)> = None;
    for step in latency.iter_recorded() {
        let count = step.count_at_value() as f64;
        let value = latency.median_equivalent(step.value_iterated_to()) as f64;
        let middle = below + count / 2.0;
        if middle >= half {
            return Some(before.map_or(value, |(lower, there)| {
                there + (value - there) * (half - lower) / (middle - lower)
            }));
        }
        below += count;
        before = Some((middle, value));
    }
    before.map(|(_, value)| value)
}

/// The middle one of several values, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// the middle one
    pub median: f64,
    /// the least
    pub min: f64,
    /// the greatest
    pub max: f64,
}

impl Spread {
    /// `None` without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = values.first().zip(values.last())?;
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            (values[middle - 1] + values[middle]) / 2.0
        } else {
            values[middle]
        };
        Some(Spread { median, min, max })
    }

    /// One divided by the other, round by round: anything that slows the machine down for a while
    /// slows both down.
    pub fn of_ratios(
        these: impl IntoIterator<Item = f64>,
        others: impl IntoIterator<Item = f64>,
    ) -> Option<Spread> {
        let pairs = these.into_iter().zip(others);
        Spread::of(pairs.map(|(this, other)| this / other))
    }

    /// The median; `None` if the values differ by more than a factor of two, because then it says
    /// nothing.
    pub fn steady(self) -> Option<f64> {
        (self.max <= 2.0 * self.min).then_some(self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of([3.0, 1.0, 8.0]), spread(3.0, 1.0, 8.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 8.0]), spread(3.0, 1.0, 8.0));
    }

    #[test]
    fn the_median_is_found_between_the_steps_of_the_clock() {
        let mut latency = histogram();
        assert_eq!(median(&latency), None);
        latency.saturating_record_n(120, 60);
        assert_eq!(median(&latency), Some(120.0));
        latency.saturating_record_n(130, 60);
        assert_eq!(median(&latency), Some(125.0));
        latency.saturating_record_n(130, 120);
        assert_eq!(median(&latency), Some(120.0 + 10.0 * 90.0 / 120.0));
        latency.saturating_record_n(5_000_000, 1);
        assert!(median(&latency).is_some_and(|value| (127.0..128.0).contains(&value)));
    }

    #[test]
    fn rounds_are_divided_by_those_beside_them() {
        let ratios = |these: [f64; 2], others: [f64; 2]| {
            let ratios = Spread::of_ratios(these, others).expect("there are values");
            ratios.steady()
        };
        assert_eq!(ratios([2.0, 20.0], [1.0, 10.0]), Some(2.0));
        assert_eq!(ratios([2.0, 4.0], [1.0, 1.0]), Some(3.0));
        assert_eq!(ratios([2.0, 4.1], [1.0, 1.0]), None);
        assert_eq!(Spread::of_ratios([1.0], []), None);
    }

    #[test]
    fn a_histogram_survives_its_journey_as_counts() {
        let mut before = histogram();
        for value in [70, 70, 190, 48_700, 5_000_000_000, 2 * LONGEST] {
            before.saturating_record(value);
        }
        let mut after = histogram();
        add(&mut after, &counts(&before));
        assert_eq!(after, before);
    }
}
