//! `listen` and `connect` between real processes: bytes, ends, and what is said about them.

mod common;

use std::{
    io::{self, BufRead, BufReader, Write},
    process::Stdio,
    thread,
};

use common::{Process, Sandbox, WAIT, file_with, noise};
use rustix::process::Signal;

#[test]
fn fifty_megabytes_go_both_ways_at_once() {
    let sandbox = Sandbox::new();
    let (there, back) = (noise(1, 50_000_000), noise(2, 50_000_001));
    let mut listen = sandbox.command(["listen", "bulk"]);
    let listen = Process::start(listen.stdin(file_with(sandbox.path(), "back", &back)));
    let mut connect = sandbox.command(["connect", WAIT, "bulk"]);
    let connect = Process::start(connect.stdin(file_with(sandbox.path(), "there", &there)));
    connect.wait().expect(0).printed(back);
    listen.wait().expect(0).printed(there);
}

#[test]
fn a_pipe_arrives_whole_through_small_and_large_rings() {
    for capacity in ["4K", "4M"] {
        let sandbox = Sandbox::new();
        let data = noise(3, 3_000_000);
        let listen = sandbox.start(["listen", "--capacity", capacity, "n", "--", "cat"]);
        let mut connect = sandbox.start(["connect", WAIT, "--capacity", capacity, "n"]);
        let mut stdin = connect.take_stdin();
        let sent = data.clone();
        let writer = thread::spawn(move || stdin.write_all(&sent).unwrap());
        connect.wait().expect(0).printed(data);
        writer.join().unwrap();
        listen.finish().expect(0);
    }
}

#[test]
fn the_end_of_input_ends_one_direction_only() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "sorter", "--", "sort"]);
    let mut connect = sandbox.start(["connect", WAIT, "sorter"]);
    connect.write(b"b\nc\na\n");
    connect.finish().expect(0).printed("a\nb\nc\n");
    listen.finish().expect(0);
}

#[test]
fn a_listener_answers_after_the_end_of_what_it_read() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    connect.write(b"question");
    connect.end_input();
    listen.stdout_has(8);
    listen.write(b"answer");
    listen.finish().expect(0).printed("question");
    connect.wait().expect(0).printed("answer");
}

#[test]
fn an_interactive_exchange_is_not_held_back() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.start(["listen", "n"]);
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    for round in 0..20 {
        let text = format!("round {round}\n");
        connect.write(text.as_bytes());
        listen.stdout_has((0..=round).map(|n| format!("round {n}\n").len()).sum());
        listen.write(b"ok");
        connect.stdout_has(2 * (round + 1));
    }
    listen.end_input();
    connect.finish().expect(0);
    listen.wait().expect(0);
}

#[test]
fn a_peer_that_is_done_ends_us_although_our_input_is_open() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "echo", "hello"]);
    let connect = sandbox.start(["connect", WAIT, "n"]);
    // `wait` leaves standard input open: only the peer can end this.
    connect.wait().expect(0).printed("hello\n");
    listen.finish().expect(0);
}

#[test]
fn listen_keep_serves_one_after_the_other() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "-v", "-k", "n"]);
    for text in ["one ", "two ", "three"] {
        let mut connect = sandbox.start(["connect", WAIT, "n"]);
        connect.write(text.as_bytes());
        // The listener's own input is open and silent, so the connection lasts until we are lost.
        listen.stdout_begins(match text {
            "one " => b"one ",
            "two " => b"one two ",
            _ => b"one two three",
        });
        connect.signal(Signal::KILL);
    }
    let line = listen.stderr_line("the peer was lost");
    assert!(!line.contains("run it again"), "{line}");
}

#[test]
fn listen_keep_goes_on_after_clean_ends_until_nobody_reads() {
    let sandbox = Sandbox::new();
    let (unread, output) = io::pipe().unwrap();
    let mut listen = sandbox.command(["listen", "-k", "n"]);
    let listen = Process::start(listen.stdin(Stdio::null()).stdout(output));
    let send = |text: &[u8]| {
        let mut connect = sandbox.start(["connect", WAIT, "n"]);
        connect.write(text);
        connect.finish().expect(0).printed("");
    };
    send(b"one\n");
    send(b"two\n");
    let mut lines = BufReader::new(unread).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one");
    assert_eq!(lines.next().unwrap().unwrap(), "two");
    drop(lines);
    // The listener meets the closed pipe with what this one sends.
    let mut connect = sandbox.start(["connect", WAIT, "n"]);
    connect.write(b"three\n");
    assert_eq!(listen.wait().expect(0).stderr, "");
}

