//! `listen` and `connect` with a command of their own.

mod common;

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    process::Stdio,
};

use common::{Process, Sandbox, WAIT, file_with, noise, wait_until};
use rustix::process::{Pid, Signal, test_kill_process};

#[test]
fn listen_keep_with_a_command_serves_at_once() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "-k", "upper", "--", "cat"]);
    let mut clients: Vec<Process> = (0..5)
        .map(|_| sandbox.start(["connect", WAIT, "upper"]))
        .collect();
    // All are open before the first ends.
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("client {number}");
        client.write(text.as_bytes());
        client.stdout_begins(text.as_bytes());
    }
    for (number, client) in clients.into_iter().enumerate() {
        client
            .finish()
            .expect(0)
            .printed(format!("client {number}"));
    }
    assert!(listen.is_running());
}

#[test]
fn the_exit_code_of_a_command_is_passed_on() {
    for wiring in [&[][..], &["--socket"]] {
        for (script, code) in [("exit 0", 0), ("exit 7", 7)] {
            let sandbox = Sandbox::new();
            let listen = sandbox.start(listen_at("n", wiring, script));
            let connect = sandbox.start(["connect", WAIT, "n"]);
            connect.wait().expect(0).printed("");
            listen.wait().expect(code);
        }
    }
}

#[test]
fn the_output_of_a_command_that_a_signal_killed_is_not_complete() {
    for wiring in [&[][..], &["--socket"]] {
        let sandbox = Sandbox::new();
        let listen = sandbox.start(listen_at("n", wiring, "head -c 1000 /dev/zero; kill -9 $$"));
        let connect = sandbox.start(["connect", WAIT, "n"]);
        connect
            .wait()
            .expect(3)
            .says("aborted with code 3")
            .printed([0; 1000]);
        listen.wait().expect(137);
    }
}

#[test]
fn a_server_tells_how_commands_ended_if_it_is_asked_to() {
    let sandbox = Sandbox::new();
    let listen = sandbox.listen(["-k", "n", "--", "sh", "-c", "kill -9 $$"]);
    sandbox.start(["connect", "n"]).wait().expect(3);
    listen.stderr_line("the command ended with signal: 9");
}

#[test]
fn a_connecting_command_that_a_signal_killed_is_a_loss_for_the_listener() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n"]);
    let connect = sandbox.start([
        "connect",
        WAIT,
        "n",
        "--",
        "sh",
        "-c",
        "echo part; kill -TERM $$",
    ]);
    connect.wait().expect(143);
    listen
        .wait()
        .expect(3)
        .says("aborted with code 3")
        .printed("part\n");
}

#[test]
fn a_command_that_only_closes_its_output_is_heard_out() {
    let sandbox = Sandbox::new();
    let script = "echo all; exec >&-; cat > got; kill -9 $$";
    let listen = sandbox.start(listen_at("n", &[], script));
    // This command answers when it has been told of the end, independently of the other's fate.
    let answer = "cat > seen; printf rest";
    let connect = sandbox.start(["connect", WAIT, "n", "--", "sh", "-c", answer]);
    connect.wait().expect(0);
    listen.wait().expect(137);
    assert_eq!(fs::read(sandbox.path().join("seen")).unwrap(), b"all\n");
    assert_eq!(fs::read(sandbox.path().join("got")).unwrap(), b"rest");
}

/// The results of `test -S` for standard input and output.
#[test]
fn a_command_gets_pipes_or_one_socket() {
    let script =
        "test -S /proc/self/fd/0 && echo socket; test -p /proc/self/fd/0 && echo pipe; cat";
    for (wiring, kind) in [(&[][..], "pipe"), (&["--socket"], "socket")] {
        let sandbox = Sandbox::new();
        let listen = sandbox.start(listen_at("n", wiring, script));
        let mut connect = sandbox.start(["connect", WAIT, "n"]);
        connect.write(b"and back");
        connect
            .finish()
            .expect(0)
            .printed(format!("{kind}\nand back"));
        listen.wait().expect(0);
    }
    Sandbox::new().run(["listen", "--socket", "n"]).expect(2);
}

