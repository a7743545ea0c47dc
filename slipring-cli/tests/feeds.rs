//! `publish` and `subscribe` across real processes.

mod common;

use std::{fs::File, io, os::unix::process::ExitStatusExt};

use common::{Process, Sandbox, WAIT, file_with, noise};
use rustix::process::Signal;
use serde_json::{Value, json};

const OLDEST: [&str; 4] = ["subscribe", WAIT, "--start", "oldest"];

fn oldest<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&OLDEST, arguments].concat()
}

/// The objects that `--json` has printed, without times.
fn objects(output: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(output).unwrap();
    let objects = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let without_time = objects.map(|mut object: Value| {
        let time = object.as_object_mut().unwrap().remove("time_ns");
        assert_eq!(time.is_some(), object["event"] == "record", "{object}");
        object
    });
    without_time.collect()
}

#[test]
fn lines_reach_every_subscriber() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["--subscribers", "3", "n"]);
    let subscribers: Vec<Process> = (0..3).map(|_| sandbox.start(oldest(&["n"]))).collect();
    publish.write(b"one\n\nthree");
    let published = publish.finish().expect(0).says("published 3 records");
    assert!(published.stdout.is_empty());
    for subscriber in subscribers {
        subscriber
            .wait()
            .expect(0)
            .printed("one\n\nthree\n")
            .says("the publisher finished; the next record would have been 3");
    }
}

#[test]
fn each_line_is_there_at_once() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    let subscriber = sandbox.start(oldest(&["n"]));
    for number in 1..=3 {
        publish.write(b"tick\n");
        subscriber.stdout_has(5 * number);
    }
    publish.finish().expect(0);
    subscriber.wait().expect(0).printed("tick\ntick\ntick\n");
}

#[test]
fn frames_carry_any_bytes() {
    let sandbox = Sandbox::new();
    let mut frames = Vec::new();
    for length in [0, 1, 100, 5000] {
        frames.extend_from_slice(&u32::to_le_bytes(length));
        frames.extend_from_slice(&noise(7, length as usize));
    }
    let mut publish = sandbox.command(["publish", "--frames", "--subscribers", "1", "n"]);
    let input = file_with(sandbox.path(), "frames", &frames);
    let publish = Process::start(publish.stdin(input));
    let subscriber = sandbox.start(oldest(&["--frames", "n"]));
    publish.wait().expect(0);
    subscriber.wait().expect(0).printed(frames);
}

#[test]
fn json_tells_of_records_and_of_the_end() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    publish.write(b"a \"b\"\n\xff\n");
    let subscriber = sandbox.start(oldest(&["--json", "n"]));
    subscriber.stdout_has(100);
    publish.finish().expect(0);
    let subscriber = subscriber.wait().expect(0);
    assert_eq!(
        objects(&subscriber.stdout),
        [
            json!({"event": "record", "sequence": 0, "text": "a \"b\""}),
            json!({"event": "record", "sequence": 1, "hex": "ff"}),
            json!({"event": "ended", "reason": "finished", "next": 2, "reconnecting": false}),
        ]
    );
    assert_eq!(subscriber.stderr, "");
}

#[test]
fn records_that_are_gone_are_told() {
    let sandbox = Sandbox::new();
    // One page has room for some of them.
    let lines: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    let mut publish = sandbox.publish(["--capacity", "4K", "n"]);
    publish.write(lines.as_bytes());
    publish.write(b"last\n");
    let begin = ["subscribe", "--start", "3"];
    let newest = sandbox.start(oldest(&["n"]));
    // So everything has been published.
    newest.stdout_line_with("last");
    let plain = sandbox.start(begin.into_iter().chain(["n"]));
    let json = sandbox.start(begin.into_iter().chain(["--json", "n"]));
    plain.stderr_line("records were missed; the next one is ");
    json.stdout_line();
    publish.finish().expect(0);
    let plain = plain.wait().expect(0);
    let printed = String::from_utf8(plain.stdout).unwrap();
    let first = objects(&json.wait().expect(0).stdout).remove(0);
    assert_eq!(first["event"], "lagged");
    let next = first["next"].as_u64().unwrap();
    assert_eq!(first["missed"], next - 3);
    let said = format!("{} records were missed; the next one is {next}", next - 3);
    assert!(plain.stderr.contains(&said), "{}", plain.stderr);
    assert!(printed.starts_with(&format!("line {next}\n")), "{printed}");
    assert!(printed.ends_with("line 999\nlast\n"), "{printed}");
}

