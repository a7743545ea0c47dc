//! The results as one JSON document.

use serde_json::{Value, json};

use super::{
    Setup,
    case::Kind,
    contender::UNIX,
    goals::Goal,
    measurement::Slice,
    results::{CaseResult, Results, Row},
    stats::{self, Spread},
};
use crate::trial::clock::SECOND;

pub fn document(setup: &Setup, results: &Results, goals: &[Goal], interrupted: bool) -> Value {
    json!({
        "slipring": env!("CARGO_PKG_VERSION"),
        "date": setup.date,
        "command": setup.command,
        "machine": setup.machine,
        "cpus": setup.cpus.map(|(here, there)| [here, there]),
        "rounds": setup.rounds,
        "slice_seconds": setup.slice as f64 / SECOND as f64,
        "left_out": setup.left_out,
        "interrupted": interrupted,
        "cases": results.cases.iter().map(|result| case(setup, result)).collect::<Vec<_>>(),
        "goals": goals,
    })
}

fn case(setup: &Setup, result: &CaseResult) -> Value {
    json!({
        "case": result.case.name,
        "title": result.case.title,
        "kind": match result.case.kind {
            Kind::RoundTrip => "round_trip",
            Kind::Throughput => "throughput",
        },
        "message_bytes": result.case.size,
        "transports": result.rows.iter().map(|row| transport(setup, result, row)).collect::<Vec<_>>(),
    })
}

fn transport(setup: &Setup, result: &CaseResult, row: &Row) -> Value {
    let [wall, here, there] = stats::seconds(&row.rounds);
    let over = |other: Option<Spread>| row.spread()?.over(other?);
    let bound = result.lowest(row.contender.bounds(setup.cores));
    let mut value = json!({
        "transport": row.contender.name,
        "title": row.contender.title,
        "failure": row.failure,
        "seconds": wall,
        "cpu_seconds_parent": here,
        "cpu_seconds_peer": there,
        "ratio_to_unix": over(result.spread(UNIX)),
        "rounds": row.rounds.iter().map(round).collect::<Vec<_>>(),
    });
    match result.case.kind {
        Kind::RoundTrip => {
            let all = stats::latency(&row.rounds);
            value["p50_ns"] = spread(stats::p50(&row.rounds));
            if !all.is_empty() {
                value["p99_ns"] = all.value_at_quantile(0.99).into();
                value["p99.9_ns"] = all.value_at_quantile(0.999).into();
                value["max_ns"] = all.max().into();
            }
            value["ratio_to_bare"] = over(bound.map(|(spread, _)| spread)).into();
            value["bare"] = bound.map(|(_, name)| name).into();
        }
        Kind::Throughput => {
            value["bytes_per_second"] = spread(stats::throughput(&row.rounds));
        }
    }
    value
}

fn round(slice: &Slice) -> Value {
    let mut value = json!({
        "seconds": slice.wall as f64 / SECOND as f64,
        "messages": slice.messages,
        "bytes": slice.bytes,
        "cpu_seconds_parent": slice.cpu_here as f64 / SECOND as f64,
        "cpu_seconds_peer": slice.cpu_there as f64 / SECOND as f64,
    });
    if let Some(latency) = &slice.latency {
        value["p50_ns"] = stats::median(latency).into();
    }
    value
}

fn spread(spread: Option<Spread>) -> Value {
    spread.map_or(
        Value::Null,
        |spread| json!({"median": spread.median, "min": spread.min, "max": spread.max}),
    )
}
