//! `ls`, `completions` and `--help`, also with a closed or full standard output.

mod common;

use std::{fs::File, io, os::unix::process::ExitStatusExt};

use common::{Process, Sandbox};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn ls_tells_live_names_from_stale_ones() {
    let sandbox = Sandbox::new();
    let live = sandbox.listen(["alive"]);
    let dead = sandbox.listen(["dead"]);
    dead.signal(Signal::KILL);
    drop(dead);
    sandbox.wait_for_name("dead", "stale");

    let names = sandbox.names();
    assert_eq!(names.len(), 2, "{names:?}");
    let alive = names
        .iter()
        .find(|entry| entry["state"] == "live")
        .expect("one is live");
    assert_eq!(alive["pid"], live.pid());
    assert!(
        alive["program"]
            .as_str()
            .is_some_and(|program| program.contains("slipring")),
        "{alive}"
    );

    let listed = sandbox.run(["ls"]).expect(0);
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["NAME", "KIND", "STATE", "PID", "PROGRAM", "PATH"]);
    let pid = live.pid().to_string();
    assert!(
        lines.any(|line| line.contains("alive") && line.contains(" live ") && line.contains(&pid)),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.contains("dead") && line.contains(" stale ")),
        "{text}"
    );
}

#[test]
fn ls_tells_streams_from_feeds() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["one"]);
    let _publish = sandbox.publish(["other"]);
    let names = sandbox.names();
    let kinds: Vec<_> = names
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap(), &entry["kind"]))
        .collect();
    assert_eq!(
        kinds,
        [
            ("Local/one", &json!("stream")),
            ("Local/other", &json!("feed"))
        ]
    );
    let listed = String::from_utf8(sandbox.run(["ls"]).expect(0).stdout).unwrap();
    for (name, kind) in [("one", " stream "), ("other", " feed ")] {
        let line = listed.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(kind)), "{listed}");
    }
}

#[test]
fn a_listener_that_ends_in_order_leaves_no_name() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "true"]);
    sandbox
        .start(["connect", common::WAIT, "n"])
        .wait()
        .expect(0);
    listen.wait().expect(0);
    assert!(sandbox.names().is_empty(), "{:?}", sandbox.names());
}

#[test]
fn a_listener_that_a_signal_ends_leaves_no_name() {
    let sandbox = Sandbox::new();
    let other = sandbox.path().join("s");
    let other = format!("unix:{}", other.display());
    for args in [
        &["listen", "-v", "n"][..],
        &["listen", "-v", "-k", "n"],
        &["forward", "slip-listen:n", &other],
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let process = sandbox.start(args.iter().copied());
            process.listening_on();
            process.signal(signal);
            let ended = process.wait();
            assert_eq!(ended.status.signal(), Some(signal.as_raw()), "{args:?}");
            assert!(
                sandbox.names().is_empty(),
                "{args:?}: {:?}",
                sandbox.names()
            );
        }
    }
}

#[test]
fn ls_clean_removes_what_killed_listeners_left_and_says_so() {
    let sandbox = Sandbox::new();
    let live = sandbox.listen(["alive"]);
    let dead = sandbox.listen(["dead"]);
    dead.signal(Signal::KILL);
    drop(dead);
    sandbox.wait_for_name("dead", "stale");

    let directory = sandbox.path().join("slipring");
    let cleaned = sandbox.run(["ls", "--clean"]).expect(0);
    for file in ["dead.sock", "dead.lock"] {
        let path = directory.join(file);
        assert!(!path.exists(), "{file}");
        let line = format!("removed {}", path.display());
        assert!(cleaned.stderr.contains(&line), "{}", cleaned.stderr);
    }
    let text = String::from_utf8(cleaned.stdout).unwrap();
    assert!(text.contains("alive") && !text.contains("dead"), "{text}");
    assert!(!cleaned.stderr.contains("alive"), "{}", cleaned.stderr);
    assert!(directory.join("alive.sock").exists() && directory.join("alive.lock").exists());
    let again = sandbox.run(["ls", "--clean"]).expect(0);
    assert!(!again.stderr.contains("dead"), "{}", again.stderr);
    drop(live);
}

