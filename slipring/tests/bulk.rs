//! Gigabytes between two processes, both ways at once, asleep whenever there is nothing to do: not
//! a byte is lost, doubled or changed. `SLIPRING_BULK_MIB` makes it more or less.

mod common;

use common::bulk::{between_processes, exchanges};
use common::{guard_for, process, setting};
use slipring::Spin;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("exchanges", exchanges)]);
}

/// `share`: in percent of the whole.
fn bulk(capacity: usize, share: u64) {
    guard_for(Duration::from_secs(3600), move || {
        let bytes = (setting("SLIPRING_BULK_MIB", 2048) * share / 100) << 20;
        between_processes(capacity, Spin::Never, bytes / 2 + 1, capacity as u64);
    });
}

#[test]
fn every_byte_arrives_through_4_kib() {
    bulk(4 << 10, 10);
}

#[test]
fn every_byte_arrives_through_64_kib() {
    bulk(64 << 10, 30);
}

#[test]
fn every_byte_arrives_through_1_mib() {
    bulk(1 << 20, 30);
}

#[test]
fn every_byte_arrives_through_4_mib() {
    bulk(4 << 20, 30);
}
