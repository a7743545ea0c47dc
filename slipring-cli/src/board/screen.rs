//! A board on a terminal: a table that is painted again when something has changed.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Row, Table, TableState},
};
use signal_hook::{consts::SIGINT, low_level::emulate_default_handler};
use slipring::{
    board::{Change, Event, Subscriber},
    feed::{End, Sequence},
};

use super::lines::shown;
use crate::{
    cleanup::{self, Duty},
    failure::Failure,
    subscribe::finished,
};

/// Between two frames, in which keys are waited for.
const FRAME: Duration = Duration::from_millis(50);

/// How long a change is highlighted.
const NEWS: Duration = Duration::from_secs(1);

/// How long a rate is gathered.
const GATHER: Duration = Duration::from_secs(1);

/// Gives the terminal back as it was.
pub fn restore_terminal() {
    ratatui::restore();
}

pub fn run(subscriber: Subscriber, name: &str) -> Result<ExitCode, Failure> {
    let (mut terminal, _watch) = cleanup::on_signal(|| {
        let terminal = ratatui::try_init().map_err(Failure::doing("take over the terminal"))?;
        Ok((terminal, vec![Duty::RestoreTerminal]))
    })?;
    let left = Screen::new(subscriber, name).show(&mut terminal);
    restore_terminal();
    match left? {
        Leave::Quit => Ok(ExitCode::SUCCESS),
        Leave::Interrupted => {
            let _ = emulate_default_handler(SIGINT);
            Ok(ExitCode::from(130))
        }
        Leave::Ended(end) => finished(end),
    }
}

/// Why the screen is left.
enum Leave {
    Quit,
    Interrupted,
    Ended(End),
}

struct Entry {
    value: String,
    version: Sequence,
    told: Instant,
    /// It was there when this began, so that it is older.
    at_first: bool,
}

struct Screen<'a> {
    subscriber: Subscriber,
    name: &'a str,
    entries: BTreeMap<Vec<u8>, Entry>,
    by_age: bool,
    state: TableState,
    /// Whether all that was there at first has come.
    is_begun: bool,
    gathered: (Instant, Sequence),
    rate: u64,
    restarts: u32,
}

impl<'a> Screen<'a> {
    fn new(subscriber: Subscriber, name: &'a str) -> Self {
        Self {
            gathered: (Instant::now(), subscriber.next()),
            subscriber,
            name,
            entries: BTreeMap::new(),
            by_age: false,
            state: TableState::default().with_selected(0),
            is_begun: false,
            rate: 0,
            restarts: 0,
        }
    }

    fn show(&mut self, terminal: &mut DefaultTerminal) -> Result<Leave, Failure> {
        loop {
            if let Some(end) = self.look()? {
                return Ok(Leave::Ended(end));
            }
            let painted = terminal.draw(|frame| self.paint(frame));
            painted.map_err(Failure::writing_output)?;
            let read = |error| Failure::doing("read the keyboard")(error);
            if event::poll(FRAME).map_err(read)?
                && let Some(leave) = self.input(event::read().map_err(read)?)
            {
                return Ok(leave);
            }
        }
    }

    /// Takes in what has changed; the end, if it is there.
    fn look(&mut self) -> io::Result<Option<End>> {
        while let Some(event) = self.subscriber.try_changed()? {
            match event {
                Event::Changes(changes) => {
                    for change in changes {
                        match change {
                            Change::Set {
                                key,
                                value,
                                version,
                            } => {
                                let entry = Entry {
                                    value: shown(value),
                                    version,
                                    told: Instant::now(),
                                    at_first: !self.is_begun,
                                };
                                self.entries.insert(key.to_vec(), entry);
                            }
                            Change::Removed { key } => {
                                self.entries.remove(key);
                            }
                        }
                    }
                    self.is_begun = true;
                    break;
                }
                Event::Restarted(_) => {
                    self.entries.clear();
                    self.is_begun = false;
                    self.restarts += 1;
                    self.gathered = (Instant::now(), 0);
                }
                Event::Ended(end) => return Ok(Some(end)),
            }
        }
        let (since, number) = self.gathered;
        if since.elapsed() >= GATHER {
            let next = self.subscriber.next();
            let changes = next.saturating_sub(number) as f64;
            self.rate = (changes / since.elapsed().as_secs_f64()).round() as u64;
            self.gathered = (Instant::now(), next);
        }
        Ok(None)
    }

