//! `slipring ls`: the names bound on this machine.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use slipring::{BoundName, NameState};

use crate::{
    console::{self, printable},
    failure::Failure,
};

pub const EXAMPLES: &str = "\
Lists the names of this user, and those of the whole machine, and what they are: a stream, to \
which `slipring connect` connects, a feed, to which `slipring subscribe` subscribes, or a board, \
which `slipring board` shows. A name is `live` while a process is bound to it, and `stale` if its \
process died without removing it; the next process that binds a stale name replaces it. A name is \
`activatable`, or `live (activated)` while its service runs, if a service manager holds its \
socket. Nobody is connected to for this. A directory in which names could be and that cannot be \
used is named on standard error.

With --clean, what killed processes have left is removed first: stale sockets, and lock files that \
nobody holds. Each file is named on standard error, as is what belongs to another user and stays.

Examples:
  slipring ls
  slipring ls --clean
  slipring ls --json | jq -r '.[] | select(.state == \"live\") | .name'";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print a JSON array of objects with name, kind (stream, feed, board, or null), state (live,
    /// activatable, stale, unknown), activated (a service manager holds the socket), pid, program,
    /// path and why
    #[arg(long)]
    json: bool,

    /// Remove the files that killed processes have left, before listing
    #[arg(long)]
    clean: bool,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    kind: Option<&'static str>,
    state: &'static str,
    /// A service manager holds its socket.
    activated: bool,
    pid: Option<u32>,
    program: Option<String>,
    path: String,
    /// Why the state is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.clean {
        clean()?;
    }
    for (directory, why) in slipring::passed_over()? {
        let directory = printable(&directory.to_string_lossy());
        console::log(format_args!("passed over {directory}: {}", printable(&why)));
    }
    let rows: Vec<Row> = slipring::names()?.into_iter().map(Row::from).collect();
    if args.json {
        let mut json = serde_json::to_string_pretty(&rows)
            .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        json.push('\n');
        console::print(json)?;
    } else if rows.is_empty() {
        console::log("no names are bound; `slipring listen NAME` binds one");
    } else {
        console::print(table(&rows, io::stdout().is_terminal()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the files that killed processes have left, and says so.
fn clean() -> Result<(), Failure> {
    for left in slipring::remove_leftovers()? {
        let path = printable(&left.path.to_string_lossy());
        match left.kept {
            None => console::log(format_args!("removed {path}")),
            Some(why) => console::log(format_args!("kept {path}: {}", printable(&why))),
        }
    }
    Ok(())
}

impl From<BoundName> for Row {
    fn from(bound: BoundName) -> Self {
        let (state, pid, program, why) = match bound.state {
            NameState::Live { pid, program } => ("live", pid, program, None),
            NameState::Activatable => ("activatable", None, None, None),
            NameState::Stale => ("stale", None, None, None),
            NameState::Unknown { why } => ("unknown", None, None, Some(why)),
            other => ("unknown", None, None, Some(format!("{other:?}"))),
        };
        Self {
            name: bound.name.to_string(),
            kind: bound.kind,
            state,
            activated: bound.activated,
            pid,
            program,
            path: bound.path.to_string_lossy().into_owned(),
            why,
        }
    }
}

fn table(rows: &[Row], terminal: bool) -> String {
    let mut table = Table::new();
    table
        .load_style(if terminal {
            presets::UTF8_HORIZONTAL_ONLY
        } else {
            presets::NOTHING
        })
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["NAME", "KIND", "STATE", "PID", "PROGRAM", "PATH"]);
    for row in rows {
        let state = match &row.why {
            Some(why) => format!("{} ({})", row.state, printable(why)),
            None if row.activated && row.pid.is_some() => format!("{} (activated)", row.state),
            None => row.state.to_owned(),
        };
        table.add_row([
            printable(&row.name),
            row.kind.unwrap_or("-").to_owned(),
            state,
            row.pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            row.program
                .as_deref()
                .map_or_else(|| "-".to_owned(), printable),
            printable(&row.path),
        ]);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    // Without borders a column still has one blank of padding to its left.
    let indent = usize::from(!terminal);
    lines
        .iter()
        .map(|line| format!("{}\n", line.get(indent..).unwrap_or(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, pid: Option<u32>) -> Row {
        Row {
            name: name.to_owned(),
            kind: pid.map(|_| "stream"),
            activated: false,
            state: if pid.is_some() { "live" } else { "stale" },
            pid,
            program: pid.map(|_| "x".to_owned()),
            path: format!("/run/{name}"),
            why: None,
        }
    }

    #[test]
    fn piped_output_is_plain_columns() {
        let text = table(&[row("a", Some(7)), row("longer", None)], false);
        let cells: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            cells,
            [
                vec!["NAME", "KIND", "STATE", "PID", "PROGRAM", "PATH"],
                vec!["a", "stream", "live", "7", "x", "/run/a"],
                vec!["longer", "-", "stale", "-", "-", "/run/longer"],
            ]
        );
        assert!(text.is_ascii() && text.starts_with("NAME"), "{text}");
    }

    #[test]
    fn json_has_null_for_what_is_not_known() {
        let json = serde_json::to_value([row("a", None)]).unwrap();
        assert_eq!(
            json,
            serde_json::json!([{
                "name": "a",
                "kind": null,
                "state": "stale",
                "activated": false,
                "pid": null,
                "program": null,
                "path": "/run/a"
            }])
        );
    }
}
