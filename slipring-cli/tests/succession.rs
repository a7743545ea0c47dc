//! `listen --keep` and `forward` replace themselves on SIGUSR2, and nobody who connects notices.

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use common::{DEADLINE, Process, Sandbox, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use slipring::{Options, Stream};

/// A server whose process changes; the last one is killed at the end.
struct Server {
    first: Process,
    now: Pid,
    replaced: usize,
}

impl Server {
    /// Of a process that says where it listens.
    fn new(first: Process) -> Self {
        first.listening_on();
        let now = Pid::from_raw(first.pid().cast_signed()).unwrap();
        Self {
            first,
            now,
            replaced: 0,
        }
    }

    /// Has it replace itself; the new process serves then.
    fn replace(&mut self) {
        kill_process(self.now, Signal::USR2).unwrap();
        self.replaced += 1;
        self.now = self.process(self.replaced);
    }

    /// The process of that many replacements, by what they say on standard error.
    fn process(&self, number: usize) -> Pid {
        let mut found = None;
        wait_until("it is replaced", || {
            let said = self.first.stderr_so_far();
            let ids = said.lines().filter_map(|line| {
                line.split_once("replaced by process ")?
                    .1
                    .trim()
                    .parse()
                    .ok()
            });
            found = ids.collect::<Vec<i32>>().get(number - 1).copied();
            found.is_some()
        });
        found.and_then(Pid::from_raw).unwrap()
    }

    fn predecessor_ends(&mut self) {
        wait_until("the predecessor has ended", || !self.first.is_running());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(self.now, Signal::KILL);
    }
}

/// The socket of a name in the sandbox.
fn socket(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join(format!("slipring/{name}.sock"))
}

/// Sends a text through an echo and back.
fn echoed(stream: &mut (impl Read + Write)) {
    let mut back = [0; 5];
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn no_client_of_forward_is_refused_while_it_replaces_itself() {
    let sandbox = Sandbox::new();
    let _back = sandbox.listen(["-k", "back", "--", "cat"]);
    let mut server = Server::new(sandbox.start(["forward", "slip-listen:front", "slip:back"]));
    let front = socket(&sandbox, "front");
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let options = Options::new().capacity(4096);
                    let mut stream = options.connect(&front).expect("it is not refused");
                    echoed(&mut stream);
                    served.fetch_add(1, Relaxed);
                }
            });
        }
        for _ in 0..4 {
            server.replace();
            let enough = served.load(Relaxed) + 16;
            wait_until("clients are served", || served.load(Relaxed) >= enough);
        }
        stop.store(true, Relaxed);
    });
    server.predecessor_ends();
    let names = sandbox.names();
    let front = names.iter().find(|name| name["name"] == "Local/front");
    let pid = server.now.as_raw_nonzero().get();
    assert_eq!(front.unwrap()["pid"], pid, "{names:?}");
}

#[test]
fn a_connection_outlives_the_replacement_of_its_server() {
    let sandbox = Sandbox::new();
    let listen = sandbox.start(["listen", "-v", "-k", "upper", "--", "cat"]);
    let mut server = Server::new(listen);
    let mut old = Stream::connect(socket(&sandbox, "upper")).unwrap();
    echoed(&mut old);
    server.replace();
    server.replace();
    echoed(&mut old);
    let mut new = Stream::connect(socket(&sandbox, "upper")).unwrap();
    echoed(&mut new);
    assert!(server.first.is_running(), "it serves its connection");
    drop(old);
    server.predecessor_ends();
    echoed(&mut new);
    // The last one has the name for itself, and leaves in order.
    kill_process(server.now, Signal::TERM).unwrap();
    wait_until("no file is left", || {
        fs::read_dir(sandbox.path().join("slipring"))
            .unwrap()
            .count()
            == 0
    });
}

#[test]
fn listeners_of_sockets_are_left_to_the_successor_too() {
    let sandbox = Sandbox::new();
    let _back = sandbox.listen(["-k", "back", "--", "cat"]);
    let mut tcp = Server::new(sandbox.start(["forward", "tcp-listen:127.0.0.1:0", "slip:back"]));
    let address = tcp.first.listening_on().replace("tcp-listen:", "");
    let path = sandbox.path().join("app.sock");
    let unix = format!("unix-listen:{}", path.display());
    let mut unix = Server::new(sandbox.start(["forward", &unix, "slip:back"]));
    for _ in 0..3 {
        let mut old = TcpStream::connect(&address).unwrap();
        echoed(&mut old);
        tcp.replace();
        echoed(&mut TcpStream::connect(&address).unwrap());
        echoed(&mut old);
        let mut old = UnixStream::connect(&path).unwrap();
        echoed(&mut old);
        unix.replace();
        echoed(&mut UnixStream::connect(&path).unwrap());
        echoed(&mut old);
    }
    tcp.predecessor_ends();
    unix.predecessor_ends();
    assert!(path.exists());
    kill_process(unix.now, Signal::TERM).unwrap();
    wait_until("the path is gone", || !path.exists());
}

/// Standard input and output are one process's at a time.
#[test]
fn a_listener_without_a_command_serves_after_its_predecessor() {
    let sandbox = Sandbox::new();
    let mut server = Server::new(sandbox.start(["listen", "-v", "-k", "all"]));
    let path = socket(&sandbox, "all");
    let mut first = Stream::connect(&path).unwrap();
    first.write_all(b"first ").unwrap();
    server.first.stdout_begins(b"first ");
    server.replace();
    let second = thread::spawn(move || {
        let mut second = Stream::connect(&path).unwrap();
        second.write_all(b"second").unwrap();
        second
    });
    first.write_all(b"still ").unwrap();
    server.first.stdout_begins(b"first still ");
    assert!(!second.is_finished());
    // Both directions end: the input of the server, and the first client.
    server.first.end_input();
    drop(first);
    server.predecessor_ends();
    let _second = second.join().unwrap();
    server.first.stdout_begins(b"first still second");
}

#[test]
fn a_server_whose_successor_fails_goes_on_and_can_be_replaced_later() {
    let sandbox = Sandbox::new();
    let program = sandbox.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_slipring"), &program).unwrap();
    let mut command = sandbox.shell("exec ./program listen -v -k n -- cat");
    let mut server = Server::new(Process::start(&mut command));
    let install = |contents: &[u8]| {
        let new = sandbox.path().join("new");
        fs::write(&new, contents).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &program).unwrap();
    };
    install(b"#!/bin/sh\nexit 7\n");
    server.first.signal(Signal::USR2);
    server.first.stderr_line("no successor");
    let mut stream = Stream::connect(socket(&sandbox, "n")).unwrap();
    echoed(&mut stream);
    install(&fs::read(env!("CARGO_BIN_EXE_slipring")).unwrap());
    server.replace();
    echoed(&mut Stream::connect(socket(&sandbox, "n")).unwrap());
    echoed(&mut stream);
}

#[test]
fn a_service_manager_is_told_the_new_main_process() {
    let sandbox = Sandbox::new();
    let path: &Path = &sandbox.path().join("notify");
    let manager = UnixDatagram::bind(path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = sandbox.command(["listen", "-v", "-k", "n", "--", "cat"]);
    command.env("NOTIFY_SOCKET", path);
    let mut server = Server::new(Process::start(&mut command));
    server.replace();
    let mut told = [0; 100];
    let count = manager.recv(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told[..count]).into_owned();
    assert_eq!(
        told,
        format!("MAINPID={}\nREADY=1", server.now.as_raw_nonzero())
    );
}
