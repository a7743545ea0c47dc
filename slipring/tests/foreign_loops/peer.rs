//! A process at the other end: this test binary, started once more to run `child_process` alone.

use rustix::event::{PollFd, PollFlags, poll};
use slipring::{Options, Stream};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

const CHILD: &str = "SLIPRING_TEST_PEER";

/// Killed when it is dropped.
pub struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().expect("it is a child of this process");
        self.0.wait().expect("it is a child of this process");
    }
}

/// Starts a peer that makes its end of a stream and leaves it at that.
pub fn start(capacity: usize) -> (Stream, Peer) {
    let (here, there) = UnixStream::pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "peer::child_process", "--nocapture"])
        .env(CHILD, "yes")
        .stdin(Stdio::from(OwnedFd::from(there)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let peer = Peer(child);
    let mut stream = Options::new()
        .capacity(capacity)
        .max_capacity(capacity)
        .upgrade(here)
        .unwrap();
    stream.read_exact(&mut [0]).unwrap();
    (stream, peer)
}

/// In the peer's process: is there, until it is killed or the test is gone.
#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    std::env::var_os(CHILD)
        .expect("started by a test only: leave it out with --skip child_process");
    let link = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut stream = Options::new().upgrade(link.into()).unwrap();
    stream.write_all(b"!").unwrap();
    poll(
        &mut [PollFd::new(&std::io::stdin(), PollFlags::RDHUP)],
        None,
    )
    .unwrap();
}
