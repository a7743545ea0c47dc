//! The endpoints of `forward`: those that can be reached and bound, and the failures of the others.

mod common;
#[path = "common/server.rs"]
mod server;

use std::io::{ErrorKind, Read, Write};

use common::{Process, Sandbox, wait_until};
use rustix::process::Signal;
use server::{connect, exchange, serve};

const ANY: &str = "tcp-listen:127.0.0.1:0";

#[test]
fn an_unreachable_target_closes_the_connection_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut forward = sandbox.start(["forward", ANY, &format!("tcp:{}", server::dead_port())]);
    let address = forward.listening_on();
    for number in 1..=3 {
        let mut client = connect(&address);
        let end = client.read_to_end(&mut Vec::new());
        assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
        forward.stderr_line(&format!("#{number} cannot connect to tcp:127.0.0.1:"));
    }
    assert!(forward.is_running());
}

#[test]
fn an_unreachable_target_aborts_a_slipring_client() {
    let sandbox = Sandbox::new();
    let forward = sandbox.start(["forward", "slip-listen:n", "slip:nobody"]);
    forward.listening_on();
    for _ in 0..2 {
        sandbox
            .start(["connect", "n"])
            .wait()
            .expect(3)
            .says("aborted with code 2");
    }
    forward.stderr_line("#2 cannot connect to slip:nobody");
}

#[test]
fn a_connecting_side_serves_one_and_gives_its_outcome() {
    let sandbox = Sandbox::new();
    let target = serve(server::count);
    let listen = sandbox.listen(["n", "--", "printf", "12345"]);
    sandbox
        .run(["forward", "slip:n", &format!("tcp:{target}")])
        .expect(0);
    listen.finish().expect(0);

    sandbox
        .run(["forward", "slip:nobody", &format!("tcp:{target}")])
        .expect(4)
        .says("slip:nobody");
    let dead = format!("tcp:{}", server::dead_port());
    sandbox
        .run(["forward", &dead, &format!("tcp:{target}")])
        .expect(4)
        .says(&dead);
    let listen = sandbox.listen(["n"]);
    sandbox
        .run(["forward", "slip:n", &dead])
        .expect(4)
        .says(&dead);
    listen.wait().expect(3).says("aborted with code 2");
}

#[test]
fn a_connecting_side_of_forward_tells_a_loss() {
    let sandbox = Sandbox::new();
    let listen = sandbox.listen(["n"]);
    let target = serve(server::echo);
    let forward = sandbox.start(["forward", "-v", "slip:n", &format!("tcp:{target}")]);
    forward.stderr_line("joined to");
    listen.signal(Signal::KILL);
    forward
        .wait()
        .expect(3)
        .says("lost the connection at slip:n");
}

#[test]
fn a_unix_listener_removes_its_path_on_a_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = Sandbox::new();
        let path = sandbox.path().join("socket");
        let forward = sandbox.start(["forward", "unix-listen:socket", "slip:n"]);
        forward.listening_on();
        assert!(path.exists());
        forward.signal(signal);
        let finished = forward.wait();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&finished.status),
            Some(signal.as_raw())
        );
        assert!(!path.exists());
    }
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let sandbox = Sandbox::new();
    let dead = sandbox.start(["forward", "unix-listen:socket", "slip:n"]);
    dead.listening_on();
    dead.signal(Signal::KILL);
    drop(dead);
    assert!(sandbox.path().join("socket").exists());
    let live = sandbox.start(["forward", "unix-listen:socket", "slip:n"]);
    live.listening_on();
    sandbox
        .run(["forward", "unix-listen:socket", "slip:n"])
        .expect(4)
        .says("another process listens there");
}

#[test]
fn forward_serves_again_after_a_shortage_of_descriptors() {
    let sandbox = Sandbox::new();
    let target = serve(server::echo);
    let script = format!("ulimit -n 40; exec \"$SLIPRING\" forward {ANY} tcp:{target}");
    let mut forward = Process::start(&mut sandbox.shell(&script));
    let address = forward.listening_on();
    let clients: Vec<_> = (0..40).map(|_| connect(&address)).collect();
    forward.stderr_line("trying again in");
    drop(clients);
    wait_until("it serves again", || {
        let mut client = connect(&address);
        client.write_all(b"x").is_ok() && client.read_exact(&mut [0; 1]).is_ok()
    });
    assert!(forward.is_running());
}

#[test]
fn forward_tells_an_address_that_cannot_be_bound() {
    let sandbox = Sandbox::new();
    let first = sandbox.start(["forward", ANY, "slip:n"]);
    let address = first.listening_on();
    sandbox
        .run(["forward", &address, "slip:n"])
        .expect(4)
        .says("cannot listen at tcp-listen:127.0.0.1:");
    sandbox
        .run(["forward", "unix-listen:/no/such/directory/socket", "slip:n"])
        .expect(4);
    let _listen = sandbox.listen(["taken"]);
    sandbox
        .run(["forward", "slip-listen:taken", &address])
        .expect(4);
}

#[test]
fn forward_refuses_wrong_addresses() {
    let sandbox = Sandbox::new();
    sandbox
        .run(["forward", "udp:localhost:1", "slip:n"])
        .expect(2)
        .says("slip-listen:NAME");
    sandbox
        .run(["forward", "tcp:localhost", "slip:n"])
        .expect(2)
        .says("tcp:HOST:PORT");
    sandbox
        .run(["forward", "tcp:localhost:80", "n"])
        .expect(2)
        .says("unix-listen:PATH");
    sandbox.run(["forward", "tcp:localhost:80"]).expect(2);
}

mod needs_ipv6 {
    use super::*;

    #[test]
    #[ignore = "needs IPv6: .ci/run runs it, or cargo test needs_ipv6 -- --ignored"]
    fn a_tcp_client_is_forwarded_over_ipv6() {
        let sandbox = Sandbox::new();
        let target = serve(server::echo);
        let forward = sandbox.start(["forward", "tcp-listen:[::1]:0", &format!("tcp:{target}")]);
        let address = forward.listening_on();
        assert!(address.starts_with("tcp-listen:[::1]:"), "{address}");
        assert_eq!(exchange(connect(address), b"six"), b"six");
    }
}
