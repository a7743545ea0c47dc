//! What is shown while the demo runs, on standard error: bars on a terminal, otherwise a line per
//! second.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    board::{Board, Finish, PanelBoard},
    report,
    schedule::Schedule,
};
use crate::trial::text::{bytes, count, time};

/// More panels than this are shown as totals only.
const MOST_LINES: usize = 16;

pub enum Display {
    Live(Live),
    Lines { printed: u64 },
}

pub struct Live {
    all: MultiProgress,
    totals: ProgressBar,
    panels: Vec<ProgressBar>,
}

impl Display {
    pub fn new(schedule: Schedule, board: &Board) -> Self {
        if io::stderr().is_terminal() {
            Display::Live(Live::new(schedule))
        } else {
            let pids: Vec<String> = board.panels.iter().map(|panel| panel.pid.to_string()).collect();
            eprintln!("{} panels connected, processes {}", pids.len(), pids.join(" "));
            Display::Lines { printed: 0 }
        }
    }

    /// Shows the board as it is now.
    pub fn update(&mut self, board: &Board) {
        let elapsed = board.started.elapsed();
        match self {
            Display::Live(live) => live.update(board, elapsed),
            Display::Lines { printed } if elapsed.as_secs() > *printed => {
                *printed = elapsed.as_secs();
                eprintln!("{printed:>3} s: {}", totals(board));
            }
            Display::Lines { .. } => {}
        }
    }

    /// Leaves the terminal to the table.
    pub fn end(self) {
        if let Display::Live(live) = self {
            // Fails only if the terminal is gone; the table will tell.
            let _ = live.all.clear();
        }
    }
}

impl Live {
    fn new(schedule: Schedule) -> Self {
        let all = MultiProgress::new();
        let milliseconds = schedule.seconds * 1000;
        let totals = all.add(ProgressBar::new(milliseconds).with_style(style("{bar:24} {msg}")));
        let panels = (0..schedule.panels)
            .take_while(|_| schedule.panels <= MOST_LINES)
            .map(|_| all.add(ProgressBar::new(milliseconds).with_style(style("{msg}"))))
            .collect();
        Live { all, totals, panels }
    }

    fn update(&self, board: &Board, elapsed: Duration) {
        self.totals.set_position(elapsed.as_millis() as u64);
        self.totals.set_message(totals(board));
        for (number, (bar, panel)) in self.panels.iter().zip(&board.panels).enumerate() {
            bar.set_message(line(number, panel));
            bar.tick();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}

fn totals(board: &Board) -> String {
    let mut latency = report::latencies();
    let (mut published, mut sent, mut held_back, mut orders, mut gone) = (0, 0, 0, 0, 0);
    for panel in &board.panels {
        published += panel.published();
        sent += panel.bytes();
        held_back += panel.held_back();
        let received = panel.received();
        orders += received.orders;
        gone += u64::from(matches!(received.finish, Some(Finish::Gone(_))));
        if let Some(report) = &received.report {
            // Only a report from another version of this program could have other bounds.
            let _ = latency.add(&report.latency);
        }
    }
    let mut text = format!(
        "{} messages, {} published; {} orders back",
        count(published),
        bytes(sent),
        count(orders)
    );
    if !latency.is_empty() {
        text += &format!(
            "; latency p50 {}, p99 {}",
            time(latency.value_at_quantile(0.5)),
            time(latency.value_at_quantile(0.99))
        );
    }
    if held_back > 0 {
        text += &format!("; {} held back", count(held_back));
    }
    if gone > 0 {
        text += &format!("; {gone} panel{} gone", if gone == 1 { "" } else { "s" });
    }
    text
}

fn line(number: usize, panel: &PanelBoard) -> String {
    let received = panel.received();
    if let Some(Finish::Gone(reason)) = &received.finish {
        return format!("panel {number:>2}  gone: {reason}");
    }
    let mut text = format!(
        "panel {number:>2}  {:>12} messages  {:>9}",
        count(panel.published()),
        bytes(panel.bytes())
    );
    if let Some(report) = received.report.as_ref().filter(|report| !report.latency.is_empty()) {
        text += &format!(
            "  p50 {:>8}  p99 {:>8}  max {:>8}",
            time(report.latency.value_at_quantile(0.5)),
            time(report.latency.value_at_quantile(0.99)),
            time(report.latency.max())
        );
    }
    let held_back = panel.held_back();
    if held_back > 0 {
        text += &format!("  {} held back", count(held_back));
    }
    text
}
