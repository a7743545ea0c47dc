//! The results as a page of HTML that needs nothing else: `--report FILE`. What stands on it is
//! said in `cases`, and of many streams in `streams::page`; how it looks, in
//! `templates/bench.html`.

pub mod cases;
pub mod chart;
mod file;
mod palette;

pub use self::{file::ReportFile, palette::Palette};

use askama::Template;

use super::{goals::Goal, report};

#[derive(Template)]
#[template(path = "bench.html")]
pub struct Page {
    pub title: &'static str,
    /// what most people want to know
    pub summary: Option<String>,
    /// where, when and how it was measured
    pub header: Vec<String>,
    /// how to read it
    pub reading: &'static [&'static str],
    /// not everything was measured that was asked for
    pub cut_short: bool,
    /// across all of them
    pub overview: Vec<Section>,
    pub goals: Vec<String>,
    pub sections: Vec<Section>,
}

#[derive(Default)]
pub struct Section {
    pub title: String,
    /// how to read its figures
    pub caption: String,
    /// SVG
    pub chart: Option<String>,
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<String>>,
    /// what could not be measured
    pub failures: Vec<String>,
}

/// The lines of a text.
pub fn text_lines(text: &str) -> Vec<String> {
    text.lines().map(crate::console::printable).collect()
}

pub fn goal_lines(goals: &[Goal]) -> Vec<String> {
    goals.iter().map(report::goal).collect()
}
