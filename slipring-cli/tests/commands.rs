//! `listen` and `connect` with a command of their own.

mod common;

use std::fs::{self, File};

use common::{Process, Sandbox, WAIT, wait_until};
use rustix::process::Signal;

#[test]
fn keep_with_a_command_serves_at_once() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "-k", "upper", "--", "cat"]);
    let mut clients: Vec<Process> = (0..5).map(|_| sandbox.start(["connect", WAIT, "upper"])).collect();
    // All are open before the first ends.
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("client {number}");
        client.write(text.as_bytes());
        client.stdout_begins(text.as_bytes());
    }
    for (number, client) in clients.into_iter().enumerate() {
        client.finish().expect(0).printed(format!("client {number}"));
    }
    assert!(listen.is_running());
}

#[test]
fn the_exit_code_of_a_command_is_passed_on() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let sandbox = Sandbox::new();
        let listen = sandbox.start(["listen", "n", "--", "sh", "-c", script]);
        let connect = sandbox.start(["connect", WAIT, "n"]);
        connect.wait().expect(0).printed("");
        listen.wait().expect(code);
    }
}

#[test]
fn connect_runs_a_command_too() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    listen.write(b"hello");
    listen.end_input();
    let connect = sandbox.start(["connect", WAIT, "n", "--", "sh", "-c", "tr a-z A-Z; exit 5"]);
    connect.wait().expect(5).printed("");
    listen.wait().expect(0).printed("HELLO");
}

#[test]
fn a_command_learns_who_is_there() {
    let sandbox = Sandbox::new();
    let script = "echo $SLIPRING_PEER_PID $SLIPRING_PEER_UID; case $SLIPRING_NAME in *who) ;; *) exit 9;; esac";
    let listen = sandbox.start(["listen", "who", "--", "sh", "-c", script]);
    let connect = sandbox.start(["connect", WAIT, "who"]);
    let expected = format!("{} {}\n", connect.pid(), rustix::process::getuid().as_raw());
    connect.wait().expect(0).printed(expected);
    listen.wait().expect(0);
}

#[test]
fn a_command_that_stops_reading_ends_the_stream_cleanly() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "head", "-c", "10"]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(File::open("/dev/zero").unwrap()));
    connect
        .wait()
        .expect(1)
        .says("the peer stopped reading")
        .printed([0; 10]);
    listen.wait().expect(0);
}

#[test]
fn a_command_that_closes_its_input_still_has_its_output_passed_on() {
    let sandbox = Sandbox::new();
    let script = "exec <&-; sleep 0.2; echo still here";
    let listen = sandbox.start(["listen", "n", "--", "sh", "-c", script]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(File::open("/dev/zero").unwrap()));
    connect.wait().expect(1).printed("still here\n");
    listen.wait().expect(0);
}

#[test]
fn a_command_sees_the_end_when_the_peer_vanishes() {
    let sandbox = Sandbox::new();
    let script = "cat > got; echo done > marker";
    let listen = sandbox.start(["listen", "n", "--", "sh", "-c", script]);
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    connect.write(b"some");
    wait_until("the command has it", || {
        fs::read(sandbox.path().join("got")).is_ok_and(|got| got == b"some")
    });
    connect.signal(Signal::KILL);
    listen
        .wait()
        .expect(3)
        .says("the peer was lost")
        .says("4 bytes had arrived");
    assert_eq!(fs::read(sandbox.path().join("marker")).unwrap(), b"done\n");
}

#[test]
fn a_command_that_cannot_start_is_told_to_both_sides() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "/no/such/program"]);
    let connect = sandbox.start(["connect", WAIT, "n"]);
    listen.wait().expect(1).says("cannot run `/no/such/program`");
    connect.wait().expect(3).says("aborted with code 3");
}
