//! The documents' statements about the sources hold.

use std::path::Path;

const CRASHES: &str = include_str!("../../docs/crash-behaviour.md");
const PROMISES: &str = include_str!("../../docs/promises.md");
const DEPLOYING: &str = include_str!("../../docs/deploying.md");

/// Whether a file of tests has a test of that name.
fn exists(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file)
        .with_extension("rs");
    let Ok(source) = std::fs::read_to_string(path) else {
        return false;
    };
    // Of an ignored one the reason stands between.
    let lines = source.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("#[ignore")).collect();
    let function = format!("fn {name}(");
    lines
        .windows(2)
        .any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&function))
}

/// Each row of a table names tests in its last cell, and they are there.
fn names_tests(document: &str, columns: usize, least: usize) {
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > least, "no table");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), columns, "{row}");
        let shown = cells[columns - 1];
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "nothing shows it: {row}");
        for test in tests {
            if test.starts_with("ci/") {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(test);
                assert!(script.exists(), "there is no script {test}: {row}");
                continue;
            }
            let (file, name) = test.split_once("::").expect("file::test");
            assert!(exists(file, name), "there is no test {test}: {row}");
        }
    }
}

#[test]
fn each_crash_is_shown_by_a_test() {
    names_tests(CRASHES, 4, 20);
}

#[test]
fn each_promise_is_held_by_a_test() {
    names_tests(PROMISES, 3, 15);
}

#[test]
fn each_place_to_run_in_is_shown_by_a_test_or_a_script() {
    names_tests(DEPLOYING, 3, 15);
}

#[test]
fn a_test_that_is_not_there_is_missed() {
    assert!(exists("death", "a_stopped_process_is_not_dead"));
    assert!(!exists("death", "no_such_test"));
    assert!(!exists("no_such_file", "a_stopped_process_is_not_dead"));
}
