//! `slipring bench` as a user runs it. Nothing here depends on how fast anything is.

mod harness;

use rustix::process::Signal;
use serde_json::Value;

use harness::{Trial, run, signal, until_ended};

const QUICK: [&str; 5] = ["bench", "--quick", "--rounds", "1", "--json"];

fn quick(only: &[&str]) -> Value {
    let mut args = QUICK.to_vec();
    for pattern in only {
        args.extend(["--only", pattern]);
    }
    let outcome = run(&args);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    serde_json::from_str(&outcome.stdout).expect("one JSON document is on standard output")
}

fn transports(case: &Value) -> &Vec<Value> {
    case["transports"]
        .as_array()
        .expect("a case has transports")
}

#[test]
fn a_round_trip_is_measured_and_compared() {
    let document = quick(&["rtt-64/unix", "rtt-64/slipring-never", "rtt-64/eventfd"]);
    assert_eq!(document["cases"].as_array().map(Vec::len), Some(1));
    let case = &document["cases"][0];
    assert_eq!(case["case"], "rtt-64");
    let names: Vec<&Value> = transports(case)
        .iter()
        .map(|one| &one["transport"])
        .collect();
    assert_eq!(
        names,
        ["slipring-never", "unix", "eventfd-read", "eventfd-epoll"]
    );
    for transport in transports(case) {
        assert_eq!(transport["failure"], Value::Null);
        assert!(
            transport["p50_ns"]["median"].as_f64() > Some(0.0),
            "{transport:#}"
        );
        assert!(
            transport["max_ns"].as_u64() >= transport["p99_ns"].as_u64(),
            "{transport:#}"
        );
        assert!(transport["ratio_to_unix"].is_f64(), "{transport:#}");
        assert!(transport["ratio_to_bare"].is_f64(), "{transport:#}");
    }
    let goals = document["goals"].as_array().expect("there are goals");
    assert!(
        goals.iter().all(|goal| goal["verdict"] == "not_measured"),
        "{goals:#?}"
    );
}

#[test]
fn every_transport_carries_every_case_unchanged() {
    // The verification passes do the checking: a failure would make the exit code 1.
    let document = quick(&[
        "slipring-adaptive",
        "slipring-never",
        "unix",
        "pipe",
        "tcp",
        "eventfd",
    ]);
    let cases = document["cases"].as_array().expect("there are cases");
    assert_eq!(cases.len(), 12);
    for case in cases {
        for transport in transports(case) {
            assert!(
                transport["rounds"][0]["messages"].as_u64() > Some(0),
                "{transport:#}"
            );
            assert!(
                transport["rounds"][0]["seconds"].as_f64() > Some(0.0),
                "{transport:#}"
            );
        }
    }
}

#[test]
fn rings_of_several_capacities_are_compared() {
    let args = [
        "--spin",
        "never",
        "--capacity",
        "16K,1M",
        "--only",
        "stream-64k/slipring",
    ];
    let outcome = run(&[&QUICK[..], &args].concat());
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
    let transports = transports(&document["cases"][0]);
    let names: Vec<&Value> = transports.iter().map(|one| &one["transport"]).collect();
    let expected = [
        "slipring-never",
        "slipring-never@16K",
        "slipring-never@1024K",
    ];
    assert_eq!(names, expected);
    let titles: Vec<&Value> = transports.iter().map(|one| &one["title"]).collect();
    let expected = [
        "slipring (sleeping)",
        "slipring (sleeping, 16 KiB)",
        "slipring (sleeping, 1 MiB)",
    ];
    assert_eq!(titles, expected);
    for transport in transports {
        assert!(
            transport["rounds"][0]["bytes"].as_u64() > Some(0),
            "{transport:#}"
        );
    }
}

#[test]
fn the_ring_of_csharp_programs_is_measured_beside_the_stream() {
    let document = quick(&[
        "rtt-64/mmf-never",
        "rtt-64/slipring-never",
        "stream-64k/mmf-never",
    ]);
    let names = |case: usize| -> Vec<Value> {
        let case = &document["cases"][case];
        transports(case)
            .iter()
            .map(|one| one["transport"].clone())
            .collect()
    };
    assert_eq!(names(0), ["slipring-never", "mmf-never"]);
    assert_eq!(names(1), ["mmf-never"]);
}

