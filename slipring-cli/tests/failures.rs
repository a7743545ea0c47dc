//! Failures of `listen` and `connect`, and the exit codes that tell them.

mod common;

use std::{fs::File, io};

use common::{Process, Sandbox, WAIT, wait_until};
use rustix::process::Signal;

#[test]
fn a_killed_peer_is_lost_and_not_finished() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    let connect = sandbox.start(["connect", WAIT, "n"]);
    listen.write(b"hello");
    connect.stdout_begins(b"hello");
    listen.signal(Signal::KILL);
    // Our standard input is open and silent: it must not keep us.
    connect
        .wait()
        .expect(3)
        .says("the peer was lost")
        .says("5 bytes had arrived")
        .printed("hello");
}

#[test]
fn a_peer_that_is_killed_after_its_end_is_still_lost_for_what_we_send() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    listen.write(b"bye");
    listen.end_input();
    connect.stdout_begins(b"bye");
    connect.write(b"more");
    listen.stdout_has(4);
    listen.signal(Signal::KILL);
    connect.wait().expect(3).says("the peer was lost");
}

#[test]
fn connect_without_a_listener_exits_with_4() {
    let sandbox = Sandbox::new();
    sandbox
        .run(["connect", "nobody"])
        .expect(4)
        .says("slipring: ");
    sandbox.run(["connect", "--wait=50ms", "nobody"]).expect(4);
}

#[test]
fn listen_at_a_name_in_use_exits_with_4() {
    let sandbox = Sandbox::new();
    let _listen = sandbox.listen(["taken"]);
    sandbox
        .run(["listen", "taken"])
        .expect(4)
        .says("slipring: ");
}

#[test]
fn listen_takes_over_a_stale_name() {
    let sandbox = Sandbox::new();
    let dead = sandbox.listen(["n"]);
    dead.signal(Signal::KILL);
    drop(dead);
    sandbox.run(["connect", "n"]).expect(4);
    let listen = sandbox.start(["listen", "n", "--", "echo", "new"]);
    sandbox
        .start(["connect", WAIT, "n"])
        .finish()
        .expect(0)
        .printed("new\n");
    listen.finish().expect(0);
}

#[test]
fn wrong_usage_exits_with_2() {
    let sandbox = Sandbox::new();
    sandbox.run(["listen", ""]).expect(2);
    sandbox.run(["connect", "a/b/c"]).expect(2);
    sandbox
        .run(["listen", "--capacity", "1X", "n"])
        .expect(2)
        .says("256K");
    sandbox.run(["listen", "--capacity", "5000", "n"]).expect(2);
    sandbox
        .run(["listen", "--spin", "sometimes", "n"])
        .expect(2)
        .says("adaptive");
    sandbox
        .run(["connect", "--wait=5", "n"])
        .expect(2)
        .says("5ms");
    sandbox.run(["connect", "--timeout", "soon", "n"]).expect(2);
    sandbox
        .run(["listen", "--allow-anyone", "--allow-user", "0", "n"])
        .expect(2);
    sandbox
        .run(["listen", "--allow-user", "root", "n"])
        .expect(2);
    sandbox
        .run(["connect", "--protocol", &"x".repeat(65), "n"])
        .expect(2);
    sandbox.run(["nonsense"]).expect(2);
}

#[test]
fn mistakes_that_are_easily_made_get_a_hint() {
    let sandbox = Sandbox::new();
    for (arguments, hint) in [
        ("connect --wait 5s n", "--wait=5s"),
        ("subscribe --wait 5s n", "--wait=5s"),
        ("connect n cat -v", "slipring connect NAME -- cat"),
        ("listen n cat", "-- cat"),
        ("listen --wait n", "always waits"),
        ("forward tcp-listen:8080 slip:n", "no host"),
    ] {
        let finished = sandbox.run(arguments.split(' ')).expect(2);
        let said = finished.says(hint).stderr;
        assert!(!said.contains("similar"), "{said}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    for arguments in [
        "listen /nonexist/d/x",
        "forward slip-listen:/nonexist/d/x slip:n",
    ] {
        sandbox
            .run(arguments.split(' '))
            .expect(4)
            .says("there is no directory /nonexist/d");
    }
}

#[test]
fn another_protocol_is_refused() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.listen(["--protocol", "a", "n", "--", "echo", "welcome"]);
    sandbox
        .run(["connect", "--protocol", "b", "n"])
        .expect(4)
        .says("slipring: ");
    assert!(listen.is_running(), "a refused client does not count");
    sandbox
        .run(["connect", "--protocol", "a", "n"])
        .expect(0)
        .printed("welcome\n");
    listen.finish().expect(0);
}

#[test]
fn a_reader_of_our_output_that_stops_is_no_failure() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.command(["listen", "n"]);
    let listen = Process::start(listen.stdin(File::open("/dev/zero").unwrap()));
    let (unread, output) = io::pipe().unwrap();
    drop(unread);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdout(output));
    let connect = connect.wait().expect(0);
    assert_eq!(connect.stderr, "");
    listen.wait().expect(1).says("the peer stopped reading");
}

#[test]
fn a_full_disk_fails_on_both_sides() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdout(File::create("/dev/full").unwrap()));
    listen.write(b"to nowhere");
    connect
        .wait()
        .expect(1)
        .says("cannot write to standard output: No space left");
    listen.wait().expect(3).says("aborted with code 3");
}

#[test]
fn a_failure_is_told_although_the_peer_does_not_read() {
    let sandbox = Sandbox::new();
    // Nobody reads the listener's output from this pipe, so the listener soon reads no more.
    let (unread, output) = io::pipe().unwrap();
    let mut listen = sandbox.command(["listen", "n"]);
    let mut listen = Process::start(listen.stdout(output));
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    connect
        .stdin(File::open("/dev/zero").unwrap())
        .stdout(File::create("/dev/full").unwrap());
    let connect = Process::start(&mut connect);
    wait_until("the pipe is full", || {
        rustix::io::ioctl_fionread(&unread).is_ok_and(|count| count >= 1 << 16)
    });
    listen.write(b"x");
    connect
        .wait()
        .expect(1)
        .says("cannot write to standard output");
    drop(unread);
    // It ends because of its output, or if it got everything out before, because of the abort.
    let code = listen.wait().status.code();
    assert!(matches!(code, Some(0 | 3)), "{code:?}");
}

#[test]
fn an_unreadable_input_fails_on_both_sides() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(File::open("/").unwrap()));
    connect.wait().expect(1).says("cannot read standard input");
    listen.wait().expect(3).says("aborted with code 3");
}

#[test]
fn results_that_cannot_be_written_say_so() {
    let sandbox = Sandbox::new();
    for args in [
        &["demo", "--panels", "1", "--seconds", "1", "--json"][..],
        &[
            "bench",
            "--quick",
            "--rounds",
            "1",
            "--only",
            "rtt-64/unix",
            "--json",
        ],
    ] {
        let mut command = sandbox.command(args);
        let process = Process::start(command.stdout(File::create("/dev/full").unwrap()));
        process
            .wait()
            .expect(1)
            .says("cannot write to standard output");
    }
}
