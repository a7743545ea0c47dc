//! `slipring demo` as a user runs it, and when panels, the engine or the user go away.

mod harness;

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use harness::{Trial, run, signal, until_ended};

fn document(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("one JSON document is on standard output")
}

fn panels(document: &Value) -> &Vec<Value> {
    document["panels"].as_array().expect("there are panels")
}

/// Checks that no message was lost, in any kind of run.
fn assert_nothing_lost(document: &Value) {
    for count in ["lost", "reordered", "corrupt"] {
        assert_eq!(document[count], 0, "{document:#}");
    }
}

/// The process ids that the first line on standard error tells, in the panels' order.
fn announced(trial: &mut Trial) -> Vec<u32> {
    let line = trial.until_line("panels connected, processes");
    line.split_whitespace()
        .skip(4)
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[test]
fn a_demo_with_three_panels_loses_nothing() {
    let outcome = run(&[
        "demo",
        "--panels",
        "3",
        "--rate",
        "3000",
        "--seconds",
        "1",
        "--json",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    assert_nothing_lost(&document);
    assert_eq!(panels(&document).len(), 3);
    for panel in panels(&document) {
        assert_eq!(panel["published"], 1000, "{panel:#}");
        assert_eq!(panel["received"], 1000, "{panel:#}");
        assert_eq!(
            panel["acknowledgements"], 15,
            "one for 64 updates: {panel:#}"
        );
        assert_eq!(panel["orders"], 10, "one for 97 updates: {panel:#}");
        assert_eq!(panel["gone"], Value::Null, "{panel:#}");
        assert!(panel["latency_ns"]["p50"].as_u64() <= panel["latency_ns"]["max"].as_u64());
    }
}

#[test]
fn a_demo_of_a_feed_compares_it_with_streams_and_loses_nothing() {
    let args = "demo --feed --panels 3 --rate 3000 --seconds 1 --json";
    let outcome = run(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    let runs = document["runs"].as_array().expect("there are runs");
    assert_eq!(runs.len(), 4);
    for (number, (run, copies)) in runs.iter().zip([1, 3, 3, 3]).enumerate() {
        assert_nothing_lost(run);
        assert_eq!(run["sent"], 3000 / copies, "{run:#}");
        assert_eq!(run["delivered"], 3000, "{run:#}");
        assert_eq!(run["missed"], 0, "{run:#}");
        for panel in panels(run) {
            let read = |what: &str| panel[what].as_u64().expect("a count");
            assert_eq!(panel["published"], 1000, "{panel:#}");
            assert_eq!(read("received") + read("skipped"), 1000, "{panel:#}");
            let paints = number >= 2;
            assert_eq!(read("skipped") > 0, paints, "{panel:#}");
            assert!(paints || panel["orders"] == 10, "{panel:#}");
        }
        for cost in ["sent", "delivered"] {
            let cost = &run[&format!("engine_cpu_ns_per_message_{cost}")];
            assert!(cost.as_u64() > Some(0), "{run:#}");
        }
    }
}

#[test]
fn a_demo_of_a_feed_shows_the_price_of_a_message_in_a_table() {
    let args = "demo --feed --panels 2 --rate 500 --seconds 1";
    let outcome = run(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "per message delivered",
        " a stream each ",
        " one feed, panels woken at once ",
        " one feed, panels that paint 60 times a second ",
        " one board, panels that paint 60 times a second ",
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
}

#[test]
fn a_panel_of_a_feed_that_is_stopped_knows_what_it_missed() {
    let args = "demo --feed --panels 2 --rate 20000 --capacity 32K --seconds 2 --json";
    let mut trial = Trial::start(&args.split(' ').collect::<Vec<_>>());
    trial.until_line("prices over one feed, panels woken at once");
    let stopped = announced(&mut trial)[1];
    signal(stopped, Signal::STOP);
    trial.until_line("1 s: ");
    signal(stopped, Signal::CONT);
    let outcome = trial.outcome();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    let run = &document["runs"][1];
    assert_nothing_lost(run);
    let panel = &panels(run)[1];
    let read = |what: &str| panel[what].as_u64().expect("a count");
    assert!(read("missed") > 0, "{panel:#}");
    assert_eq!(read("received") + read("missed"), read("published"));
}

#[test]
fn a_feed_whose_ring_is_too_small_is_refused_at_once() {
    let outcome = run(&["demo", "--feed", "--panels", "1", "--capacity", "4K"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("32768"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("connected"), "{}", outcome.stderr);
}

#[test]
fn the_table_of_a_demo_ends_with_the_verdict() {
    let outcome = run(&["demo", "--panels", "2", "--rate", "500", "--seconds", "1"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let last = outcome.stdout.lines().last();
    let verdict = "nothing was lost, reordered or corrupted: 500 messages";
    assert!(
        last.is_some_and(|last| last.starts_with(verdict)),
        "{}",
        outcome.stdout
    );
}

/// Eighty processes: more than have a line each, in the table or on the way there.
#[test]
fn many_panels_are_served_and_summed_up() {
    let args = ["demo", "--panels", "80", "--rate", "8000", "--seconds", "2"];
    let outcome = run(&args);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("80 panels connected"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("and 48 more (in "),
        "{}",
        outcome.stderr
    );
    let complete = outcome
        .stdout
        .lines()
        .filter(|line| line.ends_with("complete"));
    assert_eq!(complete.count(), 8, "{}", outcome.stdout);
    for part in [
        "\nshown: the 8 panels",
        "\nfairness: the worst panel's p99 is ",
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }

    let outcome = run(&[&args[..], &["--json"]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    assert_nothing_lost(&document);
    assert_eq!(document["never_published"], 0);
    assert_eq!(panels(&document).len(), 80);
    for panel in panels(&document) {
        assert_eq!(panel["received"], 200, "{panel:#}");
    }
    assert_fair(&document);
}

/// The statement on fairness agrees with the panels' numbers.
fn assert_fair(document: &Value) {
    let p99 = |panel: &Value| {
        panel["latency_ns"]["p99"]
            .as_u64()
            .expect("it was measured")
    };
    let mut all: Vec<u64> = panels(document).iter().map(p99).collect();
    let fairness = &document["fairness"];
    let worst = fairness["worst_panel"].as_u64().expect("a panel") as usize;
    assert_eq!(fairness["worst_p99_ns"], all[worst], "{fairness:#}");
    all.sort_unstable();
    assert_eq!(fairness["worst_p99_ns"], all[all.len() - 1], "{fairness:#}");
    assert!(all.contains(&fairness["median_p99_ns"].as_u64().expect("a time")));
    assert!(fairness["ratio"].as_f64() >= Some(1.0), "{fairness:#}");
}

#[test]
fn too_few_descriptors_are_explained() {
    let command = format!(
        "ulimit -n 400; exec {} demo --panels 100",
        env!("CARGO_BIN_EXE_slipring")
    );
    let output = Command::new("sh")
        .args(["-c", &command])
        .output()
        .expect("there is a shell");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("but the limit is 400") && said.contains("ulimit -Hn"),
        "{said}"
    );
}

#[test]
fn a_tiny_ring_holds_messages_back_and_loses_none() {
    let outcome = run(&[
        "demo",
        "--panels",
        "2",
        "--rate",
        "100000",
        "--seconds",
        "1",
        "--capacity",
        "4K",
        "--json",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_nothing_lost(&document(&outcome.stdout));
}

#[test]
fn a_killed_panel_is_reported_and_the_others_go_on() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "3",
        "--rate",
        "3000",
        "--seconds",
        "3",
        "--json",
    ]);
    let pids = announced(&mut trial);
    trial.until_line("1 s:");
    signal(pids[1], Signal::KILL);
    trial.until_line(&format!(
        "panel 1 (process {}) is gone: its process died",
        pids[1]
    ));
    let outcome = trial.outcome();

    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    assert_nothing_lost(&document);
    assert_eq!(document["gone"], 1);
    for (panel, pid) in panels(&document).iter().zip(pids) {
        assert_eq!(panel["pid"], pid);
        if panel["panel"] == 1 {
            assert_eq!(panel["gone"], "its process died");
        } else {
            assert_eq!(panel["gone"], Value::Null, "{panel:#}");
            assert_eq!(panel["received"], 3000, "{panel:#}");
        }
    }
}

#[test]
fn a_stopped_panel_gets_everything_later_and_delays_nobody() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "3",
        "--rate",
        "3000",
        "--seconds",
        "4",
        "--capacity",
        "16K",
        "--json",
    ]);
    let pids = announced(&mut trial);
    trial.until_line("1 s:");
    signal(pids[0], Signal::STOP);
    trial.until_line("held back");
    signal(pids[0], Signal::CONT);
    let outcome = trial.outcome();

    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    assert_nothing_lost(&document);
    for panel in panels(&document) {
        assert_eq!(panel["received"], 4000, "{panel:#}");
    }
    let held_back = panels(&document)[0]["held_back"].as_u64();
    assert!(held_back > Some(0), "{document:#}");
}

#[test]
fn a_panel_that_stays_stopped_is_given_up() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "2",
        "--rate",
        "1000",
        "--seconds",
        "1",
        "--json",
    ]);
    let pids = announced(&mut trial);
    signal(pids[0], Signal::STOP);
    let named = format!("panel 0 (process {})", pids[0]);
    trial.until_line(&format!("waiting for {named}, "));
    trial.until_line(&format!("{named} is gone: it stopped reading"));
    let outcome = trial.outcome();

    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    let document = document(&outcome.stdout);
    assert_nothing_lost(&document);
    let reason = &panels(&document)[0]["gone"];
    assert_eq!(reason, "it stopped reading, so its process was killed");
    assert_eq!(panels(&document)[1]["received"], 500, "{document:#}");
    until_ended(pids[0]);
}

#[test]
fn a_panel_that_stops_in_between_is_named_and_so_is_its_return() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "2",
        "--rate",
        "1000",
        "--seconds",
        "600",
    ]);
    let pids = announced(&mut trial);
    let named = format!("panel 1 (process {})", pids[1]);
    signal(pids[1], Signal::STOP);
    trial.until_line(&format!("{named} has said nothing for "));
    signal(pids[1], Signal::CONT);
    trial.until_line(&format!("{named} answers again"));
    trial.until_line("latency of the last second p50 ");
    trial.signal_group(Signal::INT);
    assert_eq!(trial.outcome().code, 130);
}

