//! What the rounds of a measurement amount to.

use hdrhistogram::Histogram;

use super::{measurement::Slice, round_trip};
use crate::trial::clock::SECOND;

/// The middle one of several values, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
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

    /// This median divided by the other's; `None` if the values of either are wide apart, because
    /// then it says nothing.
    pub fn over(self, other: Spread) -> Option<f64> {
        (!self.is_wide() && !other.is_wide()).then(|| self.median / other.median)
    }

    /// Whether the values differ by more than a factor of two.
    pub fn is_wide(&self) -> bool {
        self.max > 2.0 * self.min
    }
}

/// Nanoseconds of half of the round trips, per round.
pub fn p50(rounds: &[Slice]) -> Option<Spread> {
    let histograms = rounds.iter().filter_map(|slice| slice.latency.as_ref());
    Spread::of(histograms.filter_map(median))
}

/// The median, more exact than the clock's steps: these can be a tenth of the shortest round trips,
/// so the values of a step are taken as evenly spread around it.
pub fn median(latency: &Histogram<u64>) -> Option<f64> {
    let half = latency.len() as f64 / 2.0;
    let mut below = 0.0;
    // The middle of the step before: how many values are below it, and where it is.
    let mut before: Option<(f64, f64)> = None;
    for step in latency.iter_recorded() {
        let count = step.count_at_value() as f64;
        let value = latency.median_equivalent(step.value_iterated_to()) as f64;
        let middle = below + count / 2.0;
        if middle >= half {
            return Some(match before {
                Some((lower, value_there)) => {
                    value_there + (value - value_there) * (half - lower) / (middle - lower)
                }
                None => value,
            });
        }
        below += count;
        before = Some((middle, value));
    }
    before.map(|(_, value)| value)
}

/// All rounds' round trips in one.
pub fn latency(rounds: &[Slice]) -> Histogram<u64> {
    let mut all = round_trip::histogram();
    for latency in rounds.iter().filter_map(|slice| slice.latency.as_ref()) {
        all.add(latency)
            .expect("all histograms have the same bounds");
    }
    all
}

/// Bytes per second, per round.
pub fn throughput(rounds: &[Slice]) -> Option<Spread> {
    Spread::of(
        rounds
            .iter()
            .map(|slice| per_second(slice.bytes, slice.wall)),
    )
}

fn per_second(amount: u64, nanoseconds: u64) -> f64 {
    amount as f64 * SECOND as f64 / nanoseconds as f64
}

/// Seconds of all rounds: of the clock, of the parent's CPU time, of the peer's.
pub fn seconds(rounds: &[Slice]) -> [f64; 3] {
    let sum = |of: fn(&Slice) -> u64| rounds.iter().map(of).sum::<u64>() as f64 / SECOND as f64;
    [
        sum(|slice| slice.wall),
        sum(|slice| slice.cpu_here),
        sum(|slice| slice.cpu_there),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_found_between_the_steps_of_the_clock() {
        let mut latency = round_trip::histogram();
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
    fn what_is_wide_apart_is_not_divided() {
        let spread = |values: [f64; 2]| Spread::of(values).expect("there are values");
        let (steady, wide) = (spread([2.0, 4.0]), spread([2.0, 4.1]));
        assert_eq!(steady.over(spread([1.0, 2.0])), Some(2.0));
        assert_eq!(steady.over(wide), None);
        assert_eq!(wide.over(steady), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(
            Spread::of([3.0, 1.0, 2.0]),
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(
            Spread::of([4.0, 1.0, 2.0, 3.0]).map(|s| s.median),
            Some(2.5)
        );
    }
}
