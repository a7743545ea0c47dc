//! Figures as JSON, and from files that hold it.

use std::{fs, io, path::Path};

use serde_json::Value;

use super::{Figures, Run};
use crate::case;

impl Run {
    /// The figures of a file that holds them as JSON.
    pub fn read(path: &Path) -> io::Result<Run> {
        let failed = |why: String| {
            let why = format!("cannot read figures from {}: {why}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let run: Run = serde_json::from_str(&text)
            .map_err(|error| failed(format!("{error}; name files that --json has written")))?;
        let unknown = run
            .cases()
            .find(|one| case::named(&one.case).is_none())
            .map(|one| {
                format!(
                    "no case is called {} here; use the version that measured it",
                    one.case
                )
            });
        unknown.map_or(Ok(run), |why| Err(failed(why)))
    }

    /// Those of several files, and of these what has one of the patterns in its name
    /// CASE/CONTENDER; without patterns, everything.
    pub fn read_all(paths: &[impl AsRef<Path>], only: &[String]) -> io::Result<Vec<Run>> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut runs: Vec<Run> = Vec::new();
        for path in paths {
            let mut run = Run::read(path.as_ref())?;
            for case in run.cases.iter_mut().chain(&mut run.streams).flatten() {
                let wanted = |row: &Figures| {
                    let name = format!("{}/{}", case.case, row.transport);
                    only.is_empty() || only.iter().any(|part| name.contains(part))
                };
                case.transports.retain(wanted);
            }
            for cases in run.cases.iter_mut().chain(&mut run.streams) {
                cases.retain(|case| !case.transports.is_empty());
            }
            if runs.iter().any(|other| other.name() == run.name()) {
                return Err(invalid(format!(
                    "two of the files are of a machine called {}; give one another \"name\" in its \
                     \"machine\"",
                    run.name()
                )));
            }
            runs.push(run);
        }
        match runs.iter().any(|run| run.cases().next().is_some()) {
            true => Ok(runs),
            false => Err(invalid(format!(
                "nothing in the files has {} in its name CASE/CONTENDER",
                only.join(" or ")
            ))),
        }
    }

    /// As a document, to which a program adds results of its own.
    pub fn document(&self) -> Value {
        let mut value = serde_json::to_value(self).expect("the keys are strings");
        drop_unknown(&mut value);
        value
    }
}

/// Removes the members without a value.
fn drop_unknown(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_unknown);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_unknown),
        _ => {}
    }
}