#[test]
fn bytes_arrive_in_every_spin_mode() {
    for mode in ["never", "always", "adaptive", "20us"] {
        let sandbox = Sandbox::new();
        let listen = sandbox.start(["listen", "--spin", mode, "n", "--", "cat"]);
        let mut connect = sandbox.start(["connect", WAIT, "--spin", mode, "n"]);
        connect.write(b"ping");
        connect.finish().expect(0).printed("ping");
        listen.finish().expect(0);
    }
}

#[test]
fn progress_ends_with_a_summary() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "--progress", "n", "--", "wc", "-c"]);
    let mut connect = sandbox.start(["connect", WAIT, "--progress", "n"]);
    connect.write(&[7; 1000]);
    connect
        .finish()
        .expect(0)
        .printed("1000\n")
        .says("sent 1000 bytes (1000 B), received 5 bytes");
    let listen = listen
        .finish()
        .expect(0)
        .says("sent 5 bytes (5 B), received 1000 bytes");
    assert!(
        !listen.stderr.contains('\r'),
        "nothing is drawn where there is no terminal: {:?}",
        listen.stderr
    );
}

#[test]
fn listen_verbose_tells_who_connects() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "-v", "n", "--", "true"]);
    assert!(listen.listening_on().starts_with("slip-listen:"));
    let connect = sandbox.start(["connect", WAIT, "-v", "n"]);
    let (listener, client) = (listen.pid(), connect.pid());
    connect
        .wait()
        .expect(0)
        .says(&format!("connected to process {listener} "));
    listen
        .wait()
        .expect(0)
        .says(&format!("connection from process {client} "));
}

#[test]
fn a_closed_input_is_an_empty_one() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "n", "--", "echo", "seen"]);
    let script = format!("exec \"$SLIPRING\" connect {WAIT} n <&- 2>&-");
    let mut connect = sandbox.shell(&script);
    connect.stdin(Stdio::null()).stderr(Stdio::null());
    Process::start(&mut connect)
        .wait()
        .expect(0)
        .printed("seen\n");
    listen.finish().expect(0);
}

/// Nobody is connected to, so that nothing is swallowed.
#[test]
fn a_closed_output_is_told() {
    let sandbox = Sandbox::new();
    let mut listen = sandbox.listen(["n"]);
    for arguments in [
        "connect n",
        "listen other",
        "listen -k other",
        "forward slip:n -",
    ] {
        let mut shell = sandbox.shell(&format!("exec \"$SLIPRING\" {arguments} >&-"));
        Process::start(&mut shell)
            .finish()
            .expect(1)
            .says("standard output is closed");
    }
    // A user may choose to throw it away, and a command has an output of its own.
    listen.write(b"to nowhere");
    listen.end_input();
    let mut shell = sandbox.shell("exec \"$SLIPRING\" connect n 1<>/dev/null");
    Process::start(&mut shell).finish().expect(0);
    listen.finish().expect(0);
    let listen = sandbox.start(["listen", "n", "--", "echo", "y"]);
    let script = format!("exec \"$SLIPRING\" connect {WAIT} n -- sh -c 'cat >got' >&-");
    Process::start(&mut sandbox.shell(&script))
        .finish()
        .expect(0);
    listen.finish().expect(0);
}

#[test]
fn a_reader_of_our_output_that_goes_is_noticed_although_the_peer_is_silent() {
    for arguments in [
        &["connect", WAIT, "n"][..],
        &["forward", "-", "slip:n"],
        &["forward", "slip:n", "-"],
    ] {
        let sandbox = Sandbox::new();
        let listen = sandbox.listen(["n"]);
        let (unread, output) = io::pipe().unwrap();
        let mut command = sandbox.command(arguments);
        let process = Process::start(command.stdout(output));
        drop(command);
        drop(unread);
        // Both inputs are open and silent.
        assert_eq!(process.wait().expect(0).stderr, "", "{arguments:?}");
        listen.wait().expect(0);
    }
}

#[test]
fn a_listener_whose_output_nobody_reads_notices_while_it_serves() {
    let sandbox = Sandbox::new();
    let (unread, output) = io::pipe().unwrap();
    let mut listen = sandbox.command(["listen", "-k", "n"]);
    let process = Process::start(listen.stdout(output));
    drop(listen);
    let connect = sandbox.start(["connect", WAIT, "n"]);
    drop(unread);
    process.wait().expect(0);
    connect.wait().expect(0);
}

/// A listener that is there and does not accept: nothing is heard of it, so the client says why it
/// waits.
#[test]
fn a_listener_that_does_not_accept_is_waited_for_and_named() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("busy");
    let busy = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let connect = sandbox.start(["connect".as_ref(), path.as_os_str()]);
    connect.stderr_line("is bound, and its listener has not accepted yet");
    drop(busy);
    connect.wait().expect(4);
}
