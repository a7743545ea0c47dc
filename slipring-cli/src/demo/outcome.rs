//! The outcome of a run: every panel's numbers, the totals, and the verdict.

use std::{num::NonZero, thread, time::Duration};

use hdrhistogram::Histogram;

use super::{
    board::{Board, Finish, PanelBoard},
    report::{self, Report},
    schedule::Schedule,
};

/// From this load per core on, the summary mentions it.
const BUSY: f64 = 0.5;

pub struct PanelOutcome {
    pub pid: u32,
    pub published: u64,
    pub bytes: u64,
    pub held_back: u64,
    /// due, but not published when the time was up
    pub unpublished: u64,
    /// updates that the panel has read, as far as its last report tells
    pub received: u64,
    /// of a feed: overwritten before the panel read them, which it knows
    pub missed: u64,
    /// of a feed: passed over by a panel that paints
    pub skipped: u64,
    pub acknowledgements: u64,
    pub orders: u64,
    pub lost: u64,
    pub reordered: u64,
    pub corrupt: u64,
    /// nanoseconds
    pub cpu: u64,
    /// nanoseconds
    pub latency: Histogram<u64>,
    /// why the panel went away before the end
    pub gone: Option<String>,
}

/// How evenly the panels were served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fairness {
    /// the panel with the highest p99
    pub worst_panel: usize,
    /// nanoseconds
    pub worst_p99: u64,
    /// of all panels' p99, nanoseconds
    pub median_p99: u64,
    /// messages that the median panel measured
    pub median_messages: u64,
}

impl Fairness {
    pub fn ratio(&self) -> f64 {
        self.worst_p99 as f64 / self.median_p99.max(1) as f64
    }
}

pub struct Outcome {
    pub engine: &'static str,
    pub schedule: Schedule,
    /// until all panels had started and connected
    pub start_up: Duration,
    /// of the machine, when the run began
    pub load: Option<f64>,
    /// how long the engine published, in seconds
    pub elapsed: f64,
    /// CPU time of the engine's process in nanoseconds
    pub engine_cpu: u64,
    pub panels: Vec<PanelOutcome>,
    /// the exit code that an interruption asks for
    pub interrupted: Option<u8>,
}

impl Outcome {
    pub fn new(
        engine: &'static str,
        schedule: Schedule,
        start_up: Duration,
        load: Option<f64>,
        board: &Board,
        engine_cpu: u64,
        interrupted: Option<u8>,
    ) -> Self {
        let due = if interrupted.is_some() {
            0
        } else {
            schedule.total()
        };
        let dealt = schedule.deal(due);
        let panels = board
            .panels
            .iter()
            .enumerate()
            .map(|(index, panel)| PanelOutcome::new(panel, dealt.share(index)))
            .collect();
        Outcome {
            engine,
            schedule,
            start_up,
            load,
            elapsed: board.publishing().as_secs_f64(),
            engine_cpu,
            panels,
            interrupted,
        }
    }

    /// A hint, if other work kept the machine busy.
    pub fn busy(&self) -> Option<String> {
        self.load.and_then(busy)
    }

    pub fn sum(&self, of: impl Fn(&PanelOutcome) -> u64) -> u64 {
        self.panels.iter().map(of).sum()
    }

    /// Messages as the engine wrote them: one of a feed counts once.
    pub fn sent(&self) -> u64 {
        self.sum(|panel| panel.published) / self.schedule.copies()
    }

    /// Messages that panels have read, or passed over to paint a newer one.
    pub fn delivered(&self) -> u64 {
        self.sum(|panel| panel.received + panel.skipped)
    }

    pub fn damaged(&self) -> bool {
        self.sum(|panel| panel.lost + panel.reordered + panel.corrupt) > 0
    }

    pub fn gone(&self) -> usize {
        self.panels
            .iter()
            .filter(|panel| panel.gone.is_some())
            .count()
    }

    /// All panels' latencies in one.
    pub fn latency(&self) -> Histogram<u64> {
        let mut all = report::latencies();
        for panel in &self.panels {
            all.add(&panel.latency)
                .expect("all histograms have the same bounds");
        }
        all
    }

    /// The numbers of the panels that measured anything, the highest p99 first.
    pub fn slowest(&self) -> Vec<usize> {
        let measured = |&panel: &usize| !self.panels[panel].latency.is_empty();
        let mut panels: Vec<usize> = (0..self.panels.len()).filter(measured).collect();
        panels.sort_by_key(|&panel| std::cmp::Reverse(self.p99(panel)));
        panels
    }

    fn p99(&self, panel: usize) -> u64 {
        self.panels[panel].latency.value_at_quantile(0.99)
    }

    /// `None` unless there are panels to compare.
    pub fn fairness(&self) -> Option<Fairness> {
        let slowest = self.slowest();
        let median = *slowest.get(slowest.len() / 2)?;
        (slowest.len() > 1).then(|| Fairness {
            worst_panel: slowest[0],
            worst_p99: self.p99(slowest[0]),
            median_p99: self.p99(median),
            median_messages: self.panels[median].latency.len(),
        })
    }

    /// Damage is worse than an interruption, and an interruption explains a panel that has gone.
    pub fn exit_code(&self) -> u8 {
        match self.interrupted {
            _ if self.damaged() => 1,
            Some(code) => code,
            None if self.gone() > 0 => 3,
            None => 0,
        }
    }
}

