//! `slipring bench --streams` as a user runs it. Nothing here depends on how fast anything is.

mod harness;

use rustix::process::Signal;
use serde_json::Value;

use harness::{Trial, run, signal, until_ended};

fn transports(count: &Value) -> &Vec<Value> {
    count["transports"]
        .as_array()
        .expect("there are transports")
}

#[test]
fn every_count_is_measured_over_both_transports() {
    let outcome = run(&[
        "bench",
        "--streams",
        "1,3",
        "--quick",
        "--rounds",
        "2",
        "--json",
    ]);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value =
        serde_json::from_str(&outcome.stdout).expect("one JSON document is on standard output");
    let counts = document["streams"].as_array().expect("there are counts");
    assert_eq!(counts.len(), 2);
    for (count, streams) in counts.iter().zip([1, 3]) {
        assert_eq!(count["streams"], streams);
        let names: Vec<&Value> = transports(count)
            .iter()
            .map(|one| &one["transport"])
            .collect();
        assert!(names.contains(&&"slipring-never".into()), "{names:?}");
        assert!(names.contains(&&"unix".into()), "{names:?}");
        let unix = transports(count)
            .iter()
            .find(|one| one["transport"] == "unix");
        let unix = unix.expect("it is measured");
        for transport in transports(count) {
            assert_eq!(transport["failure"], Value::Null);
            let rounds = transport["rounds"].as_array().expect("there are rounds");
            assert_eq!(rounds.len(), 2);
            for round in rounds {
                let messages = round["messages"].as_u64().expect("a count");
                assert!(
                    messages > 0 && messages % streams == 0,
                    "whole ticks: {round:#}"
                );
                assert!(round["p50_ns"].as_u64() <= round["p99_ns"].as_u64());
            }
            let steady = is_steady(transport, unix);
            assert_eq!(transport["ratio_to_unix"].is_f64(), steady, "{transport:#}");
            assert!(transport["cpu_ns_per_message"]["median"].as_f64() > Some(0.0));
            assert!(transport["idle_wake_ups"].is_u64(), "{transport:#}");
            assert!(transport["server_descriptors_per_stream"].as_f64() >= Some(1.0));
            assert!(
                transport["memory_bytes_per_stream"].is_i64(),
                "{transport:#}"
            );
        }
    }
    assert!(
        document["goals"]
            .as_array()
            .is_some_and(|goals| !goals.is_empty())
    );
}

/// What is divided by another, round by round, has ratios within a factor of two.
fn is_steady(transport: &Value, other: &Value) -> bool {
    let rates = |transport: &Value| -> Vec<f64> {
        let rounds = transport["rounds"].as_array().expect("there are rounds");
        let number = |round: &Value, name: &str| round[name].as_f64().expect("a number");
        rounds
            .iter()
            .map(|round| number(round, "messages") / number(round, "seconds"))
            .collect()
    };
    let (these, others) = (rates(transport), rates(other));
    let ratios: Vec<f64> = these
        .iter()
        .zip(others)
        .map(|(one, other)| one / other)
        .collect();
    let most = ratios.iter().copied().fold(0.0, f64::max);
    ratios.iter().all(|ratio| most <= 2.0 * ratio)
}

#[test]
fn idle_streams_wake_nobody() {
    let outcome = run(&[
        "bench",
        "--streams",
        "40",
        "--quick",
        "--rounds",
        "1",
        "--json",
    ]);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value =
        serde_json::from_str(&outcome.stdout).expect("one JSON document is on standard output");
    for transport in transports(&document["streams"][0]) {
        assert_eq!(transport["idle_wake_ups"], 0, "{transport:#}");
    }
}

#[test]
fn the_memory_follows_the_capacity() {
    let args = [
        "--streams",
        "32",
        "--capacity",
        "64K",
        "--quick",
        "--rounds",
        "1",
        "--json",
    ];
    let outcome = run(&[&["bench"], &args[..]].concat());
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value =
        serde_json::from_str(&outcome.stdout).expect("one JSON document is on standard output");
    assert_eq!(document["capacity_bytes"], 64 << 10);
    let memory = transports(&document["streams"][0])[0]["memory_bytes_per_stream"].as_i64();
    assert!(
        memory >= Some(2 * (64 << 10)),
        "both rings are there: {document:#}"
    );
    assert!(
        memory < Some(2 * (128 << 10)),
        "and are no larger: {document:#}"
    );
}

#[test]
fn the_table_has_a_line_for_each_transport_and_ends_with_the_goals() {
    let outcome = run(&["bench", "--streams", "2", "--quick", "--rounds", "1"]);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    for part in [
        "2 streams",
        "slipring (sleeping)",
        "Unix stream socket",
        "\ngoals\n",
        "2 streams, idle",
    ] {
        assert!(
            outcome.stdout.contains(part),
            "{part:?} is missing: {}",
            outcome.stdout
        );
    }
}

#[test]
fn a_killed_client_fails_its_transport_only() {
    let trial = Trial::start(&[
        "bench",
        "--streams",
        "8",
        "--quick",
        "--rounds",
        "20",
        "--json",
    ]);
    // A server and two clients of each transport, in the order of their start.
    let workers = trial.children(6);
    signal(workers[1], Signal::KILL);
    let outcome = trial.outcome();
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
    let [slipring, unix] = transports(&document["streams"][0]).as_slice() else {
        panic!("{document:#}");
    };
    assert_eq!(slipring["transport"], "slipring-never");
    assert!(slipring["failure"].is_string(), "{slipring:#}");
    assert_eq!(unix["failure"], Value::Null, "{unix:#}");
    assert_eq!(unix["rounds"].as_array().map(Vec::len), Some(20));
}

#[test]
fn processes_do_not_outlive_a_killed_parent() {
    let trial = Trial::start(&["bench", "--streams", "2", "--rounds", "1000"]);
    let workers = trial.children(6);
    signal(trial.pid(), Signal::KILL);
    for worker in workers {
        until_ended(worker);
    }
    assert_eq!(trial.outcome().code, 128 + 9);
}

#[test]
fn an_interruption_ends_it_with_what_there_is() {
    let trial = Trial::start(&["bench", "--streams", "2", "--rounds", "1000"]);
    let workers = trial.children(6);
    trial.signal_group(Signal::INT);
    let outcome = trial.outcome();
    assert_eq!(outcome.code, 130, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("\ninterrupted"),
        "{}",
        outcome.stdout
    );
    for worker in workers {
        until_ended(worker);
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for args in [
        ["--streams", "0"],
        ["--streams", "1,x"],
        ["--streams", "4097"],
        ["--streams", ""],
    ] {
        let outcome = run(&["bench", args[0], args[1]]);
        assert_eq!(outcome.code, 2, "{args:?} was accepted: {}", outcome.stdout);
        assert!(
            outcome.stderr.contains("expected a number from 1 to 4096"),
            "{args:?}: {}",
            outcome.stderr
        );
    }
    for args in [
        ["--only", "unix"],
        ["--spin", "never"],
        ["--capacity", "64K,256K"],
    ] {
        let outcome = run(&["bench", "--streams", "1", args[0], args[1]]);
        assert_eq!(outcome.code, 2, "{args:?} was accepted: {}", outcome.stdout);
    }
}

#[test]
fn too_many_streams_for_the_limit_of_descriptors_are_refused_with_advice() {
    let command = format!(
        "ulimit -n 500; exec {} bench --streams 512",
        env!("CARGO_BIN_EXE_slipring")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("512 streams need about") && stderr.contains("ulimit -Hn"),
        "{stderr}"
    );
}
