//! Real C# programs, joined through `forward`.
//!
//! They need Mono (`examples/csharp/setup.sh` installs it), so they are left out unless asked for:
//! `cargo test -p slipring-cli --test csharp -- --ignored`.

mod common;
#[path = "common/server.rs"]
mod server;

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::Shutdown,
    path::Path,
    process::Command,
    thread,
};

use common::{Process, Sandbox, noise};
use rustix::process::Signal;
use server::connect;

const MONO: &str = "needs Mono: run examples/csharp/setup.sh";

/// Compiles the program into the sandbox.
fn compile(sandbox: &Sandbox) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/csharp");
    let output = Command::new("mcs")
        .args(["-unsafe", "-optimize"])
        .arg(format!(
            "-out:{}",
            sandbox.path().join("ring.exe").display()
        ))
        .arg(source.join("*.cs"))
        .output()
        .unwrap_or_else(|e| panic!("mcs cannot be started ({e}): this {MONO}"));
    assert!(output.status.success(), "{output:?}");
}

/// Runs it there.
fn csharp(sandbox: &Sandbox, arguments: &[&str]) -> Process {
    let probe = Command::new("mono").arg("--version").output();
    assert!(
        probe.is_ok(),
        "mono cannot be started ({probe:?}): this {MONO}"
    );
    let mut command = sandbox.shell("exec mono ring.exe \"$@\"");
    command.args([OsStr::new("ring")]).args(arguments);
    Process::start(&mut command)
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn csharp_rings_are_joined_through_a_stream_both_ways() {
    let sandbox = Sandbox::new();
    compile(&sandbox);
    // Two C# programs that know nothing but their rings, each pair of them of another size, and a
    // stream in between.
    let listens = sandbox.start(["forward", "slip-listen:desk", "mmf:a-out,a-in?size=65537"]);
    listens.listening_on();
    let _joins = sandbox.start(["forward", "mmf:b-out,b-in?size=4194304", "slip:desk"]);
    let bytes = "100000000";
    let run = |arguments: &[&str]| csharp(&sandbox, arguments);
    let all = [
        run(&["send", "a-out", "65537", bytes, "1"]),
        run(&["expect", "a-in", "65537", bytes, "2"]),
        run(&["send", "b-out", "4194304", bytes, "2"]),
        run(&["expect", "b-in", "4194304", bytes, "1"]),
    ];
    for program in all {
        program
            .wait()
            .expect(0)
            .printed(format!("at 0\ndone at {bytes}\n"));
    }
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn a_csharp_program_is_reached_behind_a_tcp_port() {
    let sandbox = Sandbox::new();
    compile(&sandbox);
    let forward = sandbox.start([
        "forward",
        "tcp-listen:127.0.0.1:0",
        "mmf:answers,questions?size=5000",
    ]);
    let _echo = csharp(&sandbox, &["echo", "questions", "answers", "5000"]);
    let mut client = connect(forward.listening_on());
    let data = noise(5, 2_000_000);
    let mut sending = client.try_clone().unwrap();
    thread::scope(|scope| {
        let data = &data;
        scope.spawn(move || {
            sending.write_all(data).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = vec![0; data.len()];
        client.read_exact(&mut got).unwrap();
        assert!(got == *data);
    });
}

#[test]
#[ignore = "needs Mono: examples/csharp/setup.sh, then --ignored"]
fn a_csharp_program_is_joined_to_standard_input_and_output() {
    let sandbox = Sandbox::new();
    compile(&sandbox);
    let mut fills = sandbox.start(["forward", "-", "mmf:ring?size=100"]);
    fills.write(b"from the shell");
    fills.finish().expect(0);
    let reads = csharp(&sandbox, &["read", "ring", "100"]);
    reads.stdout_begins(b"from the shell");
    reads.signal(Signal::KILL);
    drop(reads);
    let mut writes = csharp(&sandbox, &["write", "ring", "100"]);
    writes.write(b"from C#");
    writes.finish().expect(0);
    let shows = sandbox.start(["forward", "mmf:ring", "-"]);
    shows.stdout_begins(b"from C#");
}
