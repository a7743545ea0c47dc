//! A half that spins for ever excuses its peer from fences. If it is polled in an event loop all the same, it sleeps: and no wake-up
//! is lost then. `SLIPRING_UNFENCED_ROUNDS` makes it more rounds or fewer.

mod common;

use common::process::{self, say, told};
use common::{GENEROUS, Place, guard_for, setting};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use slipring::{Options, Readiness, Spin, Stream};
use std::hint::{black_box, spin_loop};
use std::io::{BufRead, Read, Write};

const CAPACITY: usize = 4096;

fn options() -> Options {
    Options::new().capacity(CAPACITY).spin(Spin::Always)
}

/// Each with a stream of its own, since a half that has slept excuses nobody any more.
fn rounds() -> u64 {
    setting("SLIPRING_UNFENCED_ROUNDS", 300)
}

/// Another moment in each round, of some microseconds at most: who goes to sleep and who wakes it come to it in every order.
fn a_moment(round: u64) {
    for i in 0..round * 89 % 4096 {
        black_box(i);
    }
}

#[test]
fn child_process() {
    process::play(&[
        ("writes", |arguments| connect(arguments, write_when_asked)),
        ("reads", |arguments| connect(arguments, read_when_full)),
    ]);
}

fn connect(arguments: &[&str], wakes: fn(Stream, u64)) {
    for round in 0..rounds() {
        wakes(options().connect(arguments[0]).unwrap(), round);
    }
    say("done");
    told();
    std::process::exit(0);
}

/// Has `sleeps` woken by `role`, in another process, again and again.
fn between(sleeps: fn(Stream), role: &'static str) {
    guard_for(4 * GENEROUS, move || {
        let place = Place::new();
        let name = place.name("x");
        let listener = options().bind(&name).unwrap();
        let mut other = process::start(&place, role, &[name.to_str().unwrap()]);
        for _ in 0..rounds() {
            sleeps(listener.accept().unwrap());
        }
        other.expect("done");
        other.tell("go");
        assert!(other.wait().success());
    });
}

/// Sleeps on what a half that is armed says is to be slept on.
fn sleep_on(half: &impl AsFd, armed: Readiness) {
    if armed == Readiness::Pending {
        let timeout = Timespec {
            tv_sec: GENEROUS.as_secs() as _,
            tv_nsec: 0,
        };
        let woken = poll(&mut [PollFd::new(half, PollFlags::IN)], Some(&timeout)).unwrap();
        assert_eq!(woken, 1, "a wake-up was lost");
    }
}

/// Asks for a byte, and goes to sleep for it.
fn asks(mut stream: Stream) {
    stream.write_all(&[1]).unwrap();
    let reader = stream.reader();
    let armed = reader.arm(1).unwrap();
    sleep_on(reader, armed);
    assert_eq!(reader.try_read(&mut [0]).unwrap(), 1);
}

fn write_when_asked(mut stream: Stream, round: u64) {
    stream.read_exact(&mut [0]).unwrap();
    a_moment(round);
    stream.write_all(&[2]).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Fills the ring, and goes to sleep for room.
fn fills(mut stream: Stream) {
    let writer = stream.writer();
    writer.write_all(&[1; CAPACITY]).unwrap();
    let armed = writer.arm(1).unwrap();
    sleep_on(writer, armed);
    assert_eq!(writer.try_write(&[2]).unwrap(), 1);
}

fn read_when_full(mut stream: Stream, round: u64) {
    let reader = stream.reader();
    while reader.available().unwrap() < CAPACITY {
        spin_loop();
    }
    a_moment(round);
    reader.consume(CAPACITY);
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_reader_that_is_polled_is_woken() {
    between(asks, "writes");
}

#[test]
fn a_writer_that_is_polled_is_woken() {
    between(fills, "reads");
}
