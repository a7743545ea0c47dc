//! `forward` and the rings of C# programs: here the library plays such a program; `csharp.rs` has
//! real ones.

mod common;
#[path = "common/server.rs"]
mod server;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    path::PathBuf,
    thread,
};

use common::{DEADLINE, Process, Sandbox, WAIT, file_with, noise, wait_until};
use rustix::process::Signal;
use server::{connect, serve};
use slipring::mmf::{Duplex, Reader, Writer};

const ANY: &str = "tcp-listen:127.0.0.1:0";

fn file(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.path().join(name)
}

#[test]
fn input_goes_into_a_ring_and_comes_out_of_it() {
    let sandbox = Sandbox::new();
    let data = noise(1, 3_000_000);
    let mut shows = sandbox.start(["forward", "mmf:ring?size=65537", "-"]);
    let mut fills = sandbox.command(["forward", "-", "mmf:ring?size=65537"]);
    let fills = Process::start(fills.stdin(file_with(sandbox.path(), "data", &data)));
    fills.wait().expect(0).printed("");
    shows.stdout_has(data.len());
    shows.stdout_begins(&data);
    assert!(shows.is_running());
    // It consumes bytes a moment after it has passed them on: if it were killed before, they would
    // remain.
    let mut writer = Writer::open(file(&sandbox, "ring")).unwrap();
    writer.set_timeout(Some(DEADLINE)).unwrap();
    writer.wait_consumed().unwrap();
    drop(writer);
    // Bytes written while nobody read are still there.
    shows.signal(Signal::TERM);
    drop(shows);
    let mut fills = sandbox.start(["forward", "-", "mmf:ring"]);
    fills.write(b"kept");
    fills.finish().expect(0);
    let mut ring = Reader::open(file(&sandbox, "ring")).unwrap();
    assert_eq!(ring.position(), data.len() as u64);
    assert_eq!(ring.fill_buf().unwrap(), b"kept");
}

#[test]
fn a_program_behind_a_ring_is_spoken_to_by_standard_input_and_output() {
    let sandbox = Sandbox::new();
    let mut program = Duplex::create(file(&sandbox, "to"), file(&sandbox, "from"), 64).unwrap();
    let mut console = sandbox.start(["forward", "mmf:from,to", "-"]);
    console.write(b"question\n");
    let mut question = String::new();
    program.read_line(&mut question).unwrap();
    assert_eq!(question, "question\n");
    program.write_all(b"answer").unwrap();
    console.stdout_has(6);
    // The end of input is no end there: more may come.
    console.end_input();
    program.write_all(b", and more").unwrap();
    console.stdout_begins(b"answer, and more");
}

#[test]
fn forward_from_a_ring_ends_when_nobody_reads_its_output() {
    for address in ["mmf:from,to", "mmf:from"] {
        let sandbox = Sandbox::new();
        let mut program = Duplex::create(file(&sandbox, "to"), file(&sandbox, "from"), 64).unwrap();
        let (output, input) = std::io::pipe().unwrap();
        let mut console = sandbox.command(["forward", address, "-"]);
        // Its input stays open.
        let console = Process::start(console.stdout(input));
        program.write_all(b"line\n").unwrap();
        let mut lines = BufReader::new(output).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "line");
        drop(lines);
        program.write_all(b"unread\n").unwrap();
        console.wait().expect(0);
        // Bytes that nobody took are still there for the next reader.
        let mut ring = Reader::open(file(&sandbox, "from")).unwrap();
        assert_eq!(ring.fill_buf().unwrap(), b"unread\n");
    }
}

#[test]
fn a_tcp_client_is_joined_to_a_ring() {
    let sandbox = Sandbox::new();
    let forward = sandbox.start(["forward", ANY, "mmf:from,to?size=1000"]);
    let address = forward.listening_on();
    let mut client = connect(&address);
    let (there, back) = (noise(2, 1_000_000), noise(3, 1_000_001));
    wait_until("the rings are there", || file(&sandbox, "to").exists());
    let mut program =
        Duplex::create_or_open(file(&sandbox, "to"), file(&sandbox, "from"), 1000).unwrap();
    let (reader, writer) = program.halves();
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&back).unwrap());
        let mut sending = client.try_clone().unwrap();
        let there = &there;
        scope.spawn(move || {
            sending.write_all(there).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(|| {
            let mut got = vec![0; 1_000_001];
            client.read_exact(&mut got).unwrap();
            assert!(got == back);
        });
        let mut got = vec![0; 1_000_000];
        reader.read_exact(&mut got).unwrap();
        assert!(got == *there);
    });
}