#[test]
fn bulk_through_a_socket_both_ways_and_half_closed() {
    let sandbox = Sandbox::new();
    let data = noise(4, 3_000_000);
    let listen = sandbox.start(["listen", "--socket", "n", "--", "cat"]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(file_with(sandbox.path(), "data", &data)));
    connect.wait().expect(0).printed(data);
    listen.wait().expect(0);
}

#[test]
fn a_command_that_leaves_its_socket_unread_ends_in_order() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "--socket", "n", "--", "head", "-c", "10"]);
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(File::open("/dev/zero").unwrap()));
    connect
        .wait()
        .expect(1)
        .says("the peer stopped reading")
        .printed([0; 10]);
    listen.wait().expect(0);
}

/// Tells its process id, and then does nothing for ever.
const SLEEPER: &str = "echo $$; exec sleep 100000";

#[test]
fn commands_do_not_outlive_a_listener_that_is_told_to_end() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = Sandbox::new();
        let listen = sandbox.listen(["-k", "n", "--", "sh", "-c", SLEEPER]);
        let clients: Vec<Process> = (0..3).map(|_| sandbox.start(["connect", "n"])).collect();
        let commands: Vec<i32> = clients.iter().map(told_pid).collect();
        listen.signal(signal);
        assert_eq!(listen.wait().status.signal(), Some(signal.as_raw()));
        for (client, command) in clients.into_iter().zip(commands) {
            client.wait().expect(3).says("the peer was lost");
            wait_until("the command has ended", || !exists(command));
        }
    }
}

#[test]
fn a_command_does_not_outlive_a_connect_that_is_told_to_end() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n"]);
    let connect = sandbox.start(["connect", WAIT, "n", "--", "sh", "-c", SLEEPER]);
    let command = told_pid(&listen);
    connect.signal(Signal::TERM);
    assert_eq!(connect.wait().status.signal(), Some(15));
    wait_until("the command has ended", || !exists(command));
    listen.wait().expect(3);
}

#[test]
fn a_command_does_not_outlive_a_peer_that_died() {
    for wiring in [&[][..], &["--socket"]] {
        let sandbox = Sandbox::new();
        let listen = sandbox.start(listen_at("n", wiring, SLEEPER));
        let connect = sandbox.start(["connect", WAIT, "n"]);
        let command = told_pid(&connect);
        connect.signal(Signal::KILL);
        listen.wait().expect(3).says("the peer was lost");
        assert!(!exists(command));
    }
}

#[test]
fn a_command_whose_peer_died_after_its_end_is_told_too() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(listen_at("n", &[], "echo $$; exec >&-; exec sleep 100000"));
    let mut connect = sandbox.command(["connect", WAIT, "n"]);
    let connect = Process::start(connect.stdin(Stdio::piped()));
    let command = told_pid(&connect);
    connect.signal(Signal::KILL);
    listen.wait().expect(3).says("the peer was lost");
    assert!(!exists(command));
}

fn listen_at<'a>(name: &'a str, wiring: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["listen"];
    arguments.extend(wiring);
    arguments.extend([name, "--", "sh", "-c", script]);
    arguments
}

/// The process id that a command has written in its first line.
fn told_pid(process: &Process) -> i32 {
    let line = process.stdout_line();
    line.parse()
        .unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn exists(pid: i32) -> bool {
    let pid = Pid::from_raw(pid).expect("a pid");
    test_kill_process(pid).is_ok()
}

#[test]
fn connect_runs_a_command() {
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
    let script = "echo $SLIPRING_PEER_PID $SLIPRING_PEER_UID; case $SLIPRING_NAME in *who) ;; *) \
        exit 9;; esac";
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
    // Beyond the signal that a command gets some time later.
    let script = "trap '' HUP; cat > got; echo done > marker";
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
    listen
        .wait()
        .expect(1)
        .says("cannot run `/no/such/program`");
    connect.wait().expect(3).says("aborted with code 3");
}
