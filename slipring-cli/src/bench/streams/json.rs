//! The results as one JSON document.

use serde_json::{Value, json};

use super::{Measured, entry::Entry, message::SIZE, report::Setup};
use crate::{
    bench::{goals::Goal, stats::Spread},
    trial::clock::SECOND,
};

pub fn document(setup: &Setup, all: &[Measured], goals: &[Goal], interrupted: bool) -> Value {
    json!({
        "slipring": env!("CARGO_PKG_VERSION"),
        "date": setup.date,
        "command": setup.command,
        "machine": setup.machine,
        "cpus": setup.cpus.map(|(server, clients)| [server, clients]),
        "rounds": setup.rounds,
        "slice_seconds": setup.slice as f64 / SECOND as f64,
        "idle_seconds": setup.idle as f64 / SECOND as f64,
        "message_bytes": SIZE,
        "capacity_bytes": setup.capacity,
        "interrupted": interrupted,
        "streams": all.iter().map(|measured| count(setup, measured)).collect::<Vec<_>>(),
        "goals": goals,
    })
}

fn count(setup: &Setup, measured: &Measured) -> Value {
    let transports = measured
        .entries
        .iter()
        .map(|one| transport(setup, measured, one));
    json!({
        "streams": measured.streams,
        "transports": transports.collect::<Vec<_>>(),
    })
}

fn transport(setup: &Setup, measured: &Measured, entry: &Entry) -> Value {
    let unix = measured.unix().and_then(Entry::rate);
    let streams = measured.streams as i64;
    json!({
        "transport": entry.contender.name(),
        "title": entry.contender.title(),
        "failure": entry.failure,
        "messages_per_second": spread(entry.rate()),
        "ratio_to_unix": entry.rate().zip(unix).and_then(|(ours, unix)| ours.over(unix)),
        "p50_ns": spread(entry.p50()),
        "p99_ns": spread(entry.p99()),
        "max_ns": entry.max(),
        "cpu_ns_per_message": spread(entry.cpu()),
        "idle_cpu_percent": entry.idle.map(|idle| setup.idle_percent(idle.cpu)),
        "idle_wake_ups": entry.idle.map(|idle| idle.wakes),
        "server_descriptors_per_stream": entry.descriptors,
        "memory_bytes_per_stream": entry.memory.map(|[_, end]| end / streams),
        "memory_bytes_grown_per_stream": entry.memory.map(|[warm, end]| (end - warm) / streams),
        "rounds": entry.rounds.iter().map(|(round, _)| json!({
            "seconds": round.wall as f64 / SECOND as f64,
            "messages": round.messages,
            "p50_ns": round.p50,
            "p99_ns": round.p99,
            "max_ns": round.max,
        })).collect::<Vec<_>>(),
    })
}

fn spread(spread: Option<Spread>) -> Value {
    spread.map_or(
        Value::Null,
        |spread| json!({"median": spread.median, "min": spread.min, "max": spread.max}),
    )
}
