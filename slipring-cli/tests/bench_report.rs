//! `slipring bench --report` as a user runs it: the page is whole, and has everything that was
//! measured.

mod harness;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use harness::{Outcome, Trial, run};
use roxmltree::{Document, Node, ParsingOptions};
use rustix::process::Signal;
use serde_json::Value;

/// The text of an element and all that is in it.
fn text(node: Node) -> String {
    let texts = node.descendants().filter(Node::is_text);
    texts.filter_map(|text| text.text()).collect()
}

/// Runs it with a report, and hands over what came out, and the page.
fn reported(args: &[&str], look: impl FnOnce(&Outcome, &Document)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report.html");
    let outcome = run(&[&["bench", "--report", as_text(&path)], args].concat());
    let page = fs::read_to_string(path).expect("the report is there");
    look(&outcome, &parsed(&page));
}

fn as_text(path: &Path) -> &str {
    path.to_str()
        .expect("temporary directories have plain names")
}

/// The page is XML as well as HTML, so a strict parser sees whether every element ends and every
/// text is escaped.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

/// The texts of elements with this name, in HTML or SVG.
fn texts(page: &Document, name: &str) -> Vec<String> {
    let elements = page
        .descendants()
        .filter(|node| node.tag_name().name() == name);
    elements.map(|node| text(node).trim().to_string()).collect()
}

#[test]
fn every_case_is_on_the_page_with_its_chart_and_its_table() {
    let args = [
        "--quick",
        "--rounds",
        "1",
        "--json",
        "--only",
        "slipring-never",
        "--only",
        "unix",
    ];
    reported(&args, |outcome, page| {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
        let cases = document["cases"].as_array().expect("there are cases");
        assert!(cases.len() > 6, "{document:#}");
        let titles = texts(page, "h2");
        for case in cases {
            let title = case["title"].as_str().expect("a case has a title");
            assert!(
                titles.contains(&title.to_string()),
                "{title} is missing: {titles:?}"
            );
        }
        for title in [
            "Round trip by size",
            "Throughput by size of the writes",
            "How to read it",
            "Goals",
        ] {
            assert!(
                titles.contains(&title.to_string()),
                "{title} is missing: {titles:?}"
            );
        }
        assert_eq!(
            texts(page, "svg").len(),
            cases.len() + 2,
            "each case has a chart, and each kind one over all sizes"
        );
        assert_eq!(texts(page, "table").len(), cases.len());
        let cells = texts(page, "td");
        let charted = texts(page, "text");
        for title in ["slipring (sleeping)", "Unix stream socket"] {
            let count = |texts: &[String]| texts.iter().filter(|text| *text == title).count();
            assert_eq!(count(&cells), cases.len(), "a row in each table");
            assert_eq!(count(&charted), cases.len() + 2, "a name in each chart");
        }
        let lines = texts(page, "p");
        let sentence =
            |line: &String| line.starts_with("64 B: ") && line.contains(" over a Unix socket");
        assert!(lines.iter().any(sentence), "{lines:?}");
        let date = document["date"].as_str().expect("a date");
        assert!(date.ends_with(" UTC"), "{date}");
        assert!(lines.contains(&format!("measured on {date}")), "{lines:?}");
        for size in ["8 B", "64 B", "64 KiB", "1 MiB"] {
            assert!(
                charted.contains(&size.to_string()),
                "{size} is on no axis: {charted:?}"
            );
        }
    });
}

#[test]
fn the_chart_is_a_picture_of_its_own() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("chart.svg");
    let chart = [
        "bench",
        "--quick",
        "--rounds",
        "1",
        "--chart",
        as_text(&path),
    ];
    let only = |patterns: &[&'static str]| -> Outcome {
        let only = patterns.iter().flat_map(|pattern| ["--only", *pattern]);
        run(&chart.iter().copied().chain(only).collect::<Vec<_>>())
    };
    let refused = only(&["rtt-64/unix", "stream-64k/unix"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("two sizes"), "{}", refused.stderr);
    assert!(!path.exists(), "nothing was measured");

    let outcome = only(&["k/slipring-never", "k/unix", "k/pipe"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let svg = fs::read_to_string(path).expect("the chart is there");
    let svg = parsed(&svg);
    assert_eq!(svg.root_element().tag_name().name(), "svg");
    let lines = |width: &str| {
        let lines = svg.descendants().filter(|node| {
            node.tag_name().name() == "polyline" && node.attribute("stroke-width") == Some(width)
        });
        lines.count()
    };
    assert_eq!(
        [lines("3.5"), lines("2")],
        [2, 4],
        "by round trip and by throughput"
    );
    let charted = texts(&svg, "text");
    for text in [
        "slipring",
        "Unix socket",
        "pipe",
        "Round trip by size",
        "64 KiB",
    ] {
        assert!(
            charted.contains(&text.into()),
            "{text} is missing: {charted:?}"
        );
    }
}

#[test]
fn one_case_needs_no_chart_over_sizes() {
    let args = ["--quick", "--rounds", "1", "--only", "stream-64k/pipe"];
    reported(&args, |outcome, page| {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(texts(page, "svg").len(), 1);
        assert!(
            outcome.stdout.contains("pair of pipes"),
            "the tables are printed, too"
        );
    });
}

#[test]
fn streams_are_reported_by_their_number() {
    let args = ["--streams", "1,3", "--quick", "--rounds", "1"];
    reported(&args, |outcome, page| {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let titles = texts(page, "h2");
        for title in ["Messages a second by streams", "1 stream", "3 streams"] {
            assert!(
                titles.contains(&title.to_string()),
                "{title} is missing: {titles:?}"
            );
        }
        assert_eq!(texts(page, "svg").len(), 3 + 2);
        let lines = texts(page, "p");
        let sentence =
            |line: &String| line.starts_with("3 streams: ") && line.contains(" over Unix sockets");
        assert!(lines.iter().any(sentence), "{lines:?}");
    });
}

#[test]
fn what_was_typed_is_text_and_nothing_else() {
    let typed = "<script>alert(\"&amp;\")</script>";
    let args = [
        "--quick",
        "--rounds",
        "1",
        "--only",
        "rtt-64/unix",
        "--only",
        typed,
    ];
    reported(&args, |outcome, page| {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(texts(page, "script").is_empty());
        assert!(
            texts(page, "p").iter().any(|line| line.contains(typed)),
            "{:?}",
            texts(page, "p")
        );
    });
}

/// A measurement of one transport that a test can reach in time.
fn one_that_takes_long(report: &Path) -> Trial {
    Trial::start(&[
        "bench",
        "--rounds",
        "1000",
        "--only",
        "rtt-64/unix",
        "--report",
        as_text(report),
    ])
}

#[test]
fn a_transport_that_fails_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report.html");
    let trial = one_that_takes_long(&path);
    harness::signal(trial.children(2)[1], Signal::KILL);
    assert_eq!(trial.outcome().code, 1);
    let page = fs::read_to_string(path).expect("the report is there");
    let lines = texts(&parsed(&page), "p");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("Unix stream socket failed: ")),
        "{lines:?}"
    );
}

