//! A peer, written by hand, whose ring is followed by others: by the rules it is followed, and
//! against them it ends that stream with an error, and touches nothing else.

mod common;

use common::process::{self, alone};
use common::raw::{Peer, Side, Words, at, doorbell, memory, ring_word, seals, send, sparse};
use common::{GENEROUS, descriptors, eventually, guard, kind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fcntl_add_seals;
use slipring::{EndReason, GrowthRefused, Limit, Options, Spin, Stream};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

const START: usize = 4096;

/// Two to these powers are the largest rings of the peer and of this side.
const GROWTH: (u8, u8) = (16, 26);

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[("is sent rings", is_sent_rings)]);
}

fn stream() -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        let mut side = Side::new(START);
        side.hello.growth = GROWTH;
        Peer::shake_hands(theirs, side)
    });
    let options = Options::new().spin(Spin::Never).handshake_timeout(GENEROUS);
    (options.upgrade(ours).unwrap(), peer.join().unwrap())
}

/// A ring as it should be, filled with a byte.
fn ring(capacity: usize, byte: u8) -> OwnedFd {
    let fd = memory(capacity);
    let words = Words::map(fd.as_fd(), capacity, true).unwrap();
    words.put(0, &vec![byte; capacity]);
    fcntl_add_seals(&fd, seals()).unwrap();
    fd
}

fn pass(peer: &Peer, word: u64, fds: &[BorrowedFd<'_>]) {
    send(&peer.link, &word.to_le_bytes(), fds).unwrap();
}

/// Passes a ring, and announces it.
fn exchange(peer: &Peer, generation: u32, capacity: usize, byte: u8) {
    let word = ring_word(generation, capacity as u64);
    pass(peer, word, &[ring(capacity, byte).as_fd()]);
    peer.mine.words.store(at::RING, word);
}

fn publish(peer: &Peer, tail: u64) {
    peer.mine.words.store(at::TAIL, tail);
    peer.ring();
}

fn taken(peer: &Peer) -> u32 {
    (peer.theirs.load(at::STOP) >> 32) as u32
}

#[track_caller]
fn assert_given_up(stream: &mut Stream, what: &str) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..2 {
        assert_eq!(
            kind(stream.read(&mut [0; 8])),
            ErrorKind::InvalidData,
            "{what}"
        );
        assert_eq!(kind(stream.fill_buf()), ErrorKind::InvalidData, "{what}");
        assert_eq!(kind(stream.write(b"x")), ErrorKind::InvalidData, "{what}");
    }
    assert_eq!(stream.reader().end().unwrap().reason, EndReason::Corrupt);
}

#[test]
fn rings_are_taken_by_the_rules() {
    guard(|| {
        let (mut stream, peer) = stream();
        publish(&peer, 1000);
        stream.read_exact(&mut [0; 500]).unwrap();
        exchange(&peer, 1, 1 << 16, b'a');
        // The bytes that are known lie in the first ring.
        stream.read_exact(&mut [1; 500]).unwrap();
        publish(&peer, 50_000);
        assert_eq!(
            stream.reader().fill_at_least(49_000).unwrap(),
            vec![b'a'; 49_000]
        );
        assert_eq!((taken(&peer), stream.peer_capacity()), (1, 1 << 16));
        stream.consume(49_000);
        // Several at once: the last one counts.
        exchange(&peer, 2, START, b'b');
        exchange(&peer, 3, 1 << 15, b'c');
        exchange(&peer, 4, 2 * START, b'd');
        publish(&peer, 50_010);
        assert_eq!(stream.fill_buf().unwrap(), b"dddddddddd");
        assert_eq!((taken(&peer), stream.peer_capacity()), (4, 2 * START));
        // A reader that has all it asked for goes over when it waits, and then sleeps on.
        stream.consume(10);
        let reading = thread::spawn(move || stream.read(&mut [0; 8]).map(|n| (n, stream)));
        eventually("it waits", || peer.theirs.load(at::WAKE_AT_TAIL) == 50_011);
        exchange(&peer, 5, START, b'e');
        peer.ring();
        eventually("it takes the ring", || taken(&peer) == 5);
        publish(&peer, 50_015);
        let (n, stream) = reading.join().unwrap().unwrap();
        assert_eq!((n, stream.peer_capacity()), (5, START));
    });
}

