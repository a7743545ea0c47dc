//! The outcome as text: a table and the verdict in the last line.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;

use super::outcome::{Fairness, Outcome, PanelOutcome};
use crate::harness::{
    clock::SECOND,
    text::{bytes, count, significant, time},
};

/// More panels than this are not listed one by one.
const MOST_LINES: usize = 32;
/// With fewer messages than this a panel's p99 rests on a handful of them.
const ENOUGH: u64 = 1000;
/// But so many of each kind are.
const SOME: usize = 8;

pub fn text(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "panel",
        "process",
        "messages",
        "data",
        "held back",
        "acks",
        "orders",
        "p50",
        "p99",
        "p99.9",
        "max",
        "CPU",
        "end",
    ]);
    let shown = shown(outcome);
    for &number in &shown {
        table.add_row(row(number, &outcome.panels[number]));
    }
    table.add_row(totals(outcome));
    let last = table.column_count() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        if index < last {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    let mut text = format!("{}\n\n", table.trim_fmt());
    if shown.len() < outcome.panels.len() {
        text.push_str(&format!(
            "shown: the {} panels with the highest p99, and of those that went away at most \
                {SOME}; --json has all {}\n",
            SOME,
            outcome.panels.len()
        ));
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", notes(outcome));
    text.push_str(&verdict(outcome));
    text
}

/// The panels that get a line: all, or if they are many, the remarkable ones.
fn shown(outcome: &Outcome) -> Vec<usize> {
    let all = outcome.panels.len();
    if all <= MOST_LINES {
        return (0..all).collect();
    }
    let gone = (0..all).filter(|&number| outcome.panels[number].gone.is_some());
    let mut shown: Vec<usize> = outcome
        .slowest()
        .into_iter()
        .take(SOME)
        .chain(gone.take(SOME))
        .collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn row(number: usize, panel: &PanelOutcome) -> Vec<String> {
    let mut row = vec![number.to_string(), panel.pid.to_string()];
    row.extend(figures(
        [panel.published, panel.bytes, panel.held_back],
        [panel.acknowledgements, panel.orders],
        &panel.latency,
        panel.cpu,
    ));
    row.push(
        if panel.gone.is_some() {
            "gone"
        } else {
            "complete"
        }
        .into(),
    );
    row
}

fn totals(outcome: &Outcome) -> Vec<String> {
    let mut row = vec!["all".to_string(), String::new()];
    row.extend(figures(
        [
            outcome.sum(|panel| panel.published),
            outcome.sum(|panel| panel.bytes),
            outcome.sum(|panel| panel.held_back),
        ],
        [
            outcome.sum(|panel| panel.acknowledgements),
            outcome.sum(|panel| panel.orders),
        ],
        &outcome.latency(),
        outcome.sum(|panel| panel.cpu),
    ));
    row.push(match outcome.gone() {
        0 => String::new(),
        gone => format!("{gone} gone"),
    });
    row
}

fn figures(
    [messages, data, held_back]: [u64; 3],
    [acknowledgements, orders]: [u64; 2],
    latency: &Histogram<u64>,
    cpu: u64,
) -> Vec<String> {
    let mut figures = vec![
        count(messages),
        bytes(data),
        count(held_back),
        count(acknowledgements),
        count(orders),
    ];
    if latency.is_empty() {
        figures.extend(std::iter::repeat_n("-".to_string(), 4));
    } else {
        for quantile in [0.5, 0.99, 0.999] {
            figures.push(time(latency.value_at_quantile(quantile)));
        }
        figures.push(time(latency.max()));
    }
    figures.push(seconds(cpu));
    figures
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.2} s", nanoseconds as f64 / SECOND as f64)
}

/// The notes below the table.
fn notes(outcome: &Outcome) -> String {
    let published = outcome.sum(|panel| panel.published);
    let mut text = format!(
        "started in {:.2} s; published {} a second for {:.1} s (asked for: {} for {} s); CPU of \
            the engine {}\n",
        outcome.start_up.as_secs_f64(),
        messages((published as f64 / outcome.elapsed).round() as u64),
        outcome.elapsed,
        count(outcome.schedule.rate * outcome.schedule.copies()),
        outcome.schedule.seconds,
        seconds(outcome.engine_cpu),
    );
    text.push_str(
        "p50 to max: time from the engine's stamp, just before writing, to the panel's, when it \
         has the message; exact to 1 %\n",
    );
    if let Some(fairness) = outcome.fairness() {
        text.push_str(&fairness_of(&fairness));
    }
    if let Some(hint) = outcome.busy() {
        text.push_str(&hint);
        text.push('\n');
    }
    let held_back = outcome.sum(|panel| panel.held_back);
    if held_back > 0 {
        text.push_str(&format!(
            "held back: {} messages had to wait because their panel's ring was full; no other \
                panel waited for it\n",
            count(held_back)
        ));
    }
    let missed = outcome.sum(|panel| panel.missed);
    if missed > 0 {
        text.push_str(&format!(
            "missed: {} messages were overwritten before a slow panel read them, which it was \
                told; nobody waited for it\n",
            count(missed)
        ));
    }
    let skipped = outcome.sum(|panel| panel.skipped);
    if skipped > 0 {
        text.push_str(&format!(
            "passed over: {} messages, by panels that paint the newest\n",
            count(skipped)
        ));
    }
    let unpublished = outcome.sum(|panel| panel.unpublished);
    if unpublished > 0 {
        text.push_str(&format!(
            "{} messages ({} %) were never published: this machine cannot keep up with that rate\n",
            count(unpublished),
            significant(
                100.0 * unpublished as f64
                    / (outcome.schedule.total() * outcome.schedule.copies()) as f64
            )
        ));
    }
    let gone = outcome
        .panels
        .iter()
        .enumerate()
        .filter(|(_, panel)| panel.gone.is_some());
    for (number, panel) in gone.take(MOST_LINES) {
        if let Some(reason) = &panel.gone {
            text.push_str(&format!(
                "panel {number} (process {}) went away: {reason}; it had reported {} of {} \
                 messages read\n",
                panel.pid,
                count(panel.received),
                count(panel.published)
            ));
        }
    }
    if outcome.gone() > MOST_LINES {
        text.push_str(&format!(
            "and {} more went away\n",
            outcome.gone() - MOST_LINES
        ));
    }
    text
}

fn messages(number: u64) -> String {
    format!(
        "{} message{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

fn fairness_of(fairness: &Fairness) -> String {
    let mut text = format!(
        "fairness: the worst panel's p99 is {} x the median panel's: {} (panel {}), {}",
        significant(fairness.ratio()),
        time(fairness.worst_p99),
        fairness.worst_panel,
        time(fairness.median_p99)
    );
    if fairness.median_messages < ENOUGH {
        text += &format!(
            "; with {} messages a panel, that is chance (--seconds, --rate)",
            count(fairness.median_messages)
        );
    }
    text.push('\n');
    text
}

fn verdict(outcome: &Outcome) -> String {
    let gone = outcome.gone();
    let whole = outcome.panels.len() - gone;
    let interrupted = match outcome.interrupted {
        Some(_) => "interrupted; ",
        None => "",
    };
    if outcome.damaged() {
        return format!(
            "{interrupted}{} lost, {} reordered, {} corrupt of {} messages\n",
            count(outcome.sum(|panel| panel.lost)),
            count(outcome.sum(|panel| panel.reordered)),
            count(outcome.sum(|panel| panel.corrupt)),
            count(outcome.sum(|panel| panel.published)),
        );
    }
    let of_whole = |of: fn(&PanelOutcome) -> u64| {
        outcome.sum(|panel| if panel.gone.is_none() { of(panel) } else { 0 })
    };
    let others = if gone == 0 {
        String::new()
    } else {
        format!(
            "{gone} of {} panels went away; with the others, ",
            outcome.panels.len()
        )
    };
    format!(
        "{interrupted}{others}nothing was lost, reordered or corrupted: {} ({}) to {} \
         panel{}, {} acknowledgements and {} orders back\n",
        messages(of_whole(|panel| panel.published)),
        bytes(of_whole(|panel| panel.bytes)),
        count(whole as u64),
        if whole == 1 { "" } else { "s" },
        count(of_whole(|panel| panel.acknowledgements)),
        count(of_whole(|panel| panel.orders)),
    )
}
