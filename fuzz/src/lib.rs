//! The inputs of a hostile peer or user, as functions of any bytes: each function plays one scene
//! that its bytes decide, and panics on any outcome that is not documented.
//!
//! `fuzz_targets` hand them to libFuzzer; `tests/replay.rs` plays the corpora on any toolchain.

mod accept;
mod address;
mod board;
mod connect;
mod feed;
mod frames;
mod header;
mod input;
mod listener;
mod messages;
mod name;
mod rings;
mod script;

/// The peer written by hand that the library's own tests use.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../slipring/tests/common/raw.rs"]
mod raw;

/// The model of the message format that the library's own tests use.
#[path = "../../slipring/tests/common/frames.rs"]
mod format;

/// The command is no library, but these two modules of it need nothing else.
#[path = "../../slipring-cli/src/address.rs"]
mod command_address;
#[allow(dead_code, reason = "addresses need a part of it")]
#[path = "../../slipring-cli/src/units.rs"]
mod units;

pub use accept::accept;
pub use address::address;
pub use board::board;
pub use connect::connect;
pub use feed::feed;
pub use frames::frames;
pub use header::header;
pub use listener::listener;
pub use messages::messages;
pub use name::name;
pub use rings::rings;

use std::thread;
use std::time::{Duration, Instant};

/// Only a hang takes as long.
const LONG: Duration = Duration::from_secs(20);

/// Waits until this process holds no more and no less than `before`.
fn assert_settled(before: (usize, usize)) {
    assert_eq!(settle(&[before]), before, "descriptors and mappings");
}

/// Waits until this process holds the expected resources; returns those that it holds. A thread of
/// the library closes the descriptors that peers have passed.
fn settle(expected: &[(usize, usize)]) -> (usize, usize) {
    let started = Instant::now();
    loop {
        let held = holdings();
        if expected.contains(&held) || started.elapsed() > LONG {
            return held;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// The resources that the kernel keeps for this process: its descriptors, and its mappings of
/// memfds.
fn holdings() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    (
        descriptors,
        maps.lines().filter(|line| line.contains("memfd:")).count(),
    )
}
