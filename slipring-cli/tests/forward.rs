//! `forward` between TCP, Unix sockets and slipring names, with real processes on every side.

mod common;
#[path = "common/server.rs"]
mod server;

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use common::{DEADLINE, Process, Sandbox, WAIT, noise};
use rustix::process::Signal;
use server::{connect, exchange, serve};

const ANY: &str = "tcp-listen:127.0.0.1:0";

/// Two forwards that lead TCP through a slipring name to `target`: client, `tcp-listen`, `slip`,
/// `slip-listen`, `tcp`, server.
struct Tunnel {
    entry: Process,
    exit: Process,
    address: String,
}

impl Tunnel {
    fn to(sandbox: &Sandbox, target: impl std::fmt::Display) -> Self {
        let exit = sandbox.start([
            "forward",
            "-v",
            "slip-listen:tunnel",
            &format!("tcp:{target}"),
        ]);
        exit.listening_on();
        let entry = sandbox.start(["forward", "-v", ANY, "slip:tunnel"]);
        let address = entry.listening_on();
        Self {
            entry,
            exit,
            address,
        }
    }
}

#[test]
fn a_tunnel_carries_many_connections_at_once() {
    let sandbox = Sandbox::new();
    let tunnel = Tunnel::to(&sandbox, serve(server::echo));
    thread::scope(|scope| {
        for seed in 0..20 {
            let address = &tunnel.address;
            scope.spawn(move || {
                let data = noise(seed, 1_000_000);
                assert!(
                    exchange(connect(address), &data) == data,
                    "connection {seed}"
                );
            });
        }
    });
    tunnel.entry.stderr_line("ended after");
    tunnel
        .exit
        .stderr_line("1000000 bytes forth and 1000000 bytes back: clean end");
}

#[test]
fn a_tunnel_passes_on_a_half_close_by_the_client() {
    let sandbox = Sandbox::new();
    let tunnel = Tunnel::to(&sandbox, serve(server::count));
    assert_eq!(
        exchange(connect(&tunnel.address), &noise(1, 300_000)),
        b"300000"
    );
    assert_eq!(exchange(connect(&tunnel.address), b""), b"0");
}

#[test]
fn a_tunnel_passes_on_a_half_close_by_the_server() {
    let sandbox = Sandbox::new();
    let (sender, received) = std::sync::mpsc::channel();
    let target = serve(move |mut stream| {
        stream.write_all(b"greeting").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        sender.send(rest).unwrap();
    });
    let tunnel = Tunnel::to(&sandbox, target);
    let mut client = connect(&tunnel.address);
    let mut greeting = String::new();
    client.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "greeting");
    client
        .write_all(b"after the end of the other direction")
        .unwrap();
    drop(client);
    assert_eq!(
        received.recv_timeout(DEADLINE).unwrap(),
        b"after the end of the other direction"
    );
}

#[test]
fn a_reset_by_the_client_is_no_clean_end_for_the_server() {
    let sandbox = Sandbox::new();
    let (target, ends) = server::report_end();
    let tunnel = Tunnel::to(&sandbox, target);
    let mut client = connect(&tunnel.address);
    client.write_all(b"unfinished").unwrap();
    tunnel.exit.stderr_line("joined to");
    server::reset(client);
    let end = ends.recv_timeout(DEADLINE).unwrap();
    assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    tunnel
        .entry
        .stderr_line("lost the connection at tcp-listen:");
}

#[test]
fn a_reset_by_the_server_is_no_clean_end_for_the_client() {
    let sandbox = Sandbox::new();
    let target = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1]);
        server::reset(stream);
    });
    let tunnel = Tunnel::to(&sandbox, target);
    let mut client = connect(&tunnel.address);
    client.write_all(b"x").unwrap();
    let error = client.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_killed_slipring_peer_resets_the_tcp_connection() {
    let sandbox = Sandbox::new();
    let listen = sandbox.listen(["n", "--", "cat"]);
    let forward = sandbox.start(["forward", "-v", ANY, "slip:n"]);
    let mut client = connect(forward.listening_on());
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    listen.signal(Signal::KILL);
    let error = client.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    forward.stderr_line("lost the connection at slip:n");
}

#[test]
fn a_reset_tcp_connection_aborts_the_slipring_peer() {
    let sandbox = Sandbox::new();
    let mut forward = sandbox.start(["forward", "slip-listen:n", ANY]);
    let address = forward.stderr_line("listening on tcp-listen:");
    let client = sandbox.start(["connect", WAIT, "n"]);
    let tcp = connect(address.trim_start_matches("listening on "));
    server::reset(tcp);
    client.wait().expect(3).says("aborted with code 1");
    assert!(forward.is_running());
}