#[test]
fn a_subscriber_that_is_stopped_misses_records_and_knows_it() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["--capacity", "4K", "n"]);
    let subscriber = sandbox.start(oldest(&["--json", "n"]));
    publish.write(b"first\n");
    subscriber.stdout_line();
    subscriber.signal(Signal::STOP);
    let lines: String = (1..2000).map(|number| format!("line {number}\n")).collect();
    publish.write(lines.as_bytes());
    publish.finish().expect(0).says("published 2000 records");
    subscriber.signal(Signal::CONT);
    let events = objects(&subscriber.wait().expect(0).stdout);
    let missed: u64 = events.iter().filter_map(|e| e["missed"].as_u64()).sum();
    let records = events.iter().filter(|event| event["event"] == "record");
    assert!(missed > 0, "{events:?}");
    assert_eq!(missed + records.count() as u64, 2000);
    assert_eq!(events.last().unwrap()["next"], 2000);
}

#[test]
fn a_lossless_subscriber_holds_up_the_publisher_and_misses_nothing() {
    let sandbox = Sandbox::new();
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    let options = ["publish", "--lossless", "--capacity", "4K", "--subscribers"];
    let mut publish = sandbox.command(options.into_iter().chain(["1", "n"]));
    let input = file_with(sandbox.path(), "lines", lines.as_bytes());
    let publish = Process::start(publish.stdin(input));
    let subscriber = sandbox.start(oldest(&["--lossless", "n"]));
    publish.wait().expect(0);
    subscriber.wait().expect(0).printed(lines);
}

#[test]
fn a_lossless_subscriber_that_is_too_slow_is_cut_off_and_says_so() {
    let sandbox = Sandbox::new();
    let options = ["--lossless=50ms", "--capacity", "4K", "n"];
    let mut publish = sandbox.publish(options);
    let subscriber = sandbox.start(oldest(&["--lossless", "n"]));
    publish.write(b"first\n");
    subscriber.stdout_line();
    subscriber.signal(Signal::STOP);
    let lines: String = (1..2000).map(|number| format!("line {number}\n")).collect();
    publish.write(lines.as_bytes());
    publish.finish().expect(0).says("published 2000 records");
    subscriber.signal(Signal::CONT);
    subscriber
        .wait()
        .expect(1)
        .says("too slow")
        .says("--lossless");
}

#[test]
fn a_lossless_subscriber_may_be_refused() {
    let sandbox = Sandbox::new();
    let _publish = sandbox.publish(["n"]);
    let subscriber = sandbox.run(["subscribe", "--lossless", "n"]);
    subscriber.expect(4).says("admits no lossless subscribers");
}

#[test]
fn the_newest_alone_is_printed() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    publish.write(b"1\n2\n3\n");
    // All three are there.
    let all = sandbox.start(oldest(&["n"]));
    all.stdout_has(6);
    let arguments = ["--latest=1ms", "--json", "n"];
    let subscriber = sandbox.start(oldest(&arguments));
    subscriber.stdout_line();
    publish.write(b"4\n");
    publish.finish().expect(0);
    let events = objects(&subscriber.wait().expect(0).stdout);
    let record = |sequence, skipped, text| {
        json!({
            "event": "record", "sequence": sequence, "skipped": skipped, "text": text
        })
    };
    assert_eq!(events[0], record(2, 2, "3"));
    assert_eq!(events[1], record(3, 0, "4"));
    assert_eq!(events[2]["reason"], "finished");
}

