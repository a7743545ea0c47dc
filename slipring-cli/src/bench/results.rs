//! What has been measured so far.

use super::{
    case::Case,
    contender::Contender,
    measurement::Slice,
    stats::{self, Spread},
};

pub struct CaseResult<'a> {
    pub case: &'static Case,
    pub rows: Vec<Row<'a>>,
}

/// One transport in one case.
pub struct Row<'a> {
    pub contender: &'a Contender,
    pub rounds: Vec<Slice>,
    /// why it could not be measured (to the end)
    pub failure: Option<String>,
}

impl Row<'_> {
    /// Nanoseconds, or bytes per second; `None` if nothing was measured.
    pub fn spread(&self) -> Option<Spread> {
        stats::p50(&self.rounds).or_else(|| stats::throughput(&self.rounds))
    }
}

impl CaseResult<'_> {
    /// What was measured of the named one; of several, of that with the lowest median, and which it
    /// is.
    pub fn lowest<'n>(&self, names: &[&'n str]) -> Option<(Spread, &'n str)> {
        let spreads = names.iter().filter_map(|&name| {
            let row = self.rows.iter().find(|row| row.contender.name == name)?;
            Some((row.spread()?, name))
        });
        spreads.min_by(|(one, _), (other, _)| one.median.total_cmp(&other.median))
    }

    pub fn spread(&self, name: &str) -> Option<Spread> {
        self.lowest(&[name]).map(|(spread, _)| spread)
    }
}

/// Everything of a run.
#[derive(Default)]
pub struct Results<'a> {
    pub cases: Vec<CaseResult<'a>>,
}

impl<'a> Results<'a> {
    pub fn case(&self, name: &str) -> Option<&CaseResult<'a>> {
        self.cases.iter().find(|result| result.case.name == name)
    }
}
