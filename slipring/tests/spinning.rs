//! The same as in `bulk`, awake: each half polls for as long as it takes, or for a while. These
//! tests need the cores for themselves, and so run one after the other, in a binary of their own.

mod common;

use common::bulk::{between_processes, exchanges};
use common::{guard_for, process, setting};
use slipring::Spin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("exchanges", exchanges)]);
}

fn bulk(capacity: usize, spin: Spin) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    guard_for(Duration::from_secs(3600), move || {
        let bytes = setting("SLIPRING_SPINNING_MIB", 16) << 20;
        between_processes(capacity, spin, bytes + 1, capacity as u64);
    });
}

#[test]
fn every_byte_arrives_spinning_for_ever_through_16_kib() {
    bulk(16 << 10, Spin::Always);
}

#[test]
fn every_byte_arrives_spinning_for_ever_through_1_mib() {
    bulk(1 << 20, Spin::Always);
}

#[test]
fn every_byte_arrives_spinning_for_a_while_through_16_kib() {
    bulk(16 << 10, Spin::UpTo(Duration::from_micros(100)));
}

#[test]
fn every_byte_arrives_spinning_as_it_pays_through_64_kib() {
    bulk(64 << 10, Spin::default());
}