#[test]
fn a_killed_publisher_leaves_what_it_published() {
    let sandbox = Sandbox::new();
    for arguments in [&["n"][..], &["--latest=1ms", "n"]] {
        let mut publish = sandbox.publish(["n"]);
        let subscriber = sandbox.start(oldest(arguments));
        publish.write(b"part\n");
        subscriber.stdout_begins(b"part\n");
        publish.signal(Signal::KILL);
        subscriber
            .wait()
            .expect(3)
            .says("the publisher died; the next record would have been 1")
            .says("--reconnect")
            .printed("part\n");
    }
}

#[test]
fn ctrl_c_aborts_a_feed_and_a_termination_ends_it() {
    for (signal, code, said) in [
        (Signal::INT, 3, "aborted with code 130"),
        (Signal::TERM, 0, "the publisher finished"),
        (Signal::HUP, 0, "the publisher finished"),
    ] {
        let sandbox = Sandbox::new();
        let mut publish = sandbox.publish(["n"]);
        let subscriber = sandbox.start(oldest(&["n"]));
        publish.write(b"part\n");
        subscriber.stdout_begins(b"part\n");
        publish.signal(signal);
        assert_eq!(publish.wait().status.signal(), Some(signal.as_raw()));
        subscriber.wait().expect(code).says(said).printed("part\n");
        assert!(sandbox.names().is_empty(), "{:?}", sandbox.names());
    }
}

#[test]
fn a_signal_ends_a_publisher_that_waits_for_a_lossless_subscriber() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["--lossless", "--capacity", "4K", "n"]);
    let subscriber = sandbox.start(oldest(&["--lossless", "n"]));
    publish.write(b"first\n");
    subscriber.stdout_line();
    subscriber.signal(Signal::STOP);
    let lines: String = (1..500).map(|number| format!("line {number}\n")).collect();
    publish.write(lines.as_bytes());
    publish.signal(Signal::TERM);
    assert_eq!(publish.wait().status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn ctrl_c_ends_a_subscriber_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    let [subscriber, other] = [(); 2].map(|()| sandbox.start(oldest(&["n"])));
    publish.write(b"one\n");
    subscriber.stdout_begins(b"one\n");
    other.stdout_begins(b"one\n");
    subscriber.signal(Signal::INT);
    assert_eq!(subscriber.wait().status.signal(), Some(2));
    publish.write(b"two\n");
    publish.finish().expect(0);
    other.wait().expect(0).printed("one\ntwo\n");
}

#[test]
fn a_subscriber_goes_on_with_the_next_publisher() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.publish(["n"]);
    let subscriber = sandbox.start(oldest(&["--reconnect", "--json", "n"]));
    let plain = sandbox.start(oldest(&["--reconnect", "n"]));
    first.write(b"old\n");
    subscriber.stdout_has(10);
    plain.stdout_begins(b"old\n");
    first.signal(Signal::KILL);
    drop(first);
    plain.stderr_line("the publisher died; the next record would have been 1; waiting");
    subscriber.stdout_line_with("reconnecting\":true");
    let mut second = sandbox.publish(["--subscribers", "2", "n"]);
    second.write(b"new\n");
    subscriber.stdout_line_with("new");
    plain.stdout_begins(b"old\nnew\n");
    plain.stderr_line("connected to another publisher");
    subscriber.signal(Signal::TERM);
    let events = objects(&subscriber.wait().stdout);
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["record", "ended", "restarted", "record"]);
    assert_eq!(events[1]["reason"], "publisher-died");
    assert_eq!(events[3]["sequence"], 0);
}

#[test]
fn a_subscriber_whose_reader_leaves_is_no_failure() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    // One that has something to write, and one that has not.
    publish.write(b"one\n");
    for start in ["oldest", "newest"] {
        let (unread, output) = io::pipe().unwrap();
        let mut subscribe = sandbox.command(["subscribe", "--start", start, "n"]);
        let subscribe = Process::start(subscribe.stdout(output));
        drop(unread);
        assert_eq!(subscribe.wait().expect(0).stderr, "", "{start}");
    }
    publish.finish().expect(0);
}

