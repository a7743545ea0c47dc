//! Sizes and times as people write them on a command line.

use std::time::Duration;

/// Longer than any process runs, and short enough to be added to a clock without overflow.
pub const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A number of bytes: `4096`, `256K`, `1M`, `1GiB`. The suffixes count in powers of 1024.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of size; write bytes, or K, M or G, e.g. 256K"
            ));
        }
    };
    let number: usize = number.parse().map_err(|_| {
        format!(
            "`{text}` is not a size; write a whole number of bytes, or with K, M or G, e.g. 256K"
        )
    })?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` is more than this machine can address"))
}

/// A length of time: `20us`, `500ms`, `2.5s`, `1m`, `1h`. The unit is required, except for `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let seconds_per_unit = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "" if text == "0" => return Ok(Duration::ZERO),
        "" if !text.is_empty() => {
            return Err(format!(
                "`{text}` has no unit; write e.g. {text}us, {text}ms, {text}s, {text}m or {text}h"
            ));
        }
        _ => {
            return Err(format!(
                "`{text}` is not a time; write a number and ns, us, ms, s, m or h, e.g. 500ms"
            ));
        }
    };
    let number: f64 = number.parse().map_err(|_| {
        format!("`{text}` is not a time; write a number and ns, us, ms, s, m or h, e.g. 500ms")
    })?;
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .ok()
        .filter(|duration| *duration <= FOREVER)
        .ok_or_else(|| format!("`{text}` is too long; the longest time is 100 years"))
}

/// The leading number (digits and a decimal point), and the text after it.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256K"), Ok(256 << 10));
        assert_eq!(parse_size("256k"), Ok(256 << 10));
        assert_eq!(parse_size("1M"), Ok(1 << 20));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("2G"), Ok(2 << 30));
    }

    #[test]
    fn wrong_sizes_name_what_is_accepted() {
        for text in ["", "K", "1.5M", "-1", "1X", "1 M", "one"] {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains("256K"), "{text}: {error}");
        }
        assert!(parse_size("99999999999G").unwrap_err().contains("address"));
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(parse_duration("20us"), Ok(Duration::from_micros(20)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2.5s"), Ok(Duration::from_millis(2500)));
        assert_eq!(parse_duration("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn wrong_durations_name_what_is_accepted() {
        assert!(parse_duration("5").unwrap_err().contains("5ms"));
        for text in ["", "ms", "-1s", "1 s", "1.2.3s", "5x"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("500ms"), "{text}: {error}");
        }
        assert!(
            parse_duration("99999999999h")
                .unwrap_err()
                .contains("too long")
        );
    }
}