#[test]
fn ls_names_a_directory_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    let directory = sandbox.path().join("slipring");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(
        &directory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    sandbox.run(["ls"]).expect(0).says(&format!(
        "passed over {}: its mode is 0755",
        directory.display()
    ));
}

#[test]
fn a_listener_without_its_socket_is_not_live() {
    let sandbox = Sandbox::new();
    let listen = sandbox.listen(["n"]);
    std::fs::remove_file(sandbox.path().join("slipring/n.sock")).unwrap();
    let names = sandbox.names();
    let why = names[0]["why"].as_str().unwrap_or_default();
    let holder = format!("process {} holds it", listen.pid());
    assert_eq!(names[0]["state"], "unknown", "{names:?}");
    assert!(
        why.contains(&holder) && why.contains("has been removed"),
        "{why}"
    );
    let connect = sandbox.run(["connect", "n"]);
    connect.says(&format!("process {} is bound to the name", listen.pid()));
    let bind = sandbox.run(["listen", "n"]);
    bind.says(&format!("in use by process {}, whose socket", listen.pid()));
}

#[test]
fn ls_says_that_nothing_is_bound() {
    let sandbox = Sandbox::new();
    assert!(sandbox.names().is_empty());
    let listed = sandbox.run(["ls"]).expect(0);
    // Another test or program may have bound a name for the whole machine.
    if listed.stdout.is_empty() {
        listed.says("no names are bound");
    }
}

#[test]
fn ls_is_quiet_about_a_closed_output() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["n"]);
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (unread, output) = io::pipe().unwrap();
        drop(unread);
        let mut command = sandbox.command(arguments);
        let finished = Process::start(command.stdout(output)).finish().expect(0);
        assert_eq!(finished.stderr, "", "{arguments:?}");
    }
}

#[test]
fn ls_tells_of_a_full_output() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["n"]);
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["completions", "bash"],
        &["--help"],
        &["listen", "--help"],
        &["--version"],
    ] {
        let mut command = sandbox.command(arguments);
        let full = File::create("/dev/full").unwrap();
        Process::start(command.stdout(full))
            .finish()
            .expect(1)
            .says("cannot write to standard output");
    }
}

#[test]
fn ls_tells_of_a_missing_output() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["n"]);
    for arguments in ["ls", "ls --json", "completions bash", "--help", "--version"] {
        let mut shell = sandbox.shell(&format!("exec \"$SLIPRING\" {arguments} >&-"));
        Process::start(&mut shell)
            .finish()
            .expect(1)
            .says("standard output is closed");
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(["completions", shell]).expect(0).stdout;
        let script = String::from_utf8(script).unwrap();
        assert!(
            script.contains("forward") && script.contains("capacity"),
            "{shell}"
        );
        for inner in ["demo-panel", "bench-worker"] {
            assert!(!script.contains(inner), "{shell} is offered {inner}");
        }
        // Not every shell's script has room for values.
        if ["bash", "zsh", "fish"].contains(&shell) {
            assert!(
                script.contains("never always adaptive") || script.contains("never\\t''"),
                "{shell}"
            );
        }
    }
    sandbox.run(["completions", "dos"]).expect(2);
}

#[test]
fn help_documents_exit_codes_and_examples() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(["--help"]).expect(0).stdout;
    let help = String::from_utf8(help).unwrap();
    assert!(
        help.contains("Exit codes:") && help.contains("130"),
        "{help}"
    );
    for command in [
        "listen",
        "connect",
        "publish",
        "subscribe",
        "forward",
        "ls",
        "completions",
    ] {
        let help = sandbox.run([command, "--help"]).expect(0).stdout;
        assert!(
            String::from_utf8(help).unwrap().contains("Examples:"),
            "{command}"
        );
    }
}