/// What a peer does after the handshake, and ends the stream.
type Wrong = (&'static str, fn(&Peer));

fn wrongs() -> Vec<Wrong> {
    const NEXT: u64 = 1 << 32 | 13;
    vec![
        ("a ring that is not passed", |peer| {
            peer.mine.words.store(at::RING, NEXT)
        }),
        ("a generation that is left out", |peer| {
            exchange(peer, 2, 1 << 13, 0)
        }),
        ("a generation far ahead", |peer| {
            exchange(peer, 9, 1 << 13, 0)
        }),
        ("a generation of before", |peer| {
            exchange(peer, u32::MAX, 1 << 13, 0)
        }),
        ("the same generation, larger", |peer| {
            exchange(peer, 0, 1 << 13, 0)
        }),
        ("more than it said", |peer| exchange(peer, 1, 1 << 17, 0)),
        ("less than a page", |peer| {
            let word = 1 << 32 | 11;
            pass(peer, word, &[ring(START, 0).as_fd()]);
            peer.mine.words.store(at::RING, word);
        }),
        ("no power that there is", |peer| {
            let word = 1 << 32 | 64;
            pass(peer, word, &[ring(START, 0).as_fd()]);
            peer.mine.words.store(at::RING, word);
        }),
        ("wild bits", |peer| {
            peer.mine.words.store(at::RING, u64::MAX)
        }),
        ("a word and another message", |peer| {
            pass(peer, NEXT + 1, &[ring(1 << 14, 0).as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("garbage in the link", |peer| {
            send(&peer.link, &[0xaa; 8], &[]).unwrap();
            exchange(peer, 1, 1 << 13, 0);
        }),
        ("a message without a descriptor", |peer| {
            pass(peer, NEXT, &[]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a message of four bytes", |peer| {
            send(&peer.link, &[0; 4], &[ring(1 << 13, 0).as_fd()]).unwrap();
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("two descriptors", |peer| {
            let fds = [ring(1 << 13, 0), ring(1 << 13, 0)];
            pass(peer, NEXT, &[fds[0].as_fd(), fds[1].as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a ring without seals", |peer| {
            pass(peer, NEXT, &[memory(1 << 13).as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a ring of another size", |peer| {
            pass(peer, NEXT, &[ring(1 << 14, 0).as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a ring that is not allocated", |peer| {
            let fd = sparse(1 << 13);
            fcntl_add_seals(&fd, seals()).unwrap();
            pass(peer, NEXT, &[fd.as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a doorbell for a ring", |peer| {
            pass(peer, NEXT, &[doorbell().as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("a socket for a ring", |peer| {
            let (socket, _other) = UnixStream::pair().unwrap();
            pass(peer, NEXT, &[socket.as_fd()]);
            peer.mine.words.store(at::RING, NEXT);
        }),
        ("other rings on the way are missing", |peer| {
            let word = ring_word(3, 1 << 13);
            pass(peer, word, &[ring(1 << 13, 0).as_fd()]);
            peer.mine.words.store(at::RING, word);
        }),
    ]
}

#[test]
fn a_ring_that_is_not_right_ends_that_stream_alone() {
    guard(|| {
        let (mut other, other_peer) = stream();
        for (what, wrong) in wrongs() {
            for tail in [0, 1] {
                let (mut stream, peer) = stream();
                wrong(&peer);
                publish(&peer, tail);
                assert_given_up(&mut stream, what);
            }
        }
        // One that does not hold what is unread.
        let (mut stream, peer) = stream();
        exchange(&peer, 1, 1 << 14, 0);
        publish(&peer, 10_000);
        assert_eq!(stream.fill_buf().unwrap().len(), 10_000);
        exchange(&peer, 2, START, 0);
        publish(&peer, 10_001);
        stream.consume(1);
        stream.set_nonblocking(true).unwrap();
        assert_eq!(
            kind(stream.reader().fill_at_least(10_000)),
            ErrorKind::InvalidData
        );
        publish(&other_peer, 3);
        assert_eq!(other.fill_buf().unwrap(), [0; 3]);
    });
}

/// A peer that grows and shrinks at each byte costs no more than some system calls a second.
#[test]
fn rings_without_end_end_the_stream() {
    guard(|| {
        let (mut stream, peer) = stream();
        for generation in 1..=200 {
            let capacity = START << (generation % 2);
            exchange(&peer, generation, capacity, 0);
            publish(&peer, generation.into());
            match stream.read(&mut [0; 8]) {
                Ok(1) => {}
                Err(e) if e.kind() == ErrorKind::InvalidData => return,
                other => panic!("{other:?}"),
            }
        }
        panic!("nothing ends it");
    });
}

/// Messages that nobody asked for stay where they are, and go with the stream.
fn is_sent_rings(_: &[&str]) {
    let before = descriptors();
    let (mut stream, peer) = stream();
    peer.link.set_nonblocking(true).unwrap();
    let fd = ring(START, 0);
    let mut sent = 0;
    while sent < 5000 && send(&peer.link, &[0; 8], &[fd.as_fd()]).is_ok() {
        sent += 1;
    }
    assert!(sent > 10, "{sent}");
    publish(&peer, 4);
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.write_all(b"hello").unwrap();
    drop((stream, peer, fd));
    eventually("nothing is left", || descriptors() == before);
}

#[test]
fn rings_that_are_not_announced_change_nothing() {
    guard(|| alone("is sent rings"));
}

/// A peer that takes no ring costs its own stream alone, and one that says it has taken what it
/// cannot have ends it.
#[test]
fn rings_that_are_not_taken_cost_that_stream_alone() {
    guard(|| {
        let (mut stream, peer) = stream();
        stream.set_nonblocking(true).unwrap();
        // As much as fits, perhaps in a larger ring.
        while stream.write(&[1; 3000]).is_ok() {}
        let _ = stream.writer().reserve(50_000).map(|grant| grant.len());
        stream.writer().shrink();
        let stats = stream.writer().stats();
        assert!(
            (1..9).contains(&stats.grown) && stats.shrunk == 0,
            "{stats:?}"
        );
        for wrong in [stats.grown as u32 + 1, u32::MAX] {
            peer.mine.words.store32(at::TAKEN, wrong);
            stream.writer().shrink();
            while stream.write(&[1; 3000]).is_ok() {}
            let _ = stream.writer().reserve(60_000).map(|grant| grant.len());
        }
        assert_given_up(&mut stream, "a ring that cannot be taken");
    });
}

/// A peer may refuse what was not asked.
#[test]
fn answers_may_be_anything() {
    guard(|| {
        let (mut stream, peer) = stream();
        stream.set_nonblocking(true).unwrap();
        let words = &peer.mine.words;
        for position in [0, 1, 9_999, 10_001, u64::MAX] {
            words.store(at::REFUSED_FOR, position);
            words.store32(at::ANSWERS, position as u32 | 1);
            assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::WouldBlock);
            let waits = stream.reader().fill_at_least(10_000).map(<[u8]>::len);
            assert_eq!(kind(waits), ErrorKind::WouldBlock);
        }
        words.store(at::REFUSED_FOR, 10_000);
        let error = stream.reader().fill_at_least(10_000).unwrap_err();
        assert_eq!(GrowthRefused::of(&error).unwrap().limit, Limit::System);
        let again = stream.reader().fill_at_least(10_000).map(<[u8]>::len);
        assert_eq!(kind(again), ErrorKind::WouldBlock);
        publish(&peer, 4);
        stream.read_exact(&mut [0; 4]).unwrap();
    });
}