#[test]
fn a_demo_of_one_message_a_second_sends_just_that() {
    let outcome = run(&["demo", "--panels", "2", "--rate", "1", "--seconds", "1"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("published 1 message a second for "),
        "{}",
        outcome.stdout
    );
}

#[test]
fn an_interruption_prints_the_table_and_ends_all_panels() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "3",
        "--rate",
        "3000",
        "--seconds",
        "600",
    ]);
    let pids = announced(&mut trial);
    trial.until_line("1 s:");
    trial.signal_group(Signal::INT);
    let outcome = trial.outcome();

    assert_eq!(outcome.code, 130, "{}", outcome.stderr);
    let last = outcome.stdout.lines().last();
    let verdict = "interrupted; nothing was lost, reordered or corrupted";
    assert!(
        last.is_some_and(|last| last.starts_with(verdict)),
        "{}",
        outcome.stdout
    );
    for pid in pids {
        until_ended(pid);
    }
}

#[test]
fn a_second_interruption_does_not_wait_for_a_stopped_panel() {
    let mut trial = Trial::start(&[
        "demo",
        "--panels",
        "2",
        "--rate",
        "1000",
        "--seconds",
        "600",
    ]);
    let pids = announced(&mut trial);
    signal(pids[0], Signal::STOP);
    trial.signal_group(Signal::INT);
    // The other one is done, so the engine has got the first signal and waits for the stopped one.
    until_ended(pids[1]);
    signal(trial.pid(), Signal::INT);
    assert_eq!(trial.outcome().code, 130);
    for pid in pids {
        until_ended(pid);
    }
}

