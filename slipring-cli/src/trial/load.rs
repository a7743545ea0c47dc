//! How much else the machine has to do.

use std::fs;

/// Processes running or waiting to run, averaged over the last minute (proc(5)).
pub fn average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
