//! `slipring bench --from` as a user runs it: what was measured on several machines, side by side.

mod harness;

use std::{fs, path::Path};

use harness::{Outcome, run};
use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

const QUICK: [&str; 5] = ["bench", "--quick", "--rounds", "1", "--json"];

fn as_text(path: &Path) -> &str {
    path.to_str()
        .expect("temporary directories have plain names")
}

fn measured(args: &[&str]) -> String {
    let outcome = run(&[&QUICK[..], args].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.stdout
}

/// What was measured here, as it came out, and the same as another machine's.
fn on_two_machines(directory: &Path, args: &[&str]) -> [String; 2] {
    let mut document: Value = serde_json::from_str(&measured(args)).expect("one JSON document");
    ["here", "there"].map(|name| {
        document["machine"]["name"] = name.into();
        let path = directory.join(name);
        fs::write(&path, document.to_string()).expect("a file");
        as_text(&path).into()
    })
}

fn lines_with<'o>(outcome: &'o Outcome, part: &str) -> Vec<&'o str> {
    let lines = outcome.stdout.lines();
    lines.filter(|line| line.contains(part)).collect()
}

#[test]
fn the_machines_come_side_by_side_in_tables_a_page_and_a_chart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (page, chart) = (
        directory.path().join("page.html"),
        directory.path().join("chart.svg"),
    );
    let only = ["--only", "k/slipring-never", "--only", "k/unix"];
    let files = on_two_machines(directory.path(), &only);
    let from = ["bench", "--from", &files[0], &files[1]];
    let also = ["--report", as_text(&page), "--chart", as_text(&chart)];
    let outcome = run(&[&from[..], &also].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for name in ["here", "there"] {
        let heads = lines_with(&outcome, &format!("| {name}, version "));
        assert_eq!(heads.len(), 2, "one by group: {}", outcome.stdout);
    }
    assert_eq!(
        lines_with(&outcome, "| slipring (sleeping) |").len(),
        2 * 2 + 1
    );

    let page = fs::read_to_string(page).expect("the page is there");
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let page = Document::parse_with_options(&page, options).expect("it is well-formed");
    let titles: Vec<&str> = page
        .descendants()
        .filter(|node| node.tag_name().name() == "h2")
        .filter_map(|node| node.text())
        .collect();
    for title in [
        "Round trip by size, here",
        "Round trip by size, there",
        "round trip, 64 KiB, here",
        "round trip, 64 KiB, there",
    ] {
        assert!(titles.contains(&title), "{title} is missing: {titles:?}");
    }

    let chart = fs::read_to_string(chart).expect("the chart is there");
    for name in [">here: ", ">there: "] {
        assert_eq!(chart.matches(name).count(), 1, "{chart}");
    }

    let chosen = run(&[&from[..], &["--only", "rtt-64k/unix"]].concat());
    assert_eq!(lines_with(&chosen, "| Unix stream socket |").len(), 2 + 1);
    assert_eq!(lines_with(&chosen, "slipring (sleeping)").len(), 0);
}

#[test]
fn figures_are_shown_as_they_were_measured() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("run.json");
    let args = ["--machine", "mine", "--only", "stream-64k/unix"];
    let mut document: Value = serde_json::from_str(&measured(&args)).expect("one JSON document");
    assert_eq!(document["machine"]["name"], "mine");
    document["cases"][0]["transports"][0]["bytes_per_second"]["median"] = (3_u64 << 30).into();
    fs::write(&path, document.to_string()).expect("a file");
    let outcome = run(&["bench", "--from", as_text(&path)]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let shown = lines_with(&outcome, "| Unix stream socket | 3.00 GiB/s |");
    assert_eq!(shown.len(), 1, "{}", outcome.stdout);
}

#[test]
fn servers_of_many_streams_are_shown_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = on_two_machines(directory.path(), &["--streams", "1,3"]);
    let outcome = run(&["bench", "--from", &files[0], &files[1]]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(
        lines_with(&outcome, ", version ").len(),
        2,
        "{}",
        outcome.stdout
    );
    assert_eq!(
        lines_with(&outcome, "| 1 | 3 |").len(),
        2,
        "{}",
        outcome.stdout
    );
}

#[test]
fn wrong_files_and_arguments_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("run.json");
    fs::write(&path, measured(&["--only", "rtt-64/unix"])).expect("a file");
    let (path, nowhere) = (as_text(&path), directory.path().join("nowhere"));
    let chart = directory.path().join("chart.svg");
    let (nowhere, chart) = (as_text(&nowhere), as_text(&chart));
    for (args, code, why) in [
        (&["--from", nowhere][..], 1, "nowhere: No such file"),
        (
            &["--from", "/proc/version"],
            1,
            "name files that --json has written",
        ),
        (
            &["--from", path, path],
            1,
            "two of the files are of a machine called",
        ),
        (
            &["--from", path, "--only", "pipe"],
            1,
            "nothing in the files has pipe",
        ),
        (
            &["--from", path, "--chart", chart],
            1,
            "round trips, or throughput, of two sizes",
        ),
        (&["--from", path, "--rounds", "3"], 2, "cannot be used with"),
        (
            &["--from", path, "--spin", "never"],
            2,
            "cannot be used with",
        ),
        (&["--from"], 2, "--from <FILE>"),
    ] {
        let outcome = run(&[&["bench"], args].concat());
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{args:?}: {}", outcome.stderr);
        assert!(!Path::new(chart).exists(), "{args:?}");
    }
}
