//! A board whose publisher shook hands by the rules, and then writes the words of the input into
//! its slots, its header and its feed, between two calls of the subscriber.

use crate::input::Input;
use crate::raw::{self, Hello, LEN, PAGE, Words, memory, preamble, seals};
use crate::{assert_settled, holdings};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::fcntl_add_seals;
use slipring::Spin;
use slipring::board::{Change, Event, ReadError, Subscriber, SubscriberOptions, Update};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;
const MAX_KEYS: usize = 4;
const MAX_VALUE: usize = 24;
const SLOT: usize = 256;
const HALF: usize = 80 + MAX_VALUE;
const EPOCH: u64 = 7;

/// More steps than these prove nothing more.
const MOST: usize = 200;

/// Words of the board's header: slots used, and how often they were given to a key.
const HEADER: [usize; 2] = [0x80, 0x88];
/// Words of the feed's header: `tail`, `last`, `claim`, `checkpoint`, `fin`.
const FEED: [usize; 5] = [0x80, 0x180, 0x100, 0x108, 0x88];

/// A subscriber of such a publisher. Every call returns; what it returns is no longer than was
/// announced, and an end stays.
pub fn board(data: &[u8]) {
    let before = holdings();
    let mut input = Input::new(data);
    let fds = [memory(PAGE + CAPACITY), memory(2 * PAGE)];
    let feed = Words::map(fds[0].as_fd(), PAGE + CAPACITY, true).unwrap();
    preamble(&feed, PAGE as u32, CAPACITY as u64);
    feed.store(0x18, EPOCH);
    feed.store(0x20, 200);
    let board = Words::map(fds[1].as_fd(), 2 * PAGE, true).unwrap();
    board.put(0, b"slipring");
    for (at, word) in [
        (0x08, 1),
        (0x10, MAX_KEYS as u64),
        (0x18, MAX_VALUE as u64),
        (0x20, EPOCH),
    ] {
        board.store(at, word);
    }
    for fd in &fds {
        fcntl_add_seals(fd, seals()).unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let name = place.path().join("board");
    let listener = UnixListener::bind(&name).unwrap();
    let options = SubscriberOptions::new().spin(Spin::Never);
    let (subscriber, link) = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &fds));
        (options.connect(&name), serving.join().unwrap())
    });
    let mut subscriber = subscriber.expect("everything is right so far");
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        write(&mut input, &feed, &board);
        look(&mut input, &mut subscriber);
    }
    drop((subscriber, link, feed, board, fds, listener, place));
    assert_settled(before);
}

/// Shakes hands as a publisher does.
fn serve(listener: &UnixListener, fds: &[OwnedFd; 2]) -> UnixStream {
    let (link, _) = listener.accept().unwrap();
    raw::receive(&link).unwrap();
    let mut hello = Hello::new(CAPACITY).encode();
    hello[28] = 2;
    raw::send(&link, &hello, &[]).unwrap();
    raw::receive(&link).unwrap();
    let mut passing = [0; LEN];
    passing[..9].copy_from_slice(b"slipring\x03");
    raw::send(&link, &passing, &[fds[0].as_fd(), fds[1].as_fd()]).unwrap();
    link
}

/// A number: small, near a length or a position, or any.
fn number(input: &mut Input<'_>) -> u64 {
    let (how, low) = (input.byte(), u64::from(input.byte()));
    match how % 6 {
        0 | 1 => low % 8,
        2 => low * 8,
        3 => ((low % 70) << 32) | (u64::from(input.byte()) % 30),
        4 => low << 40 | 3 << 32,
        _ => u64::MAX - low,
    }
}

fn write(input: &mut Input<'_>, feed: &Words, board: &Words) {
    let (how, which) = (input.byte(), usize::from(input.byte()));
    let slot = PAGE + which % MAX_KEYS * SLOT;
    match how % 6 {
        0 => board.store(HEADER[which % HEADER.len()], number(input)),
        1 => board.store(slot, number(input)),
        2 => board.store(
            slot + 8 + which / MAX_KEYS % (2 * HALF / 8) * 8,
            number(input),
        ),
        3 => {
            // A slot as it should be, with any number.
            let version = 1 + u64::from(input.byte()) % 4;
            let at = slot + 8 + (version % 2) as usize * HALF;
            board.store(at, number(input));
            board.store(at + 8, 1 << 32 | 4);
            board.store(at + 16, u64::from(b'a') + u64::from(input.byte() % 4));
            board.store(slot, 2 * version);
        }
        4 => feed.store(FEED[which % FEED.len()], number(input)),
        _ => feed.store(PAGE + which % 32 * 8, number(input)),
    }
}

fn look(input: &mut Input<'_>, subscriber: &mut Subscriber) {
    let end = subscriber.end();
    let how = input.byte();
    match how % 5 {
        0 => {
            let key = [b'a' + how / 5 % 4];
            match subscriber.get(&key) {
                Ok(got) => assert!(got.is_none_or(|got| got.value.len() <= MAX_VALUE)),
                Err(ReadError::Busy | ReadError::Corrupt) => {}
                Err(error) => panic!("{error}"),
            }
        }
        1 => match subscriber.snapshot() {
            Ok(snapshot) => assert!(snapshot.entries.len() <= MAX_KEYS),
            Err(ReadError::Busy | ReadError::Corrupt) => {}
            Err(error) => panic!("{error}"),
        },
        2 => {
            if let Some(Update::Change { change, .. }) = subscriber.events().try_recv().unwrap() {
                check(change);
            }
        }
        3 => {
            if let Some(Event::Changes(changes)) = subscriber.try_changed().unwrap() {
                changes.for_each(check);
            }
        }
        _ => {
            let brief = Duration::from_micros(10);
            if let Some(Event::Changes(changes)) = subscriber.changed_timeout(brief).unwrap() {
                changes.for_each(check);
            }
        }
    }
    assert!(end.is_none() || subscriber.end() == end, "an end stays");
}

fn check(change: Change<'_>) {
    assert!(change.key().len() <= 64);
    if let Change::Set { value, .. } = change {
        assert!(value.len() <= MAX_VALUE);
    }
}
