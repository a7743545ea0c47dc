//! Events of single panels while the demo runs, each told once and by name.

use super::{
    READ_OUT,
    board::{Board, Finish, PanelBoard},
    report,
};
use crate::harness::{
    clock::{self, SECOND},
    text::{self, count},
};

/// Of more events at once, only so many are told one by one.
const MOST: usize = 8;

/// The events that have been told of each panel.
pub struct Events {
    told: Vec<Told>,
    /// A panel that has said nothing for so many nanoseconds is named: it reports more often.
    silence: u64,
}

#[derive(Clone, Copy, Default)]
struct Told {
    gone: bool,
    silent: bool,
    /// messages lost, reordered or corrupt
    damaged: u64,
}

impl Events {
    pub fn new(panels: usize) -> Self {
        let (each, _) = report::rhythm(0, panels.max(1) as u64);
        Events {
            told: vec![Told::default(); panels],
            silence: 2 * each + SECOND,
        }
    }

    /// The events since the last call.
    pub fn look(&mut self, board: &Board) -> Vec<String> {
        let now = clock::now();
        let mut events = Vec::new();
        for (number, (panel, told)) in board.panels.iter().zip(&mut self.told).enumerate() {
            let silent = now.saturating_sub(panel.heard());
            events.extend(told.look(number, panel, silent, self.silence));
        }
        let more = events.len().saturating_sub(MOST);
        events.truncate(MOST);
        if more > 0 {
            events.push(format!("and {more} more events like these"));
        }
        events
    }
}

impl Told {
    fn look(
        &mut self,
        number: usize,
        panel: &PanelBoard,
        silent: u64,
        limit: u64,
    ) -> Option<String> {
        if self.gone {
            return None;
        }
        let named = name(number, panel);
        let received = panel.received();
        if let Some(Finish::Gone(reason)) = &received.finish {
            self.gone = true;
            return Some(format!("{named} is gone: {reason}"));
        }
        let there = received
            .report
            .as_ref()
            .map(|report| report.tally)
            .unwrap_or_default();
        let damaged = there.damaged() + received.tally.damaged();
        if damaged > self.damaged {
            self.damaged = damaged;
            return Some(format!(
                "{named}: {} messages lost, {} reordered, {} corrupt so far",
                count(there.lost + received.tally.lost),
                count(there.reordered + received.tally.reordered),
                count(there.corrupt + received.tally.corrupt)
            ));
        }
        let is_silent = received.finish.is_none() && silent > limit;
        if is_silent == self.silent {
            return None;
        }
        self.silent = is_silent;
        // One that has come to its end in the meantime has answered as well.
        Some(match is_silent {
            true => format!(
                "{named} has said nothing for {} s: is it stopped?",
                silent / SECOND
            ),
            false => format!("{named} answers again"),
        })
    }
}

/// The state that the engine waits for, once everything has been published.
pub fn waiting(board: &Board) -> Option<String> {
    let since = board.all_published()?.elapsed();
    let panels = board.panels.iter().enumerate();
    let late: Vec<String> = panels
        .filter(|(_, panel)| panel.received().finish.is_none())
        .map(|(number, panel)| name(number, panel))
        .collect();
    (!late.is_empty()).then(|| {
        format!(
            "waiting for {}, not at the end of the stream {} s after the last message; ended \
                after {} s",
            text::some(&late, MOST),
            since.as_secs(),
            READ_OUT.as_secs()
        )
    })
}

fn name(number: usize, panel: &PanelBoard) -> String {
    format!("panel {number} (process {})", panel.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 3 * SECOND;

    fn look(told: &mut Told, board: &Board, silent: u64) -> Option<String> {
        told.look(1, &board.panels[1], silent, LIMIT)
    }

    #[test]
    fn each_event_of_a_panel_is_told_once() {
        let board = Board::new([100, 200]);
        let mut told = Told::default();
        assert_eq!(look(&mut told, &board, 0), None);
        let silent = look(&mut told, &board, 4 * SECOND).expect("it is told");
        assert_eq!(
            silent,
            "panel 1 (process 200) has said nothing for 4 s: is it stopped?"
        );
        assert_eq!(look(&mut told, &board, 5 * SECOND), None);
        assert!(look(&mut told, &board, 0).is_some_and(|text| text.ends_with("answers again")));

        board.panels[1].received().tally.lost = 2;
        let lost = look(&mut told, &board, 0).expect("it is told");
        assert_eq!(
            lost,
            "panel 1 (process 200): 2 messages lost, 0 reordered, 0 corrupt so far"
        );
        assert_eq!(look(&mut told, &board, 0), None);

        board.panels[1].received().finish = Some(Finish::Gone("its process died".into()));
        let gone = look(&mut told, &board, 0).expect("it is told");
        assert_eq!(gone, "panel 1 (process 200) is gone: its process died");
        assert_eq!(look(&mut told, &board, 9 * SECOND), None);
    }

    #[test]
    fn late_panels_are_named() {
        let board = Board::new([100, 200]);
        assert_eq!(waiting(&board), None, "it still publishes");
        board.set_all_published();
        board.panels[0].received().finish = Some(Finish::Complete);
        assert!(
            waiting(&board)
                .is_some_and(|text| text.starts_with("waiting for panel 1 (process 200), "))
        );
        board.panels[1].received().finish = Some(Finish::Complete);
        assert_eq!(waiting(&board), None);
    }
}