impl PanelOutcome {
    fn new(panel: &PanelBoard, due: u64) -> Self {
        let received = panel.received();
        let gone = match &received.finish {
            Some(Finish::Complete) => None,
            Some(Finish::Gone(reason)) => Some(reason.clone()),
            None => Some("it had not ended when the engine did".into()),
        };
        let published = panel.published();
        let back = received.tally;
        let there = received
            .report
            .as_ref()
            .map(|report| report.tally)
            .unwrap_or_default();
        let mut lost = there.lost + back.lost;
        if let (None, Some(report)) = (&gone, &received.report) {
            lost = lost_in_all(published, report, back.messages, back.lost);
        }
        PanelOutcome {
            pid: panel.pid,
            published,
            bytes: panel.bytes(),
            held_back: panel.held_back(),
            unpublished: if gone.is_some() {
                0
            } else {
                due.saturating_sub(published)
            },
            received: there.messages,
            missed: there.missed,
            skipped: there.skipped,
            acknowledgements: received.acknowledgements,
            orders: received.orders,
            lost,
            reordered: there.reordered + back.reordered,
            corrupt: there.corrupt + back.corrupt,
            cpu: received.report.as_ref().map_or(0, |report| report.cpu),
            latency: received
                .report
                .as_ref()
                .map_or_else(report::latencies, |report| report.latency.clone()),
            gone,
        }
    }
}

/// Said at the start and at the end of a run.
pub fn busy(load: f64) -> Option<String> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (load >= BUSY * cores as f64).then(|| {
        format!(
            "note: this machine has other work (load {load:.1} on {cores} core{}), which makes \
                latencies longer",
            if cores == 1 { "" } else { "s" }
        )
    })
}

/// For a panel that got to the end, both sides' counts have to agree: a message lost at the very
/// end leaves no gap in the sequence behind it.
fn lost_in_all(published: u64, report: &Report, messages_back: u64, gaps_back: u64) -> u64 {
    let there = published
        .saturating_sub(report.tally.known())
        .max(report.tally.lost);
    let back = report.sent.saturating_sub(messages_back).max(gaps_back);
    there + back
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::inbound::Tally;

    const SCHEDULE: Schedule = Schedule {
        rate: 10,
        seconds: 1,
        panels: 2,
        shared: false,
    };

    /// Two panels that have been sent 5 updates each; the first one's report says `received`.
    fn outcome(received: u64, second: Finish, interrupted: Option<u8>) -> Outcome {
        let board = Board::new([100, 200]);
        for (panel, (messages, finish)) in board
            .panels
            .iter()
            .zip([(received, Finish::Complete), (5, second)])
        {
            for _ in 0..5 {
                panel.add_published(100);
            }
            let mut noted = panel.received();
            noted.tally.messages = 1;
            noted.finish = Some(finish);
            noted.report = Some(Report {
                tally: Tally {
                    messages,
                    ..Tally::default()
                },
                sent: 1,
                cpu: 0,
                last: true,
                latency: report::latencies(),
            });
        }
        Outcome::new(
            "test",
            SCHEDULE,
            Duration::ZERO,
            None,
            &board,
            0,
            interrupted,
        )
    }

    fn gone() -> Finish {
        Finish::Gone("it was killed".into())
    }

    #[test]
    fn the_outcome_of_a_demo_tells_of_a_busy_machine() {
        assert_eq!(busy(0.0), None);
        assert!(busy(100_000.0).is_some_and(|hint| hint.contains("load 100000.0 on ")));
    }

    #[test]
    fn a_demo_in_which_all_is_well_exits_with_0() {
        let outcome = outcome(5, Finish::Complete, None);
        assert_eq!(outcome.exit_code(), 0);
        assert_eq!(outcome.sum(|panel| panel.unpublished), 0);
    }

    #[test]
    fn a_message_lost_at_the_end_is_noticed() {
        let outcome = outcome(4, Finish::Complete, None);
        assert_eq!(outcome.panels[0].lost, 1);
        assert_eq!(outcome.exit_code(), 1);
    }

    #[test]
    fn a_demo_with_a_panel_gone_exits_with_3_and_lost_nothing() {
        let outcome = outcome(5, gone(), None);
        assert!(!outcome.damaged());
        assert_eq!(outcome.exit_code(), 3);
    }

    #[test]
    fn the_worst_panel_is_compared_with_the_median() {
        let mut outcome = outcome(5, Finish::Complete, None);
        assert_eq!(outcome.fairness(), None, "nothing was measured");
        let mut measured = |panel: usize, latency| {
            outcome.panels[panel]
                .latency
                .saturating_record_n(latency, 100)
        };
        measured(0, 30);
        measured(1, 90);
        let fairness = outcome.fairness().expect("two panels can be compared");
        assert_eq!((fairness.worst_panel, fairness.worst_p99), (1, 90));
        assert_eq!((fairness.median_p99, fairness.median_messages), (30, 100));
        assert_eq!(fairness.ratio(), 3.0);
        assert_eq!(outcome.slowest(), [1, 0]);
    }

    #[test]
    fn damage_outranks_an_interruption_and_that_outranks_a_panel_gone() {
        assert_eq!(outcome(4, gone(), Some(130)).exit_code(), 1);
        assert_eq!(outcome(5, gone(), Some(130)).exit_code(), 130);
    }
}