#[test]
fn a_tunnel_passes_an_abort_code_on() {
    let sandbox = Sandbox::new();
    let exit = sandbox.start(["forward", "slip-listen:outer", "slip:inner"]);
    exit.listening_on();
    let inner = sandbox.listen(["inner", "--", "/no/such/program"]);
    sandbox
        .start(["connect", "outer"])
        .wait()
        .expect(3)
        .says("aborted with code 3");
    inner.wait().expect(1);
}

/// `slip-listen:n`, for a server of one client behind a Unix socket.
fn exit_to_unix(sandbox: &Sandbox, serve: impl FnOnce(UnixStream) + Send + 'static) -> Process {
    let server = UnixListener::bind(sandbox.path().join("back")).unwrap();
    thread::spawn(move || serve(server.accept().unwrap().0));
    let exit = sandbox.start(["forward", "slip-listen:n", "unix:back"]);
    exit.listening_on();
    exit
}

#[test]
fn a_tunnel_joins_unix_sockets_on_both_ends() {
    let sandbox = Sandbox::new();
    let _exit = exit_to_unix(&sandbox, |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let entry = sandbox.start(["forward", "unix-listen:front", "slip:n"]);
    assert_eq!(entry.listening_on(), "unix-listen:front");

    let data = noise(5, 500_000);
    let mut client = UnixStream::connect(sandbox.path().join("front")).unwrap();
    client.write_all(&data).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer == data);
}

#[test]
fn two_listening_sides_are_paired() {
    let sandbox = Sandbox::new();
    let forward = sandbox.start(["forward", ANY, "slip-listen:n"]);
    let address = forward.listening_on();
    forward.stderr_line("listening on slip-listen:");
    let mut client = connect(address);
    let mut other = sandbox.start(["connect", "n"]);
    client.write_all(b"from tcp").unwrap();
    other.stdout_begins(b"from tcp");
    other.write(b"from slip");
    other.end_input();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "from slip");
    drop(client);
    other.wait().expect(0);
}

/// Answers after a part, without taking the rest, and ends. The socket is kept: closed with bytes
/// unread, it would send a reset, which may destroy the answer.
fn answer_early<S: Read + Write>(mut stream: S, end: impl Fn(&S)) {
    stream.read_exact(&mut [0; 1000]).unwrap();
    stream.write_all(b"enough").unwrap();
    end(&stream);
    std::mem::forget(stream);
}

#[test]
fn a_tcp_server_that_stops_reading_does_not_lose_its_answer() {
    let sandbox = Sandbox::new();
    // Without shutting its reading: the kernel answers what comes after that and an end with a
    // reset.
    let target =
        serve(|stream| answer_early(stream, |stream| stream.shutdown(Shutdown::Write).unwrap()));
    let tunnel = Tunnel::to(&sandbox, target);
    let mut client = connect(&tunnel.address);
    let mut sender = client.try_clone().unwrap();
    // More than fits in all that lies between, so that the client is still writing when it is
    // answered.
    let sender = thread::spawn(move || sender.write_all(&vec![0; 64 << 20]));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"enough");
    assert!(!sender.is_finished());
    client.shutdown(Shutdown::Both).unwrap();
    sender.join().unwrap().unwrap_err();
}

#[test]
fn a_unix_server_that_stops_reading_stops_the_client_and_does_not_lose_its_answer() {
    let sandbox = Sandbox::new();
    let _exit = exit_to_unix(&sandbox, |stream| {
        answer_early(stream, |stream| stream.shutdown(Shutdown::Both).unwrap());
    });
    let entry = sandbox.start(["forward", "unix-listen:front", "slip:n"]);
    entry.listening_on();

    let mut client = UnixStream::connect(sandbox.path().join("front")).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    let mut sender = client.try_clone().unwrap();
    let sender = thread::spawn(move || sender.write_all(&vec![0; 64 << 20]));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"enough");
    let error = sender.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

/// TCP has no way to say it, so the client sends all it has, and the other side has to take it.
#[test]
fn a_tcp_client_whose_bytes_are_not_wanted_is_not_held_up() {
    let sandbox = Sandbox::new();
    let _exit = exit_to_unix(&sandbox, |mut stream| {
        // Comes before any bytes: Linux does not tell a process that polls for room of it
        // (`unix_poll` in net/unix/af_unix.c).
        stream.shutdown(Shutdown::Read).unwrap();
        stream.write_all(b"enough").unwrap();
        std::mem::forget(stream);
    });
    let entry = sandbox.start(["forward", ANY, "slip:n"]);
    let mut client = connect(entry.listening_on());
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    // Then the server has shut its reading.
    let mut answer = [0; 6];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"enough");
    client.write_all(&vec![0; 64 << 20]).unwrap();
}