#[test]
fn an_interruption_leaves_a_page_of_what_was_measured() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report.html");
    let trial = one_that_takes_long(&path);
    trial.children(2);
    trial.signal_group(Signal::INT);
    assert_eq!(trial.outcome().code, 130);
    let page = fs::read_to_string(path).expect("the report is there");
    let page = parsed(&page);
    assert!(
        texts(&page, "p")
            .iter()
            .any(|line| line.starts_with("Interrupted: "))
    );
    assert!(texts(&page, "h2").contains(&"round trip, 64 B".into()));
}

#[test]
fn a_file_that_cannot_be_written_is_found_out_before_measuring() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing/report.html");
    // In the last one nobody can create a file, not even root.
    for path in [
        missing.as_path(),
        directory.path(),
        Path::new("/sys/report.html"),
    ] {
        for mode in [&["--only", "rtt-64/unix"][..], &["--streams", "1"]] {
            // It would take minutes to measure so much.
            let outcome = run(&[
                &["bench", "--rounds", "1000", "--report", as_text(path)],
                mode,
            ]
            .concat());
            assert_eq!(outcome.code, 1, "{}", outcome.stderr);
            assert!(
                outcome.stderr.contains("cannot write the report to "),
                "{}",
                outcome.stderr
            );
            assert_eq!(outcome.stdout, "", "nothing was measured");
        }
    }
}

#[test]
fn a_full_disk_is_told_and_the_figures_are_printed() {
    for mode in [&["--only", "rtt-64/unix"][..], &["--streams", "1"]] {
        let outcome = run(&[
            &["bench", "--quick", "--rounds", "1", "--report", "/dev/full"],
            mode,
        ]
        .concat());
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        let told = "cannot write the report to /dev/full: No space left on device";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        for part in ["Unix stream socket", "\ngoals\n"] {
            assert!(
                outcome.stdout.contains(part),
                "{part:?} is missing: {}",
                outcome.stdout
            );
        }
    }
}

/// As a full disk, for files alone: what a process writes to one may not be longer than this.
#[test]
fn a_report_that_cannot_be_written_whole_leaves_the_old_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, link) = (
        directory.path().join("report.html"),
        directory.path().join("link"),
    );
    fs::write(&path, "the old one").expect("a file");
    symlink(&path, &link).expect("a link");
    let script = |limit: &str, report: &Path| {
        let script = format!(
            "trap '' XFSZ; {limit} exec {} bench --quick --rounds 1 --only rtt-64/unix --report {}",
            env!("CARGO_BIN_EXE_slipring"),
            as_text(report)
        );
        let shell = Command::new("sh").args(["-c", &script]).output();
        shell.expect("there is a shell")
    };
    let failed = script("ulimit -f 1;", &link);
    let said = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write the report to "), "{said}");
    assert_eq!(fs::read(&path).expect("it is there"), b"the old one");
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        2
    );

    assert_eq!(script("", &link).status.code(), Some(0));
    assert!(link.is_symlink(), "what it leads to was replaced");
    parsed(&fs::read_to_string(&path).expect("the report is there"));
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        2
    );
}

#[test]
fn a_reader_of_the_output_that_stops_does_not_cost_the_report() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report.html");
    let script = format!(
        "{} bench --quick --only rtt-64/unix --only rtt-1k/unix --report {} | head -n 1",
        env!("CARGO_BIN_EXE_slipring"),
        as_text(&path)
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("there is a shell");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let page = fs::read_to_string(path).expect("the report is there");
    assert!(texts(&parsed(&page), "h2").contains(&"round trip, 64 B".into()));
}

#[test]
fn a_new_report_takes_the_place_of_an_older_and_longer_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report.html");
    fs::write(&path, "old".repeat(100_000)).expect("a file");
    let refused = run(&[
        "bench",
        "--only",
        "no such thing",
        "--report",
        as_text(&path),
    ]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        fs::read_to_string(&path).is_ok_and(|old| old.starts_with("oldold")),
        "nothing was measured"
    );
    let outcome = run(&[
        "bench",
        "--quick",
        "--rounds",
        "1",
        "--only",
        "rtt-64/unix",
        "--report",
        as_text(&path),
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    parsed(&fs::read_to_string(&path).expect("the report is there"));
}
