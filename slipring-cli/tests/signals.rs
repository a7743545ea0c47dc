//! Signals to `listen`, `connect`, `forward` and `demo`: their effect, and the files left behind.

mod common;

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use common::{Process, Sandbox, WAIT, wait_until};
use rustix::process::Signal;

const SIGNALS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// `slipring` with these arguments, started with these signals ignored.
fn ignoring(sandbox: &Sandbox, signals: &str, arguments: &str) -> Process {
    let script = format!("trap '' {signals}; exec \"$SLIPRING\" {arguments}");
    Process::start(&mut sandbox.shell(&script))
}

#[test]
fn signals_that_were_ignored_stay_ignored() {
    let sandbox = Sandbox::new();
    for arguments in ["listen -v -k n -- cat", "forward slip-listen:n slip:back"] {
        let _back = sandbox.listen(["-k", "back", "--", "cat"]);
        let process = ignoring(&sandbox, "HUP INT", arguments);
        process.listening_on();
        process.signal(Signal::HUP);
        process.signal(Signal::INT);
        let mut connect = sandbox.start(["connect", "n"]);
        connect.write(b"still there");
        connect.finish().expect(0).printed("still there");
        process.signal(Signal::TERM);
        assert_eq!(
            process.wait().status.signal(),
            Some(Signal::TERM.as_raw()),
            "{arguments}"
        );
        assert!(!sandbox.path().join("slipring/n.lock").exists());
    }
}

#[test]
fn a_connect_that_ignores_a_signal_goes_on() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "cat"]);
    let mut connect = ignoring(&sandbox, "HUP", &format!("connect {WAIT} n"));
    connect.write(b"one");
    connect.stdout_begins(b"one");
    connect.signal(Signal::HUP);
    connect.write(b"two");
    connect.finish().expect(0).printed("onetwo");
    listen.wait().expect(0);
}

#[test]
fn a_demo_that_ignores_ctrl_c_runs_to_its_end() {
    let sandbox = Sandbox::new();
    let demo = ignoring(&sandbox, "INT", "demo --panels 1 --rate 100 --seconds 1");
    demo.stderr_line("1 panel");
    demo.signal(Signal::INT);
    demo.wait().expect(0);
}

/// All files below the directories for names.
fn left_behind(sandbox: &Sandbox) -> Vec<PathBuf> {
    let files = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths
    };
    let all = [sandbox.path(), &sandbox.path().join("slipring")]
        .map(files)
        .concat();
    all.into_iter().filter(|path| !path.is_dir()).collect()
}

#[test]
fn a_listener_that_a_signal_ends_leaves_no_file() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("p").display().to_string();
    let through = format!("slip-listen:{path}");
    for arguments in [
        &["listen", "-v", "n"][..],
        &["listen", "-v", "n.sock"],
        &["listen", "-v", "-k", &path],
        &["forward", "slip-listen:n", "slip:other"],
        &["forward", &through, "unix-listen:back"],
    ] {
        for signal in SIGNALS {
            let process = sandbox.start(arguments);
            process.listening_on();
            wait_until("all is bound", || left_behind(&sandbox).len() >= 2);
            process.signal(signal);
            assert_eq!(
                process.wait().status.signal(),
                Some(signal.as_raw()),
                "{arguments:?}"
            );
            let left = left_behind(&sandbox);
            assert!(left.is_empty(), "{arguments:?}, {signal:?}: {left:?}");
        }
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let sandbox = Sandbox::new();
    let listen = sandbox.listen(["n"]);
    let directory = sandbox.path().join("slipring");
    for file in ["n.sock", "n.lock"] {
        fs::remove_file(directory.join(file)).unwrap();
        fs::write(directory.join(file), "another's").unwrap();
    }
    listen.signal(Signal::TERM);
    listen.wait();
    assert_eq!(left_behind(&sandbox).len(), 2);
}

#[test]
fn connect_ends_in_order_when_it_is_told_to_end() {
    for arguments in [&["connect", "n"][..], &["forward", "-", "slip:n"]] {
        for signal in [Signal::HUP, Signal::TERM] {
            let sandbox = Sandbox::new();
            let listen = sandbox.listen(["n"]);
            let mut connect = sandbox.start(arguments);
            connect.write(b"all of it");
            listen.stdout_begins(b"all of it");
            connect.signal(signal);
            assert_eq!(connect.wait().status.signal(), Some(signal.as_raw()));
            // Its own input is open and silent.
            let listen = listen.wait().expect(0).printed("all of it");
            assert!(!listen.stderr.contains("lost"), "{}", listen.stderr);
        }
    }
}

#[test]
fn ctrl_c_is_no_end_in_order() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    connect.write(b"part");
    listen.stdout_begins(b"part");
    connect.signal(Signal::INT);
    assert_eq!(connect.wait().status.signal(), Some(Signal::INT.as_raw()));
    listen.wait().expect(3).says("the peer was lost");
}

/// As ssh does with its ProxyCommand at the end of each session.
#[test]
fn a_server_says_nothing_of_sessions_that_end_by_a_hang_up() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.command(["listen", "-k", "n", "--", "cat"]);
    let listen = Process::start(listen.stdin(Stdio::null()));
    for _ in 0..3 {
        let mut connect = sandbox.start(["connect", WAIT, "n"]);
        connect.write(b"session");
        connect.stdout_begins(b"session");
        connect.signal(Signal::HUP);
        connect.wait();
    }
    // And one that is killed, which is told with -v only.
    let mut lost = sandbox.start(["connect", "n"]);
    lost.write(b"x");
    lost.stdout_begins(b"x");
    lost.signal(Signal::KILL);
    lost.wait();
    sandbox.run(["connect", "n"]).expect(0);
    listen.signal(Signal::TERM);
    assert_eq!(listen.wait().stderr, "");
}

mod needs_root {
    use super::*;

    #[test]
    #[ignore = "needs root: .ci/run runs it, or cargo test needs_root -- --ignored"]
    fn a_name_of_the_whole_machine_leaves_no_file() {
        let sandbox = Sandbox::new();
        let name = format!("test-{}", std::process::id());
        let global = format!("Global/{name}");
        let listen = sandbox.start(["listen", "-v", &global]);
        listen.stderr_line("listening on ");
        let lock = Path::new("/run/slipring").join(format!("{name}.lock"));
        assert!(lock.exists());
        listen.signal(Signal::TERM);
        listen.wait();
        assert!(!lock.exists());
    }
}
