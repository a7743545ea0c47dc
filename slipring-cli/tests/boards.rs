//! `publish --key-field` and `board` across real processes, also on a terminal.

mod common;

use std::{
    fs::File,
    io::{self, Read},
    num::NonZero,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use common::{Finished, Process, Sandbox, WAIT, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// `publish -v` of a board, once it has taken in these lines.
fn publish(sandbox: &Sandbox, lines: &str) -> Process {
    let mut publish = sandbox.publish(["--key-field", "1", "n"]);
    publish.write(lines.as_bytes());
    let keys = lines.lines().count();
    wait_until("the lines are published", || {
        once(sandbox).lines().count() == keys
    });
    publish
}

/// The output of `board --once`.
fn once(sandbox: &Sandbox) -> String {
    let once = sandbox.run(["board", "--once", "n"]).expect(0);
    String::from_utf8(once.stdout).unwrap()
}

fn objects(finished: &Finished) -> Vec<Value> {
    let text = str::from_utf8(&finished.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_board_is_printed_once_sorted_by_key() {
    let sandbox = Sandbox::new();
    let mut publish = publish(&sandbox, "b 1\na 2  3\n");
    assert_eq!(once(&sandbox), "a\t2 3\nb\t1\n");
    publish.write(b"b 4\n");
    wait_until("b has changed", || once(&sandbox) == "a\t2 3\nb\t4\n");
    // A line with nothing but a key.
    publish.write(b"a\n");
    wait_until("a is gone", || once(&sandbox) == "b\t4\n");
    let json = sandbox.run(["board", "--once", "--json", "n"]).expect(0);
    let only = json!({"event": "set", "key": "b", "value": "4", "version": 2});
    assert_eq!(objects(&json), [only]);
    assert_eq!(sandbox.names()[0]["kind"], "board");
    publish.finish().expect(0).says("published 4 records");
}

#[test]
fn changes_are_lines_until_the_end() {
    let sandbox = Sandbox::new();
    let mut publish = publish(&sandbox, "a 1\n");
    let plain = sandbox.start(["board", "n"]);
    let json = sandbox.start(["board", "--json", "n"]);
    plain.stdout_line_with("a\t1");
    json.stdout_line_with("\"value\":\"1\"");
    publish.write(b"b \xff\n");
    plain.stdout_line_with("b\t\u{fffd}");
    json.stdout_line_with("\"value_hex\":\"ff\"");
    publish.write(b"a\n");
    json.stdout_line_with("removed");
    publish.finish().expect(0);
    let plain = plain.wait().expect(0);
    assert_eq!(
        String::from_utf8_lossy(&plain.stdout),
        "a\t1\nb\t\u{fffd}\na\n"
    );
    plain.says("the publisher finished; the next change would have been 3");
    let json = json.wait().expect(0);
    assert_eq!(json.stderr, "");
    assert_eq!(
        objects(&json),
        [
            json!({"event": "set", "key": "a", "value": "1", "version": 0}),
            json!({"event": "set", "key": "b", "value_hex": "ff", "version": 1}),
            json!({"event": "removed", "key": "a"}),
            json!({"event": "ended", "reason": "finished", "next": 3, "reconnecting": false}),
        ]
    );
}

#[test]
fn a_reader_that_is_stopped_is_told_each_key_once() {
    let sandbox = Sandbox::new();
    let mut publish = publish(&sandbox, "a 0\n");
    let board = sandbox.start(["board", "n"]);
    board.stdout_line_with("a\t0");
    board.signal(Signal::STOP);
    let lines: String = (1..=2000).map(|number| format!("a {number}\n")).collect();
    publish.write(lines.as_bytes());
    publish.finish().expect(0).says("published 2001 records");
    board.signal(Signal::CONT);
    let printed = board.wait().expect(0).stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.ends_with("a\t2000\n"), "{printed}");
    assert!(printed.lines().count() < 100, "{printed}");
}

#[test]
fn a_board_is_copied_line_by_line() {
    let sandbox = Sandbox::new();
    let mut publish = publish(&sandbox, "a 1\nb 2\n");
    let mut copy =
        sandbox.shell("\"$SLIPRING\" board n | \"$SLIPRING\" publish --key-field 1 copy");
    let copy = Process::start(&mut copy);
    let shown = sandbox.start(["board", WAIT, "copy"]);
    shown.stdout_line_with("a\t1");
    shown.stdout_line_with("b\t2");
    publish.write(b"a\nb 3\n");
    shown.stdout_line_with("b\t3");
    publish.finish().expect(0);
    copy.wait().expect(0);
    let shown = String::from_utf8(shown.wait().expect(0).stdout).unwrap();
    assert!(shown.lines().any(|line| line == "a"), "{shown}");
}

#[test]
fn fields_are_found_by_number_and_delimiter() {
    let sandbox = Sandbox::new();
    let options = ["--key-field", "2", "--delimiter", ",", "n"];
    let mut publish = sandbox.publish(options);
    publish.write(b"1,EUR/USD,x y\n");
    wait_until("it is there", || once(&sandbox) == "EUR/USD\t1,x y\n");
    publish.finish().expect(0);
}

#[test]
fn a_killed_publisher_is_told_and_the_next_one_is_followed() {
    let sandbox = Sandbox::new();
    let first = publish(&sandbox, "old 1\n");
    let plain = sandbox.start(["board", "n"]);
    let faithful = sandbox.start(["board", "--reconnect", "--json", "n"]);
    plain.stdout_line_with("old\t1");
    faithful.stdout_line_with("old");
    first.signal(Signal::KILL);
    drop(first);
    plain
        .wait()
        .expect(3)
        .says("the publisher died")
        .says("--reconnect")
        .printed("old\t1\n");
    faithful.stdout_line_with("reconnecting\":true");
    let _second = publish(&sandbox, "new 1\n");
    faithful.stdout_line_with("\"new\"");
    faithful.signal(Signal::TERM);
    let events = objects(&faithful.wait());
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["set", "ended", "restarted", "set"]);
    assert_eq!(events[1]["reason"], "publisher-died");
}

#[test]
fn what_does_not_fit_aborts_the_board() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(65);
    for (input, said) in [
        (
            "a 1\nb 2\nc 3\n".to_owned(),
            "line 3: the board is full: it has 2 keys; raise --max-keys",
        ),
        (
            "a 12345\n".to_owned(),
            "line 1: the value has 5 bytes, and 4 are the most",
        ),
        (
            format!("{long} 1\n"),
            "line 1: the key has 65 bytes, and 64 are the most",
        ),
        (
            "a 1\n\n".to_owned(),
            "line 2 has no field 1 that could be a key",
        ),
    ] {
        let mut publish = sandbox.publish([
            "--key-field",
            "1",
            "--max-keys",
            "2",
            "--max-value",
            "4",
            "n",
        ]);
        let board = sandbox.start(["board", "n"]);
        // So it is connected.
        wait_until("it is connected", || sandbox.names().len() == 1);
        publish.write(input.as_bytes());
        publish.finish().expect(1).says(said);
        // It may have come too late.
        let code = board.wait().status.code();
        assert!([Some(3), Some(4)].contains(&code), "{code:?}");
    }
}

#[test]
fn a_reader_that_leaves_and_a_full_disk() {
    let sandbox = Sandbox::new();
    let publish = publish(&sandbox, "a 1\n");
    let (unread, output) = io::pipe().unwrap();
    let mut board = sandbox.command(["board", "n"]);
    let board = Process::start(board.stdout(output));
    drop(unread);
    assert_eq!(board.wait().expect(0).stderr, "");
    let mut board = sandbox.command(["board", "n"]);
    let board = Process::start(board.stdout(File::create("/dev/full").unwrap()));
    board
        .wait()
        .expect(1)
        .says("cannot write to standard output: No space left");
    publish.finish().expect(0);
}

#[test]
fn wrong_usage_and_wrong_names() {
    let sandbox = Sandbox::new();
    for (arguments, code, said) in [
        ("publish --key-field 0 n", 2, "--key-field"),
        ("publish --key-field 1 --frames n", 2, "cannot be used with"),
        (
            "publish --key-field 1 --lossless n",
            2,
            "cannot be used with",
        ),
        ("publish --max-keys 7 n", 2, "--key-field"),
        ("publish --delimiter , n", 2, "--key-field"),
        ("board --once --reconnect n", 2, "cannot be used with"),
        ("board --wait 5s n", 2, "--wait=5s"),
        ("board nobody", 4, "nobody is bound to the name"),
        ("board --once nobody", 4, "nobody is bound to the name"),
    ] {
        sandbox.run(arguments.split(' ')).expect(code).says(said);
    }
    let _feed = sandbox.publish(["feed"]);
    let _board = publish(&sandbox, "a 1\n");
    let board = sandbox.run(["board", "feed"]);
    board.expect(4).says("`slipring subscribe` reads feeds");
    let subscribe = sandbox.run(["subscribe", "n"]);
    subscribe.expect(4).says("`slipring board` shows boards");
}

/// `slipring board` on a terminal of its own, which is read as a person would.
struct Terminal {
    process: Process,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(sandbox: &Sandbox, arguments: &str) -> Terminal {
        let command = format!("stty rows 12 cols 90; exec \"$SLIPRING\" board {arguments}");
        let mut script = sandbox.shell("exec script -qefc \"$COMMAND\" /dev/null");
        let script = script.env("COMMAND", command).env("TERM", "xterm");
        let (mut output, end) = io::pipe().unwrap();
        let process = Process::start(script.stdout(end).stderr(Stdio::inherit()));
        // The command holds the other copy of the pipe's end.
        script.stdout(Stdio::null());
        let [rows, columns] = [12, 90].map(|size| NonZero::new(size).unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let parser = Arc::clone(&screen);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut part) {
                parser.lock().unwrap().process(&part[..count]);
            }
        });
        Terminal { process, screen }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&[&str]) -> bool) {
        wait_until(what, || {
            let text = self.text();
            let lines: Vec<&str> = text.lines().collect();
            holds(&lines)
        });
    }

    fn is_left(&self) -> bool {
        !self.screen.lock().unwrap().screen().alternate_screen()
    }
}

