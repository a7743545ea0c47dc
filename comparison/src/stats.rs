//! What the rounds of a measurement amount to.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer latencies count as this long: 100 seconds.
const LONGEST: u64 = 100_000_000_000;

/// Of nanoseconds, exact to 0.1 %.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are valid")
}

/// Every value that was recorded, and how often.
pub fn counts(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let recorded = histogram.iter_recorded();
    recorded
        .map(|step| (step.value_iterated_to(), step.count_at_value()))
        .collect()
}

pub fn add(histogram: &mut Histogram<u64>, counts: &[(u64, u64)]) {
    for &(value, count) in counts {
        histogram.saturating_record_n(value, count);
    }
}

/// The median, finer than the clock's steps, which are a tenth of the shortest latencies: the
/// values of a step count as spread evenly between the middles of the gaps around it.
pub fn median(histogram: &Histogram<u64>) -> f64 {
    let steps: Vec<(f64, f64)> = histogram
        .iter_recorded()
        .map(|step| {
            (
                step.value_iterated_to() as f64,
                step.count_at_value() as f64,
            )
        })
        .collect();
    let mut wanted = histogram.len() as f64 / 2.0;
    for (index, &(value, count)) in steps.iter().enumerate() {
        if wanted <= count {
            let border =
                |other: Option<&(f64, f64)>| other.map_or(value, |other| (value + other.0) / 2.0);
            let low = border(index.checked_sub(1).and_then(|before| steps.get(before)));
            let high = border(steps.get(index + 1));
            return low + (high - low) * wanted / count;
        }
        wanted -= count;
    }
    0.0
}

/// The middle one of several values, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
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
    fn a_median_lies_between_the_steps() {
        let mut latency = histogram();
        latency.record_n(100, 30).expect("in range");
        latency.record_n(110, 40).expect("in range");
        latency.record_n(120, 30).expect("in range");
        assert_eq!(median(&latency), 110.0);
        latency.record_n(120, 20).expect("in range");
        assert_eq!(median(&latency), 112.5);
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
