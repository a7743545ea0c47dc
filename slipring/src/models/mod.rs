//! The ring and the waiting under loom: every interleaving, and every value that a load may return,
//! of two processes (within a bound on pre-emptions).
//!
//! The code is the real one, instantiated with loom's atomics. [`world`] stands in for the memory
//! and the doorbells, [`Writing`] and [`Reading`] for the halves, which copy and wake. The models
//! themselves lie in
//!
//! * [`bytes`]: no byte is seen before it is published, nor overwritten before it is consumed;
//! * [`sleeping`]: no wake-up is lost;
//! * [`ending`]: nor at the end; all bytes come first, and the end that is told is the right one;
//! * [`starving`]: two that wait for each other do not;
//! * [`polling`]: no wake-up is lost in an event loop that polls either;
//! * [`exchanging`]: nor where one ring follows another, and nobody waits for ever for the next;
//! * [`unfenced`]: nothing is lost without the fence, towards a half that never sleeps, and towards
//!   one that sleeps after a flow ([`time`]);
//! * [`feed_records`]: no record of a feed is torn, and a lag is counted right;
//! * [`feed_calls`]: no subscriber of a feed sleeps on;
//! * [`feed_lossless`]: a lossless subscriber of a feed misses nothing;
//! * [`board`]: no value of a board is torn, a snapshot is exact, and nothing is lost to who joins.
//!
//! Each model is run as it is ([`holds`]), and once for each part of the protocol that it checks,
//! with that part left out ([`fails`], [`Flaw`]). An ordering that can be removed without a failing
//! model is either not needed or not checked.
//!
//! loom has two limits, which are left to reasoning and to the stress tests: it does not switch
//! threads at fences, and it does not know loads that are delayed behind later stores.
//!
//! `LOOM_MAX_PREEMPTIONS=5 cargo test --release models` searches deeper than the three that are the
//! default here.

mod asleep;
mod board;
mod bytes;
mod ending;
mod exchanging;
mod feed_calls;
mod feed_lossless;
mod feed_memory;
mod feed_records;
mod flaw;
mod mutant;
mod polling;
mod reading;
mod sleeping;
mod starving;
pub(crate) mod time;
mod unfenced;
mod world;
mod writing;

use asleep::Half;
use flaw::Flaw;
use mutant::Mutant;
use reading::Reading;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::{Who, World};
use writing::Writing;

/// The byte at a position of every stream here.
fn byte_at(position: u64) -> u8 {
    position as u8 + 1
}

fn builder(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    // Bugs of this kind need one or two; the bound keeps the number of interleavings polynomial.
    builder.preemption_bound.get_or_insert(preemptions);
    builder
}

/// Runs a model as it is.
fn holds(name: &str, model: fn(Flaw)) {
    holds_within(3, name, model);
}

/// The same within another number of pre-emptions, for a model that would take minutes.
fn holds_within(preemptions: usize, name: &str, model: fn(Flaw)) {
    let count = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let counted = Arc::clone(&count);
    builder(preemptions).check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model(Flaw::None);
    });
    let count = count.load(Ordering::Relaxed);
    println!("{name}: {count} executions in {:.1?}", start.elapsed());
}

/// Runs a model with something left out, and sees to it that it fails with `why`.
fn fails(model: fn(Flaw), flaw: Flaw, why: Why) {
    quietly();
    let start = Instant::now();
    QUIET.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| builder(3).check(move || model(flaw))));
    QUIET.set(false);
    let Err(panic) = outcome else {
        panic!("{flaw:?}: nobody noticed");
    };
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(
        message.contains(why.text()),
        "{flaw:?}: expected {why:?}, not {message}"
    );
    println!("{flaw:?}: {why:?} after {:.1?}", start.elapsed());
}

/// How a control is expected to fail.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// Everybody sleeps.
    Deadlock,
    /// A byte is written while it is read.
    Race,
    /// The wrong end is told, or at the wrong place.
    WrongEnd,
    /// A writer gives up for a reader that does not need it.
    FalseAlarm,
    /// A record of a feed is not what was published, or is lost in silence.
    Torn,
    /// A lossless subscriber misses a record.
    Missed,
    /// A snapshot of a board is not what was there at its number.
    Inexact,
    /// A change of a board is lost.
    Lost,
    /// A byte that was read is not the one that was written.
    WrongByte,
    /// A reader finds no descriptor of a ring that was announced.
    NotPassed,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Why::Deadlock => "deadlock",
            Why::Race => "Causality violation",
            Why::WrongEnd => "the end: ",
            Why::FalseAlarm => "does not starve",
            Why::Torn => "not as it was published",
            Why::Missed => "a lossless subscriber missed",
            Why::Inexact => "the snapshot is not exact",
            Why::Lost => "a change is lost",
            Why::WrongByte => "a byte that was not written here",
            Why::NotPassed => "an announced ring was not passed",
        }
    }
}

thread_local! {
    /// This thread runs a control, whose panic is the expected outcome.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics of controls out of the output of the tests.
fn quietly() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
}