/// A document as text, each contender in a line of its own.
pub fn text(document: &Value) -> String {
    /// The document, its cases, one of these, its transports.
    const DEEP: usize = 4;
    fn put(value: &Value, depth: usize, to: &mut String) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(all) => all
                .iter()
                .map(|(name, member)| (format!("{}: ", Value::from(name.as_str())), member))
                .collect(),
            Value::Array(all) => all.iter().map(|item| (String::new(), item)).collect(),
            _ => Vec::new(),
        };
        if depth == DEEP || members.is_empty() {
            *to += &value.to_string();
            return;
        }
        let (open, close) = if value.is_object() {
            ('{', '}')
        } else {
            ('[', ']')
        };
        let indent = |depth: usize| format!("\n{}", "  ".repeat(depth));
        to.push(open);
        for (number, (name, member)) in members.into_iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            *to += &format!("{comma}{}{name}", indent(depth + 1));
            put(member, depth + 1, to);
        }
        *to += &indent(depth);
        to.push(close);
    }
    let mut text = String::new();
    put(document, 0, &mut text);
    text + "\n"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// A run in which slipring takes so many nanoseconds for 8 B, and other round trips.
    pub(crate) fn run(name: &str, eight: u32, sizes: &[&str]) -> Run {
        let row = |transport: &str, side: &str, value: u32| {
            serde_json::json!({
                "transport": transport, "title": format!("{transport}, spinning"), "side": side,
                "caveat": "has | and <", "seconds": 1.0, "cpu_seconds_parent": 0.5,
                "cpu_seconds_peer": 0.25, "bare": "bare-exchange", "ratio_to_bare": 2.0,
                "p50_ns": {"median": value, "min": value - 1, "max": value + 1},
                "p99_ns": 2 * value, "p99.9_ns": 3 * value, "max_ns": 4 * value,
            })
        };
        let case = |(number, size): (usize, &&str)| {
            let value = eight + number as u32;
            serde_json::json!({
                "case": format!("rtt-{size}"), "title": format!("round trip, {size}"),
                "kind": "round_trip", "message_bytes": 8, "streams": 1, "repeated_rounds": 0,
                "disturbed": false, "transports": [
                    row("slipring-always", "slipring", value),
                    row("unix", "peer", 500 * value),
                    row("slow", "library", 3 * value),
                    row("fast", "library", 2 * value),
                    row("bare-exchange", "limit", value / 2),
                ],
            })
        };
        let cases: Vec<Value> = sizes.iter().enumerate().map(case).collect();
        let document = serde_json::json!({
            "commit": "abc1234", "command": "compare", "rounds": 5, "slice_seconds": 0.05,
            "machine": {"name": name, "cpu": "a CPU", "kernel": "Linux", "cores": 2},
            "cases": cases,
        });
        serde_json::from_value(document).expect("the document has all that is needed")
    }

    #[test]
    fn a_run_is_the_same_after_it_was_written_and_read() -> io::Result<()> {
        let directory = Scratch::new()?;
        let path = directory.path().join("run.json");
        let text = text(&run("here", 100, &["8", "64"]).document());
        fs::write(&path, &text)?;
        let lines = text.lines().filter(|line| line.contains("\"transport\""));
        assert_eq!(lines.count(), 2 * 5, "a line each: {text}");

        let read = Run::read_all(&[&path], &[])?;
        assert_eq!(super::text(&read[0].document()), text);
        let figures = read[0].cases().next().and_then(|case| case.row("unix"));
        assert_eq!(
            figures.and_then(Figures::value).map(|value| value.max),
            Some(50_001.0)
        );
        assert_eq!(
            read[0].conditions("here")[0],
            "here: a CPU, 2 cores, Linux; commit abc1234"
        );
        Ok(())
    }

    #[test]
    fn patterns_choose_and_mistakes_are_told() -> io::Result<()> {
        let directory = Scratch::new()?;
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).map(|()| path)
        };
        let text = text(&run("here", 100, &["8", "64"]).document());
        let path = write("run.json", &text)?;
        let only = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|one| one.to_string()).collect();
            Run::read_all(&[&path], &patterns)
        };
        let names = |runs: &[Run]| -> Vec<String> {
            let cases = runs.iter().flat_map(Run::cases);
            let names = cases.flat_map(|case| {
                let rows = case.transports.iter();
                rows.map(move |row| format!("{}/{}", case.case, row.transport))
            });
            names.collect()
        };
        assert_eq!(
            names(&only(&["rtt-8/fast", "64/unix"])?),
            ["rtt-8/fast", "rtt-64/unix"]
        );

        let why = |read: io::Result<Vec<Run>>| read.err().expect("it is a mistake").to_string();
        assert!(why(only(&["no such"])).contains("nothing in the files has no such"));
        let twice = Run::read_all(&[&path, &path], &[]);
        assert!(why(twice).contains("two of the files are of a machine called here"));
        let other = write("other.json", &text.replace("rtt-64", "rtt-65"))?;
        assert!(why(Run::read_all(&[other], &[])).contains("no case is called rtt-65"));
        let other = write("other.json", "{}")?;
        assert!(why(Run::read_all(&[other], &[])).contains("name files that --json has written"));
        let missing = directory.path().join("missing.json");
        assert!(why(Run::read_all(&[missing], &[])).contains("missing.json: No such file"));
        Ok(())
    }
}
