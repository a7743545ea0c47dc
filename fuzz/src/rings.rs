//! A peer that shook hands by the rules, and whose ring is followed by others: some of them by the
//! rules, some with one of many faults, while this side reads and writes, and its own ring grows
//! and shrinks.

use crate::input::Input;
use crate::raw::{PAGE, Peer, Side, Words, at, doorbell, memory, ring_word, seals, send};
use crate::{assert_settled, holdings};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fcntl_add_seals;
use slipring::{Options, Spin, Stream};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;

/// The largest ring of either side.
const MOST: usize = 1 << 16;

/// The peer's rings hold nothing else: any other byte would be from elsewhere.
const THEIRS: u8 = 0xa5;

/// More steps than these prove nothing more.
const STEPS: usize = 100;

/// A stream whose peer exchanges its ring. Every call returns, with a documented error at most.
pub fn rings(data: &[u8]) {
    let before = holdings();
    let mut input = Input::new(data);
    let (mut stream, peer) = stream(input.byte() & 1 != 0);
    let (mut generation, mut tail) = (0, 0);
    let mut ended = [None; 2];
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0 => exchange(&peer, &mut generation, &mut input),
            1 => {
                // As an honest writer would, mostly.
                tail += 100 * input.byte() as u64;
                peer.mine.words.store(at::TAIL, tail);
                peer.ring();
            }
            2 => {
                let behind = u64::from(input.byte() & 7);
                let head = peer.theirs.load(at::TAIL).saturating_sub(behind);
                peer.mine.words.store(at::HEAD, head);
                peer.ring();
            }
            3 => {
                let word = [at::TAKEN, at::ANSWERS][input.below(2)];
                peer.mine.words.store32(word, u32::from(input.byte()) % 20);
            }
            4 => {
                let word = [at::REFUSED_FOR, at::WAKE_AT_TAIL, at::RING][input.below(3)];
                let value = u64::from(input.byte()) << (8 * input.below(8));
                peer.mine.words.store(word, value);
            }
            _ => call(&mut stream, &mut input, &mut ended),
        }
    }
    drop((stream, peer));
    assert_settled(before);
}

fn stream(copies: bool) -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut side = Side::new(CAPACITY);
    side.hello.growth = (MOST.ilog2() as u8, MOST.ilog2() as u8);
    side.words.put(PAGE, &[THEIRS; CAPACITY]);
    let peer = thread::spawn(move || Peer::shake_hands(theirs, side));
    let options = Options::new()
        .capacity(CAPACITY)
        .max_capacity(MOST)
        .spin(Spin::Never)
        .copy_reads(copies);
    let mut stream = options.upgrade(ours).unwrap();
    let patience = Some(Duration::from_micros(100));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    (stream, peer.join().unwrap())
}

/// A ring as it should be, but perhaps for the seals.
fn ring(capacity: usize, sealed: bool) -> OwnedFd {
    let fd = memory(capacity);
    let words = Words::map(fd.as_fd(), capacity, true).unwrap();
    words.put(0, &vec![THEIRS; capacity]);
    if sealed {
        fcntl_add_seals(&fd, seals()).unwrap();
    }
    fd
}

/// Passes a ring and announces it, with the fault that the input asks for.
fn exchange(peer: &Peer, generation: &mut u32, input: &mut Input<'_>) {
    let fault = input.byte();
    let capacity = CAPACITY << input.below(5);
    let next = generation.wrapping_add(1);
    let word = ring_word(next, capacity as u64);
    let (right, bell) = (ring(capacity, fault != 1), doorbell());
    let other = ring(2 * capacity, true);
    let fds: &[BorrowedFd<'_>] = match fault {
        2 => &[],
        3 => &[right.as_fd(), right.as_fd()],
        4 => &[bell.as_fd()],
        5 => &[other.as_fd()],
        _ => &[right.as_fd()],
    };
    let said = match fault {
        6 => word ^ 1,
        7 => word ^ 1 << 32,
        _ => word,
    };
    let bytes = &said.to_le_bytes()[..if fault == 8 { 3 } else { 8 }];
    if fault != 9 {
        // This side may have hung up, or left too many messages unread.
        peer.link.set_nonblocking(true).unwrap();
        let _ = send(&peer.link, bytes, fds);
    }
    if fault != 10 {
        peer.mine.words.store(at::RING, word);
        *generation = next;
    }
    if fault == 11 {
        *generation = next.wrapping_add(u32::from(input.byte()));
    }
}

/// The errors that a call may end in.
const DOCUMENTED: [ErrorKind; 8] = [
    ErrorKind::WouldBlock,
    ErrorKind::InvalidData,
    ErrorKind::InvalidInput,
    ErrorKind::OutOfMemory,
    ErrorKind::UnexpectedEof,
    ErrorKind::Deadlock,
    ErrorKind::ConnectionReset,
    ErrorKind::BrokenPipe,
];

/// Every byte that is lent is of the peer's rings.
fn look(lent: &[u8]) -> usize {
    let ours = lent.iter().all(|byte| *byte == THEIRS);
    assert!(ours && lent.len() <= MOST, "bytes from elsewhere");
    lent.len()
}

fn call(stream: &mut Stream, input: &mut Input<'_>, ended: &mut [Option<ErrorKind>; 2]) {
    let which = input.byte() % 9;
    let n = 1 + 257 * input.below(256);
    let result = match which {
        0 => {
            let mut buf = vec![0; n];
            let read = stream.read(&mut buf);
            read.map(|n| assert_eq!(look(&buf[..n]), n))
        }
        1 => {
            let lent = stream.fill_buf().map(look);
            lent.map(|len| stream.consume(len.min(n)))
        }
        2 => {
            let lent = stream.reader().fill_at_least(n);
            lent.map(|lent| assert!(look(lent) >= n))
        }
        3 => stream.reader().available().map(|n| assert!(n <= MOST)),
        4 => stream
            .write(&vec![1; n])
            .map(|written| assert!(written <= n)),
        5 => stream.writer().reserve(n).map(|grant| grant.commit(n / 2)),
        6 => stream.writer().batch().write_all(&vec![1; n]),
        7 => {
            assert!((CAPACITY..=MOST).contains(&stream.writer().shrink()));
            Ok(())
        }
        _ => stream.writer().arm(n).map(drop),
    };
    let Err(error) = result else {
        return;
    };
    let kind = error.kind();
    assert!(DOCUMENTED.contains(&kind), "call {which}: {error:?}");
    if kind == ErrorKind::InvalidData {
        let first = *ended[usize::from(which >= 4)].get_or_insert(kind);
        assert_eq!(first, kind, "an end stays");
    }
}
