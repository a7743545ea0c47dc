//! Where the results go: tables as they come or one document at the end. A terminal also shows the
//! case that is being measured.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::goals::{self, Goal};
use crate::{console, failure::Failure};

pub struct Output {
    json: bool,
    progress: ProgressBar,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let progress = if io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
        Output {
            json,
            progress: progress.with_style(style),
        }
    }

    pub fn step(&self, step: &str) {
        self.progress.set_message(step.to_string());
        self.progress.tick();
    }

    pub fn print(&self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.progress.suspend(|| console::print(text))
    }

    /// The last part of the output.
    pub fn end(
        &mut self,
        goals: &[Goal],
        interrupted: bool,
        document: impl FnOnce() -> serde_json::Value,
    ) -> Result<(), Failure> {
        if interrupted {
            self.print("\ninterrupted: this is what was measured until then\n")?;
        }
        let lines: String = goals
            .iter()
            .map(|goal| format!("  {}\n", goals::text(goal)))
            .collect();
        if !goals.is_empty() {
            self.print(&format!("\ngoals\n{lines}"))?;
        }
        self.progress.finish_and_clear();
        if self.json {
            console::print(format!("{:#}\n", document()))?;
        }
        Ok(())
    }
}
