//! `slipring bench --subscribers` as a user runs it. Nothing here depends on how fast anything is.

mod harness;

use serde_json::Value;

use harness::run;

#[test]
fn every_way_to_subscribers_is_measured() {
    let args = "bench --subscribers 1,3 --quick --rounds 2 --json";
    let outcome = run(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stderr, outcome.stdout);
    let document: Value =
        serde_json::from_str(&outcome.stdout).expect("one JSON document is on standard output");
    let cases = document["cases"].as_array().expect("there are cases");
    assert_eq!(cases.len(), 2);
    for (case, subscribers) in cases.iter().zip([1, 3]) {
        assert_eq!(case["case"], format!("subscribers-{subscribers}"));
        let transports = case["transports"].as_array().expect("there are some");
        let of = |name: &str| transports.iter().find(|one| one["transport"] == name);
        for name in [
            "slipring-feed",
            "slipring-feed-timer",
            "slipring-never",
            "unix",
        ] {
            let one = of(name).unwrap_or_else(|| panic!("no {name}: {case:#}"));
            assert_eq!(one["failure"], Value::Null);
            let publications = &one["publications"];
            // Of at least 50 in each round.
            assert!(publications["count"].as_u64() >= Some(100), "{one:#}");
            assert!(publications["p50_ns"].as_u64() <= publications["p99_ns"].as_u64());
            assert!(one["p50_ns"]["median"].as_f64() > Some(0.0), "{one:#}");
            // Only those that sleep at a feed are woken by a thread.
            let woken = publications["waking_cpu_seconds"].as_f64() > Some(0.0);
            assert_eq!(woken, name == "slipring-feed", "{one:#}");
        }
    }
    assert_eq!(document["goals"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_table_of_subscribers_shows_what_a_publication_costs() {
    let args = "bench --subscribers 2 --quick --rounds 1 --only feed --only unix";
    let outcome = run(&args.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "2 subscribers, 64 B, 1,000 a second",
        "call p99",
        "CPU waking",
        " feed, with timers ",
        " Unix stream socket each ",
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("goals"), "{}", outcome.stdout);
}

#[test]
fn wrong_numbers_of_subscribers_are_refused() {
    for args in [
        &["--subscribers", "0"][..],
        &["--subscribers", "1,x"],
        &["--subscribers", "4097"],
        &["--subscribers", "1", "--streams", "1"],
        &["--subscribers", "1", "--spin", "never"],
    ] {
        let outcome = run(&[&["bench"], args].concat());
        assert_eq!(outcome.code, 2, "{args:?} was accepted: {}", outcome.stdout);
    }
}