#[test]
fn a_full_disk_fails_a_subscriber_and_not_the_publisher() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.publish(["n"]);
    publish.write(b"to nowhere\n");
    for arguments in [&["n"][..], &["--json", "n"], &["--latest", "n"]] {
        let mut subscribe = sandbox.command(oldest(arguments));
        let full = File::create("/dev/full").unwrap();
        Process::start(subscribe.stdout(full))
            .wait()
            .expect(1)
            .says("cannot write to standard output: No space left");
    }
    publish.finish().expect(0);
}

#[test]
fn a_closed_output_fails_a_subscriber() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.shell("exec \"$SLIPRING\" subscribe n >&-");
    let subscribe = Process::start(&mut shell).finish();
    subscribe.expect(1).says("standard output is closed");
}

#[test]
fn a_record_that_is_too_long_aborts_the_feed() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(101);
    for (form, input, said) in [
        (
            &["n"][..],
            format!("ok\n{long}\n").into_bytes(),
            "line 2 has more than 100 bytes, which are the most; raise --max-record",
        ),
        (
            &["--frames", "n"],
            [&[2, 0, 0, 0][..], b"ok", &[101, 0, 0, 0]].concat(),
            "frame 2 has 101 bytes, and 100 are the most; raise --max-record",
        ),
        (
            &["--frames", "n"],
            [&[2, 0, 0, 0][..], b"ok", &[9, 0, 0, 0, 1]].concat(),
            "standard input ends within frame 2",
        ),
    ] {
        let options = ["--max-record", "100", "--subscribers", "1"];
        let mut publish = sandbox.publish(options.iter().chain(form).copied());
        let subscriber = sandbox.start(oldest(&["n"]));
        publish.write(&input);
        publish.finish().expect(1).says(said);
        subscriber
            .wait()
            .expect(3)
            .says("the publisher aborted with code 3")
            .printed("ok\n");
    }
}

#[test]
fn an_unreadable_input_aborts_the_feed() {
    let sandbox = Sandbox::new();
    let mut publish = sandbox.command(["publish", "--subscribers", "1", "n"]);
    let publish = Process::start(publish.stdin(File::open("/").unwrap()));
    let subscriber = sandbox.start(oldest(&["n"]));
    publish.wait().expect(1).says("cannot read standard input");
    subscriber.wait().expect(3).says("aborted with code 3");
}

#[test]
fn a_name_that_nobody_publishes_at_exits_with_4() {
    let sandbox = Sandbox::new();
    let nobody = sandbox.run(["subscribe", "nobody"]);
    nobody.expect(4).says("nobody is bound to the name");
    let waited = sandbox.run(["subscribe", "--wait=50ms", "nobody"]);
    waited.expect(4).says("nobody is bound to the name");
    let there = sandbox.run(["publish", "/nonexist/d/x"]);
    there.expect(4).says("there is no directory /nonexist/d");
    let _publish = sandbox.publish(["n"]);
    sandbox.run(["publish", "n"]).expect(4).says("in use");
}

#[test]
fn a_name_of_another_kind_is_told_with_the_command_for_it() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["stream"]);
    let _publish = sandbox.publish(["feed"]);
    let subscribe = sandbox.run(["subscribe", "stream"]);
    subscribe.expect(4).says("`slipring connect` joins streams");
    let connect = sandbox.run(["connect", "feed"]);
    connect.expect(4).says("`slipring subscribe` reads feeds");
}

#[test]
fn another_protocol_of_a_feed_is_refused() {
    let sandbox = Sandbox::new();
    let _publish = sandbox.publish(["--protocol", "a", "n"]);
    let subscribe = sandbox.run(["subscribe", "--protocol", "b", "n"]);
    subscribe.expect(4).says("protocol");
}

#[test]
fn wrong_usage_of_feeds_exits_with_2() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        ("publish --capacity 5000 n", "power of two"),
        ("publish --capacity 4K --max-record 4K n", "max_record"),
        ("publish --lossless=soon n", "500ms"),
        ("publish a/b/c", "not a name"),
        ("subscribe --start first n", "oldest"),
        ("subscribe --latest --lossless n", "cannot be used with"),
        ("subscribe --json --frames n", "cannot be used with"),
        ("subscribe --wait=5 n", "5ms"),
    ] {
        sandbox.run(arguments.split(' ')).expect(2).says(said);
    }
}
