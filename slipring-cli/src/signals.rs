//! Which signals are this program's to handle.
//!
//! A signal that was ignored when the program started stays ignored: `nohup` says so of SIGHUP, and
//! a shell without job control says so of SIGINT for its background jobs. Taking such a signal
//! over would undo what they asked for.

use std::fs;

/// Those of `signals` that were not ignored. To be asked before any of them is taken over.
pub fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let is_heeded = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
    signals.iter().copied().filter(is_heeded).collect()
}

/// The set of ignored signals in the text of `/proc/PID/status` (proc(5)): a bit for each, from
/// signal 1 on.
fn ignored(status: &str) -> u64 {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::consts::{SIGPIPE, SIGTERM};

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert_eq!(
            ignored("Name:\tx\nSigIgn:\t0000000000001003\nSigCgt:\tff\n"),
            0x1003
        );
        assert_eq!(ignored("Name:\tx\n"), 0);
    }

    #[test]
    fn signals_that_the_runtime_ignores_are_seen() {
        // Rust's runtime ignores SIGPIPE in every program.
        assert!(!not_ignored(&[SIGPIPE]).contains(&SIGPIPE));
        assert_eq!(not_ignored(&[SIGTERM]), [SIGTERM]);
    }
}
