//! What a verification without measuring has found.

use std::{collections::BTreeMap, fmt};

use crate::text;

/// The outcome, contender by contender and case by case.
#[derive(Default)]
pub struct Verification {
    /// names CASE/CONTENDER
    pub passed: Vec<String>,
    /// such names, each with the reason
    pub failed: Vec<(String, String)>,
    /// the names to which a reason not to verify applies
    pub exempt: BTreeMap<&'static str, Vec<String>>,
}

/// Lines of at most 100 characters.
impl fmt::Display for Verification {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        for (why, names) in &self.exempt {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let heading = format!("not applicable, since {why}: ");
            writeln!(to, "{}", text::paragraph(&heading, &names, 100))?;
        }
        for (name, why) in &self.failed {
            writeln!(to, "failed: {name}: {why}")?;
        }
        let exempt: usize = self.exempt.values().map(Vec::len).sum();
        let (passed, failed) = (self.passed.len(), self.failed.len());
        writeln!(
            to,
            "every byte checked: {passed} passed, {failed} failed, {exempt} not applicable"
        )
    }
}