#[test]
fn panels_do_not_outlive_a_killed_engine() {
    let mut trial = Trial::start(&["demo", "--panels", "3", "--rate", "300", "--seconds", "600"]);
    let pids = announced(&mut trial);
    assert_eq!(pids.len(), 3);
    signal(trial.pid(), Signal::KILL);
    for pid in pids {
        until_ended(pid);
    }
    assert_eq!(trial.outcome().code, 128 + 9);
}

#[test]
fn demo_refuses_wrong_arguments() {
    for args in [
        ["--panels", "0"],
        ["--panels", "1025"],
        ["--rate", "0"],
        ["--rate", "10000001"],
        ["--seconds", "0"],
        ["--seconds", "-1"],
        ["--seconds", "86401"],
        ["--spin", "sometimes"],
        ["--spin", "20"],
        ["--capacity", "3K"],
        ["--capacity", "2G"],
        ["--capacity", "0"],
    ] {
        let outcome = run(&["demo", args[0], args[1]]);
        assert_eq!(outcome.code, 2, "{args:?} was accepted");
        assert!(outcome.stderr.contains(args[0]), "{}", outcome.stderr);
    }
}

#[test]
fn a_panel_cannot_be_started_by_hand() {
    let outcome = run(&[
        "demo-panel",
        "--parent",
        "1",
        "--name",
        "demo-1",
        "--spin",
        "never",
        "--number",
        "0",
        "--panels",
        "1",
    ]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.stderr.contains("started by the command itself"),
        "{}",
        outcome.stderr
    );
}
