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

/// More panels than this are not announced with their process ids.
const MOST_PIDS: usize = 32;

pub enum Display {
    Live(Live),
    Lines { printed: u64 },
}

pub struct Live {
    all: MultiProgress,
    totals: ProgressBar,
    panels: Vec<ProgressBar>,
    latencies: String,
    /// When to add up the latencies again: with hundreds of panels that is work.
    next: Duration,
}

impl Display {
    pub fn new(schedule: Schedule, start_up: Duration, board: &Board) -> Self {
        if io::stderr().is_terminal() {
            Display::Live(Live::new(schedule))
        } else {
            let pids: Vec<String> = board.panels.iter().map(|panel| panel.pid.to_string()).collect();
            let (shown, others) = pids.split_at(pids.len().min(MOST_PIDS));
            let more = match others.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            eprintln!(
                "{} panels connected, processes {}{more}; in {:.2} s",
                pids.len(),
                shown.join(" "),
                start_up.as_secs_f64()
            );
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
                eprintln!("{printed:>3} s: {}{}", totals(board), latencies(board));
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
        Live {
            all,
            totals,
            panels,
            latencies: String::new(),
            next: Duration::ZERO,
        }
    }

    fn update(&mut self, board: &Board, elapsed: Duration) {
        if elapsed >= self.next {
            self.latencies = latencies(board);
            self.next = elapsed + Duration::from_secs(1);
        }
        self.totals.set_position(elapsed.as_millis() as u64);
        self.totals.set_message(totals(board) + &self.latencies);
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
    let (mut published, mut sent, mut held_back, mut orders, mut gone) = (0, 0, 0, 0, 0);
    for panel in &board.panels {
        published += panel.published();
        sent += panel.bytes();
        held_back += panel.held_back();
        let received = panel.received();
        orders += received.orders;
        gone += u64::from(matches!(received.finish, Some(Finish::Gone(_))));
    }
    let mut text = format!(
        "{} messages, {} published; {} orders back",
        count(published),
        bytes(sent),
        count(orders)
    );
    if held_back > 0 {
        text += &format!("; {} held back", count(held_back));
    }
    if gone > 0 {
        text += &format!("; {gone} panel{} gone", if gone == 1 { "" } else { "s" });
    }
    text
}

/// The latencies that the panels have reported so far.
fn latencies(board: &Board) -> String {
    let mut all = report::latencies();
    let mut worst = (0, 0);
    for (number, panel) in board.panels.iter().enumerate() {
        if let Some(report) = &panel.received().report {
            // Only a report from another version of this program could have other bounds.
            let _ = all.add(&report.latency);
            worst = worst.max((report.latency.value_at_quantile(0.99), number));
        }
    }
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "; latency p50 {}, p99 {}",
        time(all.value_at_quantile(0.5)),
        time(all.value_at_quantile(0.99))
    );
    if board.panels.len() > MOST_LINES {
        // There is no line for each.
        text += &format!(" (panel {}: {})", worst.1, time(worst.0));
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