#[test]
fn one_connection_at_a_time_has_the_ring_and_then_the_next() {
    let sandbox = Sandbox::new();
    let mut program = Duplex::create(file(&sandbox, "to"), file(&sandbox, "from"), 1000).unwrap();
    let forward = sandbox.start(["forward", "slip-listen:panel", "mmf:from,to"]);
    forward.listening_on();
    let mut first = sandbox.start(["connect", WAIT, "panel"]);
    first.write(b"one");
    program.read_exact(&mut [0; 3]).unwrap();
    sandbox
        .start(["connect", WAIT, "panel"])
        .wait()
        .expect(3)
        .says("aborted with code 2");
    forward.stderr_line("has a slipring reader already");
    first.signal(Signal::KILL);
    drop(first);
    // Nothing wakes a half that waits for a ring; it sees the loss in a while.
    wait_until("the ring is free again", || {
        Writer::open(file(&sandbox, "to")).is_ok() && Reader::open(file(&sandbox, "from")).is_ok()
    });
    let mut second = sandbox.start(["connect", WAIT, "panel"]);
    second.write(b"two");
    program.read_exact(&mut [0; 3]).unwrap();
    program.write_all(b"answer").unwrap();
    second.stdout_begins(b"answer");
}

#[test]
fn one_ring_goes_one_way() {
    let sandbox = Sandbox::new();
    let mut quotes = Writer::create(file(&sandbox, "quotes"), 100).unwrap();
    let forward = sandbox.start(["forward", "mmf:quotes", ANY]);
    let mut client = connect(forward.listening_on());
    // Nobody is there to read this, and it does no harm.
    client.write_all(b"hello?").unwrap();
    quotes.write_all(b"EURUSD").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    drop(client);
    wait_until("the client is missed", || {
        // A full ring is nothing that this test waits for.
        let _ = quotes.try_write(b"x");
        Reader::open(file(&sandbox, "quotes")).is_ok()
    });
    drop(forward);

    // And the other way: the bytes sent come out of the ring, and there is an end as soon as the
    // sender ends.
    let target = serve(|mut client| client.write_all(b"quotes").unwrap());
    sandbox
        .run(["forward", &format!("tcp:{target}"), "mmf:received?size=64"])
        .expect(0);
    let mut received = Reader::open(file(&sandbox, "received")).unwrap();
    assert_eq!(received.fill_buf().unwrap(), b"quotes");
}

#[test]
fn a_ring_is_copied_into_another() {
    let sandbox = Sandbox::new();
    let mut one = Writer::create(file(&sandbox, "one"), 100).unwrap();
    let mut two = Reader::create(file(&sandbox, "two"), 4096).unwrap();
    let _forward = sandbox.start(["forward", "mmf:one", "mmf:two"]);
    let data = noise(4, 100_000);
    thread::scope(|scope| {
        scope.spawn(|| one.write_all(&data).unwrap());
        let mut got = vec![0; data.len()];
        two.read_exact(&mut got).unwrap();
        assert!(got == data);
    });
}

#[test]
fn forward_tells_why_a_ring_cannot_be_opened() {
    let sandbox = Sandbox::new();
    let run = |address: &str| sandbox.run(["forward", address, "-"]);
    run("mmf:missing")
        .expect(4)
        .says("cannot connect to mmf:missing: there is no file missing")
        .says("?size=N");
    let ring = Writer::create(file(&sandbox, "ring"), 100).unwrap();
    run("mmf:ring?size=101")
        .expect(4)
        .says("has 100 bytes, and 101 were expected");
    let reader = Reader::open(file(&sandbox, "ring")).unwrap();
    run("mmf:ring")
        .expect(4)
        .says("ring has a slipring reader already");
    drop((ring, reader));
    std::fs::write(file(&sandbox, "text"), "no ring, but a text of some length").unwrap();
    run("mmf:text")
        .expect(4)
        .says("make no sense in a ring of 18 bytes");
    run("mmf:.").expect(4).says("not a regular file");
    run("mmf:ring?size=16").expect(2).says("17 or more");
    run("mmf-listen:ring").expect(2).says("nobody to listen");
    sandbox
        .run(["forward", "-", "-"])
        .expect(2)
        .says("one connection");
    sandbox
        .run(["forward", ANY, "-"])
        .expect(2)
        .says("one connection");
    sandbox
        .run(["listen", "mmf:ring"])
        .expect(2)
        .says("slipring forward");
    sandbox
        .run(["connect", "mmf:ring"])
        .expect(2)
        .says("slipring forward");
}

#[test]
fn a_file_that_is_cut_ends_the_connection_with_an_error() {
    let sandbox = Sandbox::new();
    let _quotes = Writer::create(file(&sandbox, "quotes"), 8192).unwrap();
    let forward = sandbox.start(["forward", "-v", "mmf:quotes", "-"]);
    forward.stderr_line("joined to");
    File::options()
        .write(true)
        .open(file(&sandbox, "quotes"))
        .unwrap()
        .set_len(0)
        .unwrap();
    forward
        .wait()
        .expect(1)
        .says("has 0 bytes now, and had 8192");
}
