//! The counts that are written down, and how far from them a change may be.
//!
//! They lie beside this file in a Markdown table, one file for each instruction set.

use crate::paths::PATHS;
use std::env::consts::ARCH;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// How far a count may be from the stored one, in percent, and never less than [`ALWAYS`].
///
/// The same build gives the same count, to a tenth of an instruction. The remaining variation is
/// the compiler's, which may do one step more or less when code elsewhere changes. A load with a
/// compare and a branch is three instructions: in a write of 64 bytes that is more than this.
const MARGIN: u64 = 2;

/// Instructions that any count may be off.
const ALWAYS: u64 = 2;

/// The margin in percent with another compiler or C library than that of the file: they may well do
/// it in other steps, and that is no fault of the change. A compiler two releases later differed by
/// 3 % at most.
const MARGIN_ELSEWHERE: u64 = 10;

const TOOLS: &str = "Counted with ";

#[derive(Debug)]
pub struct Baseline {
    /// The tools that it was counted with.
    pub tools: String,
    /// The name of each path, and its instructions per operation.
    pub counts: Vec<(String, u64)>,
}

impl Baseline {
    pub fn path() -> PathBuf {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions");
        PathBuf::from(here).join(ARCH).with_extension("md")
    }

    pub fn read() -> Result<Baseline, Box<dyn Error>> {
        let path = Baseline::path();
        let text = fs::read_to_string(&path)
            .map_err(|e| format!("{}: {e}; --accept writes the counts down", path.display()))?;
        let tools = text.lines().find_map(|line| line.strip_prefix(TOOLS));
        let mut counts = Vec::new();
        for row in text.lines().filter(|line| line.starts_with("| ")).skip(1) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, _, count] = cells[..] else {
                return Err(format!("{}: not three cells: {row}", path.display()).into());
            };
            let count = count
                .parse()
                .map_err(|e| format!("{}: {row}: {e}", path.display()))?;
            counts.push((name.trim_matches('`').to_owned(), count));
        }
        Ok(Baseline {
            tools: tools
                .ok_or(format!("{}: no line {TOOLS:?}", path.display()))?
                .to_owned(),
            counts,
        })
    }

    pub fn write(&self) -> std::io::Result<()> {
        let mut text = format!(
            "# Instructions per operation, {ARCH}\n\n\
             Written by \
             `cargo bench -p slipring --features mmf,tokio --bench instructions -- --accept`;\n\
             explained in [docs/instructions.md](../../../docs/instructions.md).\n\n\
             {TOOLS}{}\n\n\
             | path | one operation | instructions |\n|---|---|---:|\n",
            self.tools
        );
        for path in PATHS {
            if let Some(count) = self.count(path.name) {
                let _ = writeln!(text, "| `{}` | {} | {count} |", path.name, path.operation);
            }
        }
        fs::write(Baseline::path(), text)
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.counts
            .iter()
            .find(|(path, _)| path == name)
            .map(|(_, count)| *count)
    }

    /// How these counts differ clearly from those that were accepted: a line for each path that
    /// does.
    pub fn against(&self, accepted: &Baseline) -> Vec<String> {
        let mut margin = MARGIN;
        if self.tools != accepted.tools {
            margin = MARGIN_ELSEWHERE;
            println!(
                "counted with {}, written down with {}: {margin} % are allowed instead of \
                    {MARGIN} %",
                self.tools, accepted.tools
            );
        }
        let mut differences = Vec::new();
        for (name, count) in &self.counts {
            match accepted.count(name) {
                None => differences.push(format!(
                    "{name}: {count} instructions, and nothing is written down"
                )),
                Some(old) if count.abs_diff(old) > (old * margin / 100).max(ALWAYS) => {
                    let percent = 100.0 * (*count as f64 / old as f64 - 1.0);
                    differences.push(format!(
                        "{name}: {count} instructions, {old} are written down ({percent:+.1} %)"
                    ));
                }
                Some(_) => {}
            }
        }
        for (name, _) in &accepted.counts {
            if self.count(name).is_none() {
                differences.push(format!("{name}: written down, and there is no such path"));
            }
        }
        differences
    }
}