#[test]
fn on_one_core_spinning_is_left_out() {
    let core = first_core();
    let outcome = run(&[
        &QUICK[..],
        &["--cpus", &format!("{core},{core}"), "--only", "rtt-64/"],
    ]
    .concat());
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
    assert_eq!(document["cpus"], serde_json::json!([core, core]));
    assert_eq!(
        document["left_out"],
        serde_json::json!([
            "slipring (spinning)",
            "C# ring (spinning)",
            "bare exchange (spin)"
        ])
    );
    let measured = document["goals"].as_array().map_or(0, |goals| {
        goals
            .iter()
            .filter(|goal| goal["verdict"] != "not_measured")
            .count()
    });
    assert_eq!(measured, 2, "{document:#}");
}

/// A core that this process may run on.
fn first_core() -> usize {
    let cores = rustix::thread::sched_getaffinity(None).expect("it can be asked");
    (0..rustix::thread::CpuSet::MAX_CPU)
        .find(|&core| cores.is_set(core))
        .expect("it runs on one")
}

#[test]
fn the_tables_come_with_a_header_and_goals() {
    let outcome = run(&[
        "bench",
        "--quick",
        "--rounds",
        "1",
        "--only",
        "stream-64k/pipe",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "cores, Linux ",
        "command: ",
        "--only stream-64k/pipe",
        "not pinned",
        "throughput, writes of 64 KiB",
        "pair of pipes",
        "goals",
        "not measured in this run",
    ] {
        let stdout = outcome.stdout.replace("1 core, ", "1 cores, ");
        assert!(stdout.contains(part), "{part:?} is missing:\n{stdout}");
    }
}

#[test]
fn a_killed_peer_fails_its_transport_only() {
    let transports = [
        "unix",
        "eventfd-read",
        "eventfd-epoll",
        "slipring-never",
        "slipring-always",
        "bare-exchange",
    ];
    for (turn, transport) in transports.into_iter().enumerate() {
        let only = format!("rtt-64/{transport}");
        let trial = Trial::start(&["bench", "--rounds", "1000", "--json", "--only", &only]);
        // The host and its peer; which of them ends makes no difference.
        let processes = trial.children(2);
        signal(processes[turn % 2], Signal::KILL);
        let outcome = trial.outcome();
        assert_eq!(outcome.code, 1, "{transport}: {}", outcome.stderr);
        let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
        let failure = &document["cases"][0]["transports"][0]["failure"];
        assert!(failure.is_string(), "{transport}: {document:#}");
    }
}

#[test]
fn an_interruption_prints_what_was_measured_and_ends_the_processes() {
    let trial = Trial::start(&[
        "bench",
        "--rounds",
        "1000",
        "--only",
        "rtt-64/unix",
        "--only",
        "rtt-64/pipe",
    ]);
    let processes = trial.children(4);
    trial.signal_group(Signal::INT);
    let outcome = trial.outcome();
    assert_eq!(outcome.code, 130, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("\ninterrupted"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("\ngoals\n"), "{}", outcome.stdout);
    for process in processes {
        until_ended(process);
    }
}

#[test]
fn processes_do_not_outlive_a_killed_parent() {
    let trial = Trial::start(&["bench", "--rounds", "1000", "--only", "rtt-64/eventfd"]);
    let processes = trial.children(4);
    signal(trial.pid(), Signal::KILL);
    for process in processes {
        until_ended(process);
    }
    assert_eq!(trial.outcome().code, 128 + 9);
}

#[test]
fn wrong_arguments_are_refused() {
    for args in [
        ["--rounds", "0"],
        ["--rounds", "1001"],
        ["--cpus", "0"],
        ["--cpus", "0,x"],
        ["--cpus", "0,100000"],
        ["--spin", "always,sometimes"],
        ["--capacity", "64K,100K"],
        ["--only", "no such thing"],
    ] {
        let outcome = run(&["bench", "--quick", args[0], args[1]]);
        assert_eq!(outcome.code, 2, "{args:?} was accepted: {}", outcome.stdout);
    }
    let outcome = run(&["bench", "--only", "no such thing"]);
    for one in ["rtt-64 ", "slipring-adaptive", "unix"] {
        assert!(
            outcome.stderr.contains(one),
            "it tells what there is: {}",
            outcome.stderr
        );
    }
    assert!(
        outcome.stderr.lines().all(|line| line.len() <= 100),
        "{}",
        outcome.stderr
    );
    let outcome = run(&["bench", "--cpus", "0,1000"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("it may run on 0"),
        "{}",
        outcome.stderr
    );
}
