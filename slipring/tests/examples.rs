//! Every example runs to its end, and prints its documented output.

use std::path::PathBuf;
use std::process::Command;

/// Cargo puts the examples beside the folder of the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/PROFILE/deps");
    profile.join("examples").join(name)
}

fn run(name: &str, expected: &str) {
    let directory = tempfile::tempdir().expect("a directory for names");
    let output = Command::new(example(name))
        .env("XDG_RUNTIME_DIR", directory.path())
        .output()
        .unwrap_or_else(|e| {
            panic!("{name} does not start ({e}): has `cargo build --examples` built it?")
        });
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {output:?}");
    assert!(said.contains(expected), "{name} said {said:?}");
}

#[test]
fn the_echo_example_runs() {
    run("echo", "hello there");
}

#[test]
fn the_request_response_example_runs() {
    run(
        "request_response",
        "100000 requests answered, the sum of their squares is 333328333350000",
    );
}

#[test]
fn the_zero_copy_example_runs() {
    run(
        "zero_copy",
        "1000000 records seen where they lie, 51448495999 in all",
    );
}

#[test]
fn the_inherited_example_runs() {
    run("inherited", "14 bytes heard");
}

#[test]
fn the_messages_example_runs() {
    run(
        "messages",
        "a history of 5000000 bytes through a ring of 1048576\n100000 quotes drawn or skipped",
    );
}

#[test]
fn the_feed_example_runs() {
    run("feed", "200000 prices received or known to be missed");
    run("feed", "200000 prices shown or skipped");
}

#[test]
fn the_board_example_runs() {
    run("board", "the window shows 100 symbols");
    run(
        "board",
        "the log has every change behind its snapshot, or knows how many it missed",
    );
}

#[test]
fn the_poll_example_runs() {
    run("poll", "200000 ticks of 2 feeds, their sum is 20599990");
}

#[test]
fn the_reconnect_example_runs() {
    run("reconnect", "10 kills survived, 11000 prices seen");
}