fn row<'a>(lines: &[&'a str], key: &str) -> Option<Vec<&'a str>> {
    let words = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find(|words| words.first() == Some(&key))
}

#[test]
fn on_a_terminal_it_is_a_live_table() {
    let sandbox = Sandbox::new();
    let mut publish = publish(&sandbox, "EUR/USD 1.17\nGBP/USD 1.33\n");
    let mut terminal = Terminal::start(&sandbox, "n");
    terminal.until("the table is there", |lines| {
        lines
            .iter()
            .any(|line| line.contains("live") && line.contains("2 keys"))
            && row(lines, "KEY") == Some(vec!["KEY", "VALUE", "VERSION", "AGE"])
            && row(lines, "GBP/USD").is_some_and(|row| row[1..3] == ["1.33", "1"])
            && row(lines, "EUR/USD").is_some_and(|row| row[3].starts_with('>'))
    });
    publish.write(b"EUR/USD 1.18\n");
    terminal.until("a value has changed", |lines| {
        // It is known since when it is there.
        row(lines, "EUR/USD").is_some_and(|row| row[1..3] == ["1.18", "2"] && row[3].len() == 3)
    });
    publish.write(b"GBP/USD\n");
    terminal.until("a key is gone", |lines| {
        row(lines, "GBP/USD").is_none() && lines.iter().any(|line| line.contains("1 keys"))
    });
    publish.write(b"AUD/USD 0.7\n");
    let places = |lines: &[&str]| {
        let place = |key: &str| lines.iter().position(|line| line.starts_with(key));
        place("AUD/USD").zip(place("EUR/USD"))
    };
    terminal.until("sorted by key", |lines| {
        places(lines).is_some_and(|(a, e)| a < e)
    });
    publish.write(b"EUR/USD 1.19\n");
    terminal.process.write(b"s");
    terminal.until("sorted by age", |lines| {
        places(lines).is_some_and(|(a, e)| a > e)
    });
    terminal.process.write(b"q");
    wait_until("the terminal is given back", || terminal.is_left());
    terminal.process.wait().expect(0);
    publish.finish().expect(0);
}

