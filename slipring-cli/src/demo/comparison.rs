//! What the engine pays for the same deliveries by a stream each and by one feed.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{Way, json, outcome::Outcome, table};
use crate::harness::text::{count, time};

/// The tables of the runs, and one that compares them.
pub fn text(runs: &[(Way, Outcome)]) -> String {
    let mut text = String::new();
    for (way, outcome) in runs {
        text += &format!("{}:\n\n{}\n", way.name(), table::text(outcome));
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "prices over",
            "connected in",
            "sent",
            "delivered",
            "engine's CPU",
            "per message sent",
            "per message delivered",
            "p50",
            "p99",
        ]);
    for (way, outcome) in runs {
        let (sent, delivered) = (outcome.sent(), outcome.delivered());
        let latency = outcome.latency();
        table.add_row([
            way.name().to_owned(),
            time(outcome.start_up.as_nanos() as u64),
            count(sent),
            count(delivered),
            time(outcome.engine_cpu),
            time(per(outcome.engine_cpu, sent)),
            time(per(outcome.engine_cpu, delivered)),
            time(latency.value_at_quantile(0.5)),
            time(latency.value_at_quantile(0.99)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text + &format!(
        "{}\n\nconnected: after the last process has started, with the prices and the stream of \
            the answers; a message is delivered to a panel when that has read it, or has passed \
            over it to paint a newer one\n",
        table.trim_fmt()
    )
}

pub fn document(runs: &[(Way, Outcome)]) -> Value {
    let runs = runs.iter().map(|(way, outcome)| {
        let mut document = json::document(outcome);
        let (sent, delivered) = (outcome.sent(), outcome.delivered());
        document["way"] = way.name().into();
        document["sent"] = sent.into();
        document["delivered"] = delivered.into();
        document["engine_cpu_ns_per_message_sent"] = per(outcome.engine_cpu, sent).into();
        document["engine_cpu_ns_per_message_delivered"] = per(outcome.engine_cpu, delivered).into();
        document
    });
    json!({ "runs": runs.collect::<Vec<Value>>() })
}

fn per(time: u64, messages: u64) -> u64 {
    time / messages.max(1)
}
