//! `forward` without any slipring name: TCP and Unix sockets joined directly.

mod common;
#[path = "common/server.rs"]
mod server;

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::mpsc,
    thread,
};

use common::{DEADLINE, Process, Sandbox, noise};
use server::{connect, exchange, serve};

const ANY: &str = "tcp-listen:127.0.0.1:0";

fn forward(sandbox: &Sandbox, target: impl std::fmt::Display) -> (Process, String) {
    let forward = sandbox.start(["forward", "-v", ANY, &format!("tcp:{target}")]);
    let address = forward.listening_on();
    (forward, address)
}

#[test]
fn sockets_are_joined_many_at_once() {
    let sandbox = Sandbox::new();
    let (forward, address) = forward(&sandbox, serve(server::echo));
    thread::scope(|scope| {
        for seed in 0..20 {
            let address = &address;
            scope.spawn(move || {
                let data = noise(seed, 1_000_000);
                assert!(
                    exchange(connect(address), &data) == data,
                    "connection {seed}"
                );
            });
        }
    });
    forward.stderr_line("1000000 bytes forth and 1000000 bytes back: clean end");
}

#[test]
fn joined_sockets_pass_on_a_half_close_by_the_client() {
    let sandbox = Sandbox::new();
    let (_forward, address) = forward(&sandbox, serve(server::count));
    assert_eq!(exchange(connect(&address), &noise(1, 300_000)), b"300000");
    assert_eq!(exchange(connect(&address), b""), b"0");
}

#[test]
fn joined_sockets_pass_on_a_half_close_by_the_server() {
    let sandbox = Sandbox::new();
    let (sender, received) = mpsc::channel();
    let target = serve(move |mut stream| {
        stream.write_all(b"greeting").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        sender.send(rest).unwrap();
    });
    let (_forward, address) = forward(&sandbox, target);
    let mut client = connect(&address);
    let mut greeting = String::new();
    client.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "greeting");
    client.write_all(b"later").unwrap();
    drop(client);
    assert_eq!(received.recv_timeout(DEADLINE).unwrap(), b"later");
}

#[test]
fn joined_sockets_pass_on_resets() {
    let sandbox = Sandbox::new();
    let (target, ends) = server::report_end();
    let (forward_up, address) = forward(&sandbox, target);
    for _ in 0..50 {
        let mut client = connect(&address);
        client.write_all(b"unfinished").unwrap();
        server::reset(client);
    }
    // Some are reset before they are joined; one that reaches the server must not look finished.
    forward_up.stderr_line("lost the connection at tcp-listen:");
    for end in ends.try_iter() {
        assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    }

    let target = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1]);
        server::reset(stream);
    });
    let (_forward, address) = forward(&sandbox, target);
    let mut client = connect(&address);
    client.write_all(b"x").unwrap();
    assert_eq!(
        client
            .read_to_end(&mut Vec::new())
            .expect_err("a reset")
            .kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_reset_amid_traffic_both_ways_is_never_a_clean_end() {
    let sandbox = Sandbox::new();
    // Sends back all that comes, so that the loss may be met by either direction first.
    let (forward, address) = forward(&sandbox, serve(server::echo));
    for number in 1..=100 {
        let mut client = connect(&address);
        let mut sender = client.try_clone().unwrap();
        let sending = thread::spawn(move || while sender.write_all(&[1; 10_000]).is_ok() {});
        client.read_exact(&mut [0; 50_000]).unwrap();
        // With a second handle in use, dropping this one would not reset.
        rustix::net::connect_unspec(&client).unwrap();
        sending.join().unwrap();
        let end = forward.stderr_line(&format!("#{number} ended"));
        assert!(end.contains("lost the connection at tcp-listen:"), "{end}");
    }
}

#[test]
fn unix_sockets_are_joined() {
    let sandbox = Sandbox::new();
    let server = UnixListener::bind(sandbox.path().join("back")).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = server.accept() {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        }
    });
    let forward = sandbox.start(["forward", "unix-listen:front", "unix:back"]);
    forward.listening_on();
    let data = noise(2, 1_000_000);
    let mut client = UnixStream::connect(sandbox.path().join("front")).unwrap();
    client.write_all(&data).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer == data);
}

#[test]
fn a_unix_client_that_leaves_ends_the_server_although_that_is_silent() {
    let sandbox = Sandbox::new();
    let (target, ends) = server::report_end();
    let forward = sandbox.start(["forward", "unix-listen:front", &format!("tcp:{target}")]);
    forward.listening_on();
    drop(UnixStream::connect(sandbox.path().join("front")).unwrap());
    assert_eq!(ends.recv_timeout(DEADLINE).unwrap().unwrap(), 0);
}
