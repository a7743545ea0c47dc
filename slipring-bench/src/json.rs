//! The results as one JSON document.

use serde_json::{Value, json};

use crate::{
    case::{Kind, Measure},
    clock::seconds,
    results::{CaseResult, Round, Row, Setup},
};

/// Everything. A program adds results of its own.
pub fn document(setup: &Setup, results: &[CaseResult], interrupted: bool) -> Value {
    let of_cases = |streams: bool| -> Vec<Value> {
        let served = |result: &&CaseResult| matches!(result.case.kind, Kind::Served { .. });
        let results = results.iter().filter(|result| served(result) == streams);
        results.map(|result| case(setup, result)).collect()
    };
    let mut document = json!({
        "slipring": env!("CARGO_PKG_VERSION"),
        "date": setup.date,
        "command": setup.command,
        "machine": setup.machine,
        "cpus": setup.cpus,
        "rounds": setup.rounds,
        "slice_seconds": seconds(setup.slice),
        "interrupted": interrupted,
    });
    let (cases, streams) = (of_cases(false), of_cases(true));
    if streams.is_empty() {
        document["cases"] = cases.into();
    } else {
        document["idle_seconds"] = seconds(setup.idle).into();
        document["streams"] = streams.into();
    }
    document
}

fn case(setup: &Setup, result: &CaseResult) -> Value {
    let rows = result.rows.iter().map(|row| transport(setup, result, row));
    json!({
        "case": result.case.name,
        "title": result.case.title,
        "kind": match result.case.kind {
            Kind::RoundTrip => "round_trip",
            Kind::Throughput => "throughput",
            Kind::Filled(_) => "filled",
            Kind::Batched(_) => "batched",
            Kind::FixedRate(_) => "fixed_rate",
            Kind::SmallReads(_) => "small_reads",
            Kind::Streams(_) => "streams",
            Kind::Served { .. } => "served",
            Kind::Mixed(_) => "mixed",
        },
        "message_bytes": result.case.size,
        "streams": result.case.kind.streams(),
        "repeated_rounds": result.repeated,
        "disturbed": result.disturbed,
        "transports": rows.collect::<Vec<_>>(),
    })
}

fn transport(setup: &Setup, result: &CaseResult, row: &Row) -> Value {
    let over = |other| row.over(other).and_then(|ratios| ratios.steady());
    let limit = result.limit(setup, row.contender);
    let mut value = json!({
        "transport": row.contender.name,
        "title": row.contender.title,
        "side": row.contender.side,
        "caveat": row.contender.caveat,
        "failure": row.failure,
        "seconds": row.sum(|round| round.seconds),
        "cpu_seconds_parent": row.sum(|round| round.cpu_seconds[0]),
        "cpu_seconds_peer": row.sum(|round| round.cpu_seconds[1]),
        "ratio_to_unix": over(result.unix()),
        "ratio_to_bare": over(limit),
        "bare": limit.map(|limit| &limit.contender.name),
        "rounds": row.rounds.iter().map(round).collect::<Vec<_>>(),
    });
    match result.case.kind.measure() {
        Measure::Latency => value["p50_ns"] = json!(row.value()),
        Measure::Bytes => value["bytes_per_second"] = json!(row.value()),
        Measure::Messages => {
            value["messages_per_second"] = json!(row.value());
            value["p50_ns"] = json!(row.spread(|round| round.p50.unwrap_or_default()));
            value["memory_bytes_per_stream"] = json!(row.memory.map(|memory| memory[1] as i64));
            let grown = row.memory.map(|[begin, end]| (end - begin) as i64);
            value["memory_bytes_grown_per_stream"] = json!(grown);
        }
    }
    if let Kind::Served { .. } = result.case.kind {
        value["p99_ns"] = json!(row.spread(|round| round.p99 as f64));
        value["cpu_ns_per_message"] = json!(row.cpu_of_message());
        let percent = |cpu: u64| 100.0 * cpu as f64 / setup.idle as f64;
        value["idle_cpu_percent"] = json!(row.idle.map(|idle| percent(idle.cpu)));
        value["idle_wake_ups"] = json!(row.idle.map(|idle| idle.wakes));
        value["server_descriptors_per_stream"] = row.descriptors.into();
    } else if !row.latency.is_empty() {
        value["p99_ns"] = row.latency.value_at_quantile(0.99).into();
        value["p99.9_ns"] = row.latency.value_at_quantile(0.999).into();
    }
    if !row.latency.is_empty() {
        value["max_ns"] = row.latency.max().into();
    }
    if let Kind::FixedRate(_) = result.case.kind {
        value["sending_seconds"] = row.sum(|round| round.sending_seconds).into();
    }
    value
}

fn round(round: &Round) -> Value {
    let mut value = json!({
        "seconds": round.seconds,
        "messages": round.messages,
        "bytes": round.bytes,
        "cpu_seconds_parent": round.cpu_seconds[0],
        "cpu_seconds_peer": round.cpu_seconds[1],
    });
    if let Some(p50) = round.p50 {
        value["p50_ns"] = p50.into();
        value["p99_ns"] = round.p99.into();
        value["max_ns"] = round.max.into();
    }
    value
}