#[test]
fn a_terminal_is_given_back_however_the_table_ends() {
    let sandbox = Sandbox::new();
    for (way, code) in [("finish", 0), ("kill", 3), ("ctrl-c", 130), ("term", 143)] {
        let publish = publish(&sandbox, "a 1\n");
        let mut terminal = Terminal::start(&sandbox, "n");
        terminal.until("the table is there", |lines| row(lines, "a").is_some());
        assert!(!terminal.is_left());
        match way {
            "finish" => drop(publish.finish().expect(0)),
            "kill" => publish.signal(Signal::KILL),
            "ctrl-c" => terminal.process.write(b"\x03"),
            _ => {
                // The command is the child of `script`.
                let children = format!("/proc/{0}/task/{0}/children", terminal.process.pid());
                let child = std::fs::read_to_string(children).unwrap();
                let child = child
                    .trim()
                    .parse()
                    .ok()
                    .and_then(rustix::process::Pid::from_raw);
                rustix::process::kill_process(child.unwrap(), Signal::TERM).unwrap();
            }
        }
        wait_until(&format!("{way}: the terminal is given back"), || {
            terminal.is_left()
        });
        if way == "kill" {
            terminal.until("it is said", |lines| {
                lines.iter().any(|line| line.contains("the publisher died"))
            });
        }
        let status = terminal.process.wait().status;
        assert_eq!(
            status.code().or(status.signal().map(|s| 128 + s)),
            Some(code),
            "{way}"
        );
    }
}

#[test]
fn on_a_terminal_the_next_publisher_is_followed() {
    let sandbox = Sandbox::new();
    let first = publish(&sandbox, "old 1\n");
    let mut terminal = Terminal::start(&sandbox, "--reconnect n");
    terminal.until("the table is there", |lines| row(lines, "old").is_some());
    first.signal(Signal::KILL);
    drop(first);
    terminal.until("it is gone", |lines| {
        lines
            .iter()
            .any(|line| line.contains("the publisher died; waiting"))
            && row(lines, "old").is_some()
    });
    let _second = publish(&sandbox, "new 1\n");
    terminal.until("the new one is shown", |lines| {
        lines
            .iter()
            .any(|line| line.contains("live") && line.contains("1 restart"))
            && row(lines, "new").is_some()
            && row(lines, "old").is_none()
    });
    terminal.process.write(b"q");
    terminal.process.wait().expect(0);
}