    fn input(&mut self, input: Input) -> Option<Leave> {
        let Input::Key(key) = input else { return None };
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Leave::Interrupted),
            KeyCode::Char('q') | KeyCode::Esc => return Some(Leave::Quit),
            KeyCode::Char('s') => self.by_age = !self.by_age,
            KeyCode::Down => self.state.select_next(),
            KeyCode::Up => self.state.select_previous(),
            KeyCode::PageDown => self.state.scroll_down_by(20),
            KeyCode::PageUp => self.state.scroll_up_by(20),
            KeyCode::Home => self.state.select_first(),
            KeyCode::End => self.state.select_last(),
            _ => {}
        }
        None
    }

    fn paint(&mut self, frame: &mut Frame<'_>) {
        let [top, middle, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(2),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.title(), top);
        let mut entries: Vec<_> = self.entries.iter().collect();
        if self.by_age {
            entries.sort_by_key(|(_, entry)| Reverse(entry.version));
        }
        let longest = entries.iter().map(|(key, _)| shown(key).chars().count());
        let longest = longest.max().unwrap_or(0).clamp(8, 40) as u16;
        let rows = entries.into_iter().map(|(key, entry)| {
            let age = entry.told.elapsed();
            let at_least = if entry.at_first { ">" } else { "" };
            let row = Row::new([
                Line::from(shown(key)).style(Modifier::BOLD),
                Line::from(entry.value.as_str()),
                Line::from(entry.version.to_string()).right_aligned(),
                Line::from(format!("{at_least}{}", self::age(age))).right_aligned(),
            ]);
            if !entry.at_first && age < NEWS {
                row.style(Style::new().fg(Color::Yellow))
            } else {
                row
            }
        });
        let widths = [
            Constraint::Length(longest),
            Constraint::Fill(1),
            Constraint::Length(12),
            Constraint::Length(9),
        ];
        let header = Row::new([
            Line::from("KEY"),
            Line::from("VALUE"),
            Line::from("VERSION").right_aligned(),
            Line::from("AGE").right_aligned(),
        ]);
        let table = Table::new(rows, widths)
            .header(header.style(Style::new().fg(Color::DarkGray)))
            .column_spacing(2)
            .row_highlight_style(Modifier::REVERSED);
        frame.render_stateful_widget(table, middle, &mut self.state);
        let help = " q quit   s sort by key or age   arrows, Page Up, Page Down, Home, End scroll";
        frame.render_widget(
            Line::from(help).style(Style::new().fg(Color::DarkGray)),
            bottom,
        );
    }

    fn title(&self) -> Line<'_> {
        let is_gone = self.subscriber.reconnects_at().is_some();
        let end = self.subscriber.end().filter(|_| is_gone);
        let state = match (end, self.subscriber.peer().pid) {
            (Some(end), _) => {
                let end = end.to_string();
                let why = end.split(';').next().unwrap_or_default();
                Span::styled(format!("● {why}; waiting"), Color::Red)
            }
            (None, Some(pid)) => Span::styled(format!("● live, process {pid}"), Color::Green),
            (None, None) => Span::styled("● live", Color::Green),
        };
        let keys = self.entries.len();
        let restarts = match self.restarts {
            0 => String::new(),
            1 => "   1 restart".to_owned(),
            many => format!("   {many} restarts"),
        };
        Line::from(vec![
            Span::styled(format!(" {}   ", self.name), Modifier::BOLD),
            state,
            Span::from(format!(
                "   {keys} keys   {} changes/s{restarts}",
                self.rate
            )),
        ])
    }
}

/// A length of time with one unit.
fn age(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let texts = [0.32, 59.0, 300.0, 9000.0].map(|time| age(Duration::from_secs_f64(time)));
        assert_eq!(texts, ["0.3 s", "59 s", "5 min", "2 h"]);
    }
}
