//! The results for people and programs.

mod chart;
mod charts;
pub mod html;
mod scale;
pub mod summary;
pub mod text;

use std::io;

use crate::{Setup, clock::SECOND, results::CaseResult};

pub fn json(setup: &Setup, results: &[CaseResult]) -> io::Result<Vec<u8>> {
    let cases = results.iter().map(|result| {
        serde_json::json!({
            "name": result.case.name,
            "title": result.case.title,
            "repeated_rounds": result.repeated,
            "disturbed": result.disturbed,
            "contenders": result.figures(),
        })
    });
    Ok(serde_json::to_vec_pretty(&serde_json::json!({
        "command": setup.command,
        "machine": setup.machine,
        "cpus": setup.cpus,
        "rounds": setup.rounds,
        "slice_seconds": setup.slice as f64 / SECOND as f64,
        "cases": cases.collect::<Vec<_>>(),
    }))?)
}

/// Nanoseconds with three significant digits and the fitting unit.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 999.5 => format!("{n:.0} ns"),
        n if n < 999.5e3 => format!("{} µs", significant(n / 1e3)),
        n if n < 999.5e6 => format!("{} ms", significant(n / 1e6)),
        n => format!("{} s", significant(n / 1e9)),
    }
}

/// Bytes a second.
fn rate(bytes: f64) -> String {
    let mebibytes = bytes / f64::from(1 << 20);
    if mebibytes < 999.5 {
        format!("{} MiB/s", significant(mebibytes))
    } else {
        format!("{} GiB/s", significant(mebibytes / 1024.0))
    }
}

fn memory(bytes: f64) -> String {
    let kibibytes = bytes / 1024.0;
    if kibibytes < 999.5 {
        format!("{} KiB", significant(kibibytes))
    } else {
        format!("{} MiB", significant(kibibytes / 1024.0))
    }
}

/// Thousands or millions.
fn count(number: f64) -> String {
    match number {
        n if n < 999.5e3 => format!("{} k", significant(n / 1e3)),
        n => format!("{} M", significant(n / 1e6)),
    }
}

fn ratio(value: Option<f64>) -> String {
    value
        .map(|value| format!("{} ×", significant(value)))
        .unwrap_or_default()
}

fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}

/// For HTML and SVG.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

/// Three significant digits, never in scientific notation.
fn significant(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.0995 => 2,
        v if v >= 0.00995 => 3,
        _ => 4,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit() {
        assert_eq!(time(190.4), "190 ns");
        assert_eq!(time(999.7), "1.00 µs");
        assert_eq!(time(48_700.0), "48.7 µs");
        assert_eq!(rate(59.0 * 1048576.0), "59.0 MiB/s");
        assert_eq!(rate(48.2 * 1073741824.0), "48.2 GiB/s");
        assert_eq!(ratio(Some(0.0123)), "0.012 ×");
        assert_eq!(ratio(None), "");
    }
}
