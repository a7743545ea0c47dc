//! Numbers for people: thousands separated, sizes and times in fitting units.

use slipring::Spin;

use crate::clock::{MICROSECOND, MILLISECOND, SECOND};

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with three significant digits and a unit of 1024.
pub fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    for unit in ["KiB", "MiB", "GiB"] {
        if value < 1000.0 {
            return format!("{} {unit}", significant(value));
        }
        value /= 1024.0;
    }
    format!("{} TiB", significant(value))
}

/// A power of two as it is spoken: `64 B`, `64 KiB`, `4 MiB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 30 => format!("{} GiB", b >> 30),
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}

/// A number with three significant digits: `27`, `1.25 thousand`, `47.1 million`.
pub fn many(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} million", significant(n / 1e6)),
        n if n >= 1e3 => format!("{} thousand", significant(n / 1e3)),
        n => significant(n),
    }
}

/// A spinning as it is written on a command line.
pub fn spin(spin: Spin) -> String {
    match spin {
        Spin::Never => "never".into(),
        Spin::Always => "always".into(),
        Spin::Adaptive { .. } => "adaptive".into(),
        Spin::UpTo(time) => format!("{}ns", time.as_nanos()),
        other => format!("{other:?}"),
    }
}

/// `1 stream`, `16 streams`.
pub fn streams(number: usize) -> String {
    format!("{number} stream{}", plural(number))
}

/// The ending of a word for this number.
pub fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// Nanoseconds with three significant digits and the fitting unit.
pub fn time(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..MICROSECOND => format!("{nanoseconds} ns"),
        MICROSECOND..MILLISECOND => format!("{} µs", significant(value / 1e3)),
        MILLISECOND..SECOND => format!("{} ms", significant(value / 1e6)),
        _ => format!("{} s", significant(value / 1e9)),
    }
}

/// The same for a number that is no whole one.
pub fn time_of(nanoseconds: f64) -> String {
    time(nanoseconds.round() as u64)
}

/// Two or three significant digits, never in scientific notation.
pub fn significant(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.0995 => 2,
        v if v >= 0.00995 => 3,
        _ => 4,
    };
    format!("{value:.places$}")
}

/// The first few of a list, and how many more there are.
pub fn some(items: &[String], most: usize) -> String {
    let mut text = items[..items.len().min(most)].join(", ");
    if items.len() > most {
        text += &format!(" and {} more", items.len() - most);
    }
    text
}

/// Words after a heading, in lines of at most `width` where the words allow.
pub fn paragraph(heading: &str, words: &[&str], width: usize) -> String {
    let (mut text, mut column) = (heading.to_owned(), heading.len());
    for (index, word) in words.iter().enumerate() {
        if index > 0 && column + 1 + word.len() > width {
            text.push_str("\n  ");
            column = 2;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_keep_to_their_width() {
        assert_eq!(paragraph("of: ", &["a", "b"], 80), "of: a b");
        assert_eq!(
            paragraph("of: ", &["aaa", "bbb", "cc"], 7),
            "of: aaa\n  bbb\n  cc"
        );
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1234567), "1,234,567");
    }

    #[test]
    fn times_and_sizes_are_shown_in_fitting_units() {
        assert_eq!(time(999), "999 ns");
        assert_eq!(time(1_500), "1.50 µs");
        assert_eq!(time(12_340_000), "12.3 ms");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1000), "0.98 KiB");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(300 << 20), "300 MiB");
        assert_eq!(size(64), "64 B");
        assert_eq!(many(1_250.0), "1.25 thousand");
        assert_eq!(size(512 << 10), "512 KiB");
        assert_eq!(size(4 << 20), "4 MiB");
    }

    #[test]
    fn long_lists_are_cut() {
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(some(&items, 3), "a, b, c");
        assert_eq!(some(&items, 2), "a, b and 1 more");
        assert_eq!(some(&[], 2), "");
    }

    #[test]
    fn small_ratios_stay_readable() {
        assert_eq!(significant(20.0), "20.0");
        assert_eq!(significant(1.0), "1.00");
        assert_eq!(significant(0.31), "0.31");
        assert_eq!(significant(0.0123), "0.012");
        assert_eq!(significant(0.00251), "0.0025");
    }
}
