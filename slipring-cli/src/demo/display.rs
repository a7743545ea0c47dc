//! The display on standard error while the demo runs: bars on a terminal, otherwise a line per
//! second.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    board::{Board, Finish, PanelBoard, Received},
    events::{self, Events},
    report,
    schedule::Schedule,
};
use crate::{
    console,
    harness::{
        clock::SECOND,
        text::{bytes, count, time},
    },
};

/// More panels than this are shown as totals only.
const MOST_LINES: usize = 16;

/// More panels than this are not announced with their process ids.
const MOST_PIDS: usize = 32;

/// Panels whose latencies are added up at each update: those of hundreds at once would keep a CPU
/// from the messages for milliseconds.
const STEP: usize = 32;

pub struct Display {
    latencies: Latencies,
    rate: Rate,
    events: Events,
    shape: Shape,
}

enum Shape {
    Live(Live),
    Lines { printed: u64 },
}

struct Live {
    all: MultiProgress,
    totals: ProgressBar,
    panels: Vec<ProgressBar>,
}

impl Display {
    pub fn new(schedule: Schedule, start_up: Duration, board: &Board) -> Self {
        let shape = if io::stderr().is_terminal() {
            Shape::Live(Live::new(schedule))
        } else {
            let pids: Vec<String> = board
                .panels
                .iter()
                .map(|panel| panel.pid.to_string())
                .collect();
            let (shown, others) = pids.split_at(pids.len().min(MOST_PIDS));
            let more = match others.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            eprintln!(
                "{} panels connected, processes {}{more} (in {:.2} s)",
                pids.len(),
                shown.join(" "),
                start_up.as_secs_f64()
            );
            Shape::Lines { printed: 0 }
        };
        Display {
            latencies: Latencies::default(),
            rate: Rate::new(),
            events: Events::new(board.panels.len()),
            shape,
        }
    }

    /// Shows the board as it is now.
    pub fn update(&mut self, board: &Board) {
        let elapsed = board.started.elapsed();
        self.latencies.step(board);
        self.rate.step(board);
        for event in self.events.look(board) {
            self.say(&event);
        }
        let text = || match events::waiting(board) {
            Some(waiting) => waiting,
            None => totals(board) + &self.rate.text + &self.latencies.text,
        };
        match &mut self.shape {
            Shape::Live(live) => live.update(board, elapsed, text()),
            Shape::Lines { printed } if elapsed.as_secs() > *printed => {
                *printed = elapsed.as_secs();
                console::say(format_args!("{printed:>3} s: {}", text()));
            }
            Shape::Lines { .. } => {}
        }
    }

    /// A line that stays.
    fn say(&self, event: &str) {
        match &self.shape {
            // Fails only if the terminal is gone.
            Shape::Live(live) => drop(live.all.println(event)),
            Shape::Lines { .. } => console::say(event),
        }
    }

    /// Leaves the terminal to the table.
    pub fn end(self) {
        if let Shape::Live(live) = self.shape {
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
        }
    }

    fn update(&self, board: &Board, elapsed: Duration, text: String) {
        self.totals.set_position(elapsed.as_millis() as u64);
        self.totals.set_message(text);
        for (number, (bar, panel)) in self.panels.iter().zip(&board.panels).enumerate() {
            bar.set_message(line(number, panel, board.panels.len()));
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

/// Messages of the last second.
struct Rate {
    since: Instant,
    published: u64,
    text: String,
}

impl Rate {
    fn new() -> Self {
        Rate {
            since: Instant::now(),
            published: 0,
            text: String::new(),
        }
    }

    fn step(&mut self, board: &Board) {
        let elapsed = self.since.elapsed();
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let published = board.panels.iter().map(PanelBoard::published).sum();
        let rate = (published - self.published) as f64 / elapsed.as_secs_f64();
        *self = Rate {
            since: Instant::now(),
            published,
            text: format!("; now {} a second", count(rate.round() as u64)),
        };
    }
}

/// The latencies between the panels' last two reports, a few panels at a time.
struct Latencies {
    all: Histogram<u64>,
    /// The highest p99, and whose it is.
    worst: (u64, usize),
    /// The panels before this one have been added.
    next: usize,
    /// Of the last time that all panels had been.
    text: String,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies {
            all: report::latencies(),
            worst: (0, 0),
            next: 0,
            text: String::new(),
        }
    }
}

impl Latencies {
    fn step(&mut self, board: &Board) {
        for (number, panel) in board.panels.iter().enumerate().skip(self.next).take(STEP) {
            if let Some(latency) = recent(&panel.received(), board.panels.len()) {
                // Only a report from another version of this program could have other bounds.
                let _ = self.all.add(latency);
                self.worst = self.worst.max((latency.value_at_quantile(0.99), number));
            }
        }
        self.next += STEP;
        if self.next >= board.panels.len() {
            let text = self.describe(board.panels.len());
            *self = Latencies {
                text,
                ..Latencies::default()
            };
        }
    }

    fn describe(&self, panels: usize) -> String {
        if self.all.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "; latency of the last {} p50 {}, p99 {}, p99.9 {}, max {}",
            span(panels),
            time(self.all.value_at_quantile(0.5)),
            time(self.all.value_at_quantile(0.99)),
            time(self.all.value_at_quantile(0.999)),
            time(self.all.max())
        );
        if panels > MOST_LINES {
            // There is no line for each.
            let (worst, number) = self.worst;
            text += &format!("; panel {number}'s p99 {}", time(worst));
        }
        text
    }
}

/// The last report of a panel, unless it is old.
fn recent(received: &Received, panels: usize) -> Option<&Histogram<u64>> {
    let (each, _) = report::rhythm(0, panels as u64);
    let (latency, when) = received.recent.as_ref()?;
    (!latency.is_empty() && when.elapsed() < 2 * Duration::from_nanos(each)).then_some(latency)
}

/// From one report of a panel to the next.
fn span(panels: usize) -> String {
    match report::rhythm(0, panels as u64).0 {
        SECOND => "second".into(),
        each => time(each),
    }
}

fn line(number: usize, panel: &PanelBoard, panels: usize) -> String {
    let received = panel.received();
    if let Some(Finish::Gone(reason)) = &received.finish {
        return format!("panel {number:>2}  gone: {reason}");
    }
    let mut text = format!(
        "panel {number:>2}  {:>12} messages  {:>9}",
        count(panel.published()),
        bytes(panel.bytes())
    );
    if let Some(latency) = recent(&received, panels) {
        text += &format!(
            "  p50 {:>8}  p99 {:>8}  max {:>8}",
            time(latency.value_at_quantile(0.5)),
            time(latency.value_at_quantile(0.99)),
            time(latency.max())
        );
    }
    let held_back = panel.held_back();
    if held_back > 0 {
        text += &format!("  {} held back", count(held_back));
    }
    text
}
