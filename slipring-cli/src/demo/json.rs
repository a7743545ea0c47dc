//! The outcome as one JSON document.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::outcome::{Fairness, Outcome, PanelOutcome};
use crate::harness::clock::SECOND;

pub fn document(outcome: &Outcome) -> Value {
    let panels: Vec<Value> = outcome.panels.iter().enumerate().map(panel).collect();
    json!({
        "engine": outcome.engine,
        "asked": {
            "panels": outcome.schedule.panels,
            "messages_per_second": outcome.schedule.rate * outcome.schedule.copies(),
            "seconds": outcome.schedule.seconds,
        },
        "publishing_seconds": outcome.elapsed,
        "published": outcome.sum(|panel| panel.published),
        "never_published": outcome.sum(|panel| panel.unpublished),
        "bytes": outcome.sum(|panel| panel.bytes),
        "held_back": outcome.sum(|panel| panel.held_back),
        "acknowledgements": outcome.sum(|panel| panel.acknowledgements),
        "orders": outcome.sum(|panel| panel.orders),
        "lost": outcome.sum(|panel| panel.lost),
        "missed": outcome.sum(|panel| panel.missed),
        "skipped": outcome.sum(|panel| panel.skipped),
        "reordered": outcome.sum(|panel| panel.reordered),
        "corrupt": outcome.sum(|panel| panel.corrupt),
        "gone": outcome.gone(),
        "interrupted": outcome.interrupted.is_some(),
        "latency_ns": latency(&outcome.latency()),
        "fairness": outcome.fairness().map(fairness),
        "load": outcome.load,
        "start_up_seconds": outcome.start_up.as_secs_f64(),
        "engine_cpu_seconds": seconds(outcome.engine_cpu),
        "panels_cpu_seconds": seconds(outcome.sum(|panel| panel.cpu)),
        "exit_code": outcome.exit_code(),
        "panels": panels,
    })
}

fn panel((number, panel): (usize, &PanelOutcome)) -> Value {
    json!({
        "panel": number,
        "pid": panel.pid,
        "published": panel.published,
        "received": panel.received,
        "bytes": panel.bytes,
        "held_back": panel.held_back,
        "acknowledgements": panel.acknowledgements,
        "orders": panel.orders,
        "lost": panel.lost,
        "missed": panel.missed,
        "skipped": panel.skipped,
        "reordered": panel.reordered,
        "corrupt": panel.corrupt,
        "latency_ns": latency(&panel.latency),
        "cpu_seconds": seconds(panel.cpu),
        "gone": panel.gone,
    })
}

fn fairness(fairness: Fairness) -> Value {
    json!({
        "ratio": fairness.ratio(),
        "worst_panel": fairness.worst_panel,
        "worst_p99_ns": fairness.worst_p99,
        "median_p99_ns": fairness.median_p99,
        "messages_of_the_median_panel": fairness.median_messages,
    })
}

/// `null` if nothing was measured.
fn latency(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    json!({
        "p50": histogram.value_at_quantile(0.5),
        "p99": histogram.value_at_quantile(0.99),
        "p99.9": histogram.value_at_quantile(0.999),
        "max": histogram.max(),
    })
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}
